"""Comma- or tab-separated tables with a header line. A record's place is its row number, from 1, without the header."""

from __future__ import annotations

import codecs
import csv
import functools
from collections.abc import Iterator

from mdfs.collect import encoding
from mdfs.collect.documents import BrokenFileError, Outcome, Pending, Quarantined
from mdfs.collect.readers import fields
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import HEAD, Source, decompressed, records

_ENDINGS = (".csv", ".tsv")


def _sniff(head: bytes, path: str) -> bool:
    return path.endswith(_ENDINGS)


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    limit = context.limits.max_record_bytes
    csv.field_size_limit(limit)
    lines = _Lines(source, context, limit)
    table = csv.reader(lines, delimiter="\t" if ".tsv" in context.path.lower() else lines.delimiter, strict=False)
    number = 0
    header: list[str] = []
    while True:
        try:
            row = next(table, None)
        except csv.Error as error:
            number += 1
            yield Quarantined(str(number), "broken_row", str(error))
            continue
        except BrokenFileError as error:
            raise BrokenFileError(error.reason, error.detail, str(number + 1)) from None
        if row is None:
            return
        if not header:
            header = [name.strip() for name in row]
        elif row:
            number += 1
            size = sum(map(len, row))
            yield Pending(str(number), size, functools.partial(_document, str(number), header, row, context.fields))


class _Lines:
    """The lines of the file as text; the encoding is that of its beginning."""

    def __init__(self, source: Source, context: Context, limit: int) -> None:
        self._pieces = records(decompressed(source, context.compression), b"\n", limit)
        self._first: list[bytes] = []
        size = 0
        for length, line in self._pieces:
            self._first.append(line or b"")
            size += length
            if size >= HEAD:
                break
        head = b"".join(self._first)
        name = encoding.decide(head).encoding
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)("replace")
        first_line = self._first[0] if self._first else b""
        self.delimiter = "\t" if first_line.count(b"\t") > first_line.count(b",") else ","
        self._lines = self._text()

    def _text(self) -> Iterator[str]:
        for line in self._first:
            yield self._decoder.decode(line).replace("\0", "")
        for _, later in self._pieces:
            yield self._decoder.decode(later or b"").replace("\0", "")

    def __iter__(self) -> Iterator[str]:
        return self._lines


def _document(place: str, header: list[str], row: list[str], named: dict[str, str]) -> Outcome:
    if len(row) > len(header):
        return Quarantined(place, "broken_row", f"{len(row)} cells under {len(header)} names")
    return fields.document(place, dict(zip(header, row, strict=False)), named)


READER = Reader(
    name="csv",
    endings=_ENDINGS,
    sniff=_sniff,
    read=_read,
    reads="comma- or tab-separated tables with a header line, in any encoding; plain or compressed",
    example="posts.csv.gz",
    fills=fields.FILLS,
)
