"""The same text: a 128-bit hash of what is left of it without white space, punctuation, case and width.

The hash is BLAKE2b, since whoever writes pages could make two of them collide under a faster one and so have another's
page removed.
"""

from __future__ import annotations

import hashlib

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup.minhash import buffers, code_point
from mdfs.dedup.words import WORD

#: Keys are of texts' word characters, or of the bytes of texts that have none: never equal to each other.
_WORDS, _BYTES = b"words", b"bytes"


def keys(texts: pa.Array) -> NDArray[np.int64]:
    """Keys that are equal where two texts have the same word characters (see `mdfs.dedup.words`).

    Full-width forms (U+FF01 to U+FF5E) count as the ASCII characters they are variants of, capital ASCII letters as
    small ones. Texts with no word character at all have equal keys where they are equal byte for byte.

    Args:
        texts: string or large_string, no nulls.

    Returns:
        int64[n_texts, 2].

    Raises:
        ValueError: a null or another type.
    """
    data, offsets = buffers(texts)
    scratch = np.empty(int(np.diff(offsets).max(initial=0)), np.uint32)
    digests = bytearray()
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        count = _fold(data, start, end, WORD, scratch)
        content, kind = (scratch[:count], _WORDS) if count else (data[start:end], _BYTES)
        digests += hashlib.blake2b(content.data, digest_size=16, person=kind).digest()
    return np.frombuffer(bytes(digests), "<i8").astype(np.int64).reshape(-1, 2)


def string_keys(strings: list[str]) -> NDArray[np.int64]:
    """Keys that are equal where two strings are: int64[n_strings, 2]."""
    digests = (hashlib.blake2b(s.encode("utf-8", "surrogatepass"), digest_size=16).digest() for s in strings)
    return np.frombuffer(b"".join(digests), "<i8").astype(np.int64).reshape(-1, 2)


@numba.njit(nogil=True, cache=True)
def _fold(data, start, end, word, codes):  # type: ignore[no-untyped-def]
    """Write the folded word characters between two bytes to `codes`; return how many there are."""
    count = 0
    at = start
    while at < end:
        code, length = code_point(data, at, end)
        at += length
        if 0xFF01 <= code <= 0xFF5E:
            code = np.uint32(code - 0xFEE0)
        if code < word.size and word[code]:
            if 0x41 <= code <= 0x5A:
                code = np.uint32(code + 0x20)
            codes[count] = code
            count += 1
    return count
