"""Changes of an index that no run makes: documents removed, files rewritten without them, two indexes made one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import components, index, index_filter, index_ids, index_scan
from mdfs.dedup.index_ids import Ids
from mdfs.errors import UsageError
from mdfs.ledger import File
from mdfs.parts import PartWriter
from mdfs.storage import Store

#: Rows read at once.
ROWS = 1 << 16

_DELETES = pa.schema([("row", pa.int64())])


@dataclass(frozen=True)
class Removed:
    """What a removal found: `documents` in all, and of the ids asked for, those `unknown` to the index."""

    head: index.Head
    documents: int
    unknown: tuple[str, ...]


def remove(store: Store, sources: Sequence[str], ids: Sequence[str], *, dry_run: bool = False) -> Removed:
    """Take the documents of some sources, and some by id, out of an index.

    Their rows are marked in a new version; `compact` writes the files without them. A cluster stays together without
    its removed documents, and where its keeper is one of them, nothing stands for it any more: the next copy is kept.

    Raises:
        UsageError: no index, none of the documents is in it, or another writer is at work.
    """
    wanted = np.sort(index_ids.from_hex(list(dict.fromkeys(ids))))
    with index.locked(store):
        head = index.read(store)
        if not dry_run:
            index.sweep(store)
        found = np.zeros(wanted.size, bool)
        files, documents = [], 0
        stem = index.fresh("deletes", head.version + 1)
        for number, file in enumerate(head.files):
            before = index_scan.deleted(store, file)
            rows = np.setdiff1d(_rows_of(store, file, sources, wanted, found), before)
            documents += rows.size
            if rows.size and not dry_run:
                file = _with_deletes(store, file, np.union1d(before, rows), f"{stem}-{number:05d}.parquet")
            files.append(file)
        unknown = tuple(index_ids.to_hex(wanted[~found]))
        if not documents:
            asked = ", ".join([*map(repr, sources), *ids][:3])
            raise UsageError(f"index {store.uri} holds no document of {asked}; `mdfs index show` names its runs")
        if dry_run:
            return Removed(head, documents, unknown)
        after = replace(head, files=tuple(files))
        said = {"sources": list(sources), "removed": documents}
        return Removed(index.commit(store, head, after, "remove", **said), documents, unknown)


def _rows_of(
    store: Store, file: index.IndexFile, sources: Sequence[str], ids: Ids, found: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Rows of some sources or ids; `found` is set for the ids that are there."""
    rows, start = [np.zeros(0, np.int64)], 0
    columns = ["doc_id", *(["source"] if sources else [])]
    with store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
        for batch in parquet.iter_batches(ROWS, columns=columns, use_threads=False):
            places = index_ids.places(index_ids.from_arrow(batch.column("doc_id")), ids)
            found[places[places >= 0]] = True
            mask = places >= 0
            if sources:
                mask |= pc.is_in(batch.column("source"), pa.array(sources)).to_numpy(zero_copy_only=False)
            rows.append(np.flatnonzero(mask) + start)
            start += batch.num_rows
    return np.concatenate(rows)


def _with_deletes(store: Store, file: index.IndexFile, rows: NDArray[np.int64], path: str) -> index.IndexFile:
    with store.create(path) as sink:
        pq.write_table(pa.table({"row": rows}, schema=_DELETES), sink)
    return replace(file, deletes=path, deletes_sha256=sink.written().sha256, deleted=int(rows.size))


def compact(store: Store) -> tuple[index.Head, int]:
    """Write the documents anew without those that are removed, merges settled, and forget all older versions: after it
    no file holds a key or signature of a removed document, and its id only where it names the cluster of copies that
    are there still. What a run finds in the index stays the same.

    Returns:
        The new version, and the bytes that the folder holds less.
    """
    with index.locked(store):
        head = index.read(store)
        before = _bytes(store)
        stem = index.fresh("documents", head.version + 1)
        files = _Writer(store, stem)
        with files:
            for batch in _living(store, head):
                files.write(batch)
        after = index.commit(store, head, replace(head, files=files.done, merges=()), "compact")
        index.sweep(store, only_newest=True)
        return after, before - _bytes(store)


