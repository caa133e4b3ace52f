"""Adding a run to an index: every document that its dedup saw, kept or not, file by file, and then the head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mdfs.dedup import index, index_decide, index_ids, index_join, index_meet, keys, minhash
from mdfs.errors import UsageError
from mdfs.ledger import File, Row
from mdfs.parts import PartWriter, read_part
from mdfs.pool import heartbeat
from mdfs.recipe import Dedup
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store


def add(run: Run, uri: str) -> tuple[index.Head, bool]:
    """Make the documents of a run part of an index, which is made where there is none.

    Args:
        run: in whose folder dedup is done. Nothing is written there.
        uri: of the index.

    Returns:
        The newest version, and whether it is a new one: a run that is in the index already changes nothing.

    Raises:
        UsageError: other settings, the run was not compared with what the index holds, or another writer is at work.
    """
    store, ours = Store(uri), run.files(keys.STAGE, "keys")
    if not ours:
        raise UsageError(f"{run.store.uri}: dedup has left no keys of documents; run `mdfs dedup` there first")
    with index.locked(store):
        head = index.read(store) if index.exists(store) else index.new(index.parameters_of(run.recipe.dedup))
        index.check_parameters(store, head, run.recipe)
        name = index_join.run_id(ours, run.recipe.dedup)
        if any(entry["id"] == name for entry in head.runs):
            return head, False
        against = _against(run, store, head)
        index.sweep(store)
        said = {"id": name, "uri": run.store.uri, "name": run.recipe.name, "generation": head.generation + 1}
        rows = _write(run, store, head, ours)
        files = tuple(index.IndexFile(f.path, f.rows, f.bytes, f.sha256) for row in rows for f in row.files)
        said |= {
            "docs": sum(row.docs_in for row in rows),
            "kept": sum(row.docs_out for row in rows),
            "against": against,
        }
        after = replace(head, runs=(*head.runs, said), files=(*head.files, *files), merges=_merges(run, store, head))
        return index.commit(store, head, after, "add", run=name, uri=run.store.uri, docs=said["docs"]), True


def _against(run: Run, store: Store, head: index.Head) -> dict[str, Any]:
    """What the run was compared with; it must be what the index holds, or new documents would be in it twice."""
    record = run.store.read_json(index_join.RECORD) if run.store.exists(index_join.RECORD) else None
    if not head.runs and record is None:
        return {"version": 0, "digest": ""}
    again = f"run `mdfs dedup --index {store.uri} --output {run.store.uri}` and the stages behind it, then add it"
    if record is None or record["id"] != head.id:
        other = f"with {record['uri']}" if record else "with no index"
        raise UsageError(f"{run.store.uri}: its documents were compared {other}, not with {store.uri}; {again}")
    since = [entry["uri"] for entry in head.runs if entry["id"] not in record["runs"]]
    if since:
        raise UsageError(
            f"{run.store.uri}: was compared with version {record['version']} of {store.uri}, "
            f"and {since[0]} was added since; {again}"
        )
    return {"version": record["version"], "digest": record["digest"]}


def _write(run: Run, store: Store, head: index.Head, key_files: list[File]) -> list[Row]:
    """The files of documents, in the order of the parts."""
    job = Job("dedup-index-add", run.store, run.recipe)
    units = _units(run, store, head, key_files)
    with run.progress.stage("index add", sum(unit.cost for unit in units), len(units), 0) as bar:
        rows = []
        for row in run.engine.map(work, job, units, isolated=False, gpu=False, bar=bar):
            rows.append(row)
            bar.unit_done(row)
    return sorted(rows, key=lambda row: row.unit)


def _units(run: Run, store: Store, head: index.Head, key_files: list[File]) -> list[Unit]:
    parts = {keys.part_name(file.path): file.path for file in run.files("rules", "kept")}
    copies = {keys.part_name(file.path): file.path for file in run.files("dedup", "duplicates")}
    groups: list[list[dict[str, Any]]] = []
    room = 0
    for file in key_files:
        if file.rows > room or not groups:
            groups.append([])
            room = index.FILE_ROWS
        name = keys.part_name(file.path)
        sketched = index_meet.sketches_path(name)
        groups[-1].append({
            "keys": file.path, "part": parts[name], "copies": copies.get(name, ""),
            "sketches": sketched if run.store.exists(sketched) else "", "bytes": file.bytes,
        })  # fmt: skip
        room -= file.rows
    stem = index.fresh("documents", head.version + 1)
    said = {"index": store.uri, "generation": head.generation + 1, "run": len(head.runs)}
    return [
        Unit(f"{number:05d}", said | {"parts": group, "path": f"{stem}-{number:05d}.parquet"},
             sum(part["bytes"] for part in group))
        for number, group in enumerate(groups)
    ]  # fmt: skip


def work(job: Job, unit: Unit) -> Row:
    """Write one file of documents. The row counts them as in, and those that dedup kept as out."""
    dedup, row = job.recipe.dedup, Row(job.stage, unit.id)
    schema, store = index.schema(dedup), Store(unit.data["index"])
    with PartWriter(store, unit.data["path"], schema, kind="index", numbers=True) as file:
        for part in unit.data["parts"]:
            for batch in _documents(job.store, part, dedup, unit.data):
                file.write(batch)
                row.docs_in += batch.num_rows
                row.docs_out += int(batch.column("kept").true_count)
                heartbeat.did(docs=batch.num_rows, bytes=0)
    row.docs_dropped = row.docs_in - row.docs_out
    row.files = file.files
    return row


def _documents(store: Store, part: dict[str, Any], dedup: Dedup, said: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """The documents of one part, as `index.schema` has them."""
    copies = _copies(store, part["copies"])
    sources, signatures = _sources(store, part["part"]), _signatures(store, part, dedup)
    first = 0
    for batch in read_part(store, part["keys"]):
        size = batch.num_rows
        names = batch.column("doc_id").to_pylist()
        keepers = [copies.get(name, name) for name in names]
        ids = index_ids.from_hex(names)
        columns: dict[str, pa.Array] = {name: batch.column(name) for name in batch.schema.names}
        columns |= {
            "doc_id": index_ids.to_arrow(ids), "keeper": index_ids.to_arrow(index_ids.from_hex(keepers)),
            "kept": pa.array([name not in copies for name in names], pa.bool_()),
            "source": sources.slice(first, size), "part": pa.array([part["part"]] * size, pa.string()),
            "row": pa.array(np.arange(first, first + size)),
            "generation": pa.array(np.full(size, said["generation"], np.int32)),
            "run": pa.array(np.full(size, said["run"], np.int32)),
        }  # fmt: skip
        if signatures is not None:
            columns["signature"] = signatures.slice(first, size)
        schema = index.schema(dedup)
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        first += size


def _copies(store: Store, path: str) -> dict[str, str]:
    batches = read_part(store, path, ["doc_id", "duplicate_of"]) if path else iter(())
    found: dict[str, str] = {}
    for batch in batches:
        found |= dict(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return found


def _sources(store: Store, path: str) -> pa.Array:
    column = pa.chunked_array([batch.column(0) for batch in read_part(store, path, ["source"])], pa.string())
    return column.combine_chunks()


def _signatures(store: Store, part: dict[str, Any], dedup: Dedup) -> pa.Array | None:
    """Those that the comparison with an index left, or made from the texts."""
    said = dedup.minhash
    if said is None:
        return None
    if part["sketches"]:
        with store.open(part["sketches"]) as handle:
            return pq.read_table(handle, use_threads=False).column("signature").combine_chunks()
    pieces = []
    for batch in read_part(store, part["part"], ["text"]):
        found = minhash.signatures(batch.column("text"), ngram=said.ngram, num_perm=said.num_perm, seed=said.seed)
        pieces.append(index_meet.kept_values(found, dedup))
    return pa.concat_arrays(pieces)


def _merges(run: Run, store: Store, head: index.Head) -> tuple[index.Merges, ...]:
    """The index's files of merges and this run's, if it brought clusters together."""
    if not run.store.exists(index_decide.MERGED) or not run.store.exists(index_join.RECORD):
        return head.merges
    table = pq.read_table(pa.BufferReader(run.store.read_bytes(index_decide.MERGED)))
    if not table.num_rows:
        return head.merges
    path = index.fresh("merges", head.version + 1) + ".parquet"
    with store.create(path) as sink:
        pq.write_table(table, sink)
    return (*head.merges, index.Merges(path, sink.written().sha256, table.num_rows))
