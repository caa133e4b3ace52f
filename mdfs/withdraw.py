"""Taking documents out of a finished run: out of its shards, and their texts out of every file of its folder.

A withdrawn document stays accounted for. Its rows keep `doc_id`, `source` and the measurements; text, title, address
and all else that came from its page are blank. Where it was in the shards, classify drops it now, with the reason
`withdrawn`, so that all counts add up and `mdfs verify` passes. dedup's keys and the list of copies hold hashes and
ids, no text, and stay: a copy of a withdrawn document is not brought back in its place.

Files are written anew one after another, each put in place at once, then the ledger's row; the manifest goes first and
comes last. A withdrawal that was cut off goes on when the command is started again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs import manifest as manifests
from mdfs.errors import UsageError
from mdfs.ledger import File, Ledger, Row
from mdfs.parts import PartWriter, read_part
from mdfs.storage import Store
from mdfs.tokenize import shards

#: One JSON file a withdrawal, and one Parquet file with its documents: ids, sources, sizes; no text.
RECORDS = "withdrawn"
#: Why classify drops them.
REASON = "withdrawn"

_STAGES = ("collect", "rules", "classify")
_BLANK: dict[str, Any] = {"source_key": "", "url": "", "title": "", "text": "", "meta": []}
_ROW = pa.schema([(name, pa.string()) for name in ("doc_id", "source", "shard")] + [("text_bytes", pa.int64())])


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal does.

    Attributes:
        documents: rows of `doc_id`, `source`, `shard` ("" where it is in none) and the `text_bytes` that it has there.
        files: paths that are written anew, by stage, shards under "tokenize".
        unknown: ids asked for that the run never saw.
        copies: documents that dedup removed as copies of these, or that it kept in place of these, and that stay.
    """

    documents: pa.Table
    files: dict[str, list[str]]
    unknown: tuple[str, ...] = ()
    copies: int = 0


def plan(store: Store, sources: Sequence[str], ids: Sequence[str], *, copies: bool = False) -> Withdrawal:
    """What withdrawing the documents of some sources, and some by id, would change. Ids are held in memory: 32 bytes
    for each document that is withdrawn.

    Args:
        store: a finished run's folder.
        copies: take their copies too: all documents of their clusters.

    Raises:
        UsageError: the run is not finished, or it never saw any of them.
    """
    manifests.read(store)
    ledger = Ledger(store)
    rows = {stage: list(ledger.rows(stage).values()) for stage in (*_STAGES, "dedup", "tokenize")}
    asked = _collected(store, rows["collect"], sources, list(dict.fromkeys(ids)))
    known = set(asked.column("doc_id").to_pylist())
    unknown = tuple(name for name in dict.fromkeys(ids) if name not in known)
    if not asked.num_rows:
        names = ", ".join([*map(repr, sources), *ids][:3])
        raise UsageError(f"{store.uri}: the run saw no document of {names}; `mdfs why` finds documents by URL")
    others = _cluster(store, rows["dedup"], known) - known
    if copies and others:
        more = _collected(store, rows["collect"], [], sorted(others))
        asked, others = pa.concat_tables([asked, more]), set()
    wanted = asked.column("doc_id").combine_chunks()
    files = {stage: list(_with_ids(store, rows[stage], wanted, ("kept", "dropped"))) for stage in _STAGES}
    files["tokenize"] = list(_with_ids(store, rows["tokenize"], wanted, ("shard",)))
    return Withdrawal(_placed(store, asked, rows, files), files, unknown, len(others))


def _collected(store: Store, rows: list[Row], sources: Sequence[str], ids: Sequence[str]) -> pa.Table:
    """doc_id and source of the documents that were collected and are asked for."""
    found = [pa.table({"doc_id": pa.array([], pa.string()), "source": pa.array([], pa.string())})]
    names, wanted = pa.array(sources, pa.string()), pa.array(ids, pa.string())
    for file in _files(rows, ("kept",)):
        for batch in read_part(store, file.path, ["doc_id", "source"]):
            mask = pc.or_(pc.is_in(batch.column("doc_id"), wanted), pc.is_in(batch.column("source"), names))
            found.append(pa.Table.from_batches([batch.filter(mask)]).cast(found[0].schema))
    return pa.concat_tables(found)


