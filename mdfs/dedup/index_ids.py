"""Document ids as 16 bytes, and rows of Parquet files by their places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.storage import Store

#: Ids as NumPy sees them: 16 bytes each, dtype S16, which sorts and compares as the hex digits do.
Ids = NDArray[np.bytes_]


def from_hex(names: Sequence[str]) -> Ids:
    """Ids of 32 hex digits each.

    Raises:
        ValueError: one is not.
    """
    if any(len(name) != 32 for name in names):
        raise ValueError("a doc_id is not 32 hex digits")
    return np.frombuffer(bytes.fromhex("".join(names)), "S16")


def to_hex(ids: Ids) -> list[str]:
    """32 hex digits for each id."""
    spelt = np.ascontiguousarray(ids).tobytes().hex()
    return [spelt[start : start + 32] for start in range(0, len(spelt), 32)]


def from_arrow(column: pa.Array | pa.ChunkedArray) -> Ids:
    """Ids of a column of fixed-size binary without nulls."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    width = column.type.byte_width
    content = column.buffers()[1]
    if not len(column) or content is None:
        return np.zeros(0, f"S{width}")
    return np.frombuffer(content, f"S{width}", len(column), column.offset * width)


def to_arrow(values: NDArray[np.bytes_]) -> pa.Array:
    """A column of fixed-size binary of the values' width."""
    content = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.dtype.itemsize), len(values), [None, content])


def tie_breaks(ids: Ids) -> NDArray[np.int64]:
    """The first 8 bytes of each id, as `h` in `mdfs.dedup.keys`."""
    return np.ascontiguousarray(ids).view(">i8")[::2].astype(np.int64)


def places(ids: Ids, among: Ids) -> NDArray[np.int64]:
    """Where each id stands in `among` (sorted), -1 where it does not."""
    if not len(among):
        return np.full(len(ids), -1)
    at = np.minimum(np.searchsorted(among, ids), len(among) - 1)
    return np.where(among[at] == ids, at, -1)


def rows(store: Store, path: str, wanted: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
    """Some rows of a Parquet file (`wanted`: their places, sorted) in that order; only their row groups are read."""
    tables, start = [], 0
    with store.open(path) as handle, pq.ParquetFile(handle) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            low, high = np.searchsorted(wanted, [start, end])
            if low < high:
                table = file.read_row_group(group, columns=list(columns), use_threads=False)
                tables.append(table.take(pa.array(wanted[low:high] - start)))
            start = end
        empty = file.schema_arrow.empty_table().select(list(columns))
    return pa.concat_tables([empty, *tables])
