"""WARC and WET archives. A damaged archive gives all records that can be read; each gap in it is one quarantine row.

A record's place is its offset in the file (of its gzip member where each record has one), as other tools name it. Where
several records share a member, `+1`, `+2` … follows.

A record whose block is not the one of its WARC-Block-Digest is read and marked (`meta.block_digest` = `differs`):
gzip's own checksums tell bits that have changed, and what differs beyond them was rewritten on purpose, by a tool that
left the digest as it was. WARC-Payload-Digest is not looked at: all of ClueWeb09 has a wrong one.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Iterator
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from mdfs.collect.documents import Document, Outcome, Pending, Quarantined, Skipped, moment
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.readers.pages import Page, outcome
from mdfs.collect.streams import CHUNK, Source

_GZIP = b"\x1f\x8b\x08"
_RECORD = re.compile(rb"WARC/[01]\.\d{1,2}\r?\n")
_WEB = ("http://", "https://", "file://", "ftp://")
#: Bytes of a record's header at most (FastWARC's limit).
_MAX_HEADER = 1 << 15
_CONTENT_LENGTH = re.compile(rb"\nContent-Length:[ \t]*(\d{1,15})[ \t]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n", re.IGNORECASE)
#: Bytes of one gzip member from which its kind is told.
_PEEK = 512


def _sniff(head: bytes, path: str) -> bool:
    return bool(_RECORD.match(head.lstrip()[:16]))


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    start: int | None = 0
    while start is not None:
        archive = _Archive(source, start, context)
        yield from archive.records()
        if not archive.problem:
            return
        broken_at = archive.last
        if not archive.reported and (archive.count or start == 0):
            yield Quarantined(f"{broken_at}!", archive.reason, archive.problem)
        start = _next_record(source, broken_at + 1, context.compression)


class _Archive:
    """A stretch of an archive, from an offset up to its end or to what cannot be read."""

    def __init__(self, source: Source, start: int, context: Context) -> None:
        self.source, self.start, self.limits = source, start, context.limits
        self.compression = context.compression
        self.last = start
        self.count = self._repeats = 0
        self.reason = self.problem = ""
        self.reported = False

    def records(self) -> Iterator[Pending | Outcome]:
        self.source.seek(self.start)
        head = self.source.read(64)
        self.source.seek(self.start)
        # Some tools end header lines with a line feed only. Leniency about more would skip damage without a word.
        lenient = not self.compression and b"\n" in head and b"\r\n" not in head
        try:
            for record in ArchiveIterator(self.source, parse_http=False, quirks_mode=lenient):
                yield self._cut(record)
                self.count += 1
                if self.reported:
                    return
        except OSError as error:
            if self.source.error:
                raise
            self.reason, self.problem = "broken_archive", str(error)
        if not lenient and (not self.problem or "Gzip" in self.problem):
            # FastWARC calls zeros after a member an error and a missing end none; both are told apart here.
            reason, problem = self._unfinished()
            if problem or not self.problem or _next_record(self.source, self.last + 1, "gzip") is None:
                self.reason, self.problem = reason, problem

    def _cut(self, record: Any) -> Pending | Outcome:
        place = self._place(record.stream_pos)
        kind = record.record_type
        headers = record.headers
        if headers.get("Content-Length") is None:
            return self._cut_off(place, "a header that does not say how long the record is")
        url = (headers.get("WARC-Target-URI") or "").strip().strip("<>")
        wanted = kind in (WarcRecordType.response, WarcRecordType.conversion)
        if not wanted and not (kind == WarcRecordType.resource and url.startswith(_WEB)):
            return Skipped(str(kind))
        key = record.record_id or ""
        if record.content_length > self.limits.max_record_bytes:
            return Quarantined(place, "too_long", f"{record.content_length} bytes", url, key)
        date = moment(headers.get("WARC-Date") or "")
        said = headers.get("WARC-Block-Digest") or ""
        differs = said[:5].lower() == "sha1:" and not record.verify_block_digest()
        if record.is_http and kind == WarcRecordType.response:
            return self._response(record, place, url, key, date, differs)
        size = record.content_length
        body = record.reader.read(size)
        if len(body) < size:
            return self._cut_off(place, f"{len(body)} of {size} bytes", url, key)
        mime = (headers.get("Content-Type") or "").partition(";")[0]
        page = Page(place, url, key, date, 0, mime, None, "", "", body, differs)
        work = _text if kind == WarcRecordType.conversion else functools.partial(outcome, limits=self.limits)
        return Pending(place, size, functools.partial(work, page))

    def _response(
        self, record: Any, place: str, url: str, key: str, date: int | None, differs: bool
    ) -> Pending | Outcome:
        whole = record.content_length
        try:
            record.parse_http(quirks_mode=True)
        except OSError as error:
            if self.source.error:
                raise
            return Quarantined(place, "broken_http", str(error), url, key)
        http, size = record.http_headers, record.content_length
        body = record.reader.read(size)
        if len(body) < size:
            return self._cut_off(place, f"{len(body)} of {size} bytes", url, key)
        mime = (http.get("Content-Type") or "").partition(";")[0]
        codings = http.get("Transfer-Encoding") or "", http.get("Content-Encoding") or ""
        page = Page(place, url, key, date, http.status_code or 0, mime, record.http_charset, *codings, body, differs)
        return Pending(place, whole, functools.partial(outcome, page, self.limits))

    def _cut_off(self, place: str, detail: str, url: str = "", key: str = "") -> Quarantined:
        """The archive ends inside a record; the row for the record is the row for the archive."""
        self.reported = True
        self.reason = self.problem = "truncated"
        return Quarantined(place, "truncated", detail, url, key)

    def _unfinished(self) -> tuple[str, str]:
        """Reason and detail where the iterator ended before the archive does, which it does without a word."""
        self.source.seek(self.last)
        head = self.source.read(_MAX_HEADER)
        if self.compression == "gzip":
            # Where records share one member, the last one's offset is none of a member.
            self.source.seek(self.last if head.startswith(_GZIP) else self.start)
            return _unfinished_members(self.source)
        if self.compression:
            return "", ""
        found = _CONTENT_LENGTH.search(head)
        self.source.seek(self.last + (found.end() + int(found[1]) if self.count and found else 0))
        left = self.source.read(_MAX_HEADER).strip()
        return ("truncated", f"{len(left)} bytes or more that hold no whole record") if left else ("", "")

    def _place(self, offset: int) -> str:
        self._repeats = self._repeats + 1 if self.count and offset <= self.last else 0
        self.last = max(self.last, offset)
        return f"{self.last}+{self._repeats}" if self._repeats else str(self.last)


def _text(page: Page) -> Outcome:
    """A WET record: text that someone has extracted already, in UTF-8."""
    text = page.body.decode("utf-8", "replace").strip()
    return Document(
        page.place, text, "", page.url, page.key, page.fetched_at, {"content_type": "text/plain"} | page.marks()
    )


def _unfinished_members(source: Source) -> tuple[str, str]:
    """What is wrong with the gzip members from here on, which are decompressed once more."""
    machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while data := source.read(CHUNK):
        while data:
            try:
                machine.decompress(data, CHUNK)
                while machine.unconsumed_tail:
                    machine.decompress(machine.unconsumed_tail, CHUNK)
            except zlib.error as error:
                return "broken_archive", str(error)
            data = machine.unused_data.lstrip(b"\0")
            if machine.eof and data:
                machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
            elif machine.eof:
                break
    return ("", "") if machine.eof else ("truncated", "the last gzip member has no end")


def _next_record(source: Source, start: int, compression: str) -> int | None:
    """Offset of the first record or gzip member at or after `start` that begins like a WARC record."""
    overlap = 64
    base, buffer = start, b""
    source.seek(start)
    while data := source.read(CHUNK):
        buffer += data
        for offset in _candidates(buffer, compression):
            if compression != "gzip" or _holds_record(source, base + offset):
                return base + offset
        source.seek(base + len(buffer))
        base, buffer = base + max(0, len(buffer) - overlap), buffer[-overlap:]
    return None


def _candidates(buffer: bytes, compression: str) -> Iterator[int]:
    if compression == "gzip":
        yield from (found.start() for found in re.finditer(re.escape(_GZIP), buffer))
    elif not compression:
        yield from (found.start() for found in _RECORD.finditer(buffer))


def _holds_record(source: Source, offset: int) -> bool:
    source.seek(offset)
    try:
        head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(source.read(_PEEK), 64)
    except zlib.error:
        return False
    return bool(_RECORD.match(head))


READER = Reader(
    name="warc",
    endings=(".warc", ".wet"),
    sniff=_sniff,
    read=_read,
    reads="web archives (WARC 0.18 to 1.1, WET); plain, .gz, .zst, .lz4; HTTP chunks, gzip, deflate, brotli",
    example="CC-MAIN-20240512-00001.warc.gz",
    fills=(
        "title",
        "url",
        "source_key",
        "fetched_at",
        "meta.encoding",
        "meta.encoding_by",
        "meta.author",
        "meta.published",
    ),
)
