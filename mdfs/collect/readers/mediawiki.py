"""MediaWiki XML exports (Wikipedia dumps). A record's place is the page's number in the file, from 1.

A multistream dump is bzip2 streams of a hundred pages each, one after the other. A large one is read in ranges by many
workers: each takes the streams that begin in its range, found by what every stream begins with, so that no index file
is needed. A record's place is then `<offset of its stream>+<number in the stream>`.

The XML is parsed as it streams by. A document type declaration is refused, so no entity can be declared that grows.
"""

from __future__ import annotations

import bz2
import functools
import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from mdfs.collect import wikitext
from mdfs.collect.documents import BrokenFileError, Document, Dropped, Outcome, Pending, Quarantined, Skipped, moment
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import CHUNK, Source, chunks, decompressed

#: Bytes of a multistream dump that one worker takes at once: 3 GB of the Chinese Wikipedia are 46 pieces, of which each
#: takes about two minutes.
RANGE_BYTES = 64 << 20
#: Bytes that are decompressed at once.
_PIECE = 1 << 20
#: How a bzip2 stream begins: its block size and the first block's mark (the digits of pi).
_STREAM = re.compile(rb"BZh[1-9]1AY&SY")

_KEPT = ("title", "ns", "text", "model", "timestamp")


def _sniff(head: bytes, path: str) -> bool:
    return bool(
        re.match(rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,4000}?-->\s*)*<mediawiki\b", head[:8192], re.DOTALL)
    )


def is_multistream(path: str) -> bool:
    """Whether a file is a dump in many bzip2 streams, by the name that Wikimedia gives these."""
    name = path.rpartition("/")[2].lower()
    return "multistream" in name and ".xml" in name and name.endswith(".bz2")


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    if context.end:
        yield from _range(source, context)
        return
    pages = _Pages(context.limits.max_record_bytes)
    try:
        for piece in chunks(decompressed(source, context.compression)):
            pages.parser.Parse(piece, False)
            yield from pages.taken()
        pages.parser.Parse(b"", True)
    except expat.ExpatError as error:
        yield from pages.taken()
        reason = "truncated" if error.code in (3, 5) else "broken_xml"
        raise BrokenFileError(reason, str(error), str(pages.number + 1)) from None
    except BrokenFileError as error:
        yield from pages.taken()
        raise BrokenFileError(error.reason, error.detail, str(pages.number + 1)) from None
    yield from pages.taken()


