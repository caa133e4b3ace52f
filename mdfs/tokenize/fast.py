"""Byte-level BPE for tokenizers with mdfs's own pre-tokenizer, as a Numba kernel over Arrow's UTF-8 buffers.

The ids are those that `tokenizers` gives, one for one, at 38 MB/s a core where it gives 4.7: it keeps an alignment for
every byte and an object for every piece, and here is neither. A text in which the kernel meets what it does not know (a
rare code point beyond plane 0, a piece longer than `LONGEST`) is left to `tokenizers`; so is a tokenizer of another
make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pyarrow as pa

#: What a token never crosses. In this order: up to three digits; a run of Han; a word of another script with the blank
#: before it; marks with the line ends behind them; line ends; blanks, but for one before a word; blanks.
SPLIT = (
    r"\p{N}{1,3}"
    r"|\p{Han}+"
    r"| ?(?:(?!\p{Han})[\p{L}\p{M}])+"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
)
#: Bytes in a piece between two borders. The merges of a piece take time with the square of its length.
LONGEST = 512

_NUMBER, _HAN, _LETTER, _SPACE = 1, 2, 4, 8
_CLASSES = ((_NUMBER, r"\p{N}+"), (_HAN, r"\p{Han}+"), (_LETTER, r"[\p{L}\p{M}]+"), (_SPACE, r"\s+"))
_UNKNOWN = 128
#: Code points whose classes are asked for: plane 0; mathematical letters; emoji; Han of plane 2. It takes 0.2 s.
_KNOWN = (
    range(0xD800),
    range(0xE000, 0x10000),
    range(0x1D400, 0x1D800),
    range(0x1F000, 0x1FB00),
    range(0x20000, 0x2EBF0),
)
#: Code points whose ids are kept ready, those of up to three bytes.
_CHARACTERS = 0x10000
_MODEL = {"dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
          "byte_fallback": False, "ignore_merges": False}  # fmt: skip


class FastBPE:
    """The merges of one tokenizer, ready for the kernel."""

    def __init__(self, spec: dict[str, Any]) -> None:
        vocabulary = spec["model"]["vocab"]
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in spec["model"]["merges"]]
        keys = [vocabulary[left] << 32 | vocabulary[right] for left, right in pairs]
        letters = np.array([vocabulary[letter] for letter in _alphabet()], np.uint32)
        self.made = np.array([vocabulary[left + right] for left, right in pairs], np.uint32)
        self._merges = (letters, *_table(np.array(keys, np.int64)), self.made)
        self._classes = _classes()
        self._borders = _borders(pairs)
        self._characters = np.zeros((_CHARACTERS, 4), np.uint32)
        _spell(*self._merges, self._characters)

    def encode(self, texts: pa.StringArray, eod_id: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts one after the other (uint32), each text's with `eod_id` at their end, and how many they are
        (int64[len(texts)]); -1 for a text that is left to `tokenizers` and has no ids here."""
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
        out = np.empty(int(ends[-1] - ends[0]) + len(texts), np.uint32)
        lengths = np.empty(len(texts), np.int64)
        tables = (self._classes, self._borders, self._characters, *self._merges)
        size = _encode(content, ends, *tables, np.uint32(eod_id), out, lengths)
        return out[:size].copy(), lengths


def build(spec: dict[str, Any], forbidden: np.ndarray) -> FastBPE | None:
    """The fast way for a parsed tokenizer.json; None where it is of another make or merges make a forbidden id."""
    model, steps = spec["model"], spec.get("pre_tokenizer") or {}
    split, *others = steps.get("pretokenizers") or [{}]
    plain = (
        spec.get("normalizer") is None
        and model.get("type", "BPE") == "BPE"
        and all(model.get(key, default) == default for key, default in _MODEL.items())
        and all(token["special"] for token in spec.get("added_tokens") or [])
        and steps.get("type") == "Sequence"
        and split.get("type") == "Split"
        and (split.get("pattern"), split.get("behavior"), split.get("invert")) == ({"Regex": SPLIT}, "Isolated", False)
        and [step.get("type") for step in others] == ["ByteLevel"]
        and not others[0].get("add_prefix_space")
        and not others[0].get("use_regex", True)
        and all(letter in model["vocab"] for letter in _alphabet())
    )
    if not plain:
        return None
    fast = FastBPE(spec)
    return None if np.isin(fast.made, forbidden).any() else fast


