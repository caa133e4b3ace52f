"""Looking into the index: which of its documents share a key with the new ones, or have one of some ids.

Every file of the index is a unit. Read of it are the columns of keys; of row groups in which something is found, the
rest. Removed rows are left out, and keepers are those of the newest merges.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import index, index_filter, index_ids
from mdfs.dedup.index_filter import EXACT, ID, URL
from mdfs.dedup.index_ids import Ids
from mdfs.dedup.keys import band_columns
from mdfs.ledger import Row
from mdfs.options import Dedup
from mdfs.parts import PartWriter
from mdfs.pool import heartbeat
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

#: Where the filter and the merges stand while the stage works.
FILTER, IDS_FILTER, MERGES = "dedup/work/index-keys.bin", "dedup/work/index-ids.bin", "dedup/work/index-merges.parquet"

_MERGES = pa.schema([("before", pa.binary(16)), ("now", pa.binary(16))])


def schema(dedup: Dedup) -> pa.Schema:
    """Columns of what a scan writes: those of the index, keepers resolved, and `at`, the row in the index's file."""
    return pa.schema([*index.schema(dedup), ("at", pa.int64())])


def units(uri: str, head: index.Head, looked_for: str, what: str) -> list[Unit]:
    """A unit for each file of an index; `what` is "keys" or "ids", `looked_for` a digest of what is in the filter."""
    said = {"index": uri, "for": looked_for, "what": what, "merges": [merge.sha256 for merge in head.merges]}
    return [
        Unit(f"index-{number:05d}", said | {"file": asdict(file), "number": number}, file.bytes)
        for number, file in enumerate(head.files)
    ]


def work(job: Job, unit: Unit) -> Row:
    """Write the rows of one file that the filter lets through to dedup/index/<what>/."""
    file, by_ids = index.IndexFile(**unit.data["file"]), unit.data["what"] == "ids"
    store, dedup = Store(unit.data["index"]), job.recipe.dedup
    filled = _filter(job.store, IDS_FILTER if by_ids else FILTER, unit.data["for"])
    before, now = _merges(job.store, unit.data["merges"])
    gone, row = deleted(store, file), Row(job.stage, unit.id)
    path = f"dedup/index/{unit.data['what']}/{unit.id}.parquet"
    with PartWriter(job.store, path, schema(dedup), kind=unit.data["what"]) as part:
        for start, table, found in _matching(store, file, dedup, filled, by_ids):
            found[gone[(gone >= start) & (gone < start + table)] - start] = False
            row.docs_in += table
            if found.any():
                at = np.flatnonzero(found) + start
                part.write(resolved(index_ids.rows(store, file.path, at, index.schema(dedup).names), at, before, now))
            heartbeat.did(docs=table, bytes=0)
    row.docs_out, row.files = row.docs_in, part.files
    return row


def _matching(
    store: Store, file: index.IndexFile, dedup: Dedup, filled: index_filter.Filter, by_ids: bool
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """First row, number of rows and which of them are let through, of each row group."""
    names = [] if by_ids else [*(["url_1"] if dedup.url else []), "exact_1", *band_columns(dedup)]
    start = 0
    with store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=["doc_id", *names], use_threads=False)
            heads = index_ids.tie_breaks(index_ids.from_arrow(table.column("doc_id")))
            found = index_filter.contains(filled, index_filter.marked(heads, ID))
            for name in names:
                found |= through(filled, name, table.column(name))
            yield start, table.num_rows, found
            start += table.num_rows