def _range(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    """The pages in the streams that begin in a range. What is broken costs one stream."""
    offset: int | None = _stream_at(source, context.begin)
    while offset is not None and offset < context.end:
        pages = _Pages(context.limits.max_record_bytes)
        after = None
        try:
            if offset:  # which wiki this is says the first stream only
                for piece, _ in _stream(source, 0):
                    pages.parser.Parse(piece, False)
                pages.begin(f"{offset}+")
            for piece, after in _stream(source, offset):  # noqa: B007  (the last one tells where the next begins)
                pages.parser.Parse(piece, False)
                yield from pages.taken()
        except (expat.ExpatError, BrokenFileError, OSError, EOFError) as error:
            if source.error:
                raise
            yield from pages.taken()
            reason = error.reason if isinstance(error, BrokenFileError) else "broken_stream"
            yield Quarantined(f"{offset}!", reason, str(error))
            after = None
        offset = after if after is not None else _stream_at(source, offset + 1)


def _stream(source: Source, offset: int) -> Iterator[tuple[bytes, int | None]]:
    """The content of a stream in pieces; with the last one the offset at which the next stream may begin."""
    machine = bz2.BZ2Decompressor()
    source.seek(offset)
    at = offset
    while not machine.eof:
        data = source.read(CHUNK) if machine.needs_input else b""
        if machine.needs_input and not data:
            raise BrokenFileError("truncated", "the last stream has no end")
        at += len(data)
        piece = machine.decompress(data, _PIECE)
        yield piece, (at - len(machine.unused_data) if machine.eof else None)


def _stream_at(source: Source, offset: int) -> int | None:
    """Where the first stream begins at or after an offset; None where none does."""
    source.seek(offset)
    base, buffer = offset, b""
    while data := source.read(CHUNK):
        buffer += data
        if found := _STREAM.search(buffer):
            return base + found.start()
        base, buffer = base + max(0, len(buffer) - 9), buffer[-9:]
    return None


class _Pages:
    """Collects the pages that the parser goes through; of a page with several revisions the last counts."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.number = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._found: list[Pending | Outcome] = []
        self._path: list[str] = []
        self._base = self._prefix = ""
        self._clear()

    def begin(self, prefix: str) -> None:
        """Forget the pages so far and number those that come from 1, with `prefix` before the number."""
        self._found, self.number, self._prefix = [], 0, prefix

    def taken(self) -> Iterator[Pending | Outcome]:
        """Pages found since the last call."""
        found, self._found = self._found, []
        yield from found

    def _clear(self) -> None:
        self._page: dict[str, str] = {}
        self._parts: list[str] | None = None
        self._size = 0
        self._too_long = 0

    def _refuse(self, *_: Any) -> None:
        raise BrokenFileError(
            "document_type", "a document type declaration is refused: entities in it could grow without bound"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > 32:
            raise BrokenFileError("too_deep", "elements stand more than 32 deep inside each other")
        if name == "page":
            self._clear()
        elif name == "redirect":
            self._page["redirect"] = attributes.get("title", "?")
        elif name in _KEPT or name == "id" or name == "base":
            self._parts, self._size = [], 0

    def _characters(self, data: str) -> None:
        if self._parts is None:
            return
        self._size += len(data)
        if self._size > self.limit:
            self._too_long = max(self._too_long, self._size)
            self._parts = []
        else:
            self._parts.append(data)

    def _end(self, name: str) -> None:
        self._path.pop()
        parts, self._parts = self._parts, None
        if parts is not None and name in _KEPT:
            self._page[name] = "".join(parts)
        elif parts is not None and name == "id" and self._path[-1:] == ["page"]:
            self._page["id"] = "".join(parts)
        elif parts is not None and name == "base":
            self._base = "".join(parts)
        elif name == "page":
            self._finish()

    def _finish(self) -> None:
        self.number += 1
        page, place = self._page, f"{self._prefix}{self.number}"
        key, url = page.get("id", ""), self._url(page.get("title", ""))
        if page.get("ns", "0") != "0":
            self._found.append(Skipped("namespace_" + page["ns"][:8]))
        elif self._too_long:
            self._found.append(Quarantined(place, "too_long", f"{self._too_long} characters", url, key))
        elif "redirect" in page:
            self._found.append(Dropped(place, "redirect", page["redirect"], url, key))
        elif page.get("model", "wikitext") != "wikitext":
            self._found.append(Dropped(place, "not_text", page["model"], url, key))
        else:
            self._found.append(
                Pending(place, len(page.get("text", "")), functools.partial(_document, place, page, url))
            )
        self._clear()

    def _url(self, title: str) -> str:
        """The page's address: that of the wiki's main page with another title."""
        folder = self._base.rpartition("/")[0]
        return f"{folder}/{title.replace(' ', '_')}" if folder.startswith("http") and title else ""


def _document(place: str, page: dict[str, str], url: str) -> Outcome:
    raw = page.get("text", "")
    key, title = page.get("id", ""), page.get("title", "")
    if target := wikitext.redirect(raw):
        return Dropped(place, "redirect", target, url, key)
    meta = {"content_type": "text/x-wiki"}
    if wikitext.is_disambiguation(raw, title):
        meta["disambiguation"] = "yes"
    return Document(place, wikitext.prose(raw), title, url, key, moment(page.get("timestamp", "")), meta)


READER = Reader(
    name="mediawiki",
    endings=(".xml",),
    sniff=_sniff,
    read=_read,
    reads="MediaWiki XML exports (Wikipedia and its sisters); plain, .bz2, .gz, .zst, .xz",
    example="zhwiki-20240501-pages-articles.xml.bz2",
    fills=("title", "url", "source_key", "fetched_at", "meta.disambiguation"),
)
