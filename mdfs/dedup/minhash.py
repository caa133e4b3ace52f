"""Shingles and MinHash signatures, as Numba kernels over Arrow's UTF-8 buffers.

A shingle is `ngram` consecutive word characters (see `mdfs.dedup.words`) of a text, white space and punctuation left
out; a text with fewer word characters has one shingle, the whole; a text with none has no shingle. A shingle's hash is
32 bits of a polynomial in its code points.

A signature is that of `datasketch.MinHash(scheme="affine32")`, value for value: the hash goes through MurmurHash3's
finalizer, then `a * hash + b` modulo 2^32 for every permutation, of which the smallest value is kept. Minima do not
change with repeated shingles, so these stay in: 2 to 9% of the shingles of Chinese texts repeat, and sorting 13 MB of
text's shingles to find them took 0.56 s where the whole signatures take 0.12 s.
"""

from __future__ import annotations

import functools

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup.words import WORD

#: What an empty set of shingles has in every place of its signature, as in datasketch.
EMPTY = np.uint32(0xFFFFFFFF)

#: Multiplier of the polynomial (Steele and Vigna 2021, arXiv:2001.05304, table 5: good spectra for 64 bits).
_BASE = 0xF1357AEA2E62A9C5
#: Multiplier that spreads the polynomial's 64 bits over the 32 that are kept (the 64-bit golden ratio, odd).
_SPREAD = 0x9E3779B97F4A7C15
#: Shingle hashes that are permuted together: 8 kB, so that they stay in the first-level cache.
_BLOCK = 2_048


def shingle_hashes(text: str, *, ngram: int) -> NDArray[np.uint32]:
    """Hashes of a text's shingles in the order of the text, repeated ones repeated.

    Args:
        text: any string; surrogates without their half are taken as what they are, no word characters.
        ngram: characters in a shingle, at least 1.

    Returns:
        uint32[n]: n = max(1, words - ngram + 1) for a text with `words` > 0 word characters, else 0.
    """
    array = pa.array([text.encode("utf-8", "replace")], pa.binary())
    return shingles(array, ngram=ngram)[0]


def shingles(texts: pa.Array, *, ngram: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Hashes of all texts' shingles.

    Args:
        texts: string or large_string, no nulls; slices are fine.
        ngram: characters in a shingle, at least 1.

    Returns:
        uint32[total] and int64[n_texts + 1]: text i has the hashes from offsets[i] to offsets[i + 1].

    Raises:
        ValueError: a null, another type, or ngram < 1.
    """
    data, offsets = buffers(texts)
    _at_least_one("ngram", ngram)
    # A text of b bytes has at most b shingles.
    hashes = np.empty(int(offsets[-1] - offsets[0]), np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    _all_shingles(data, offsets, np.int64(ngram), WORD, hashes, ends)
    return hashes[: ends[-1]], ends


def signatures(texts: pa.Array, *, ngram: int, num_perm: int, seed: int) -> NDArray[np.uint32]:
    """MinHash signatures of texts.

    Args:
        texts: string or large_string, no nulls; slices are fine.
        ngram: characters in a shingle, at least 1.
        num_perm: permutations, at least 1.
        seed: of the permutations, from 0 to 2^32 - 1.

    Returns:
        uint32[n_texts, num_perm]; 0xFFFFFFFF throughout where a text has no shingle.

    Raises:
        ValueError: a null, another type, or a number out of range.
    """
    return sketches(texts, ngram=ngram, num_perm=num_perm, seed=seed)[0]


def sketches(texts: pa.Array, *, ngram: int, num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """`signatures`, and int64[n_texts]: how many shingles each text has, repeated ones counted."""
    data, offsets = buffers(texts)
    _at_least_one("ngram", ngram)
    multipliers, addends = permutations(num_perm, seed)
    found = np.full((len(offsets) - 1, num_perm), EMPTY, np.uint32)
    counts = np.zeros(len(offsets) - 1, np.int64)
    _sketch(data, offsets, np.int64(ngram), WORD, multipliers, addends, found, counts)
    return found, counts


@functools.lru_cache(maxsize=8)
def permutations(num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Multipliers (odd) and addends, uint32[num_perm] each, drawn as datasketch's affine32 scheme draws them.

    Raises:
        ValueError: num_perm < 1, or a seed outside 0 .. 2^32 - 1.
    """
    _at_least_one("num_perm", num_perm)
    draw = np.random.RandomState(seed)
    multipliers = draw.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    addends = draw.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    return multipliers, addends


def buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A string column's bytes and its int64[n + 1] offsets into them, without a copy of the text.

    Raises:
        ValueError: a null, or a type that is not string, large_string, binary or large_binary.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    wide = pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type)
    if not (wide or pa.types.is_string(texts.type) or pa.types.is_binary(texts.type)):
        raise ValueError(f"texts must be a string column, not {texts.type}")
    if texts.null_count:
        raise ValueError(f"texts hold {texts.null_count} nulls and may hold none")
    _, starts, content = texts.buffers()
    if not len(texts) or starts is None:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    kind = np.dtype(np.int64 if wide else np.int32)
    offsets = np.frombuffer(starts, kind, len(texts) + 1, texts.offset * kind.itemsize).astype(np.int64)
    data = np.frombuffer(content, np.uint8) if content is not None and content.size else np.zeros(0, np.uint8)
    return data, offsets


