"""The kernel that looks for repetition among the reading units of a document: n-grams of 2 to 16 units.

An n-gram can only come again where both (n-1)-grams in it do, so each length looks at the places that the length
before left: the first pass goes over all pairs, the later ones over a fraction. It is done in windows of `WINDOW`
units, so that scratch memory stays small and a long book does not count as repetitive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdfs.rules.jit import inlined, kernel

#: Lengths for which the commonest n-gram is counted, and those for which the units in repeated ones are.
TOP, REPEATED = (2, 3, 4), (5, 6, 7, 8, 9, 10, 13, 16)
COUNTERS = (*(f"top_{n}gram" for n in TOP), *(f"duplicate_{n}gram" for n in REPEATED))
#: Reading units in which repetition is looked for at once: 48 kB of Chinese, whose tables fit the L2 cache.
WINDOW = 16_384

_LENGTHS = (*TOP, *REPEATED)
_U0, _U1, _U29, _U32 = (np.uint64(n) for n in (0, 1, 29, 32))
_MIX, _FNV = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x100000001B3)
_LOW16, _HIGH48 = np.uint64(0xFFFF), np.uint64(0xFFFFFFFFFFFF0000)


@inlined
def _size(items: int) -> int:
    """The smallest power of two that is at least twice `items`."""
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@inlined
def _grams(prefix: Any, length: int, places: Any, m: int, keys: Any, times: Any, level: Any) -> Any:
    """Look at the n-grams of `length` units that begin at the first `m` of `places`.

    Returns how often the commonest occurs, 0 where none occurs twice, and how many units lie in n-grams that occurred
    before. `level` is set to `length` at every place whose n-gram occurs twice. An entry of the table is 48 bits of
    the key and the place of its first occurrence, plus one, in 16.
    """
    power = _U1
    for _ in range(length):
        power = power * _FNV
    size = _size(m)
    mask = np.uint64(size - 1)
    keys[:size] = _U0
    best, covered, count = np.int64(0), np.int64(0), np.int64(0)
    for a in range(m):
        i = np.int64(places[a])
        key = prefix[i + length] - prefix[i] * power
        key = (key ^ (key >> _U32)) * _MIX
        key = (key ^ (key >> _U29)) & _HIGH48
        at = (key >> _U32) & mask
        while keys[at] != _U0 and keys[at] & _HIGH48 != key:
            at = (at + _U1) & mask
        if keys[at] == _U0:
            keys[at] = key + np.uint64(i + 1)
            times[i] = 1
            continue
        first = np.int64(keys[at] & _LOW16) - 1
        times[first] += 1
        if times[first] > best:
            best = times[first]
        level[first] = level[i] = length
        count += i + length - (covered if covered > i else i)
        covered = i + length
    return best, count


@inlined
def _next(places: Any, m: int, n: int, length: int, longer: int, level: Any) -> int:
    """Keep the places where an n-gram of `longer` units may come again, and say how many they are."""
    kept = 0
    for a in range(m):
        i = places[a]
        if level[i] == length and level[i + 1] == length and level[i + longer - length] == length and i + longer <= n:
            places[kept] = i
            kept += 1
    return kept


@inlined
def _window(units: Any, prefix: Any, places: Any, keys: Any, times: Any, level: Any, row: Any) -> None:
    """All counts of one window."""
    n, m = units.size, 0
    for i in range(n):
        prefix[i + 1] = prefix[i] * _FNV + units[i]
        level[i] = 0
        if i + 1 < n:
            places[m] = i
            m += 1
    level[n : n + 4] = 0
    length = 2
    for k in range(len(_LENGTHS)):
        if _LENGTHS[k] > length:
            m = _next(places, m, n, length, _LENGTHS[k], level)
        if m == 0:
            break
        length = _LENGTHS[k]
        best, count = _grams(prefix, length, places, m, keys, times, level)
        row[k] += best if length <= 4 else count


@kernel
def count(bounds: Any, units: Any, out: Any) -> None:
    """Count repetition in every document.

    Args:
        bounds: int64[n + 1], where documents begin in `units`, uint64.
        out: int64[n, len(COUNTERS)], zeros; filled.
    """
    prefix = np.zeros(WINDOW + 1, np.uint64)
    places, times = np.empty(WINDOW, np.int32), np.empty(WINDOW, np.int32)
    keys, level = np.empty(2 * WINDOW, np.uint64), np.empty(WINDOW + 4, np.uint8)
    for d in range(bounds.size - 1):
        for begin in range(bounds[d], bounds[d + 1], WINDOW):
            window = units[begin : min(begin + WINDOW, bounds[d + 1])]
            _window(window, prefix, places, keys, times, level, out[d])
