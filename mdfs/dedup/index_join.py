"""Dedup against an index, behind dedup among the new documents themselves:

    keys ─ filter ─map over the index─ old rows ─ pairs by key ─map over parts─ ties ─ plan ─map─ duplicates

The new run is deduplicated alone first (`dedup/alone`); then clusters of the new and the old that hang together are
found, and the duplicates are written anew where another document stays. The result is that of one run over all
documents, as docs/deduplication.md says. Everything but the plan is done file by file; the driver holds a few dozen
bytes for each new cluster that meets the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mdfs import __version__
from mdfs.dedup import index, index_decide, index_ids, index_meet, index_scan, keys
from mdfs.dedup.index_decide import MERGED, PLAN
from mdfs.dedup.keys import ROW_BITS
from mdfs.errors import UsageError
from mdfs.ledger import File, Row, fingerprint
from mdfs.options import Dedup
from mdfs.parts import PartWriter, read_part
from mdfs.pool import heartbeat
from mdfs.schema import DUPLICATE
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

#: The stage's name for copies among the new documents alone, and where they lie.
ALONE, ALONE_FOLDER = "dedup-alone", "dedup/alone"
#: What the run was compared with: index, version, digest, and the runs that were in it.
RECORD = "dedup/index.json"
#: Documents of earlier runs that lose their place to another: `SUPERSEDED_ROW`.
SUPERSEDED = "dedup/superseded/part-00000.parquet"
SUPERSEDED_ROW = pa.schema([*DUPLICATE, pa.field("run", pa.string(), nullable=False)])

_DONE = "dedup-indexed"
_KEYS = ("url_1", "url_2", "exact_1", "exact_2")
#: Steps over files, with the folders that they write.
_STEPS = {
    "dedup-sketches": index_meet.SKETCHES, "dedup-scan": "dedup/index/keys", "dedup-meet": "dedup/index/pairs",
    "dedup-ties": "dedup/index/ties", "dedup-keepers": "dedup/index/ids",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """The version of an index that a run is compared with, and the folders of earlier runs by their place in it."""

    store: Store
    head: index.Head
    texts: dict[str, str]


def view(run: Run) -> View | None:
    """What the run is to be compared with; None without `--index`, and where it is to become the index's first.

    A run that is in the index already is compared with the version that it was compared with before: started again,
    its documents are no copies of themselves.

    Raises:
        UsageError: there is no index, it was made with other settings, or a given folder is of none of its runs.
    """
    head = check(run)
    if head is None:
        return None
    store = Store(run.index)
    ours = run_id(run.files(keys.STAGE, "keys"), run.recipe.dedup)
    before = next((entry["against"] for entry in head.runs if entry["id"] == ours), None)
    if before is not None:
        if not before["version"]:
            return None
        head = index.read(store, before["version"])
    return View(store, head, _texts(run, head))


def check(run: Run) -> index.Head | None:
    """The index's newest version; None where the run is to be compared with none. Called before any work is done.

    Raises:
        UsageError: there is no index, it was made with other settings, or `--old-run` has none to belong to.
    """
    if not run.index:
        if run.old_runs:
            raise UsageError("--old-run goes with --index: name the index that holds this run")
        return None
    store = Store(run.index)
    if run.index_new and not index.exists(store):
        return None
    head = index.read(store)
    index.check_parameters(store, head, run.recipe)
    return head


def _texts(run: Run, head: index.Head) -> dict[str, str]:
    places = {entry["id"]: str(place) for place, entry in enumerate(head.runs)}
    found = {}
    for uri in run.old_runs:
        old = Run(Store(uri), run.recipe, run.engine, run.progress)
        name = run_id(old.files(keys.STAGE, "keys"), run.recipe.dedup)
        if name not in places:
            raise UsageError(f"--old-run {uri}: index {run.index} holds no such run; `mdfs index show` names its runs")
        found[places[name]] = uri
    return found


def run_id(key_files: Sequence[File], dedup: Dedup) -> str:
    """32 hex digits: the same for the same documents and settings, wherever the run's folder lies."""
    return fingerprint(index.parameters_of(dedup), [(file.path, file.sha256) for file in key_files])


def finish(run: Run, found: View | None, parts: list[File]) -> None:
    """Write dedup/duplicates from dedup/alone and the index; without an index, remove what one has left."""
    if found is None:
        if run.store.exists("dedup/index") or run.store.exists(RECORD):
            for step, folder in {**_STEPS, ALONE: ALONE_FOLDER}.items():
                run.map(step, apply, [], (folder,))
            run.store.delete_folder("dedup/index")
            for path in (RECORD, SUPERSEDED, MERGED):
                run.store.delete(path)
        return
    key_files, alone = run.files(keys.STAGE, "keys"), run.files(ALONE, "duplicates")
    digest = _digest(run, found, key_files, alone)
    finals = _finals(run, parts, key_files, alone, digest)
    rows = run.ledger.rows("dedup")
    done = run.ledger.rows(_DONE).get("all")
    if done is None or done.fingerprint != digest or any(unit.id not in rows for unit in finals):
        run.ledger.forget(_DONE, ["all"])
        _compare(run, found, parts, key_files, alone)
    run.map("dedup", apply, finals, ("dedup/duplicates",))
    said = {"uri": found.store.uri, "id": found.head.id, "version": found.head.version, "digest": found.head.digest}
    run.store.write_json(RECORD, said | {"runs": [entry["id"] for entry in found.head.runs]})
    run.ledger.commit(Row(_DONE, "all", digest))


