"""Passages that stand in several places: Numba kernels over Arrow's UTF-8 buffers.

A window is the shortest run of whole characters that takes `size` bytes or more; a passage of `size` bytes repeats
exactly where its windows do. To compare all windows of a corpus would take a hash for every character. So each window
is first known by one sample: the smallest hash of the grams of `gram_size(size)` bytes, half a window, that begin with
a character in it (winnowing: Schleimer, Wilkerson and Aiken, SIGMOD 2003). Equal windows have the same sample, and
windows side by side mostly share theirs, so samples are few: one in 19 Chinese characters at 75. Only windows whose
sample stands elsewhere too are hashed themselves, by two polynomials, 128 bits together, which is the comparison of the
text: no passage is cut for half a match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup.minhash import buffers

#: Multipliers of the two polynomials (Steele and Vigna 2021, arXiv:2001.05304, table 5: good spectra for 64 bits), and
#: of the mixing.
_BASE, _CHECK_BASE = 0xF1357AEA2E62A9C5, 0xAF251AF3B0F025B5
_SPREAD = 0x9E3779B97F4A7C15

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Windows of documents whose samples are shared, in the order of documents and places.

    Attributes:
        document: int64[n], row of the column.
        start, end: int64[n], characters (code points) of the text, the end not included.
        hashes, checks: int64[n].
    """

    document: Numbers
    start: Numbers
    end: Numbers
    hashes: Numbers
    checks: Numbers


