"""Files of numbers that are sorted by one column, and read by ranges of it.

This is how a step hands numbers to the workers of the next one: it writes a few sorted files, and each worker reads its
own range from every one of them. The row groups' statistics say where a range lies, so that what is read in all is
little more than what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.storage import Store

#: Rows of a row group, the least that is read: half a megabyte a column.
ROWS = 1 << 16

Numbers = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.uint64)


def write(store: Store, path: str, columns: dict[str, Numbers]) -> None:
    """Write int64 columns of equal length, sorted by the first; no file where they have no rows."""
    table = pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})
    if table.num_rows:
        with store.create(path) as sink:
            pq.write_table(table, sink, row_group_size=ROWS, use_dictionary=False, compression="snappy")


def read(
    store: Store, files: Iterable[str], columns: Sequence[str], low: int | None = None, high: int | None = None
) -> list[Numbers]:
    """Columns of those rows of all files, one file after another, whose first column is in [low, high).

    Args:
        store: where the files lie. `files`: paths of some that have these int64 columns and no nulls.
        columns: the first is the one that ranges are of. Files whose rows are not sorted by it are read as well.
        low, high: open where not given.

    Returns:
        An int64 array a column.
    """
    found: list[list[Numbers]] = [[np.zeros(0, np.int64)] for _ in columns]
    for path in files:
        with SortedFile(store, path, columns) as file:
            for collected, values in zip(found, file.read(low, high), strict=True):
                collected.append(values)
    return [np.concatenate(values) for values in found]


def paths(store: Store, folder: str) -> list[str]:
    """Data files under a folder; beside them may lie a session's markers, and what a killed worker left."""
    return [path for path in store.list(folder) if path.endswith(".parquet")]


def distinct(values: NDArray[Number]) -> NDArray[Number]:
    """The values, sorted, each once; `numpy.unique` hashes, which takes several times as long."""
    ordered = np.sort(values)
    new = np.ones(ordered.size, bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def distinct_pairs(first: Numbers, second: Numbers) -> tuple[Numbers, Numbers]:
    """Pairs sorted by both columns, each once."""
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    new = np.ones(first.size, bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return first[new], second[new]


def among(values: Numbers, ordered: Numbers) -> NDArray[np.bool_]:
    """Which values stand in `ordered` (sorted), in a time that grows with its logarithm."""
    if not ordered.size:
        return np.zeros(values.size, bool)
    found: NDArray[np.bool_] = ordered[np.minimum(np.searchsorted(ordered, values), ordered.size - 1)] == values
    return found


class SortedFile:
    """One file, kept open to be read range after range."""

    def __init__(self, store: Store, path: str, columns: Sequence[str]) -> None:
        self._handle = store.open(path)
        self._file = pq.ParquetFile(self._handle)
        self._columns = list(columns)
        metadata = self._file.metadata
        place = metadata.schema.names.index(self._columns[0])
        groups = range(metadata.num_row_groups)
        said = [metadata.row_group(group).column(place).statistics for group in groups]
        known = [(s.min, s.max) if s is not None and s.has_min_max else (_LEAST, _MOST) for s in said]
        self._low, self._high = (np.array([pair[side] for pair in known], np.int64) for side in (0, 1))

    def table(self, low: int | None = None, high: int | None = None) -> pa.Table:
        """The rows in [low, high)."""
        least, most = _LEAST if low is None else low, _MOST if high is None else high - 1
        groups = np.flatnonzero((self._high >= least) & (self._low <= most)).tolist()
        table = self._file.read_row_groups(groups, columns=self._columns, use_threads=False)
        values = table.column(self._columns[0]).to_numpy()
        inside = (values >= least) & (values <= most)
        return table if inside.all() else table.filter(pa.array(inside))

    def read(self, low: int | None = None, high: int | None = None) -> list[Numbers]:
        """The columns of the rows in [low, high)."""
        table = self.table(low, high)
        return [table.column(name).to_numpy() for name in self._columns]

    def __enter__(self) -> SortedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._handle.close()


_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
