"""Samples of a text's grams by their hash: a Numba kernel over Arrow's UTF-8 buffers.

A gram is `GRAM` consecutive word characters (`mdfs.dedup.words`). One in `RATE` is a sample, those whose hash is small
(Broder 1997, "On the resemblance and containment of documents", section 4: the sketch modulo m). Unlike the smallest k
or a MinHash signature, it is the same grams that are samples in a short text and in a long one, so that of a text that
stands inside another all samples stand there too.
"""

from __future__ import annotations

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup.minhash import buffers, code_point
from mdfs.dedup.words import WORD

#: Characters of a gram: a phrase of 12 stands in few texts by chance, and at nine tenths of shingles of 5 three
#: quarters of these are shared.
GRAM = 12
#: One gram in so many is a sample: 9 of a text of 300 characters, of which 7 are shared at containment 0.9; that none
#: is has a probability of one in a thousand.
RATE = 32

_BASE = 0xF1357AEA2E62A9C5
_SPREAD = 0x9E3779B97F4A7C15


def samples(texts: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct samples of texts.

    Args:
        texts: string or large_string, no nulls; slices are fine.

    Returns:
        int64[n] rows of the column, int64[n] hashes, sorted by both; int64[n_texts] word characters of each text.

    Raises:
        ValueError: a null or another type.
    """
    data, offsets = buffers(texts)
    rows, hashes, words = _samples(data, offsets, WORD)
    order = np.lexsort((hashes, rows))
    rows, values = rows[order], hashes[order].view(np.int64)
    new = np.ones(rows.size, bool)
    new[1:] = (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])
    return rows[new], values[new], words


@numba.njit(nogil=True, cache=True)
def _samples(data, offsets, word):  # type: ignore[no-untyped-def]
    rows, hashes, many = np.empty(1024, np.int64), np.empty(1024, np.uint64), 0
    words = np.zeros(offsets.size - 1, np.int64)
    ring = np.zeros(GRAM, np.uint64)
    leading = np.uint64(1)
    for _ in range(GRAM):
        leading *= np.uint64(_BASE)
    most = np.uint64(0xFFFFFFFFFFFFFFFF) // np.uint64(RATE)
    for i in range(offsets.size - 1):
        at, count, place, value = offsets[i], 0, 0, np.uint64(0)
        ring[:] = 0
        while at < offsets[i + 1]:
            code, length = code_point(data, at, offsets[i + 1])
            at += length
            if code >= word.size or not word[code]:
                continue
            value = value * np.uint64(_BASE) + np.uint64(code) - ring[place] * leading
            ring[place] = np.uint64(code)
            place = place + 1 if place + 1 < GRAM else 0
            count += 1
            mixed = (value ^ (value >> np.uint64(29))) * np.uint64(_SPREAD)
            mixed ^= mixed >> np.uint64(32)
            if count >= GRAM and mixed <= most:
                if many == rows.size:
                    rows, hashes = np.concatenate((rows, rows)), np.concatenate((hashes, hashes))
                rows[many], hashes[many] = i, mixed
                many += 1
        words[i] = count
    return rows[:many].copy(), hashes[:many].copy() * np.uint64(_SPREAD), words
