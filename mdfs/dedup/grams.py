"""N-grams of test sets, and where they stand in documents: Numba kernels over Arrow's UTF-8 buffers.

A text is taken as units: each character of a script that is written without blanks (Chinese, Japanese, Thai …), and
each run of other word characters (`mdfs.dedup.words`). What lies between units does not count, nor does case of ASCII
letters and full width of ASCII characters; traditional and simplified characters differ. An n-gram is the shortest run
of units that is n long, where a character counts as 1/chars and a word as 1/words of it: 18 characters, or 13 words, or
9 characters and 7 words. Combining marks end a word, so in Indic scripts 13 "words" are fewer.

A hit is a hash found in a table and then units that are equal one by one: no collision of hashes removes a text. One
core looks through 66 MB/s for the 296,000 n-grams of the test sets below; of MinHash signatures it makes 177 MB/s.

How long n is for Chinese, measured with FewCLUE's tnews, csl, chid and eprstmt (7,460 texts) against 3,245 texts that
hold none of them (statutes, novels, classical texts, essays, newspaper pieces, encyclopedia passages):

    n characters                        10     13     16     18     20     26
    test texts that are long enough    97%    94%    90%    87%    84%    75%
    headlines of tnews among them      93%    83%    69%    60%    51%    23%
    documents hit                       37      9      2      0      0      0

What 13 hits is verse that both quote (a couplet has 14), what 16 hits a saying of four times four characters; 18 is the
first beyond both. It says as much as 12 words of 1.5 characters, and GPT-3 took 13 words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup.minhash import buffers, code_point
from mdfs.dedup.words import WORD

#: Ranges of scripts written without blanks between words: Thai, Lao, Tibetan, Myanmar, Khmer, kana, Bopomofo, Han.
UNSPACED = (
    (0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029),
    (0x3041, 0x30FF), (0x3105, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0xFF66, 0xFF9D), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip

#: Multipliers of the polynomial and of the mixing, as in `mdfs.dedup.minhash`.
_BASE = 0xF1357AEA2E62A9C5
_SPREAD = 0x9E3779B97F4A7C15
#: Stands between two words, so that "ice cream" is not "icecream".
_BLANK = 0x20


def _kinds() -> NDArray[np.uint8]:
    """uint8[0x110000]: 0 for no part of a unit, 1 for a letter of a word, 2 for a unit of its own."""
    kinds = WORD.copy()
    for first, last in UNSPACED:
        kinds[first : last + 1] *= 2
    return kinds


_KIND = _kinds()


@dataclass(frozen=True)
class Index:
    """The distinct n-grams of some test sets.

    Attributes:
        words, chars: n, see above.
        codes: uint32, the test sets' texts as units, one after the other.
        starts, lengths: int64[n], where each n-gram lies in `codes`. `hashes`: uint64[n].
        owners: uint64[n]; bit b is set where test set b has it.
        table: int64[2^k], open addressing: number of an n-gram + 1, or 0.
        sieve: uint8[2^k], a bit for every hash's upper bits: 1 in 16 windows of other texts passes it, and it stays in
            the second-level cache where the table does not (300,000 n-grams: 1 MB and 16 MB; 2.5 times as fast).
        keys, short: texts of each test set, and how many of them have no n-gram, being too short.
    """

    words: int
    chars: int
    codes: NDArray[np.uint32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    owners: NDArray[np.uint64]
    table: NDArray[np.int64]
    sieve: NDArray[np.uint8]
    keys: tuple[int, ...]
    short: tuple[int, ...]


@dataclass(frozen=True)
class Hits:
    """Where n-grams stand in documents, in the order of documents and places.

    Attributes:
        document: int64[n], row of the column. `gram`: int64[n], number in the index.
        start, end: int64[n], characters (code points) of the text, the end not included.
    """

    document: NDArray[np.int64]
    gram: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


def index(test_sets: Iterable[Iterable[str]], *, words: int, chars: int) -> Index:
    """The n-grams of test sets (64 at most), numbered by their first place."""
    gathered = [pa.array([text.encode("utf-8", "replace") for text in texts], pa.large_binary()) for texts in test_sets]
    data, offsets = buffers(pa.concat_arrays([*gathered, pa.array([], pa.large_binary())]))
    ends = np.cumsum([len(texts) for texts in gathered]).astype(np.int64)
    owner = np.searchsorted(ends, np.arange(len(offsets) - 1), side="right").astype(np.uint64)
    codes, starts, lengths, hashes, text = _all_windows(data, offsets, _KIND, words, chars)
    number, table = _distinct(codes, starts, lengths, hashes)
    first = np.unique(number, return_index=True)[1]
    owners = np.zeros(len(first), np.uint64)
    np.bitwise_or.at(owners, number, np.uint64(1) << owner[text])
    with_grams = np.bincount(owner[np.unique(text)].astype(np.int64), minlength=len(gathered))
    keys = tuple(len(texts) for texts in gathered)
    short = tuple(int(count - found) for count, found in zip(keys, with_grams, strict=True))
    starts, lengths, hashes = starts[first], lengths[first], hashes[first]
    return Index(words, chars, codes, starts, lengths, hashes, owners, table, _sieve(hashes), keys, short)


def find(texts: pa.Array, grams: Index) -> Hits:
    """Every place in documents at which an n-gram of the index stands.

    Args:
        texts: string or large_string, no nulls; slices are fine.

    Raises:
        ValueError: a null or another type.
    """
    data, offsets = buffers(texts)
    rows = _find(
        data, offsets, _KIND, grams.words, grams.chars,
        grams.codes, grams.starts, grams.lengths, grams.hashes, grams.table, grams.sieve,
    )  # fmt: skip
    return Hits(*(np.ascontiguousarray(rows[:, column]) for column in range(4)))


@numba.njit(nogil=True, cache=True)
def _units(data, start, end, kind, codes, at, units):  # type: ignore[no-untyped-def]
    """Write a text's units: their code points to `codes`, the character that each of these is in the text to `at`, and
    begin, end and kind of each unit in `codes` to `units`. Returns how many codes and how many units there are."""
    count = many = char = 0
    before = 0  # kind of the character before this one
    place = start
    while place < end:
        code, length = code_point(data, place, end)
        place += length
        if 0xFF01 <= code <= 0xFF5E:
            code = np.uint32(code - 0xFEE0)
        this = kind[code] if code < kind.size else 0
        if this:
            if 0x41 <= code <= 0x5A:
                code = np.uint32(code + 0x20)
            if this == 2 or before != 1:
                if this == 1 and many and units[many - 1, 2] == 1:
                    codes[count], at[count] = _BLANK, char
                    count += 1
                units[many, 0], units[many, 2] = count, this
                many += 1
            codes[count], at[count] = code, char
            count += 1
            units[many - 1, 1] = count
        before = this
        char += 1
    return count, many


@numba.njit(nogil=True, cache=True)
def _prefixes(codes, count, prefixes):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    prefixes[0] = value
    for i in range(count):
        value = value * np.uint64(_BASE) + np.uint64(codes[i])
        prefixes[i + 1] = value


@numba.njit(nogil=True, cache=True)
def _powers(count):  # type: ignore[no-untyped-def]
    powers = np.empty(count + 1, np.uint64)
    powers[0] = 1
    for i in range(count):
        powers[i + 1] = powers[i] * np.uint64(_BASE)
    return powers


@numba.njit(nogil=True, cache=True, inline="always")
def _hash(prefixes, powers, start, end):  # type: ignore[no-untyped-def]
    """Of the codes from `start` to `end`; its upper bits are as good as random."""
    value = prefixes[end] - prefixes[start] * powers[end - start]
    return (value ^ (value >> np.uint64(29))) * np.uint64(_SPREAD)


@numba.njit(nogil=True, cache=True, inline="always")
def _reach(units, many, first, last, weight, words, chars):  # type: ignore[no-untyped-def]
    """The unit behind the n-gram that begins at `first`, and its weight, from those of the n-gram before; its weight is
    less than words * chars where the text ends first."""
    if first:
        weight -= words if units[first - 1, 2] == 2 else chars
    while last < many and weight < words * chars:
        weight += words if units[last, 2] == 2 else chars
        last += 1
    return last, weight


@numba.njit(nogil=True, cache=True)
def _characters(data, offsets):  # type: ignore[no-untyped-def]
    """Characters in all texts, and in the longest. A text has no more codes (a blank stands for a character that is no
    part of a unit), units or n-grams."""
    total = longest = 0
    for i in range(offsets.size - 1):
        count = 0
        for at in range(offsets[i], offsets[i + 1]):
            count += (data[at] & 0xC0) != 0x80
        total += count
        longest = max(longest, count)
    return total, longest


@numba.njit(nogil=True, cache=True)
def _all_windows(data, offsets, kind, words, chars):  # type: ignore[no-untyped-def]
    """Codes of all texts, and start, length, hash and text of each n-gram in them."""
    total, longest = _characters(data, offsets)
    codes, at = np.empty(total, np.uint32), np.empty(longest, np.int32)
    units = np.empty((longest, 3), np.int32)
    prefixes, powers = np.empty(longest + 1, np.uint64), _powers(longest)
    starts, lengths, text = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    hashes = np.empty(total, np.uint64)
    used = found = 0
    for i in range(offsets.size - 1):
        count, many = _units(data, offsets[i], offsets[i + 1], kind, codes[used:], at, units)
        _prefixes(codes[used:], count, prefixes)
        last = weight = 0
        for first in range(many):
            last, weight = _reach(units, many, first, last, weight, words, chars)
            if weight < words * chars:
                break
            start, end = units[first, 0], units[last - 1, 1]
            starts[found], lengths[found], text[found] = used + start, end - start, i
            hashes[found] = _hash(prefixes, powers, start, end)
            found += 1
        used += count
    return (
        codes[:used].copy(),
        starts[:found].copy(),
        lengths[:found].copy(),
        hashes[:found].copy(),
        text[:found].copy(),
    )


@numba.njit(nogil=True, cache=True, inline="always")
def _equal(left, i, right, j, length):  # type: ignore[no-untyped-def]
    k = 0
    while k < length and left[i + k] == right[j + k]:
        k += 1
    return k == length


@numba.njit(nogil=True, cache=True)
def _distinct(codes, starts, lengths, hashes):  # type: ignore[no-untyped-def]
    """For each n-gram the number of the first one equal to it, counted over distinct ones; and their table."""
    bits = 4
    while (1 << bits) < 2 * starts.size:
        bits += 1
    table, mask = np.zeros(1 << bits, np.int64), (1 << bits) - 1
    number, firsts, many = np.empty(starts.size, np.int64), np.empty(starts.size, np.int64), 0
    for i in range(starts.size):
        slot = np.int64(hashes[i] >> np.uint64(64 - bits))
        number[i] = -1
        while table[slot] and number[i] < 0:
            other = firsts[table[slot] - 1]
            same = hashes[other] == hashes[i] and lengths[other] == lengths[i]
            if same and _equal(codes, starts[other], codes, starts[i], lengths[i]):
                number[i] = table[slot] - 1
            slot = (slot + 1) & mask
        if number[i] < 0:
            firsts[many], number[i] = i, many
            many += 1
            table[slot] = many
    return number, table


@numba.njit(nogil=True, cache=True)
def _sieve_shift(sieve):  # type: ignore[no-untyped-def]
    """By how much a hash is shifted to name a bit."""
    bits = 3
    while (1 << bits) < 8 * sieve.size:
        bits += 1
    return np.uint64(64 - bits)


@numba.njit(nogil=True, cache=True)
def _sieve(hashes):  # type: ignore[no-untyped-def]
    size = 16
    while size < 2 * hashes.size:
        size *= 2
    sieve = np.zeros(size, np.uint8)
    shift = _sieve_shift(sieve)
    for value in hashes:
        bit = np.int64(value >> shift)
        sieve[bit >> 3] |= np.uint8(1) << np.uint8(bit & 7)
    return sieve


@numba.njit(nogil=True, cache=True)
def _find(data, offsets, kind, words, chars, keys, starts, lengths, hashes, table, sieve):  # type: ignore[no-untyped-def]
    """int64[n, 4]: document, n-gram, start and end of each hit."""
    _, longest = _characters(data, offsets)
    codes, at = np.empty(longest, np.uint32), np.empty(longest, np.int32)
    units = np.empty((longest, 3), np.int32)
    prefixes, powers = np.empty(longest + 1, np.uint64), _powers(longest)
    rows, found, mask, bits = np.empty((64, 4), np.int64), 0, table.size - 1, 0
    while (1 << bits) < table.size:
        bits += 1
    shift = _sieve_shift(sieve)
    for i in range(offsets.size - 1):
        count, many = _units(data, offsets[i], offsets[i + 1], kind, codes, at, units)
        _prefixes(codes, count, prefixes)
        last = weight = 0
        for first in range(many):
            last, weight = _reach(units, many, first, last, weight, words, chars)
            if weight < words * chars:
                break
            start, end = units[first, 0], units[last - 1, 1]
            wanted = _hash(prefixes, powers, start, end)
            bit = np.int64(wanted >> shift)
            if not (sieve[bit >> 3] >> np.uint8(bit & 7)) & 1:
                continue
            slot = np.int64(wanted >> np.uint64(64 - bits))
            while table[slot]:
                gram = table[slot] - 1
                same = hashes[gram] == wanted and lengths[gram] == end - start
                if same and _equal(keys, starts[gram], codes, start, end - start):
                    if found == rows.shape[0]:
                        rows = np.concatenate((rows, np.empty_like(rows)))
                    rows[found, 0], rows[found, 1] = i, gram
                    rows[found, 2], rows[found, 3] = at[start], at[end - 1] + 1
                    found += 1
                    break
                slot = (slot + 1) & mask
    return rows[:found].copy()
