"""The stage: removes all but the best of documents that have the same address, the same or nearly the same text.

    rules/kept ─map─ keys ─session─ links, candidates ─map─ verified ─session─ components, removed ─map─ duplicates

Texts are read by the maps only, each time from the part files; the session sees numbers, keys and ids. What the session
writes lies under dedup/work until the stage is done. A rerun goes on behind the last step that was finished, and where
everything is done, it starts no session.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mdfs import __version__
from mdfs.dedup import components, decontaminate, keepers, keys, pairs, verify
from mdfs.errors import RunError
from mdfs.ledger import File, Row, fingerprint
from mdfs.parts import PartWriter
from mdfs.pool import heartbeat
from mdfs.recipe import Dedup
from mdfs.schema import DUPLICATE
from mdfs.stage import Job, Run, Stage, Unit
from mdfs.storage import Store

_DONE = "dedup-session"
_WORK = "dedup/work"
_DUPLICATES = "dedup/duplicates"

#: Edges up to which components are found on the driver: 350 MB there, and none of the session's rounds.
DRIVER_EDGES = 5_000_000


def run(run: Run) -> None:
    """Do the stage over the documents that rules kept.

    Raises:
        RunError: two documents have one doc_id, or clusters do not settle.
    """
    parts = run.files("rules", "kept")
    wanted = _compares(run.recipe.dedup) and bool(parts)
    keyed = run.map(keys.STAGE, keys.work, keys.units(parts) if wanted else [], (keys.FOLDER,))
    digest = _digest(run, keyed)
    finals = [_final(part, number, digest if wanted else "") for number, part in enumerate(parts)]
    done = wanted and _is_done(run, digest, finals)
    if not done:
        run.ledger.forget(_DONE, ["all"])
    if not wanted:
        run.map(verify.STAGE, verify.work, [], (verify.FOLDER,))
    elif not done:
        _compare(run, digest, [part.path for part in parts])
    run.map("dedup", work, finals, (_DUPLICATES,))
    if wanted and not done:
        run.ledger.commit(Row(_DONE, "all", digest))
    decontaminate.run(run, parts)
    run.store.delete_folder(_WORK)


STAGE = Stage(
    name="dedup",
    needs=("doc_id", "source", "url", "text", "signals"),
    adds=(),
    run=run,
    help="Find copies by address, exact text and near-equal text; keep the best of each.",
)


def _compares(dedup: Dedup) -> bool:
    return dedup.url or dedup.exact or dedup.minhash is not None


def _digest(run: Run, keyed: list[Row]) -> str:
    """Changes with the recipe's words to dedup and with any document's keys."""
    files = [(file.path, file.sha256) for row in keyed for file in row.files]
    return fingerprint(__version__, run.recipe.stage_digest("dedup"), files)


def _final(part: File, number: int, digest: str) -> Unit:
    data = {"path": part.path, "sha256": part.sha256, "rows": part.rows, "number": number, "compared": digest}
    return Unit(keys.part_name(part.path), data)


def _is_done(run: Run, digest: str, finals: list[Unit]) -> bool:
    """Whether the whole stage was finished for just these keys; else what its last step reads is no longer there."""
    marker = run.ledger.rows(_DONE).get("all")
    rows = run.ledger.rows("dedup")
    return marker is not None and marker.fingerprint == digest and all(unit.id in rows for unit in finals)


def _compare(run: Run, digest: str, paths: list[str]) -> None:
    """Everything between keys and the last map; leaves `keepers.REMOVED`."""
    if not run.store.exists(_marker("pairs")) or run.store.read_json(_marker("pairs")) != digest:
        run.store.delete_folder(_WORK)
    run.store.write_json(verify.PARTS, paths)
    _once(run.store, "pairs", digest, lambda: pairs.write(run, keys.FOLDER))
    verified = run.map(verify.STAGE, verify.work, _verify_units(run.store, digest), (verify.FOLDER,))
    rows = sum(row.docs_out for row in verified)
    _once(run.store, "removed", digest, lambda: _remove(run, rows))


def _marker(name: str) -> str:
    return f"{_WORK}/{name}.json"


def _once(store: Store, name: str, digest: str, make: Callable[[], None]) -> None:
    """Do a step of the session unless it is marked as done; a step that was cut off is done again from its start."""
    if not store.exists(_marker(name)):
        make()
        store.write_json(_marker(name), digest)


def _verify_units(store: Store, digest: str) -> list[Unit]:
    """A unit for each part that owns candidate pairs."""
    folders: dict[str, list[str]] = {}
    for path in _parquet(store, pairs.CANDIDATES):
        folders.setdefault(posixpath.basename(posixpath.dirname(path)), []).append(path)
    return [Unit(name.replace("=", "-"), {"pairs": paths, "compared": digest}) for name, paths in folders.items()]


def _parquet(store: Store, folder: str) -> list[str]:
    """The session's data files in a folder; beside them it may leave markers of its own."""
    return [path for path in store.list(folder) if path.endswith(".parquet")]


