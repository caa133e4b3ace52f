"""Bands: documents whose signatures agree in one whole band are looked at as a pair.

A signature of `num_perm` values is cut into `bands` bands of `rows` values. Two texts of Jaccard similarity s share at
least one band with probability 1 - (1 - s^rows)^bands; `mdfs.dedup.shape` chooses both.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

#: Multipliers of MurmurHash3's 64-bit finalizer.
_MIX_1 = 0xFF51AFD7ED558CCD
_MIX_2 = 0xC4CEB9FE1A85EC53


def band_hashes(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.int64]:
    """A 64-bit hash of each band's place and values.

    Args:
        signatures: uint32[n_docs, num_perm] with num_perm >= bands * rows.
        bands, rows: see `shape`.

    Returns:
        int64[n_docs, bands]; equal bands at different places have different hashes. Never 0, which says "no band".

    Raises:
        ValueError: a signature is shorter than bands * rows.
    """
    if signatures.shape[1] < bands * rows:
        raise ValueError(f"signatures of {signatures.shape[1]} values have no {bands} bands of {rows}")
    found = np.empty((len(signatures), bands), np.uint64)
    _hash_bands(signatures, np.int64(rows), found)
    return found.view(np.int64)


@numba.njit(nogil=True, cache=True)
def _hash_bands(signatures, rows, found):  # type: ignore[no-untyped-def]
    for i in range(signatures.shape[0]):
        for band in range(found.shape[1]):
            value = _mixed(np.uint64(band + 1))
            for k in range(band * rows, (band + 1) * rows):
                value = _mixed(value ^ np.uint64(signatures[i, k])) + np.uint64(_MIX_2)
            found[i, band] = max(_mixed(value), np.uint64(1))


@numba.njit(nogil=True, cache=True, inline="always")
def _mixed(value):  # type: ignore[no-untyped-def]
    """MurmurHash3's 64-bit finalizer, a bijection."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(_MIX_1)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(_MIX_2)
    return value ^ (value >> np.uint64(33))
