"""Reading a bounded, evenly spread part of a run's files: the same row groups whenever the files are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from mdfs.ledger import File
from mdfs.parts import GROUP_ROWS
from mdfs.storage import Store

T = TypeVar("T")

#: Row groups read for one set of histograms. A row group is at most 2,048 documents, of which only the measurements
#: are read (about 5 ms each), so a report takes seconds however large the corpus is, and 400 MB.
GROUPS = 64


@dataclass
class Sample:
    """Rows of some columns, from row groups spread evenly over files.

    Attributes:
        table: the rows that were read. `rows`: how many there are in all files.
        places: for every row of `table`, index into `groups`; `groups`: (file, row group) that were read.
    """

    table: pa.Table
    rows: int
    groups: list[tuple[File, int]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every row was read."""
        return bool(self.table.num_rows == self.rows)

    def words(self, what: str = "documents") -> str:
        """What the numbers drawn from it are about, for the reader."""
        if self.whole:
            return f"all {self.rows:,} {what}"
        return f"a sample of {self.table.num_rows:,} of {self.rows:,} {what}, taken evenly over the part files"


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items, spread evenly, first and order kept."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def read(store: Store, files: Sequence[File], columns: Sequence[str], most: int = GROUPS) -> Sample:
    """Columns (`struct.field` reads one field only) of at most `most` row groups.

    A file that lacks all of the columns gives no rows; one that lacks some of them is read without these.
    """
    files = [file for file in files if file.rows]
    tables: list[pa.Table] = []
    groups: list[tuple[File, int]] = []
    places: list[int] = []
    for file, group, table in _groups(store, files, list(columns), most):
        places += [len(groups)] * table.num_rows
        groups.append((file, group))
        tables.append(table)
    joined = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    return Sample(joined, sum(file.rows for file in files), groups, places)


def _groups(store: Store, files: list[File], columns: list[str], most: int) -> Iterator[tuple[File, int, pa.Table]]:
    chosen = evenly(files, most)
    # Files hold row groups of up to GROUP_ROWS rows; what a small file does not need, a large one may have.
    likely = sum(-(-file.rows // GROUP_ROWS) for file in chosen)
    for place, file in enumerate(chosen):
        with store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
            many = parquet.num_row_groups
            allowed = many if likely <= most else max(1, many * most // likely)
            # Files that may give one group only do not all give their first.
            first = (place % many) if allowed == 1 else 0
            for group in evenly([*range(first, many), *range(first)], allowed):
                yield file, group, parquet.read_row_group(group, columns=columns, use_threads=False)


def read_rows(
    store: Store, path: str, group: int, columns: Sequence[str], rows: Sequence[int]
) -> list[dict[str, object]]:
    """Some rows of one row group, as plain data."""
    with store.open(path) as handle, pq.ParquetFile(handle) as parquet:
        table = parquet.read_row_group(group, columns=list(columns), use_threads=False)
        found: list[dict[str, object]] = table.take(list(rows)).to_pylist()
        return found
