"""Sogou Lab's news corpora (SogouCA, SogouCS): `<doc>` records in GB18030. A record's place is its number, from 1."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from mdfs.collect import encoding
from mdfs.collect.documents import BrokenFileError, Document, Outcome, Pending, Quarantined
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import Source, decompressed, records

#: No byte of `</doc>` is the second of a GB18030 character, so it can be looked for in bytes.
_END = b"</doc>"
#: What may stand around records: white space and the list's own tags.
_AROUND = re.compile(rb"(?:\s|</?doclist>)*")
_BEGIN = re.compile(rb"<doc>")
_FIELD = re.compile(rb"<(url|docno|contenttitle|content)>(.*?)</\1>", re.DOTALL)


#: A private character with which Sogou's files part the paragraphs of a text.
_PARAGRAPH = "\ue40c"


def _sniff(head: bytes, path: str) -> bool:
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return begin.startswith((b"<doc>", b"<doclist>")) and b"<docno>" in begin


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    limit = context.limits.max_record_bytes
    number = 0
    try:
        for size, record in records(decompressed(source, context.compression), _END, limit):
            if record is not None and _AROUND.fullmatch(record):
                continue
            number += 1
            if record is None:
                yield Quarantined(str(number), "too_long", f"{size} bytes")
                continue
            *unended, last = _BEGIN.split(record)[1:] or (record,)
            for _ in unended:
                yield Quarantined(str(number), "broken_record", "a <doc> without </doc>")
                number += 1
            yield Pending(str(number), size, functools.partial(_document, str(number), last))
    except BrokenFileError as error:
        raise BrokenFileError(error.reason, error.detail, str(number + 1)) from None


def _document(place: str, record: bytes) -> Outcome:
    if not record.endswith(_END):
        return Quarantined(place, "broken_record", "no </doc>")
    said = dict(_FIELD.findall(record))
    missing = [name.decode() for name in (b"url", b"content") if name not in said]
    if missing:
        return Quarantined(place, "broken_record", f"no <{missing[0]}>")
    found = encoding.decide(said[b"content"] or said.get(b"contenttitle", b""), "gb18030")
    title = said.get(b"contenttitle", b"").decode(found.encoding, "replace").strip()
    url = said[b"url"].decode("utf-8", "replace").strip()
    key = said.get(b"docno", b"").decode("utf-8", "replace").strip()
    meta = {"encoding": found.encoding, "encoding_by": found.by}
    return Document(place, found.text.replace(_PARAGRAPH, "\n").strip(), title, url, key, None, meta)


READER = Reader(
    name="sogou",
    endings=(".dat",),
    sniff=_sniff,
    read=_read,
    reads="Sogou Lab news corpora (SogouCA, SogouCS), GB18030 or UTF-8; plain or compressed",
    example="news_tensite_xml.dat",
    fills=("title", "url", "source_key", "meta.encoding", "meta.encoding_by"),
)
