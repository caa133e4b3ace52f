"""A Bloom filter over 64-bit keys: which rows of the index may share one with a new document.

The new run's keys go in; workers look up all keys of the index while they scan it. A key that is found wrongly costs a
row that is looked at once more and then left out.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

#: Bits a key and bits set by it: a share of 2.5e-5 is found wrongly, (1 - e^(-6/32))^6 (Bloom 1970).
BITS, PROBES = 32, 6
#: The most bits: 1 GiB, for 268 million keys, which are 13 million documents of 18 bands. With more of them a larger
#: share is found wrongly: with 30 million 0.2% of keys.
MOST_BITS = 1 << 33

Filter = NDArray[np.uint64]
Keys = NDArray[np.int64]

#: What tells keys of different kinds apart.
URL, EXACT, ID = 0x2545F4914F6CDD1D, 0x3C6EF372FE94F82B, 0x1F83D9ABFB41BD6B


def empty(keys: int) -> Filter:
    """A filter for so many keys; uint64[a power of two]."""
    bits = min(MOST_BITS, max(1 << 16, 1 << (keys * BITS - 1).bit_length()))
    return np.zeros(bits // 64, np.uint64)


def marked(keys: Keys, kind: int) -> Keys:
    """Keys of one kind, so that they do not meet those of another; bands come as they are."""
    return keys ^ np.int64(kind)


@numba.njit(nogil=True, cache=True, inline="always")
def _mixed(value):  # type: ignore[no-untyped-def]
    """MurmurHash3's 64-bit finalizer."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@numba.njit(nogil=True, cache=True)
def insert(filled, keys):  # type: ignore[no-untyped-def]
    """Put int64 keys in."""
    mask = np.uint64(filled.size * 64 - 1)
    for key in keys:
        place = _mixed(np.uint64(key))
        step = _mixed(place) | np.uint64(1)
        for _ in range(PROBES):
            bit = place & mask
            filled[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
            place += step


@numba.njit(nogil=True, cache=True)
def contains(filled, keys):  # type: ignore[no-untyped-def]
    """bool[n]: which int64 keys may be in it; all that are, are found."""
    mask = np.uint64(filled.size * 64 - 1)
    found = np.empty(keys.size, np.bool_)
    for i in range(keys.size):
        place = _mixed(np.uint64(keys[i]))
        bit = place & mask
        inside = filled[bit >> np.uint64(6)] >> (bit & np.uint64(63)) & np.uint64(1)
        if inside:
            step = _mixed(place) | np.uint64(1)
            for _ in range(PROBES - 1):
                place += step
                bit = place & mask
                inside &= filled[bit >> np.uint64(6)] >> (bit & np.uint64(63))
        found[i] = inside != 0
    return found
