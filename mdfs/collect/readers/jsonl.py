"""JSON Lines: an object a line, and JSON files that are one array of objects.

A record's place is its line number, from 1; in an array its number there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator

from mdfs.collect.documents import BrokenFileError, Outcome, Pending, Quarantined, Skipped
from mdfs.collect.readers import fields, jsonarray
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import Source, decompressed, look, records

_ENDINGS = (".jsonl", ".json", ".ndjson")


def _sniff(head: bytes, path: str) -> bool:
    """An object first; under another name its first line must be one, or be longer than what is looked at."""
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if path.endswith(_ENDINGS):
        return True
    if not begin.startswith(b"{") or path.endswith(".txt"):
        return False
    line, end, _ = begin.partition(b"\n")
    try:
        return not end or isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    limit = context.limits.max_record_bytes
    number = 0
    head = look(source)
    if head.inside.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[" and _is_array(head.inside):
        yield from jsonarray.read(source, context)
        return
    try:
        for size, line in records(decompressed(source, context.compression), b"\n", limit):
            number += 1
            place = str(number)
            if line is None:
                yield Quarantined(place, "too_long", f"{size} bytes")
            elif not line.strip():
                yield Skipped("blank_line")
            else:
                yield Pending(place, size, functools.partial(jsonarray.document, place, line, context))
    except BrokenFileError as error:
        raise BrokenFileError(error.reason, error.detail, str(number + 1)) from None


def _is_array(head: bytes) -> bool:
    """Whether the file is one array, and not lines that are arrays each, which are quarantined one by one."""
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[1:].lstrip()
    return begin[:1] in (b"{", b"]")


READER = Reader(
    name="jsonl",
    endings=_ENDINGS,
    sniff=_sniff,
    read=_read,
    reads="JSON Lines, an object a line, or a JSON array of objects; plain, .gz, .zst, .bz2, .xz, .lz4",
    example="articles.jsonl.gz",
    fills=fields.FILLS,
)