def _cluster(store: Store, rows: list[Row], ids: set[str]) -> set[str]:
    """All documents of the clusters of copies that some documents are in."""
    keepers = set(ids)
    for doc_id, keeper in _copies(store, rows):
        if doc_id in ids:
            keepers.add(keeper)
    return keepers | {doc_id for doc_id, keeper in _copies(store, rows) if keeper in keepers}


def _copies(store: Store, rows: list[Row]) -> Iterator[tuple[str, str]]:
    for file in _files(rows, ("duplicates",)):
        for batch in read_part(store, file.path, ["doc_id", "duplicate_of"]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _files(rows: Iterable[Row], kinds: Sequence[str]) -> Iterator[File]:
    return (file for row in rows for file in row.files if file.kind in kinds)


def _with_ids(store: Store, rows: list[Row], ids: pa.Array, kinds: Sequence[str]) -> Iterator[str]:
    """Paths of the files that hold some of the documents."""
    for file in _files(rows, kinds):
        if any(pc.any(pc.is_in(batch.column(0), ids)).as_py() for batch in read_part(store, file.path, ["doc_id"])):
            yield file.path


def _placed(store: Store, asked: pa.Table, rows: dict[str, list[Row]], files: dict[str, list[str]]) -> pa.Table:
    """The documents with the shard that each is in, and the size of its text there."""
    ids = asked.column("doc_id").combine_chunks()
    shard, size = dict[str, str](), dict[str, int]()
    for path in files["tokenize"]:
        for batch in read_part(store, path, ["doc_id"]):
            shard |= dict.fromkeys(batch.column(0).filter(pc.is_in(batch.column(0), ids)).to_pylist(), path)
    kept = {file.path for file in _files(rows["classify"], ("kept",))}
    for path in sorted(kept & set(files["classify"])):
        for batch in read_part(store, path, ["doc_id", "text"]):
            mine = batch.filter(pc.is_in(batch.column("doc_id"), ids))
            lengths = pc.binary_length(mine.column("text")).to_pylist()
            size |= dict(zip(mine.column("doc_id").to_pylist(), lengths, strict=True))
    names = ids.to_pylist()
    columns = [ids, asked.column("source").combine_chunks(), pa.array([shard.get(name, "") for name in names])]
    columns.append(pa.array([size.get(name, 0) for name in names], pa.int64()))
    return pa.Table.from_arrays(columns, schema=_ROW).sort_by("doc_id")


def withdraw(store: Store, found: Withdrawal, sources: Sequence[str]) -> dict[str, Any]:
    """Do what was planned; return the record that stays in `RECORDS`. The caller holds the folder's lock."""
    number = sum(path.endswith(".json") for path in store.list(RECORDS)) + 1
    stem = f"{RECORDS}/{number:04d}"
    with store.create(f"{stem}.parquet") as sink:
        pq.write_table(found.documents, sink)
    in_shards = pc.sum(pc.not_equal(found.documents.column("shard"), "")).as_py() or 0
    record = {
        "state": "begun", "documents": found.documents.num_rows, "in_shards": in_shards, "sources": list(sources),
        "files": found.files, "manifest": store.read_json(manifests.NAME),
    }  # fmt: skip
    store.write_json(f"{stem}.json", record)
    return _carry_out(store, stem)


def resume(store: Store) -> dict[str, Any] | None:
    """Finish a withdrawal that was cut off, if there is one. The caller holds the folder's lock."""
    for path in store.list(RECORDS):
        if path.endswith(".json") and store.read_json(path)["state"] == "begun":
            store.sweep_temporary()
            return _carry_out(store, path.removesuffix(".json"))
    return None


def _carry_out(store: Store, stem: str) -> dict[str, Any]:
    from mdfs import report

    record = store.read_json(f"{stem}.json")
    with store.open(f"{stem}.parquet") as handle:
        documents = pq.read_table(handle, use_threads=False)
    store.delete(manifests.NAME)  # it speaks of files that are about to change
    ids = documents.column("doc_id").combine_chunks()
    _each_row(store, "tokenize", record["files"], lambda row: _shards(store, row, documents, record["files"]))
    _each_row(store, "classify", record["files"], lambda row: _classified(store, row, ids))
    for stage in ("rules", "collect"):
        _each_row(store, stage, record["files"], lambda row: _blanked(store, row, ids))
    before = record.pop("manifest")
    after = manifests.rebuilt(store, before)
    report.write(store)
    store.write_json(manifests.NAME, after)
    record |= {"state": "done", "when": after["created"], "content_digest": after["content_digest"]}
    record["content_digest_before"] = before["content_digest"]
    store.write_json(f"{stem}.json", record)
    return dict(record)


def _each_row(store: Store, stage: str, files: dict[str, list[str]], change: Callable[[Row], None]) -> None:
    """Change the ledger's rows whose files are named; a row is committed when its files are in place."""
    ledger, named = Ledger(store), set(files[stage])
    for row in ledger.rows(stage).values():
        if any(file.path in named for file in row.files):
            change(row)
            ledger.commit(row)
    ledger.settle(stage)


def _shards(store: Store, row: Row, documents: pa.Table, files: dict[str, list[str]]) -> None:
    ids, named, left = documents.column("doc_id").combine_chunks(), set(files["tokenize"]), []
    for file in row.files:
        if file.path not in named or _is_done(store, file, ids):
            left.append(file)
            continue
        if not store.exists(file.path):  # all its documents went, and the command was cut off then
            continue
        here = documents.filter(pc.equal(documents.column("shard"), file.path))
        new = shards.without(store, file, ids, int(pc.sum(here.column("text_bytes")).as_py() or 0))
        left += [new] if new is not None else []
    row.files = left
    row.docs_in = row.docs_out = sum(file.rows for file in left)


def _is_done(store: Store, file: File, ids: pa.Array) -> bool:
    """Whether the ledger speaks of this very file, and none of the documents is in it."""
    if not store.exists(file.path) or hashlib.sha256(store.read_bytes(file.path)).hexdigest() != file.sha256:
        return False
    return not any(pc.any(pc.is_in(batch.column(0), ids)).as_py() for batch in read_part(store, file.path, ["doc_id"]))


def _classified(store: Store, row: Row, ids: pa.Array) -> None:
    """Kept documents become dropped ones, blank; those that were dropped before become blank.

    The dropped file is written first: a kill between the two leaves a document in both, and it is taken once.
    """
    kept, dropped = (next((file for file in row.files if file.kind == kind), None) for kind in ("kept", "dropped"))
    kept_path = kept.path if kept else ""
    path = dropped.path if dropped else kept_path.replace("/kept/", "/dropped/", 1)
    source = (kept or row.files[0]).source
    moved: list[int] = []
    files = _written(store, path, "dropped", source, _dropped(store, path, kept_path, ids, moved))
    if kept:
        files = _written(store, kept_path, "kept", source, _staying(store, kept_path, ids)) + files
    row.files = files
    row.docs_out, row.docs_dropped = (
        sum(file.rows for file in files if file.kind == kind) for kind in ("kept", "dropped")
    )
    if sum(moved):
        row.dropped = dict(sorted({**row.dropped, REASON: sum(moved)}.items()))


def _dropped(store: Store, path: str, kept: str, ids: pa.Array, moved: list[int]) -> Iterator[pa.RecordBatch]:
    """What was dropped, and the withdrawn of what was kept; `moved` gets how many rows have `REASON`."""
    there = [pa.array([], pa.string())]
    for batch in _batches(store, path):
        there.append(batch.column("doc_id").filter(pc.is_in(batch.column("doc_id"), ids)))
        moved.append(pc.sum(pc.equal(batch.column("drop_reasons").flatten(), REASON)).as_py() or 0)
        yield _blank(batch, ids)
    seen = pa.concat_arrays(there)
    for batch in _batches(store, kept):
        names = batch.column("doc_id")
        mine = batch.filter(pc.and_not(pc.is_in(names, ids), pc.is_in(names, seen)))
        moved.append(mine.num_rows)
        place = mine.schema.get_field_index("drop_reasons")
        reasons = pa.array([[REASON]] * mine.num_rows, mine.schema.field(place).type)
        yield _blank(mine.set_column(place, mine.schema.field(place), reasons), ids)


def _staying(store: Store, path: str, ids: pa.Array) -> Iterator[pa.RecordBatch]:
    for batch in _batches(store, path):
        yield batch.filter(pc.invert(pc.is_in(batch.column("doc_id"), ids)))


def _blanked(store: Store, row: Row, ids: pa.Array) -> None:
    """Blank the documents in every part file of a row; no row of them goes."""
    files = []
    for file in row.files:
        batches = read_part(store, file.path, ["doc_id"]) if file.kind in ("kept", "dropped") else iter(())
        if any(pc.any(pc.is_in(batch.column(0), ids)).as_py() for batch in batches):
            blank = (_blank(batch, ids) for batch in _batches(store, file.path))
            files += _written(store, file.path, file.kind, file.source, blank)
        else:
            files.append(file)
    row.files = files


def _blank(batch: pa.RecordBatch, ids: pa.Array) -> pa.RecordBatch:
    """The rows, without what came from the pages of the documents."""
    gone = pc.is_in(batch.column("doc_id"), ids).to_numpy(zero_copy_only=False)
    rows = pa.array(np.where(gone, batch.num_rows, np.arange(batch.num_rows)))
    columns = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if field.name in _BLANK:
            column = pa.concat_arrays([column, pa.array([_BLANK[field.name]], column.type)]).take(rows)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _batches(store: Store, path: str) -> Iterator[pa.RecordBatch]:
    """A part file's rows; none where there is no such file."""
    return read_part(store, path) if path and store.exists(path) else iter(())


def _written(store: Store, path: str, kind: str, source: str, batches: Iterator[pa.RecordBatch]) -> list[File]:
    """A part file in the place of the one there; where no row is left, there is none."""
    first = next(batches, None)
    if first is None:
        return []
    with PartWriter(store, path, first.schema, kind=kind, source=source) as part:
        part.write(first)
        for batch in batches:
            part.write(batch)
    if not part.files:
        store.delete(path)
    return part.files


def command(
    store: Store, sources: Sequence[str], ids: Sequence[str], *, copies: bool = False, dry_run: bool = False
) -> dict[str, Any]:
    """Withdraw documents; first finish a withdrawal that was cut off.

    Returns:
        Plain data: `documents`, `in_shards`, `files` by stage, `unknown` ids, `copies` that stay, `dry_run`, and where
        it was done the record's `content_digest` and `content_digest_before`.

    Raises:
        UsageError: nothing is asked for, the run is not finished, or it saw none of the documents.
    """
    if not sources and not ids:
        raise UsageError("nothing to withdraw: give --source, --doc or --file")
    with contextlib.nullcontext() if dry_run else store.locked():
        if not dry_run:
            resume(store)
        found = plan(store, sources, ids, copies=copies)
        in_shards = sum(shard != "" for shard in found.documents.column("shard").to_pylist())
        said: dict[str, Any] = {
            "output": store.uri, "documents": found.documents.num_rows, "in_shards": in_shards, "files": found.files,
            "unknown": list(found.unknown), "copies": found.copies, "dry_run": dry_run,
        }  # fmt: skip
        if not dry_run:
            done = withdraw(store, found, sources)
            said |= {name: done[name] for name in ("content_digest", "content_digest_before")}
        return said
