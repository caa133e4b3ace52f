"""A JSON file that is one array of objects, read as it streams by: no more of it is held than one object.

Objects are cut out by their brackets, outside strings; what is between them is not looked at.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator

from mdfs.collect import encoding
from mdfs.collect.documents import BrokenFileError, Outcome, Pending, Quarantined
from mdfs.collect.readers import fields
from mdfs.collect.readers.base import Context
from mdfs.collect.streams import Source, chunks, decompressed

#: What matters to the nesting: quotes, escapes in strings, brackets.
_MARK = re.compile(rb'["\\{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')


def read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    """The records of the file."""
    cutter = _Cutter(context)
    try:
        for piece in chunks(decompressed(source, context.compression)):
            yield from cutter.take(piece)
    except BrokenFileError as error:
        raise BrokenFileError(error.reason, error.detail, str(cutter.number + 1)) from None
    if cutter.depth:
        raise BrokenFileError("truncated", "the array has no end", str(cutter.number + 1))


class _Cutter:
    """Cuts objects out of pieces of an array: `depth` counts open brackets, the array's own included."""

    def __init__(self, context: Context) -> None:
        self.context, self.number, self.depth = context, 0, 0
        self._quoted = self._escaped = False
        self._parts: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> Iterator[Pending | Outcome]:
        at, begin = 0, 0
        if self._escaped:
            at, self._escaped = 1, False
        while found := (_IN_STRING if self._quoted else _MARK).search(piece, at):
            at, mark = found.end(), found[0]
            if mark == b"\\":
                at += 1 if self._quoted else 0
                self._escaped = at > len(piece)
            elif mark == b'"':
                self._quoted = not self._quoted
            elif mark in b"{[":
                self.depth += 1
                if self.depth == 2:
                    begin = at - 1
            elif self.depth:
                self.depth -= 1
                if self.depth == 1:
                    self._keep(piece[begin:at])
                    yield self._record()
        if self.depth > 1:
            self._keep(piece[begin:])

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self.context.limits.max_record_bytes:
            self._parts = []
        else:
            self._parts.append(part)

    def _record(self) -> Pending | Outcome:
        self.number += 1
        place, size, raw = str(self.number), self._size, b"".join(self._parts)
        self._parts, self._size = [], 0
        if size > self.context.limits.max_record_bytes:
            return Quarantined(place, "too_long", f"{size} bytes")
        return Pending(place, size, functools.partial(document, place, raw, self.context))


def document(place: str, raw: bytes, context: Context) -> Outcome:
    """The document in the bytes of one object."""
    try:
        row = json.loads(encoding.decode(raw)[0])
    except (ValueError, RecursionError) as error:
        return Quarantined(place, "broken_json", str(error))
    if not isinstance(row, dict):
        return Quarantined(place, "broken_json", f"a record must be an object, not {type(row).__name__}")
    return fields.document(place, row, context.fields)
