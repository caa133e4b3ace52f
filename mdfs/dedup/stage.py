"""The stage: removes all but the best of documents that have the same address, the same or nearly the same text.

    rules/kept ─map─ keys ─ links, candidates ─map─ verified ─ components, removed ─map─ verified again ─map─ duplicates

Texts are read by the maps only, each time from the part files; what is between them is numbers, keys and ids. On one
machine workers sort these in files (`localpairs`, `localkeepers`); with `--engine spark` a session does
(`pairs`, `keepers`). Either way memory is bounded and the rows are the same. What these steps write lies under
dedup/work until the stage is done. A rerun goes on behind the last step that was finished.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mdfs import __version__
from mdfs.dedup import (
    boilerplate,
    components,
    containment,
    decontaminate,
    index_join,
    keepers,
    keys,
    localkeepers,
    localpairs,
    pairs,
    passages,
    sortedfiles,
    verify,
)
from mdfs.errors import RunError, UsageError
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
_FILLED = "dedup/work/filled"
#: Steps whose ledger rows speak of files under dedup/work.
STEPS = (
    localpairs.LINKS, localpairs.BANDS, verify.SEND, verify.SEND + "-again", verify.STAGE + "-again",
    *containment.STEPS,
)  # fmt: skip

#: Edges up to which components are found on the driver where there is a session: 350 MB there, and none of its rounds.
DRIVER_EDGES = 5_000_000
#: Bytes for each edge there, while nodes are counted.
EDGE_BYTES = 70


def run(run: Run) -> None:
    """Do the stage over the documents that rules kept.

    Raises:
        RunError: two documents have one doc_id, or clusters do not settle.
        UsageError: an index, and a recipe that asks for what an index does not know.
    """
    if run.index and run.recipe.dedup.containment is not None:
        raise UsageError(
            f"recipe {run.recipe.name}: an index does not know which texts stand inside others; "
            "leave out --index or the table [dedup.containment]"
        )
    parts = run.files("rules", "kept")
    wanted = _compares(run.recipe.dedup) and bool(parts)
    keyed = run.map(keys.STAGE, keys.work, keys.units(parts) if wanted else [], (keys.FOLDER,))
    digest, view = _digest(run, keyed), index_join.view(run)
    name, folder = (index_join.ALONE, index_join.ALONE_FOLDER) if view else ("dedup", _DUPLICATES)
    finals = final_units(parts, digest if wanted else "")
    done = wanted and _is_done(run, digest, finals, name)
    if not done:
        run.ledger.forget(_DONE, ["all"])
    if not wanted:
        run.map(verify.STAGE, verify.work, [], (verify.FOLDER,))
        for counted in (pairs.HOT, keepers.CLUSTERS):
            run.ledger.forget(counted, ["all"])
    elif not done:
        compare(run, digest, parts)
    run.map(name, work, finals, (folder,))
    if wanted and not done:
        run.ledger.commit(Row(_DONE, "all", digest + name))
    index_join.finish(run, view, parts)
    boilerplate.run(run, parts)
    passages.run(run, parts)
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
    return dedup.url or dedup.exact or dedup.minhash is not None or dedup.containment is not None


def _digest(run: Run, keyed: list[Row]) -> str:
    """Changes with the recipe's words to dedup and with any document's keys."""
    files = [(file.path, file.sha256) for row in keyed for file in row.files]
    return fingerprint(__version__, run.recipe.stage_digest("dedup"), files)


def final_units(parts: list[File], digest: str) -> list[Unit]:
    """The last map's units: one a part; `digest` is empty where nothing was compared."""
    together, found = verify.parts_together(parts), []
    for number, part in enumerate(parts):
        data = {"path": part.path, "sha256": part.sha256, "rows": part.rows, "number": number, "compared": digest}
        found.append(Unit(keys.part_name(part.path), data | {"group": number // together}))
    return found


def _is_done(run: Run, digest: str, finals: list[Unit], name: str) -> bool:
    """Whether the whole stage was finished for just these keys; else what its last step reads is no longer there."""
    marker = run.ledger.rows(_DONE).get("all")
    rows = run.ledger.rows(name)
    return marker is not None and marker.fingerprint == digest + name and all(unit.id in rows for unit in finals)


def compare(run: Run, digest: str, parts: list[File]) -> None:
    """Everything between keys and the last map; leaves `keepers.REMOVED` and what it lacks in `_FILLED`."""
    store = run.store
    if not store.exists(_marker("begun")) or store.read_json(_marker("begun")) != digest:
        store.delete_folder(_WORK)
        for name in STEPS:
            run.ledger.forget(name, list(run.ledger.rows(name)))
        store.write_json(_marker("begun"), digest)
    store.write_json(verify.PARTS, [part.path for part in parts])
    files, together = run.files(keys.STAGE, "keys"), verify.parts_together(parts)
    _once(store, "pairs", digest, lambda: _pairs(run, files, together, digest))
    step = verify.Step(pairs.CANDIDATES, pairs.WANTED, verify.FOLDER)
    verified = verify.run_step(run, step, together, digest)
    _once(store, "removed", digest, lambda: _remove(run, verified, [file.path for file in files], together))
    again = verify.Step(keepers.LACKING, keepers.LACKING_WANTED, _FILLED, "-again")
    verify.run_step(run, again, together, digest)
    if run.recipe.dedup.containment is not None:
        containment.run(run, parts, together, digest)


def _pairs(run: Run, files: list[File], together: int, digest: str) -> None:
    if run.engine.workers:
        localpairs.write(run, files, together, digest)
    else:
        for folder in (pairs.CANDIDATES, pairs.WANTED):
            run.store.delete_folder(folder)
        pairs.write(run, keys.FOLDER, sum(file.rows for file in files), together)


def _marker(name: str) -> str:
    return f"{_WORK}/{name}.json"


def _once(store: Store, name: str, digest: str, make: Callable[[], None]) -> None:
    """Do a step unless it is marked as done; a step that was cut off is done again from its start."""
    if not store.exists(_marker(name)):
        make()
        store.write_json(_marker(name), digest)


def _remove(run: Run, verified: int, key_files: list[str], together: int) -> None:
    """Components and keepers; `verified` is the number of verified pairs."""
    for folder in (components.FOLDER, keepers.REMOVED, keepers.LACKING, keepers.LACKING_WANTED):
        run.store.delete_folder(folder)
    keepers.commit_clusters(run, Counter())
    links = sortedfiles.paths(run.store, pairs.LINKS)
    count = verified + sum(_rows(run.store, path) for path in links)
    if not count:
        return
    if count <= _driver_edges(run):
        components.write_by_union_find(run.store, lambda: _edges(run, links))
        if not sortedfiles.paths(run.store, components.FOLDER):
            return
    else:
        components.write_by_contraction(run, _edge_frame(run, bool(links), bool(verified)))
    if run.engine.workers:
        localkeepers.write(run, key_files, verify.FOLDER, together)
    else:
        keepers.write(run, keys.FOLDER, verify.FOLDER if verified else None, together)


def _driver_edges(run: Run) -> int:
    """Edges up to which components are found on the driver."""
    if not run.engine.workers:
        return DRIVER_EDGES
    return run.memory // EDGE_BYTES if run.memory else 1 << 62


def _rows(store: Store, path: str) -> int:
    with store.open(path) as handle, pq.ParquetFile(handle) as file:
        return int(file.metadata.num_rows)


def _threshold(run: Run) -> float:
    return run.recipe.dedup.minhash.threshold if run.recipe.dedup.minhash is not None else 1.0


def _edges(run: Run, links: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All links and all verified pairs that are similar enough, file by file."""
    for path in (*links, *sortedfiles.paths(run.store, verify.FOLDER)):
        table = verify.read_tables(run.store, [path])
        if "similarity" in table.column_names:
            table = table.filter(table.column("similarity").to_numpy() >= _threshold(run))
        yield table.column("a").to_numpy(), table.column("b").to_numpy()


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
    row = Row(job.stage, unit.id, docs_in=rows, docs_out=rows)
    removed = _removed(job.store, unit.data["number"]) if unit.data["compared"] else None
    if removed is not None and removed.num_rows:
        found = _duplicates(job.store, removed.sort_by("node"), unit)
        folder = index_join.ALONE_FOLDER if job.stage == index_join.ALONE else _DUPLICATES
        with PartWriter(job.store, f"{folder}/{unit.id}.parquet", DUPLICATE, kind="duplicates") as part:
            part.write(found)
        row.files = part.files
        row.docs_dropped, row.docs_out = found.num_rows, rows - found.num_rows
        row.dropped = dict(sorted(Counter(found.column("kind").to_pylist()).items()))
    heartbeat.did(docs=rows, bytes=0)
    return row


def _removed(store: Store, number: int) -> pa.Table | None:
    """The rows of `keepers.REMOVED` that lie in one part."""
    if not store.exists(_marker("removed")):
        raise RunError("dedup: the list of removed documents is gone; start the same command again")
    names = ["node", "doc_id", "keeper", "duplicate_of", "kind", "similarity"]
    tables = []
    for path in (*sortedfiles.paths(store, keepers.REMOVED), *sortedfiles.paths(store, containment.REMOVED)):
        if "/part=" not in path or f"/part={number}/" in path:
            with sortedfiles.SortedFile(store, path, names) as file:
                tables.append(file.table(number << keys.ROW_BITS, (number + 1) << keys.ROW_BITS))
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def _duplicates(store: Store, removed: pa.Table, unit: Unit) -> pa.RecordBatch:
    """Rows of schema.DUPLICATE, in the order of the part's documents."""
    kinds = np.array(removed.column("kind").to_pylist(), object)
    measured = (kinds == "minhash") | (kinds == "containment")
    found = np.where(measured, removed.column("similarity").to_numpy(), 1.0)
    lacking = np.flatnonzero(np.isnan(found))
    if lacking.size:
        filled = _filled(store, unit.data["number"], unit.data["group"])
        ends = [removed.column(name).to_numpy()[lacking].tolist() for name in ("node", "keeper")]
        found[lacking] = [filled[min(pair), max(pair)] for pair in zip(*ends, strict=True)]
    columns = [removed.column(name).combine_chunks() for name in ("doc_id", "duplicate_of", "kind")]
    columns = [column.cast(pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays([*columns, pa.array(found, pa.float32())], schema=DUPLICATE)


def _filled(store: Store, number: int, group: int) -> dict[tuple[int, int], float]:
    """Similarities that were computed after the keepers were known, of pairs of which one lies in a part."""
    table = verify.read_tables(store, [verify.path(_FILLED, group)])
    a, b, similarity = (table.column(name).to_numpy() for name in ("a", "b", "similarity"))
    mine = (a >> keys.ROW_BITS == number) | (b >> keys.ROW_BITS == number)
    pairs_here = zip(a[mine].tolist(), b[mine].tolist(), strict=True)
    return dict(zip(pairs_here, similarity[mine].tolist(), strict=True))
