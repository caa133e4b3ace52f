"""Finding rows in part files: the deciding columns are read a row group at a time, others for found rows only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs.ledger import File
from mdfs.storage import Store


@dataclass(frozen=True)
class Found:
    """A row: its file, its row group, its place in the group and in the file (from 0)."""

    file: File
    group: int
    row: int
    row_in_file: int

    def read(self, store: Store, columns: list[str] | None) -> dict[str, Any]:
        """Columns of the row, or all of them, as plain data."""
        with store.open(self.file.path) as handle, pq.ParquetFile(handle) as parquet:
            table = parquet.read_row_group(self.group, columns=columns, use_threads=False)
            found: dict[str, Any] = table.slice(self.row, 1).to_pylist()[0]
            return found


def rows(store: Store, file: File, columns: list[str], wanted: Callable[[pa.Table], Any]) -> list[Found]:
    """The rows of a file for which `wanted`, given some columns of a row group, is true."""
    found, start = [], 0
    with store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=columns, use_threads=False)
            for row in pc.indices_nonzero(wanted(table)).to_pylist():
                found.append(Found(file, group, row, start + row))
            start += table.num_rows
    return found


def by_id(store: Store, files: Iterable[File], doc_id: str) -> Found | None:
    """The row of a document in the first of some files that has it."""
    for file in files:
        found = rows(store, file, ["doc_id"], lambda table: pc.equal(table.column("doc_id"), doc_id))
        if found:
            return found[0]
    return None