def through(filled: index_filter.Filter, name: str, column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which values of a key's column a filter lets through; a null, or a band that is none, never."""
    valid = column.is_valid().to_numpy()
    values = column.fill_null(0).to_numpy()
    found: NDArray[np.bool_] = index_filter.contains(filled, key(name, values)) & valid & (values != 0)
    return found


def key(name: str, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """A column's values as keys of the filter."""
    kind = {"url_1": URL, "exact_1": EXACT, "h": ID}.get(name)
    return values if kind is None else index_filter.marked(values, kind)


def resolved(table: pa.Table, at: NDArray[np.int64], before: Ids, now: Ids) -> pa.RecordBatch:
    """Rows of an index's file with the keepers that later merges made of theirs."""
    keepers = index_ids.from_arrow(table.column("keeper"))
    places = index_ids.places(keepers, before)
    keepers = np.where(places >= 0, now[places], keepers) if before.size else keepers
    kept = keepers == index_ids.from_arrow(table.column("doc_id"))
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    columns |= {"keeper": index_ids.to_arrow(keepers), "kept": pa.array(kept), "at": pa.array(at)}
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def deleted(store: Store, file: index.IndexFile) -> NDArray[np.int64]:
    """Rows of a file that are removed, sorted."""
    if not file.deletes:
        return np.zeros(0, np.int64)
    with store.open(file.deletes) as handle:
        rows: NDArray[np.int64] = pq.read_table(handle, use_threads=False).column("row").to_numpy()
    return rows


def merged(store: Store, head: index.Head) -> tuple[Ids, Ids]:
    """Ids of all keepers that lost their place to another in a merge (sorted), and of the keepers there now."""
    before, now = np.zeros(0, "S16"), np.zeros(0, "S16")
    for merge in head.merges:
        with store.open(merge.path) as handle:
            table = pq.read_table(handle, use_threads=False)
        later, to = (index_ids.from_arrow(table.column(name)) for name in _MERGES.names)
        places = index_ids.places(now, later)
        now = np.where(places >= 0, to[places], now) if len(later) else now
        before, now = np.concatenate([before, later]), np.concatenate([now, to])
        order = np.argsort(before)
        before, now = before[order], now[order]
    return before, now


def merges_table(before: Ids, now: Ids) -> pa.Table:
    """A file of merges: by `before`, each once."""
    order = np.argsort(before)
    return pa.Table.from_arrays([index_ids.to_arrow(before[order]), index_ids.to_arrow(now[order])], schema=_MERGES)


def prepare(run: Run, store: Store, head: index.Head, keys: Iterable[str]) -> None:
    """Write the filter of the new documents' keys (files `keys`) and the merges, for workers."""
    names = ["h", *(["url_1"] if run.recipe.dedup.url else []), "exact_1", *band_columns(run.recipe.dedup)]
    paths = list(keys)
    count = 0
    for path in paths:
        with run.store.open(path) as handle:
            count += pq.read_metadata(handle).num_rows
    filled = index_filter.empty(count * len(names))
    for path in paths:
        for column, values in _key_columns(run.store, path, names):
            index_filter.insert(filled, key(column, values))
    run.store.write_bytes(FILTER, filled.tobytes())
    with run.store.create(MERGES) as sink:
        pq.write_table(merges_table(*merged(store, head)), sink)


def prepare_ids(run: Run, ids: Ids) -> None:
    """Write the filter of some documents' ids, for workers."""
    filled = index_filter.empty(max(1, len(ids)))
    index_filter.insert(filled, index_filter.marked(index_ids.tie_breaks(ids), ID))
    run.store.write_bytes(IDS_FILTER, filled.tobytes())


def _key_columns(store: Store, path: str, names: list[str]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    with store.open(path) as handle, pq.ParquetFile(handle) as file:
        for name in names:
            column = file.read(columns=[name], use_threads=False).column(name).drop_null().to_numpy()
            yield name, column[column != 0] if name.startswith("band_") else column


@functools.lru_cache(maxsize=2)
def _loaded_filter(uri: str, path: str, looked_for: str) -> index_filter.Filter:
    """A filter, loaded once a worker; on a disk all workers share its pages."""
    store = Store(uri)
    if store.is_local:
        return np.memmap(Path(store.full(path)), np.uint64, "r")
    return np.frombuffer(store.read_bytes(path), np.uint64)


def _filter(store: Store, path: str, looked_for: str) -> index_filter.Filter:
    return np.asarray(_loaded_filter(store.uri, path, looked_for))


def _merges(store: Store, digests: list[str]) -> tuple[Ids, Ids]:
    return _loaded_merges(store.uri, tuple(digests))


@functools.lru_cache(maxsize=2)
def _loaded_merges(uri: str, digests: tuple[str, ...]) -> tuple[Ids, Ids]:
    with Store(uri).open(MERGES) as handle:
        table: Any = pq.read_table(handle, use_threads=False)
    return index_ids.from_arrow(table.column("before")), index_ids.from_arrow(table.column("now"))