def _remove(run: Run, verified: int) -> None:
    """Components and keepers; `verified` is the number of verified pairs."""
    for folder in (components.FOLDER, keepers.REMOVED):
        run.store.delete_folder(folder)
    links = _parquet(run.store, pairs.LINKS)
    count = verified + sum(_rows(run.store, path) for path in links)
    if count <= DRIVER_EDGES:
        a, b = _edges(run, links)
        if not a.size:
            return
        components.write_by_union_find(run.store, a, b)
    else:
        components.write_by_contraction(run, _edge_frame(run, bool(links), bool(verified)))
    keepers.write(run, keys.FOLDER, verify.FOLDER if verified else None)


def _rows(store: Store, path: str) -> int:
    with store.open(path) as handle, pq.ParquetFile(handle) as file:
        return int(file.metadata.num_rows)


def _threshold(run: Run) -> float:
    return run.recipe.dedup.minhash.threshold if run.recipe.dedup.minhash is not None else 1.0


def _edges(run: Run, links: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """All links and all verified pairs that are similar enough."""
    tables = [verify.read_tables(run.store, [path]) for path in links]
    for path in _parquet(run.store, verify.FOLDER):
        table = verify.read_tables(run.store, [path])
        tables.append(table.filter(table.column("similarity").to_numpy() >= _threshold(run)))
    ends = (np.concatenate([np.zeros(0, np.int64), *(t.column(name).to_numpy() for t in tables)]) for name in "ab")
    return next(ends), next(ends)


def _edge_frame(run: Run, links: bool, verified: bool) -> object:
    """`_edges` on the session."""
    read, uri = run.engine.session().read.parquet, run.store.spark_uri
    frames = [read(uri(pairs.LINKS)).select("a", "b")] if links else []
    if verified:
        frames.append(read(uri(verify.FOLDER)).where(f"similarity >= {_threshold(run)!r}").select("a", "b"))
    return frames[0] if len(frames) == 1 else frames[0].union(frames[1])


def work(job: Job, unit: Unit) -> Row:
    """Write the duplicates of one part."""
    rows = int(unit.data["rows"])
    row = Row("dedup", unit.id, docs_in=rows, docs_out=rows)
    paths = _removed_paths(job.store, unit.data["number"]) if unit.data["compared"] else []
    if paths:
        found = _duplicates(job, verify.read_tables(job.store, paths).sort_by("node"))
        with PartWriter(job.store, f"{_DUPLICATES}/{unit.id}.parquet", DUPLICATE, kind="duplicates") as part:
            part.write(found)
        row.files = part.files
        row.docs_dropped, row.docs_out = found.num_rows, rows - found.num_rows
        row.dropped = dict(sorted(Counter(found.column("kind").to_pylist()).items()))
    heartbeat.did(docs=rows, bytes=0)
    return row


def _removed_paths(store: Store, number: int) -> list[str]:
    if not store.exists(_marker("removed")):
        raise RunError("dedup: the list of removed documents is gone; start the same command again")
    return _parquet(store, f"{keepers.REMOVED}/part={number}")


def _duplicates(job: Job, removed: pa.Table) -> pa.RecordBatch:
    """Rows of schema.DUPLICATE, in the order of the part's documents, similarities that are lacking computed."""
    kinds = np.array(removed.column("kind").to_pylist(), object)
    found = np.where(kinds == "minhash", removed.column("similarity").to_numpy(), 1.0)
    lacking = np.isnan(found)
    if lacking.any() and job.recipe.dedup.minhash is not None:
        nodes, keeper = (removed.column(name).to_numpy()[lacking] for name in ("node", "keeper"))
        found[lacking] = verify.similarities(
            job.store, verify.parts(job.store), nodes, keeper, job.recipe.dedup.minhash.ngram
        )
    columns = [removed.column(name).combine_chunks() for name in ("doc_id", "duplicate_of", "kind")]
    columns = [column.cast(pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays([*columns, pa.array(found, pa.float32())], schema=DUPLICATE)
