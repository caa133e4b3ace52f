"""The ledger: one row for every unit of work that is done, written when its files are in place.

A worker commits its row last. A run that is killed anywhere is resumed by doing what the ledger lacks;
a row whose fingerprint is not today's (other input, recipe or version) counts as lacking.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mdfs.errors import RunError
from mdfs.storage import Store

#: Rows that are read at once: an object store answers each in tens of milliseconds.
_READERS = 16


@dataclass(frozen=True)
class File:
    """A file that a unit wrote.

    Attributes:
        path: relative to the run's folder. `kind`: kept, dropped, quarantine, duplicates, keys, shard.
        rows, bytes, sha256: of the file. `source`: of its documents, where they have one source.
        text_bytes: UTF-8 bytes of text in it (for planning), `tokens` and `content` for shards.
        language: of its documents, for shards that are partitioned by it.
    """

    path: str
    kind: str
    rows: int
    bytes: int
    sha256: str
    source: str = ""
    text_bytes: int = 0
    tokens: int = 0
    content: str = ""
    language: str = ""


@dataclass
class Row:
    """What one unit of work did. docs_in = docs_out + docs_dropped + quarantined, always.

    `dropped` counts reasons; a document with three reasons counts in three, so their sum may exceed docs_dropped.
    `quarantine_reasons` counts quarantined records by reason; `skipped` counts records that are no documents by
    design (warcinfo, request, revisit …) and so are in no other count. `facts` are counts that a step leaves for the
    next one or for people; they are in no accounting.
    """

    stage: str
    unit: str
    fingerprint: str = ""
    files: list[File] = field(default_factory=list)
    docs_in: int = 0
    docs_out: int = 0
    docs_dropped: int = 0
    quarantined: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    seconds: float = 0.0
    facts: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Row:
        """The row that `to_dict` gave."""
        return Row(**{**data, "files": [File(**entry) for entry in data["files"]]})


class Ledger:
    """The rows of one run's folder.

    While a stage is under way each unit's row is a file of its own, `ledger/<stage>/<unit>.json`, which its worker
    puts there. When the stage is done they become lines of one file, `ledger/<stage>.jsonl`: a stage over a crawl has
    100,000 units, and to read that many objects from a store takes longer than to do some stages.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @staticmethod
    def path(stage: str, unit: str) -> str:
        """Where the row of a unit stands while its stage is under way."""
        return f"ledger/{stage}/{unit}.json"

    @staticmethod
    def settled_path(stage: str) -> str:
        """Where the rows of a stage that is done stand."""
        return f"ledger/{stage}.jsonl"

    def commit(self, row: Row) -> None:
        """Write a unit's row; called by the worker, after all its files are in place."""
        self.store.write_bytes(self.path(row.stage, row.unit), _line(row))

    def rows(self, stage: str) -> dict[str, Row]:
        """All rows of a stage, by unit, in the order of units; a unit's own file goes before its line.

        Raises:
            RunError: a row cannot be read.
        """
        rows = {row.unit: row for row in self._settled(stage)}
        with ThreadPoolExecutor(_READERS) as pool:
            for row in pool.map(self._read, self._unit_files(stage)):
                rows[row.unit] = row
        return dict(sorted(rows.items()))

    def forget(self, stage: str, units: Iterable[str]) -> None:
        """Remove rows, so that their units are done again."""
        gone = set(units)
        settled = self._settled(stage) if gone else []
        if any(row.unit in gone for row in settled):
            self._settle(stage, [row for row in settled if row.unit not in gone])
        for path in self._unit_files(stage) if gone else ():
            if path.rpartition("/")[2].removesuffix(".json") in gone:
                self.store.delete(path)

    def settle(self, stage: str) -> None:
        """Make the units' own files lines of the stage's one file. A kill between the two steps leaves both, equal."""
        if self._unit_files(stage):
            self._settle(stage, self.rows(stage).values())
            self.store.delete_folder(f"ledger/{stage}")

    def _unit_files(self, stage: str) -> list[str]:
        return [path for path in self.store.list(f"ledger/{stage}") if path.endswith(".json")]

    def _read(self, path: str) -> Row:
        return Row.from_dict(self.store.read_json(path))

    def _settled(self, stage: str) -> list[Row]:
        path = self.settled_path(stage)
        if not self.store.exists(path):
            return []
        try:
            return [Row.from_dict(json.loads(line)) for line in self.store.read_bytes(path).splitlines()]
        except (ValueError, TypeError, KeyError) as error:
            hint = "restore it or run again into a new folder"
            raise RunError(f"{self.store.uri}/{path} is damaged ({error}); {hint}") from None

    def _settle(self, stage: str, rows: Iterable[Row]) -> None:
        self.store.write_bytes(self.settled_path(stage), b"".join(_line(row) for row in rows))


def _line(row: Row) -> bytes:
    return json.dumps(row.to_dict(), ensure_ascii=False).encode() + b"\n"


def fingerprint(*parts: Any) -> str:
    """32 hex digits over plain data: equal when a unit's work would be the same work."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def total(rows: Iterable[Row], stage: str) -> Row:
    """All rows of a stage added up."""
    summed = Row(stage, "total")
    dropped: Counter[str] = Counter()
    quarantine: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for row in rows:
        for name in ("docs_in", "docs_out", "docs_dropped", "quarantined", "bytes_in"):
            setattr(summed, name, getattr(summed, name) + getattr(row, name))
        summed.seconds += row.seconds
        dropped.update(row.dropped)
        quarantine.update(row.quarantine_reasons)
        skipped.update(row.skipped)
    summed.dropped = dict(sorted(dropped.items()))
    summed.quarantine_reasons = dict(sorted(quarantine.items()))
    summed.skipped = dict(sorted(skipped.items()))
    return summed