def _digest(run: Run, found: View, key_files: list[File], alone: list[File]) -> str:
    files = [(file.path, file.sha256) for file in (*key_files, *alone)]
    return fingerprint(__version__, run.recipe.stage_digest("dedup"), found.head.digest, sorted(found.texts), files)


def _compare(run: Run, found: View, parts: list[File], key_files: list[File], alone: list[File]) -> None:
    """Everything between keys and the last map; leaves `PLAN` and `SUPERSEDED`."""
    dedup, uri = run.recipe.dedup, found.store.uri
    sketched = keys.units(parts) if dedup.minhash is not None else []
    run.map("dedup-sketches", index_meet.sketch, sketched, (index_meet.SKETCHES,))
    new = fingerprint([(file.path, file.sha256) for file in key_files])
    index_scan.prepare(run, found.store, found.head, [file.path for file in key_files])
    run.map("dedup-scan", index_scan.work, index_scan.units(uri, found.head, new, "keys"), ("dedup/index/keys",))
    scanned = run.files("dedup-scan", "keys")
    run.map("dedup-meet", index_meet.work, index_meet.units(dedup, key_files, scanned), ("dedup/index/pairs",))
    by_part = {keys.part_name(file.path): file for file in alone}
    threshold = dedup.minhash.threshold if dedup.minhash is not None else 1.0
    met = run.files("dedup-meet", "pairs")
    units = index_meet.compare_units(threshold, key_files, by_part, met, scanned, found.texts, parts)
    run.map("dedup-ties", index_meet.compare, units, ("dedup/index/ties", "dedup/index/similar"))
    _decide(run, found, key_files, [file.path for file in scanned])


def _decide(run: Run, found: View, key_files: list[File], scanned: list[str]) -> None:
    ties = index_decide.ties(run, run.files("dedup-ties", "ties"), scanned)
    lost = index_decide.wanted_keepers(run, ties, scanned)
    units = []
    if len(lost):
        index_scan.prepare_ids(run, lost)
        units = index_scan.units(found.store.uri, found.head, fingerprint(index_ids.to_hex(lost)), "ids")
    run.map("dedup-keepers", index_scan.work, units, ("dedup/index/ids",))
    for path in (PLAN, SUPERSEDED, MERGED):
        run.store.delete(path)
    if not len(ties.cluster):
        return
    scans = [("keys", path) for path in scanned] + [("ids", file.path) for file in run.files("dedup-keepers", "ids")]
    _write_superseded(run, found.head, index_decide.decide(run, ties, key_files, scans))


def _write_superseded(run: Run, head: index.Head, lost: pa.Table) -> None:
    if not lost.num_rows:
        return
    theirs = pa.table({name.removeprefix("kept_"): lost.column(name) for name in lost.column_names if "kept_" in name})
    kind, similarity = _likeness(lost, theirs, np.full(lost.num_rows, np.nan), run.recipe.dedup)
    uris = [str(head.runs[place]["uri"]) for place in lost.column("run").to_pylist()]
    ids = (index_ids.to_hex(index_ids.from_arrow(table.column("doc_id"))) for table in (lost, theirs))
    columns = [pa.array(next(ids)), pa.array(next(ids)), pa.array(kind, pa.string())]
    columns += [pa.array(similarity, pa.float32()), pa.array(uris, pa.string())]
    with PartWriter(run.store, SUPERSEDED, SUPERSEDED_ROW, kind="superseded") as part:
        batch = pa.RecordBatch.from_arrays(columns, schema=SUPERSEDED_ROW)
        part.write(batch.take(pa.array(np.argsort(np.array(columns[0].to_pylist(), object)))))


