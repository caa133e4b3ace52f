"""What comes out of a source file, record by record, and how documents become tables.

A reader cuts a file into `Pending` records. Each, looked into, gives exactly one outcome: a `Document`, or the reason
why there is none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow as pa

from mdfs.parts import GROUP_BYTES, GROUP_ROWS
from mdfs.schema import DOCUMENT, QUARANTINE

#: Years that a fetch date may have; dates outside are typing errors or overflow (Arrow and Spark agree on these).
_YEARS = range(1970, 2200)


class Document(NamedTuple):
    """A document as a reader gives it.

    Attributes:
        place: the record's place in its file; no two records of a file share one.
        text: its text, with nothing edited. `title`, `url`, `source_key`: empty where the source has none.
        fetched_at: milliseconds since 1970 UTC, or None.
        meta: further facts, as `encoding`, `published` or `author`.
    """

    place: str
    text: str
    title: str = ""
    url: str = ""
    source_key: str = ""
    fetched_at: int | None = None
    meta: dict[str, str] = {}


class Skipped(NamedTuple):
    """A record that is no document by design (warcinfo, request, another namespace …), counted by `kind`."""

    kind: str


class Dropped(NamedTuple):
    """A readable record that is no document (a picture, a 404 page, a redirect), with the reason."""

    place: str
    reason: str
    detail: str = ""
    url: str = ""
    source_key: str = ""


class Quarantined(NamedTuple):
    """A record, or the rest of a file, with which something is wrong."""

    place: str
    reason: str
    detail: str = ""
    url: str = ""
    source_key: str = ""


Outcome = Document | Skipped | Dropped | Quarantined


class Pending(NamedTuple):
    """A record that is cut out of its file and not looked into yet: `work()` does that; `size` is in bytes."""

    place: str
    size: int
    work: Callable[[], Outcome]


class BrokenFileError(Exception):
    """The rest of a file cannot be read. `reason` is a word for counting, `place` where it begins ("" if unknown)."""

    def __init__(self, reason: str, detail: str, place: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.place = reason, detail, place


def doc_id(source: str, path: str, place: str) -> str:
    """32 hex digits that name a document: BLAKE2b-128 over source, path and place, each with its length before it.

    The lengths keep ("ab", "c") and ("a", "bc") apart.
    """
    hashed = hashlib.blake2b(digest_size=16)
    for part in (source, path, place):
        raw = part.encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "little") + raw)
    return hashed.hexdigest()


def moment(said: str) -> int | None:
    """Milliseconds since 1970 UTC of an ISO 8601 date, 14 digits (ARC), or a count of seconds or milliseconds.

    What has no time zone is taken as UTC. None where it is no date that a fetch may have.
    """
    said = said.strip()
    if re.fullmatch(r"\d{9,10}(?:\.\d+)?", said, re.ASCII):
        return round(float(said) * 1000)
    if re.fullmatch(r"\d{12,13}", said, re.ASCII):
        return int(said)
    try:
        found = datetime.fromisoformat(said)
        if found.year not in _YEARS:
            return None
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return _digits(said)


def _digits(said: str) -> int | None:
    """The moment that yyyymmddHHMMSS means."""
    try:
        found = datetime.strptime(said[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(found.timestamp() * 1000) if found.year in _YEARS else None


def utf8(text: str) -> bytes:
    """UTF-8 without NULs; surrogate pairs are joined and a lone surrogate becomes U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


@dataclass
class Batcher:
    """Turns documents of one file into record batches of bounded size, in order."""

    source: str
    path: str
    _rows: list[tuple[object, ...]] = field(default_factory=list)
    _bytes: int = 0

    def add(self, document: Document) -> Iterator[pa.RecordBatch]:
        """Take a document in; gives a batch when one is full."""
        text = utf8(document.text)
        if self._rows and self._bytes + len(text) > GROUP_BYTES:
            yield from self.rest()
        meta = [(utf8(key), utf8(value)) for key, value in document.meta.items() if value]
        self._rows.append(
            (
                doc_id(self.source, self.path, document.place),
                utf8(self.source),
                utf8(document.source_key),
                utf8(document.url),
                document.fetched_at,
                utf8(document.title),
                text,
                meta,
            )
        )
        self._bytes += len(text)
        if len(self._rows) >= GROUP_ROWS:
            yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """The documents taken in since the last batch, if any."""
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [pa.array(column, type=f.type) for column, f in zip(columns, DOCUMENT, strict=True)]
            self._rows, self._bytes = [], 0
            yield pa.RecordBatch.from_arrays(arrays, schema=DOCUMENT)


def quarantine_batch(source: str, path: str, found: list[Dropped | Quarantined]) -> pa.RecordBatch:
    """Rows of schema.QUARANTINE for records that gave no document; details are cut at 300 characters."""
    rows = [
        (
            "collect", source, path, item.place, item.source_key, item.url,
            "dropped" if isinstance(item, Dropped) else "quarantined", item.reason, item.detail[:300],
        )
        for item in found
    ]  # fmt: skip
    columns = zip(*rows, strict=True) if rows else [()] * len(QUARANTINE)
    arrays = [pa.array([utf8(value) for value in column], pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=QUARANTINE)