def _bytes(store: Store) -> int:
    return sum(store.filesystem.get_file_info(store.full(path)).size for path in store.list("documents"))


def _living(store: Store, head: index.Head) -> Iterator[pa.RecordBatch]:
    """All documents of a version but the removed, keepers resolved."""
    before, now = index_scan.merged(store, head)
    for file in head.files:
        gone, start = index_scan.deleted(store, file), 0
        with store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
            for batch in parquet.iter_batches(ROWS, use_threads=False):
                at = np.setdiff1d(np.arange(start, start + batch.num_rows), gone)
                table = pa.Table.from_batches([batch]).take(pa.array(at - start))
                yield index_scan.resolved(table, at, before, now).drop_columns("at")
                start += batch.num_rows


class _Writer:
    """Writes consecutive files of `index.FILE_ROWS` documents; `done` names them."""

    def __init__(self, store: Store, stem: str) -> None:
        self._store, self._stem = store, stem
        self._part: PartWriter | None = None
        self.done: tuple[index.IndexFile, ...] = ()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append documents."""
        if self._part is None or self._part.rows + batch.num_rows > index.FILE_ROWS:
            self._close()
            path = f"{self._stem}-{len(self.done):05d}.parquet"
            self._part = PartWriter(self._store, path, batch.schema, kind="index", numbers=True)
            self._part.__enter__()
        self._part.write(batch)

    def _close(self, *error: Any) -> None:
        if self._part is not None:
            self._part.__exit__(*(error or (None, None, None)))
            self.done += tuple(_index_file(file) for file in self._part.files)
            self._part = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: Any) -> None:
        self._close(*error)


def _index_file(file: File) -> index.IndexFile:
    return index.IndexFile(file.path, file.rows, file.bytes, file.sha256)


def merge(one: Store, other: Store, output: Store) -> index.Head:
    """Make one index of two, in a new folder. Documents of `other` count as later than those of `one`.

    A document that is in both comes in once, and its clusters in both become one. Copies of which one is in the one
    index and one in the other are not looked for; a new document that meets both ties them.

    Raises:
        UsageError: other settings, or an index stands at `output` already.
    """
    first, second = index.read(one), index.read(other)
    if first.parameters != second.parameters:
        names = [name for name in first.parameters if first.parameters[name] != second.parameters.get(name)]
        raise UsageError(f"{one.uri} and {other.uri} were made with other settings of dedup ({', '.join(names)})")
    with index.locked(output):
        if index.exists(output):
            raise UsageError(f"{output.uri}: an index stands there already; choose another --output")
        index.sweep(output)
        empty = index.new(first.parameters)
        shared = _shared(one, first, other, second)
        keepers = [_keepers(store, head, shared) for store, head in ((one, first), (other, second))]
        places = {entry["id"]: place for place, entry in enumerate(first.runs)}
        runs, moved = list(first.runs), []
        for entry in second.runs:
            if entry["id"] not in places:
                places[entry["id"]] = len(runs)
                runs.append(entry | {"generation": entry["generation"] + first.generation})
            moved.append(places[entry["id"]])
        files = _Writer(output, index.fresh("documents", 1))
        with files:
            for batch in _living(one, first):
                files.write(batch)
            for batch in _living(other, second):
                files.write(_moved(batch, shared, np.array(moved, np.int32), first.generation))
        merges = _write_merges(output, *keepers)
        after = replace(empty, runs=tuple(runs), files=files.done, merges=merges)
        return index.commit(output, empty, after, "merge", of=[one.uri, other.uri])


def _shared(one: Store, first: index.Head, other: Store, second: index.Head) -> Ids:
    """Ids that are in both, sorted: those of the first go through a filter, what the second has of these is looked up
    in the first."""
    filled = index_filter.empty(max(1, first.documents))
    for ids, _ in _ids(one, first):
        index_filter.insert(filled, index_filter.marked(index_ids.tie_breaks(ids), index_filter.ID))
    suspects = [np.zeros(0, "S16")]
    for ids, _ in _ids(other, second):
        heads = index_filter.marked(index_ids.tie_breaks(ids), index_filter.ID)
        suspects.append(ids[index_filter.contains(filled, heads)])
    wanted = np.sort(np.concatenate(suspects))
    both = np.zeros(wanted.size, bool)
    for ids, _ in _ids(one, first):
        places = index_ids.places(ids, wanted)
        both[places[places >= 0]] = True
    return wanted[both]


def _ids(store: Store, head: index.Head) -> Iterator[tuple[Ids, Ids]]:
    """Ids and keepers of all documents but the removed."""
    for batch in _living(store, head):
        yield index_ids.from_arrow(batch.column("doc_id")), index_ids.from_arrow(batch.column("keeper"))


def _keepers(store: Store, head: index.Head, shared: Ids) -> Ids:
    """The keeper of each shared document in one index."""
    found = np.zeros(shared.size, "S16")
    for ids, keepers in _ids(store, head):
        places = index_ids.places(ids, shared)
        found[places[places >= 0]] = keepers[places >= 0]
    return found


def _moved(batch: pa.RecordBatch, shared: Ids, runs: NDArray[np.int32], generations: int) -> pa.RecordBatch:
    """Documents of the second index that are not in the first, as later ones."""
    ids = index_ids.from_arrow(batch.column("doc_id"))
    batch = batch.filter(pa.array(index_ids.places(ids, shared) < 0))
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["run"] = pa.array(runs[batch.column("run").to_numpy()])
    columns["generation"] = pa.array((batch.column("generation").to_numpy() + generations).astype(np.int32))
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _write_merges(output: Store, mine: Ids, theirs: Ids) -> tuple[index.Merges, ...]:
    """Clusters that a shared document ties: one keeper of the first index stands for all of them."""
    names = np.unique(np.concatenate([mine, theirs]))
    if np.array_equal(mine, theirs):
        return ()
    ends = [np.searchsorted(names, side) for side in (mine, theirs)]
    nodes, roots = components.union_find(*ends)
    stands = np.full(names.size, names.size)
    np.minimum.at(stands, roots[np.searchsorted(nodes, ends[0])], ends[0])
    now = stands[roots]
    changed = now != nodes
    table = index_scan.merges_table(names[nodes[changed]], names[now[changed]])
    path = index.fresh("merges", 1) + ".parquet"
    with output.create(path) as sink:
        pq.write_table(table, sink)
    return (index.Merges(path, sink.written().sha256, table.num_rows),)


def find(store: Store, head: index.Head, ids: Iterable[str]) -> list[dict[str, Any]]:
    """What the index says of some documents: doc_id, source, run (its folder), part, row, kept, keeper."""
    wanted = np.sort(index_ids.from_hex(list(ids)))
    before, now = index_scan.merged(store, head)
    names = ["doc_id", "source", "run", "part", "row", "kept", "keeper"]
    found: list[dict[str, Any]] = []
    for file in head.files:
        rows = _rows_of(store, file, [], wanted, np.zeros(wanted.size, bool))
        rows = np.setdiff1d(rows, index_scan.deleted(store, file))
        table = index_ids.rows(store, file.path, rows, names)
        for row in index_scan.resolved(table, rows, before, now).to_pylist():
            said = {"doc_id": row["doc_id"].hex(), "keeper": row["keeper"].hex(), "run": head.runs[row["run"]]["uri"]}
            found.append(row | said)
    for entry in found:
        del entry["at"]
    return found
