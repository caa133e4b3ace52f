"""EPUB books: a document a chapter file, in reading order. A record's place is its number in that order, from 1."""

from __future__ import annotations

import functools
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote

from mdfs.collect import encoding, html
from mdfs.collect.documents import BrokenFileError, Document, Outcome, Pending, Quarantined
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import Source

#: Files that a book may name; more is no book.
_MAX_ITEMS = 20_000
_MAX_PACKAGE = 4 << 20
_ROOTFILE = re.compile(r"<(?:\w+:)?rootfile\b[^>]*\bfull-path\s*=\s*[\"']([^\"']{1,1000})[\"']")
_ITEM = re.compile(r"<(?:\w+:)?item\b([^>]{1,4000})>")
_ITEMREF = re.compile(r"<(?:\w+:)?itemref\b[^>]{0,1000}?\bidref\s*=\s*[\"']([^\"']{1,500})[\"']")
_ATTRIBUTE = re.compile(r"\b(id|href|media-type)\s*=\s*[\"']([^\"']{0,1000})[\"']")
_SAID = re.compile(r"<dc:(title|creator|language|identifier)\b[^>]{0,500}>([^<]{0,500})<")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError, RuntimeError, ValueError)


def _sniff(head: bytes, path: str) -> bool:
    return head.startswith(b"PK\x03\x04") and (b"application/epub+zip" in head[:200] or path.endswith(".epub"))


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    limit = context.limits.max_record_bytes
    try:
        book = zipfile.ZipFile(source)
        container = _text(book, "META-INF/container.xml", _MAX_PACKAGE)
        found = _ROOTFILE.search(container)
        if not found:
            raise BrokenFileError("broken_epub", "META-INF/container.xml names no package")
        package = _text(book, found[1], _MAX_PACKAGE)
    except _BROKEN as error:
        raise BrokenFileError("broken_epub", f"{type(error).__name__}: {error}") from None
    said = dict(reversed(_SAID.findall(package)))
    folder = posixpath.dirname(found[1])
    for number, href in enumerate(_spine(package), 1):
        name = posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))
        yield _chapter(book, name, str(number), said, limit)


def _spine(package: str) -> list[str]:
    """Addresses of the chapters in reading order."""
    items = {}
    for tag in _ITEM.findall(package)[:_MAX_ITEMS]:
        said = dict(_ATTRIBUTE.findall(tag))
        if "html" in said.get("media-type", "html"):
            items[said.get("id", "")] = said.get("href", "")
    return [items[ref] for ref in _ITEMREF.findall(package)[:_MAX_ITEMS] if items.get(ref)]


def _chapter(book: zipfile.ZipFile, name: str, place: str, said: dict[str, str], limit: int) -> Pending | Outcome:
    try:
        raw = _bytes(book, name, limit)
    except _BROKEN as error:
        return Quarantined(place, "broken_epub", f"{name}: {type(error).__name__}: {error}")
    if raw is None:
        return Quarantined(place, "too_long", name)
    return Pending(place, len(raw), functools.partial(_document, raw, name, place, said))


def _document(raw: bytes, name: str, place: str, said: dict[str, str]) -> Outcome:
    try:
        found = html.extract(raw, main_content=False)
    except html.TooDeepError as error:
        return Quarantined(place, "too_deep", str(error))
    meta = {"book": said.get("title", ""), "author": said.get("creator", ""), "lang": said.get("language", ""),
            "encoding": found.encoding, "encoding_by": found.encoding_by}  # fmt: skip
    return Document(place, found.text, found.title or said.get("title", ""), "", said.get("identifier", ""), None, meta)


def _bytes(book: zipfile.ZipFile, name: str, limit: int) -> bytes | None:
    """A file of the book, nothing of it when it is longer than `limit` (what its header says may be a lie)."""
    with book.open(name) as handle:
        raw = handle.read(limit + 1)
    return raw if len(raw) <= limit else None


def _text(book: zipfile.ZipFile, name: str, limit: int) -> str:
    raw = _bytes(book, name, limit)
    if raw is None:
        raise ValueError(f"{name} is longer than {limit} bytes")
    return encoding.decode(raw)[0]


READER = Reader(
    name="epub",
    endings=(".epub",),
    sniff=_sniff,
    read=_read,
    reads="EPUB 2 and 3 books, a document a chapter file",
    example="book.epub",
    fills=("title", "source_key", "meta.book", "meta.author", "meta.lang", "meta.encoding"),
)