def gram_size(size: int) -> int:
    """Bytes of a gram for windows of `size` bytes. Shorter grams are fewer samples, and more windows hashed in vain."""
    return max(1, size // 2)


def samples(texts: pa.Array, *, size: int) -> Numbers:
    """The samples of all windows in documents, as often as they change from window to window (but three times at most
    in a row).

    Args:
        texts: string or large_string, no nulls; slices are fine. `size`: bytes of a window, at least 4.

    Raises:
        ValueError: a null or another type.
    """
    data, offsets = buffers(texts)
    hashes: Numbers = _samples(data, offsets, size, gram_size(size)).view(np.int64)
    return hashes


def find(texts: pa.Array, shared: Numbers, *, size: int) -> Windows:
    """The windows whose sample is in `shared` (sorted); the rest as `samples`."""
    data, offsets = buffers(texts)
    if not shared.size:
        return Windows(*(np.zeros(0, np.int64) for _ in range(5)))
    places, hashes = _find(data, offsets, shared, size, gram_size(size))
    document, start, end = (np.ascontiguousarray(places[:, column]) for column in range(3))
    one, two = (np.ascontiguousarray(hashes[:, column]).view(np.int64) for column in range(2))
    return Windows(document, start, end, one, two)


@numba.njit(nogil=True, cache=True, inline="always")
def _mixed(value):  # type: ignore[no-untyped-def]
    return (value ^ (value >> np.uint64(29))) * np.uint64(_SPREAD)


@numba.njit(nogil=True, cache=True, inline="always")
def _power(base, exponent):  # type: ignore[no-untyped-def]
    value = np.uint64(1)
    for _ in range(exponent):
        value *= base
    return value


@numba.njit(nogil=True, cache=True)
def _powers(base, count):  # type: ignore[no-untyped-def]
    powers = np.empty(count, np.uint64)
    value = np.uint64(1)
    for i in range(count):
        powers[i] = value
        value *= base
    return powers


# `_samples` and `_find` slide their window by the same seven lines: as a function of their own, which Numba hands the
# arrays at every byte, they halve the speed (measured: 47 → 18 MB/s).
@numba.njit(nogil=True, cache=True)
def _samples(data, offsets, size, gram):  # type: ignore[no-untyped-def]
    found, many = np.empty(1024, np.uint64), 0
    width = size - gram + 1
    places, values = np.empty(width + 2, np.int64), np.empty(width + 2, np.uint64)
    base = np.uint64(_BASE)
    leading = _power(base, gram - 1)
    for i in range(offsets.size - 1):
        begin, end = offsets[i], offsets[i + 1]
        if end - begin < size:
            continue
        value, head, tail, last, alike = np.uint64(0), 0, 0, np.int64(-1), 0
        for at in range(begin, begin + gram - 1):
            value = value * base + np.uint64(data[at])
        for at in range(begin, end - gram + 1):
            value = value * base + np.uint64(data[at + gram - 1])
            if data[at] & 0xC0 != 0x80:
                head, tail = _push(places, values, head, tail, at, _mixed(value))
            value -= np.uint64(data[at]) * leading
            start = at - width + 1
            if start < begin:
                continue
            if places[head] < start:
                head = _next(head, places.size)
            if places[head] != last and data[start] & 0xC0 != 0x80:
                last = places[head]
                alike = alike + 1 if alike and found[many - 1] == values[head] else 1
                if alike > 3:
                    continue
                if many == found.size:
                    found = np.concatenate((found, np.empty_like(found)))
                found[many] = values[head]
                many += 1
    return found[:many].copy()


@numba.njit(nogil=True, cache=True, inline="always")
def _next(place, size):  # type: ignore[no-untyped-def]
    return place + 1 if place + 1 < size else 0


@numba.njit(nogil=True, cache=True, inline="always")
def _push(places, values, head, tail, at, value):  # type: ignore[no-untyped-def]
    """Add a gram to the ring of those that may be the smallest of a window; of equal ones the last counts."""
    size = places.size
    while tail != head:
        before = tail - 1 if tail else size - 1
        if values[before] < value:
            break
        tail = before
    places[tail], values[tail] = at, value
    return head, _next(tail, size)


@numba.njit(nogil=True, cache=True)
def _find(data, offsets, shared, size, gram):  # type: ignore[no-untyped-def]
    """int64[n, 3] and uint64[n, 2]: document, start and end, and the two hashes, of windows with shared samples."""
    rows, hashes, many = np.empty((1024, 3), np.int64), np.empty((1024, 2), np.uint64), 0
    width = size - gram + 1
    places, values = np.empty(width + 2, np.int64), np.empty(width + 2, np.uint64)
    base, check_base = np.uint64(_BASE), np.uint64(_CHECK_BASE)
    leading = _power(base, gram - 1)
    powers, check_powers = _powers(base, size + 4), _powers(check_base, size + 4)
    for i in range(offsets.size - 1):
        begin, end = offsets[i], offsets[i + 1]
        if end - begin < size:
            continue
        value, head, tail, last, wanted = np.uint64(0), 0, 0, np.int64(-1), False
        # The window that was hashed last: from byte `left` to `right`; none yet where they are equal.
        left, right, one, two = begin, begin, np.uint64(0), np.uint64(0)
        first_char, last_char = 0, 0  # characters before `left` and `right`
        for at in range(begin, begin + gram - 1):
            value = value * base + np.uint64(data[at])
        for at in range(begin, end - gram + 1):
            value = value * base + np.uint64(data[at + gram - 1])
            if data[at] & 0xC0 != 0x80:
                head, tail = _push(places, values, head, tail, at, _mixed(value))
            value -= np.uint64(data[at]) * leading
            start = at - width + 1
            if start < begin:
                continue
            if places[head] < start:
                head = _next(head, places.size)
            if data[start] & 0xC0 == 0x80:
                continue
            if places[head] != last:
                last = places[head]
                wanted = _among(shared, np.int64(values[head]))
            if not wanted:
                continue
            if start >= right:  # nothing to go on from
                for k in range(right, start):
                    last_char += data[k] & 0xC0 != 0x80
                first_char, left, right = last_char, start, start
                one, two = np.uint64(0), np.uint64(0)
            while left < start:
                first_char += data[left] & 0xC0 != 0x80
                one -= np.uint64(data[left]) * powers[right - left - 1]
                two -= np.uint64(data[left]) * check_powers[right - left - 1]
                left += 1
            while right < end and (right < start + size or data[right] & 0xC0 == 0x80):
                last_char += data[right] & 0xC0 != 0x80
                one = one * base + np.uint64(data[right])
                two = two * check_base + np.uint64(data[right])
                right += 1
            if many == rows.shape[0]:
                rows = np.concatenate((rows, np.empty_like(rows)))
                hashes = np.concatenate((hashes, np.empty_like(hashes)))
            rows[many, 0], rows[many, 1], rows[many, 2] = i, first_char, last_char
            hashes[many, 0], hashes[many, 1] = _mixed(one), _mixed(two)
            many += 1
    return rows[:many].copy(), hashes[:many].copy()


@numba.njit(nogil=True, cache=True, inline="always")
def _among(ordered, value):  # type: ignore[no-untyped-def]
    """Whether a value stands in a sorted array."""
    low, high = 0, ordered.size
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < ordered.size and ordered[low] == value


@numba.njit(nogil=True, cache=True)
def union(start, end):  # type: ignore[no-untyped-def]
    """int64[n, 2]: the union of spans that are sorted by their starts, as spans apart."""
    found, many = np.empty((start.size, 2), np.int64), 0
    for i in range(start.size):
        if many and start[i] <= found[many - 1, 1]:
            found[many - 1, 1] = max(found[many - 1, 1], end[i])
        else:
            found[many, 0], found[many, 1] = start[i], end[i]
            many += 1
    return found[:many].copy()
