"""Lines and paragraphs of documents and what they are compared by: a Numba kernel over Arrow's UTF-8 buffers.

What is compared of a line are its word characters (`mdfs.dedup.words`), without case of ASCII letters and full width,
each digit taken as 0: "阅读（1,024）" and "阅读 (37)" differ in length only, "3月5日" and "8月9日" in nothing. So do
lines in CCNet (Wenzek et al. 2020, arXiv:1911.00359, section 3.1). Digits do not count into a line's length, else all
rows of a table of figures were alike.

The hash is 64 bits of a polynomial. Who makes a line that collides with another's could as well repeat that line on a
few pages, so nothing is gained by a stronger one.

Code is made of lines that many programs have and that are not boilerplate. A line of ASCII is taken for code where it
is indented, holds one of `{}[]<>=;\\_`, or ends in `(`, `)`, `,` or `:`; and all lines of a run of ASCII lines are of
which a third are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup.minhash import buffers, code_point
from mdfs.dedup.words import WORD

#: Multipliers of the polynomial and of the mixing, as in `mdfs.dedup.minhash`.
_BASE = 0xF1357AEA2E62A9C5
_SPREAD = 0x9E3779B97F4A7C15

#: What a line may be: no letter and no mark in it; nothing but ASCII; taken for code.
BLANK, ASCII, CODE = 1, 2, 4
#: Of the lines in a run of ASCII lines, one in so many that look like code make the run code.
_CODE_SHARE = 3


@dataclass(frozen=True)
class Lines:
    """Lines, or paragraphs and the blank lines between them, in the order of documents and places.

    Attributes:
        document: int64[n], row of the column.
        start, end: int64[n], characters (code points) of the text; the line end belongs to the line before it.
        letters: int64[n], word characters that are no digits.
        flags: int64[n], of `BLANK`, `ASCII` and `CODE`.
        hashes: int64[n].
    """

    document: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    letters: NDArray[np.int64]
    flags: NDArray[np.int64]
    hashes: NDArray[np.int64]


def find(texts: pa.Array, *, paragraphs: bool) -> Lines:
    """The lines of documents; with `paragraphs`, lines without a blank line between them are one.

    Args:
        texts: string or large_string, no nulls; slices are fine.

    Raises:
        ValueError: a null or another type.
    """
    data, offsets = buffers(texts)
    rows, hashes = _find(data, offsets, WORD, paragraphs)
    document, start, end, letters, flags = (np.ascontiguousarray(rows[:, column]) for column in range(5))
    return Lines(document, start, end, letters, flags, hashes.view(np.int64))


@numba.njit(nogil=True, cache=True)
def _find(data, offsets, word, paragraphs):  # type: ignore[no-untyped-def]
    """int64[n, 5] and uint64[n]: the columns of `Lines`."""
    rows, hashes, many = np.empty((256, 5), np.int64), np.empty(256, np.uint64), 0
    for i in range(offsets.size - 1):
        at, end, char, first = offsets[i], offsets[i + 1], 0, many
        joined = False
        while at < end:
            at, char, begun, letters, flags, value = _line(data, at, end, char, word, hashes, many, joined)
            if joined and not flags & BLANK:
                rows[many - 1, 2] = char
                rows[many - 1, 3] += letters
                rows[many - 1, 4] = (rows[many - 1, 4] & flags & ASCII) | ((rows[many - 1, 4] | flags) & CODE)
                hashes[many - 1] = value
            else:
                if many == hashes.size:
                    rows = np.concatenate((rows, np.empty_like(rows)))
                    hashes = np.concatenate((hashes, np.empty_like(hashes)))
                rows[many, 0], rows[many, 1], rows[many, 2] = i, begun, char
                rows[many, 3], rows[many, 4] = letters, flags
                hashes[many] = value
                many += 1
            joined = paragraphs and not flags & BLANK
        _code_runs(rows, first, many)
    for i in range(many):
        hashes[i] = (hashes[i] ^ (hashes[i] >> np.uint64(29))) * np.uint64(_SPREAD)
    return rows[:many].copy(), hashes[:many].copy()


@numba.njit(nogil=True, cache=True)
def _line(data, at, end, char, word, hashes, many, joined):  # type: ignore[no-untyped-def]
    """Go through one line: where it ends in bytes and characters, where it began, its letters, flags and polynomial,
    which goes on from the line before where they are joined."""
    begun, letters = char, 0
    value = hashes[many - 1] if joined else np.uint64(0)
    blank, ascii_only, code = True, True, False
    indent, last = 0, np.uint32(0)
    while at < end:
        point, length = code_point(data, at, end)
        at += length
        char += 1
        if point == 0x0A:
            break
        if point == 0x20 or point == 0x09 or point == 0x0D or point == 0xA0 or point == 0x3000:
            if blank and point < 0x80:
                indent += 2 if point == 0x09 else 1
            continue
        blank = False
        last = point
        if point >= 0x80:
            ascii_only = False
        elif (
            point == 0x7B or point == 0x7D or point == 0x5B or point == 0x5D or point == 0x3C or point == 0x3E
            or point == 0x3D or point == 0x3B or point == 0x5C or point == 0x5F
        ):  # fmt: skip
            code = True
        if 0xFF01 <= point <= 0xFF5E:
            point = np.uint32(point - 0xFEE0)
        if point < word.size and word[point]:
            if 0x30 <= point <= 0x39:
                point = np.uint32(0x30)
            else:
                letters += 1
                if 0x41 <= point <= 0x5A:
                    point = np.uint32(point + 0x20)
            value = value * np.uint64(_BASE) + np.uint64(point)
    if blank:
        return at, char, begun, 0, BLANK | ASCII, np.uint64(0)
    code = code or indent > 1 or last == 0x28 or last == 0x29 or last == 0x2C or last == 0x3A
    flags = (ASCII if ascii_only else 0) | (CODE if ascii_only and code else 0)
    return at, char, begun, letters, flags, value


@numba.njit(nogil=True, cache=True)
def _code_runs(rows, first, many):  # type: ignore[no-untyped-def]
    """Take whole runs of ASCII lines for code where enough of them are."""
    while first < many:
        end, lines, code = first, 0, 0
        while end < many and rows[end, 4] & ASCII:
            lines += not rows[end, 4] & BLANK
            code += (rows[end, 4] & CODE) != 0
            end += 1
        if code and _CODE_SHARE * code >= lines:
            for k in range(first, end):
                rows[k, 4] |= CODE
        first = max(end, first + 1)


@numba.njit(nogil=True, cache=True)
def pieces(start, end, flags, gone):  # type: ignore[no-untyped-def]
    """The pieces of one document that stay, int64[n, 2], when some of its lines go.

    A blank line behind one that goes goes too where a blank line, or nothing, stands before that. Where the last line
    goes, so do the blank lines before it and the line end of the last line that stays.
    """
    size = start.size
    stays, spaced = np.zeros(size, np.bool_), True
    for i in range(size):
        blank = (flags[i] & BLANK) != 0
        after = i > 0 and not stays[i - 1]
        stays[i] = not (gone[i] or (blank and spaced and after))
        spaced = blank if stays[i] else spaced
    last = size - 1
    while last >= 0 and (not stays[last] or (last < size - 1 and flags[last] & BLANK)):
        stays[last] = False
        last -= 1
    found, many = np.empty((last + 1, 2), np.int64), 0
    for i in range(last + 1):
        if stays[i] and i and stays[i - 1]:
            found[many - 1, 1] = end[i]
        elif stays[i]:
            found[many, 0], found[many, 1] = start[i], end[i]
            many += 1
    if many and last < size - 1:
        found[many - 1, 1] -= 1
    return found[:many].copy()