def _likeness(
    mine: pa.Table, theirs: pa.Table, known: np.ndarray[Any, Any], dedup: Dedup
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Kind and similarity of rows with `_KEYS` and signature; `known` (NaN where not) was measured before."""
    kind = index_decide.kinds(mine, theirs)
    found = np.where(kind == "minhash", known, 1.0)
    lacking = np.flatnonzero(np.isnan(found))
    if lacking.size and dedup.minhash is not None:
        found[lacking] = index_meet.agreement(
            mine.column("signature"), lacking, theirs.column("signature"), lacking, dedup
        )
    return kind, found


def _finals(run: Run, parts: list[File], key_files: list[File], alone: list[File], digest: str) -> list[Unit]:
    copies = {keys.part_name(file.path): file.path for file in alone}
    pairs = enumerate(zip(parts, key_files, strict=True))
    return [
        Unit(keys.part_name(part.path), {
            "rows": part.rows, "number": number, "keys": file.path, "alone": copies.get(keys.part_name(part.path), ""),
            "compared": digest,
        })
        for number, (part, file) in pairs
    ]  # fmt: skip


def apply(job: Job, unit: Unit) -> Row:
    """Write the duplicates of one part: its copies among the new, and what the plan says of their clusters."""
    rows = int(unit.data["rows"])
    row = Row(job.stage, unit.id, docs_in=rows, docs_out=rows)
    ids = index_meet.part_ids(job.store, unit.data["keys"])
    said = _alone(job.store, unit, ids) | _planned(job, unit, ids)
    if said:
        at = sorted(said)
        columns = list(zip(*(said[place] for place in at), strict=True))
        names = index_ids.to_hex(ids[at])
        arrays = [pa.array(column, field.type) for column, field in zip((names, *columns), DUPLICATE, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=DUPLICATE)
        with PartWriter(job.store, f"dedup/duplicates/{unit.id}.parquet", DUPLICATE, kind="duplicates") as part:
            part.write(batch)
        row.files, row.docs_dropped, row.docs_out = part.files, batch.num_rows, rows - batch.num_rows
        row.dropped = dict(sorted(Counter(columns[1]).items()))
    heartbeat.did(docs=rows, bytes=0)
    return row


def _alone(store: Store, unit: Unit, ids: index_ids.Ids) -> dict[int, tuple[str, str, float]]:
    """Copies among the new documents, by their row: duplicate_of, kind, similarity."""
    if not unit.data["alone"]:
        return {}
    order = np.argsort(ids)
    found: dict[int, tuple[str, str, float]] = {}
    for batch in read_part(store, unit.data["alone"]):
        at = order[np.searchsorted(ids[order], index_ids.from_hex(batch.column("doc_id").to_pylist()))]
        rest = zip(*(batch.column(name).to_pylist() for name in DUPLICATE.names[1:]), strict=True)
        found |= dict(zip(at.tolist(), rest, strict=True))
    return found


def _planned(job: Job, unit: Unit, ids: index_ids.Ids) -> dict[int, tuple[str, str, float]]:
    """The same of documents in whose clusters another stays."""
    if not job.store.exists(PLAN):
        return {}
    clusters = _cluster_ids(job.store, unit)
    keeper = ids.copy()
    for row, (duplicate_of, _, _) in _alone(job.store, unit, ids).items():
        keeper[row] = index_ids.from_hex([duplicate_of])[0]
    places = index_ids.places(keeper, clusters)
    rows = np.flatnonzero(places >= 0)
    if not rows.size:
        return {}
    each, at = np.unique(places[rows], return_inverse=True)
    signed = ["signature"] if job.recipe.dedup.minhash is not None else []
    plan = index_ids.rows(job.store, PLAN, each, ["winner", "old", *_KEYS, *signed]).take(pa.array(at))
    winners = index_ids.to_hex(index_ids.from_arrow(plan.column("winner")))
    mine = index_ids.rows(job.store, unit.data["keys"], rows, list(_KEYS))
    if signed:
        signatures = index_ids.rows(job.store, index_meet.sketches_path(unit.id), rows, signed)
        mine = mine.append_column("signature", signatures.column(0))
    known = _measured_before(job.store, unit, rows, plan.column("old").to_numpy())
    kind, similarity = _likeness(mine, plan, known, job.recipe.dedup)
    stays = np.array(winners, object) == np.array(index_ids.to_hex(ids[rows]), object)
    said = zip(rows.tolist(), winners, kind.tolist(), similarity.tolist(), stays.tolist(), strict=True)
    return {row: (winner, why, alike) for row, winner, why, alike, same in said if not same}


def _cluster_ids(store: Store, unit: Unit) -> index_ids.Ids:
    with store.open(PLAN) as handle:
        return index_ids.from_arrow(pq.read_table(handle, columns=["cluster"], use_threads=False).column(0))


def _measured_before(
    store: Store, unit: Unit, rows: np.ndarray[Any, Any], olds: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """What `index_meet.compare` measured for pairs of some rows and old documents; NaN where it did not."""
    found = np.full(rows.size, np.nan)
    path = f"dedup/index/similar/{unit.id}.parquet"
    if not store.exists(path):
        return found
    with store.open(path) as handle:
        table = pq.read_table(handle, use_threads=False)
    known = dict(zip(zip(*(table.column(name).to_pylist() for name in ("new", "old")), strict=True),
                     table.column("similarity").to_pylist(), strict=True))  # fmt: skip
    new = rows + (unit.data["number"] << ROW_BITS)
    for at, pair in enumerate(zip(new.tolist(), olds.tolist(), strict=True)):
        found[at] = known.get(pair, np.nan)
    return found