def _alphabet() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary (Radford and others 2019, GPT-2's encoder.py)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


def _classes() -> np.ndarray:
    """The classes of code points as the regular expressions of `tokenizers` have them, asked of itself: uint8 bits."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    numbers = np.concatenate([np.arange(known.start, known.stop) for known in _KNOWN])
    text = "".join(map(chr, numbers.tolist()))
    classes = np.full(numbers[-1] + 1, _UNKNOWN, np.uint8)
    classes[numbers] = 0
    for bit, expression in _CLASSES:
        for _, (start, stop) in Split(Regex(expression), "removed", invert=True).pre_tokenize_str(text):
            classes[numbers[start:stop]] |= bit
    return classes


def _table(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An open hash table from pairs to the rank of their merge; of equal pairs the last counts, as in `tokenizers`."""
    size = 1 << max(4, int(len(keys) * 3).bit_length())
    slots, ranks = np.full(size, -1, np.int64), np.full(size, -1, np.int32)
    _fill(keys, slots, ranks)
    return slots, ranks


def _borders(pairs: list[list[str]]) -> np.ndarray:
    """Where a merge may join parts of two characters: bool[256, 256] by the bytes before and behind the border.

    Where none may, a piece can be begun from whole characters instead of bytes, with the same result: no merge over a
    border comes before both sides of it are whole. This holds where a token is made by one merge only, of a higher rank
    than those that make its halves, as in every trained vocabulary; else every border is marked.
    """
    value = {letter: byte for byte, letter in enumerate(_alphabet())}
    rank = {left + right: number for number, (left, right) in enumerate(pairs)}
    ordered = all(max(rank.get(left, -1), rank.get(right, -1)) < n for n, (left, right) in enumerate(pairs))
    marked = np.full((256, 256), not ordered or len(rank) < len(pairs))
    for left, right in pairs:
        before, behind = (bytes(value[letter] for letter in part) for part in (left, right))
        inside = 0x80 <= behind[0] < 0xC0
        if not inside and not (_whole(before) and _whole(behind)):
            marked[before[-1], behind[0]] = True
    return marked


def _whole(content: bytes) -> bool:
    """Whether bytes are whole characters."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _compiled() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            compiled: Callable[..., Any] = numba.njit(nogil=True, cache=True)(function)
        except RuntimeError:  # no folder for the cache: compiled anew in each process
            compiled = numba.njit(nogil=True)(function)
        return compiled

    return decorate


@numba.njit(nogil=True)
def _slot(keys, key):  # type: ignore[no-untyped-def]
    """Where a key stands in the table, or would."""
    mask = len(keys) - 1
    at = ((key * np.int64(-7046029254386353131)) >> np.int64(40)) & mask
    while keys[at] != key and keys[at] != -1:
        at = (at + 1) & mask
    return at


@_compiled()
def _fill(pairs, keys, ranks):  # type: ignore[no-untyped-def]
    for rank in range(len(pairs)):
        at = _slot(keys, pairs[rank])
        keys[at] = pairs[rank]
        ranks[at] = rank


@numba.njit(nogil=True)
def _code_point(data, at, stop):  # type: ignore[no-untyped-def]
    """The code point at a place of valid UTF-8, and where the next one begins."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), at + 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), at + 3
    low = (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F)
    return (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12 | low, at + 4


@numba.njit(nogil=True)
def _kind(data, at, stop, classes):  # type: ignore[no-untyped-def]
    """The class bits at a place (-1 at the end, -2 where unknown), the code point, and the next place."""
    if at >= stop:
        return np.int64(-1), np.int64(-1), at
    point, after = _code_point(data, at, stop)
    if point >= len(classes) or classes[point] == 128:
        return np.int64(-2), point, after
    return np.int64(classes[point]), point, after


@numba.njit(nogil=True)
def _run(data, at, stop, classes, mask, wanted, most):  # type: ignore[no-untyped-def]
    """Where the run of at most `most` code points whose masked class is `wanted` ends."""
    while most > 0:
        kind, _, after = _kind(data, at, stop, classes)
        if kind < 0 or kind & mask != wanted:
            break
        at, most = after, most - 1
    return at


@numba.njit(nogil=True)
def _blanks(data, at, stop, classes):  # type: ignore[no-untyped-def]
    """Where the piece that begins with white space at `at` ends: the last three branches of `SPLIT`."""
    line_end = last = at
    place = at
    while place < stop:
        kind, point, after = _kind(data, place, stop, classes)
        if kind < 0 or kind & 8 == 0:
            break
        last, place = place, after
        if point == 10 or point == 13:
            line_end = after
    if line_end > at:
        return line_end
    return place if place >= stop or last == at else last


@numba.njit(nogil=True)
def _piece(data, at, stop, classes):  # type: ignore[no-untyped-def]
    """Where the piece that begins at `at` ends, by `SPLIT`; -1 where a class is unknown."""
    kind, point, after = _kind(data, at, stop, classes)
    if kind == -2:
        return -1
    if kind & 1:
        return _run(data, at, stop, classes, 1, 1, 3)
    if kind & 2:
        return _run(data, at, stop, classes, 2, 2, stop)
    start = at
    if point == 32:
        kind, point, _ = _kind(data, after, stop, classes)
        start = after
        if kind == -2:
            return -1
    if kind >= 0 and kind & 6 == 4:
        return _run(data, start, stop, classes, 6, 4, stop)
    if kind >= 0 and kind & 13 == 0:
        end = _run(data, start, stop, classes, 13, 0, stop)
        while end < stop and (data[end] == 10 or data[end] == 13):
            end += 1
        return end
    return _blanks(data, at, stop, classes)


@numba.njit(nogil=True)
def _merge(ids, ranks, count, keys, table, made):  # type: ignore[no-untyped-def]
    """Merge the pair of lowest rank, the leftmost first, until none is left; returns how many ids remain.

    `ranks[i]` is the rank of the pair (i, i + 1).
    """
    none = np.int32(2147483647)
    for i in range(count - 1):
        found = table[_slot(keys, np.int64(ids[i]) << 32 | np.int64(ids[i + 1]))]
        ranks[i] = found if found >= 0 else none
    while count > 1:
        best, at = none, 0
        for i in range(count - 1):
            if ranks[i] < best:
                best, at = ranks[i], i
        if best == none:
            break
        ids[at] = made[best]
        count -= 1
        for i in range(at + 1, count):
            ids[i], ranks[i - 1] = ids[i + 1], ranks[i]
        for i in (at - 1, at):
            if 0 <= i < count - 1:
                found = table[_slot(keys, np.int64(ids[i]) << 32 | np.int64(ids[i + 1]))]
                ranks[i] = found if found >= 0 else none
    return count


@_compiled()
def _spell(letters, keys, table, made, characters):  # type: ignore[no-untyped-def]
    """For each code point of up to three bytes how many ids it has by itself, and which."""
    ids, ranks = np.empty(3, np.uint32), np.empty(3, np.int32)
    for point in range(len(characters)):
        if point < 0x80:
            count = 1
            ids[0] = letters[point]
        elif point < 0x800:
            count = 2
            ids[0], ids[1] = letters[0xC0 | point >> 6], letters[0x80 | point & 0x3F]
        else:
            count = 3
            ids[0], ids[1] = letters[0xE0 | point >> 12], letters[0x80 | point >> 6 & 0x3F]
            ids[2] = letters[0x80 | point & 0x3F]
        count = _merge(ids, ranks, count, keys, table, made)
        characters[point, 0] = count
        characters[point, 1 : 1 + count] = ids[:count]


@numba.njit(nogil=True)
def _begin(data, at, end, borders, characters, ids):  # type: ignore[no-untyped-def]
    """The ids of a piece's characters, each by itself; how many, or -1 where that is no way to begin."""
    count, place = 0, at
    while place < end:
        if place > at and borders[data[place - 1], data[place]]:
            return -1
        point, place = _code_point(data, place, end)
        if point >= len(characters):
            return -1
        for i in range(1, characters[point, 0] + 1):
            ids[count] = characters[point, i]
            count += 1
    return count


@_compiled()
def _encode(data, ends, classes, borders, characters, letters, keys, table, made, eod, out, lengths):  # type: ignore[no-untyped-def]
    """Fill `out` and `lengths` as `FastBPE.encode` says; returns how many ids there are."""
    ids, ranks = np.empty(LONGEST, np.uint32), np.empty(LONGEST, np.int32)
    size = 0
    for text in range(len(lengths)):
        begin, at, stop = size, np.int64(ends[text]), np.int64(ends[text + 1])
        while at < stop:
            end = _piece(data, at, stop, classes)
            if end < 0 or end - at > LONGEST:
                break
            count = _begin(data, at, end, borders, characters, ids)
            if count < 0:
                count = end - at
                for i in range(count):
                    ids[i] = letters[data[at + i]]
            count = _merge(ids, ranks, count, keys, table, made)
            for i in range(count):
                out[size + i] = ids[i]
            size, at = size + count, end
        if at < stop:
            size = begin
            lengths[text] = -1
        else:
            out[size] = eod
            size += 1
            lengths[text] = size - begin
    return size
