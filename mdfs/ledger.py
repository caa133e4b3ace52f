"""The ledger: one row for every unit of work that is done, written when its files are in place.

A worker commits `ledger/<stage>/<unit>.json` last. A run that is killed anywhere is resumed by doing what the ledger
lacks; a row whose fingerprint is not today's (other input, recipe or version) counts as lacking.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mdfs.storage import Store


@dataclass(frozen=True)
class File:
    """A file that a unit wrote.

    Attributes:
        path: relative to the run's folder. `kind`: kept, dropped, quarantine, duplicates, keys, shard.
        rows, bytes, sha256: of the file. `source`: of its documents, where they have one source.
        text_bytes: UTF-8 bytes of text in it (for planning), `tokens` and `content` for shards.
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
    """The rows of one run's folder."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @staticmethod
    def path(stage: str, unit: str) -> str:
        """Where the row of a unit stands."""
        return f"ledger/{stage}/{unit}.json"

    def commit(self, row: Row) -> None:
        """Write a unit's row; called by the worker, after all its files are in place."""
        self.store.write_bytes(self.path(row.stage, row.unit), json.dumps(row.to_dict(), ensure_ascii=False).encode())

    def rows(self, stage: str) -> dict[str, Row]:
        """All rows of a stage, by unit, in the order of units."""
        paths = [path for path in self.store.list(f"ledger/{stage}") if path.endswith(".json")]
        rows = (Row.from_dict(self.store.read_json(path)) for path in paths)
        return {row.unit: row for row in sorted(rows, key=lambda row: row.unit)}

    def forget(self, stage: str, units: Iterable[str]) -> None:
        """Remove rows, so that their units are done again."""
        for unit in units:
            self.store.delete(self.path(stage, unit))


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
