"""Part files: Parquet with bounded row groups, written whole, read a row group at a time.

A row group is what a worker holds in memory, so its size bounds memory: at most `GROUP_ROWS` documents and, but for a
single document that is longer, `GROUP_BYTES` of buffers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs.ledger import File
from mdfs.schema import conform
from mdfs.storage import Sink, Store

#: Documents in a row group; 2,048 pages of 3 kB are 6 MB, which fits the second-level cache several times over.
GROUP_ROWS = 2_048
#: Bytes in a row group.
GROUP_BYTES = 16 << 20
#: Rows of numbers in a row group: half a megabyte a column of 64-bit numbers.
NUMBER_ROWS = 1 << 16
#: zstd level 3, its default: level 9 made text 6% smaller at a third of the speed.
ZSTD_LEVEL = 3


class PartWriter:
    """Writes one Parquet file; no file appears where no row was written or where the block ended in an error.

    Usage: `with PartWriter(store, path, schema, kind="kept", source=source) as part: part.write(batch)`; after the
    block `part.files` holds one `File`, or none. `numbers` is for rows of mostly hashes and numbers: row groups are
    longer and hold no dictionaries, which hashes only fill up.
    """

    def __init__(
        self, store: Store, path: str, schema: pa.Schema, *, kind: str, source: str = "", numbers: bool = False
    ) -> None:
        self._store, self._path, self.schema = store, path, schema
        self._kind, self._source = kind, source
        self._numbers, self._group_rows = numbers, NUMBER_ROWS if numbers else GROUP_ROWS
        self._stack = contextlib.ExitStack()
        self._sink: Sink | None = None
        self._writer: Any = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self.rows = self.text_bytes = 0
        self.files: list[File] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows that have this file's columns (more columns are left out, order does not matter)."""
        if not batch.num_rows:
            return
        batch = conform(batch, self.schema)
        self.rows += batch.num_rows
        if "text" in self.schema.names:
            self.text_bytes += string_bytes(batch.column("text"))
        for piece in _pieces(batch, self._group_rows):
            size = piece.nbytes
            if self._pending_rows + piece.num_rows > self._group_rows or self._pending_bytes + size > GROUP_BYTES:
                self._flush()
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            self._pending_bytes += size

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self._sink = self._stack.enter_context(self._store.create(self._path))
            said = {"use_dictionary": False} if self._numbers else {}
            self._writer = self._stack.enter_context(
                pq.ParquetWriter(self._sink, self.schema, compression="zstd", compression_level=ZSTD_LEVEL, **said)
            )
        table = pa.Table.from_batches(self._pending, schema=self.schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._flush()
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._stack.__exit__(kind, error, trace)
        if kind is None and self._sink is not None:
            written = self._sink.written()
            self.files = [
                File(self._path, self._kind, self.rows, written.bytes, written.sha256, self._source, self.text_bytes)
            ]


def string_bytes(column: pa.Array) -> int:
    """UTF-8 bytes in a string column."""
    return int(pc.sum(pc.binary_length(column)).as_py() or 0)


def _pieces(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Slices that fit a row group each: halved until they do or hold one document; `most` rows."""
    if batch.num_rows > 1 and (batch.num_rows > most or batch.nbytes > GROUP_BYTES):
        middle = batch.num_rows // 2
        yield from _pieces(batch.slice(0, middle), most)
        yield from _pieces(batch.slice(middle), most)
    else:
        yield batch


def read_part(store: Store, path: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A part file's rows, one record batch a row group, with all columns or those named."""
    with store.open(path) as handle, pq.ParquetFile(handle) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns, use_threads=False)
            yield from table.combine_chunks().to_batches()
