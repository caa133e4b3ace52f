"""MediaWiki XML exports (Wikipedia dumps). A record's place is the page's number in the file, from 1.

The XML is parsed as it streams by. A document type declaration is refused, so no entity can be declared that grows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from mdfs.collect import wikitext
from mdfs.collect.documents import BrokenFileError, Document, Dropped, Outcome, Pending, Quarantined, Skipped, moment
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import Source, chunks, decompressed

_KEPT = ("title", "ns", "text", "model", "timestamp")


def _sniff(head: bytes, path: str) -> bool:
    return bool(
        re.match(rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,4000}?-->\s*)*<mediawiki\b", head[:8192], re.DOTALL)
    )


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
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
        self._base = ""
        self._clear()

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
        page, place = self._page, str(self.number)
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