def _at_least_one(name: str, number: int) -> None:
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")


@numba.njit(nogil=True, cache=True, inline="always")
def code_point(data, at, end):  # type: ignore[no-untyped-def]
    """The code point at byte `at` and the bytes it takes; a broken sequence gives 0 and one byte."""
    first = np.uint32(data[at])
    if first < 0x80:
        return first, 1
    if first >= 0xE0 and first < 0xF0 and at + 2 < end:
        return ((first & 0x0F) << 12) | ((np.uint32(data[at + 1]) & 0x3F) << 6) | (np.uint32(data[at + 2]) & 0x3F), 3
    if first >= 0xC0 and first < 0xE0 and at + 1 < end:
        return ((first & 0x1F) << 6) | (np.uint32(data[at + 1]) & 0x3F), 2
    if first >= 0xF0 and first < 0xF5 and at + 3 < end:
        high = ((first & 0x07) << 18) | ((np.uint32(data[at + 1]) & 0x3F) << 12)
        return high | ((np.uint32(data[at + 2]) & 0x3F) << 6) | (np.uint32(data[at + 3]) & 0x3F), 4
    return np.uint32(0), 1


@numba.njit(nogil=True, cache=True)
def _words(data, start, end, word, codes):  # type: ignore[no-untyped-def]
    """Write the word characters between two bytes to `codes`; return how many there are."""
    count = 0
    at = start
    while at < end:
        code, length = code_point(data, at, end)
        at += length
        if code < word.size and word[code]:
            codes[count] = code
            count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _hash_windows(codes, count, ngram, hashes):  # type: ignore[no-untyped-def]
    """Write the hash of every window of `ngram` code points to `hashes`; return how many there are."""
    if count == 0:
        return 0
    base = np.uint64(_BASE)
    size = min(count, ngram)
    leading = np.uint64(1)
    value = np.uint64(0)
    for i in range(size):
        value = value * base + np.uint64(codes[i])
        if i:
            leading *= base
    for i in range(count - size + 1):
        mixed = (value ^ (value >> np.uint64(29))) * np.uint64(_SPREAD)
        hashes[i] = np.uint32(mixed >> np.uint64(32))
        if i + size < count:
            value = (value - np.uint64(codes[i]) * leading) * base + np.uint64(codes[i + size])
    return count - size + 1


@numba.njit(nogil=True, cache=True)
def _all_shingles(data, offsets, ngram, word, hashes, ends):  # type: ignore[no-untyped-def]
    codes = np.empty(_longest(offsets), np.uint32)
    for i in range(offsets.size - 1):
        count = _words(data, offsets[i], offsets[i + 1], word, codes)
        ends[i + 1] = ends[i] + _hash_windows(codes, count, ngram, hashes[ends[i] :])


@numba.njit(nogil=True, cache=True)
def _longest(offsets):  # type: ignore[no-untyped-def]
    longest = 0
    for i in range(offsets.size - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return longest


@numba.njit(nogil=True, cache=True)
def _sketch(data, offsets, ngram, word, multipliers, addends, found, counts):  # type: ignore[no-untyped-def]
    longest = _longest(offsets)
    codes = np.empty(longest, np.uint32)
    hashes = np.empty(longest, np.uint32)
    for i in range(offsets.size - 1):
        words = _words(data, offsets[i], offsets[i + 1], word, codes)
        counts[i] = _hash_windows(codes, words, ngram, hashes)
        _minima(hashes[: counts[i]], multipliers, addends, found[i])


@numba.njit(nogil=True, cache=True)
def _minima(hashes, multipliers, addends, lowest):  # type: ignore[no-untyped-def]
    """Lower `lowest` to the least value of each permutation over all hashes; `hashes` is overwritten."""
    for i in range(hashes.size):
        # MurmurHash3's 32-bit finalizer. Numba widens a product of uint32, so each is cast back.
        x = hashes[i]
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        hashes[i] = x ^ (x >> np.uint32(16))
    for start in range(0, hashes.size, _BLOCK):
        block = hashes[start : min(start + _BLOCK, hashes.size)]
        for k in range(multipliers.size):
            a, b, least = multipliers[k], addends[k], lowest[k]
            for i in range(block.size):
                least = min(least, np.uint32(a * block[i] + b))
            lowest[k] = least
