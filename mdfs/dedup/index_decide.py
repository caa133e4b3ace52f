"""Who stays where clusters of new documents hang together with clusters of the index.

A cluster of the new run and one of the index are tied where a document of the one is a copy of a document of the other,
whichever these are. Of all that are tied, directly or by way of others, one document stays: the best of the new
clusters' keepers and of the old ones' that are in the index still. Copies that were removed before only tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import components, index_ids, index_meet, index_scan, keys
from mdfs.dedup.index_ids import Ids
from mdfs.dedup.keys import ROW_BITS, prefer_columns
from mdfs.ledger import File
from mdfs.options import Dedup
from mdfs.stage import Run

#: What becomes of a new cluster that does not keep its keeper: the cluster (its keeper's id), the winner's id, its
#: number among the old (-1 for a new one), its keys and signature. Sorted by cluster.
PLAN = "dedup/work/index-plan.parquet"
#: Clusters of the index that another keeper has now, whether theirs is there still or was removed from the index.
MERGED = "dedup/merged/part-00000.parquet"
#: Row groups of the plan: a part wants a few rows of many.
PLAN_GROUP = 1 << 10

_KEYS = ("url_1", "url_2", "exact_1", "exact_2")

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Ties:
    """Ties of new clusters with old documents: the clusters' ids, the documents' numbers, and the keepers of these."""

    cluster: Ids
    old: Numbers
    keeper: Ids


def ties(run: Run, files: Sequence[File], scanned: Sequence[str]) -> Ties:
    """All ties that the parts found. The driver holds 40 bytes for each."""
    clusters, olds = [np.zeros(0, "S16")], [np.zeros(0, np.int64)]
    for file in files:
        with run.store.open(file.path) as handle:
            table = pq.read_table(handle, use_threads=False)
        clusters.append(index_ids.from_arrow(table.column("cluster")))
        olds.append(table.column("old").to_numpy())
    cluster, old = np.concatenate(clusters), np.concatenate(olds)
    each, at = np.unique(old, return_inverse=True)
    keepers = [np.zeros(0, "S16")]
    for _, table in index_meet.old_tables(run.store, list(scanned), each, ["keeper"]):
        keepers.append(index_ids.from_arrow(table.column("keeper")))
    return Ties(cluster, old, np.concatenate(keepers)[at])


def decide(run: Run, found: Ties, key_files: Sequence[File], scans: Sequence[tuple[str, str]]) -> pa.Table:
    """Write `PLAN` and `MERGED`; return the old documents that lose their place: doc_id, their run's place in the
    index (`run`), the columns of `_KEYS` and signature, and the same of who stays as `kept_…`.

    Args:
        run: its recipe says whether the old stays. `key_files`: of the new parts, by number.
        scans: (what, path) of the files in which old keepers may stand: those of keys, then those of ids.
    """
    dedup = run.recipe.dedup
    new_ids, new_at = np.unique(found.cluster, return_inverse=True)
    old_ids, old_at = np.unique(found.keeper, return_inverse=True)
    roots = components.union_find(new_at, old_at + new_ids.size)[1]  # every cluster has a tie, so all are nodes
    options = _options(run, new_ids, old_ids, key_files, scans)
    place = options.column("place").to_numpy()
    component = roots[place]
    order = np.lexsort([*reversed(list(_ranks(options, dedup))), component])
    starts = np.append(True, component[order][1:] != component[order][:-1]) if order.size else np.zeros(0, bool)
    best = np.empty(order.size, np.int64)
    best[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    gone = np.flatnonzero(best != np.arange(best.size))
    _write_merged(run, old_ids, options, roots, best, place)
    losers, winners = options.take(pa.array(gone)), options.take(pa.array(best[gone]))
    is_new = losers.column("old").to_numpy() < 0
    _write_plan(run, losers.filter(pa.array(is_new)), winners.filter(pa.array(is_new)))
    mine, theirs = losers.filter(pa.array(~is_new)), winners.filter(pa.array(~is_new))
    wanted = ["doc_id", "run", *_KEYS, *(["signature"] if dedup.minhash else [])]
    return pa.table(
        {name: mine.column(name) for name in wanted} | {f"kept_{name}": theirs.column(name) for name in wanted}
    )


def _write_merged(run: Run, old_ids: Ids, options: pa.Table, roots: Numbers, best: Numbers, place: Numbers) -> None:
    """Every component has an option, since it has a new cluster."""
    winner_of = np.empty(roots.size, np.int64)
    winner_of[roots[place]] = best
    ids = index_ids.from_arrow(options.column("doc_id"))
    now = ids[winner_of[roots[roots.size - old_ids.size :]]]
    changed = now != old_ids
    with run.store.create(MERGED) as sink:
        pq.write_table(index_scan.merges_table(old_ids[changed], now[changed]), sink)


def _options(
    run: Run, new_ids: Ids, old_ids: Ids, key_files: Sequence[File], scans: Sequence[tuple[str, str]]
) -> pa.Table:
    """Who may stay: new keepers, and old ones that are in the index. `place` numbers new clusters, then old ones."""
    tables = [_new_options(run, new_ids, key_files), *_old_options(run, old_ids, new_ids.size, scans)]
    return pa.concat_tables(tables).combine_chunks()


def _columns(dedup: Dedup) -> list[str]:
    signed = ["signature"] if dedup.minhash is not None else []
    return ["priority", *prefer_columns(dedup), "length", *_KEYS, *signed]


def _new_options(run: Run, ids: Ids, key_files: Sequence[File]) -> pa.Table:
    """Of each part only `h` is read, and the rows in which it is that of a keeper."""
    dedup, heads, tables = run.recipe.dedup, np.sort(index_ids.tie_breaks(ids)), []
    for file in key_files:
        with run.store.open(file.path) as handle:
            h = pq.read_table(handle, columns=["h"], use_threads=False).column("h").to_numpy()
        at = np.minimum(np.searchsorted(heads, h), heads.size - 1)
        rows = np.flatnonzero(heads[at] == h)
        if not rows.size:
            continue
        names = [name for name in _columns(dedup) if name != "signature"]
        table = index_ids.rows(run.store, file.path, rows, ["doc_id", *names])
        places = index_ids.places(index_ids.from_hex(table.column("doc_id").to_pylist()), ids)
        if dedup.minhash is not None:
            path = index_meet.sketches_path(keys.part_name(file.path))
            table = table.append_column("signature", index_ids.rows(run.store, path, rows, ["signature"]).column(0))
        table = _with_places(table.drop_columns("doc_id"), ids, places, np.full(rows.size, -1), np.zeros(rows.size))
        tables.append(table.append_column("run", pa.array(np.full(table.num_rows, -1, np.int32))))
    return pa.concat_tables(tables)


def _old_options(run: Run, ids: Ids, first: int, scans: Sequence[tuple[str, str]]) -> list[pa.Table]:
    """`standing` puts old documents before new ones where the recipe says so, earlier runs before later ones."""
    tables, seen = [], np.zeros(0, np.int64)
    for what, path in scans:
        with run.store.open(path) as handle:
            table = pq.read_table(handle, columns=["doc_id", "kept"], use_threads=False)
        places = index_ids.places(index_ids.from_arrow(table.column("doc_id")), ids)
        wanted = (places >= 0) & table.column("kept").to_numpy() & ~np.isin(places, seen)
        rows = np.flatnonzero(wanted)
        seen = np.concatenate([seen, places[rows]])
        names = [*_columns(run.recipe.dedup), "run", "generation"]
        table = index_ids.rows(run.store, path, rows, names)
        ahead = (1 << 31) - table.column("generation").to_numpy().astype(np.float64)
        standing = ahead if run.recipe.dedup.old_stays else np.zeros(rows.size)
        number = int(path.rpartition("index-")[2].partition(".")[0])
        old = rows + (number << ROW_BITS) if what == "keys" else np.full(rows.size, _UNNUMBERED)
        names = table.column_names
        table = _with_places(table.drop_columns("generation"), ids, places[rows], old, standing, first)
        tables.append(table.select([name for name in table.column_names if name != "run"] + ["run"]))
    return tables


#: The number of an old keeper that met no new document itself: it was read by its id.
_UNNUMBERED = 1 << 62


def _with_places(
    table: pa.Table, ids: Ids, places: Numbers, old: Numbers, standing: NDArray[np.float64], first: int = 0
) -> pa.Table:
    """The rows that have a place, with `doc_id`, `place`, `old` and `standing`."""
    here = np.flatnonzero(places >= 0)
    table = table.take(pa.array(here))
    added = {
        "doc_id": index_ids.to_arrow(ids[places[here]]), "place": pa.array(places[here] + first),
        "old": pa.array(old[here]), "standing": pa.array(standing[here]),
    }  # fmt: skip
    for name, column in added.items():
        table = table.append_column(name, column)
    return table


def _ranks(options: pa.Table, dedup: Dedup) -> list[NDArray[np.generic]]:
    """What options are ordered by, the first first; the smallest is the best."""
    ranks: list[NDArray[np.generic]] = [-options.column("standing").to_numpy(), -options.column("priority").to_numpy()]
    ranks += [-options.column(name).fill_null(-np.inf).to_numpy() for name in prefer_columns(dedup)]
    return [*ranks, -options.column("length").to_numpy(), index_ids.from_arrow(options.column("doc_id"))]


def _write_plan(run: Run, losers: pa.Table, winners: pa.Table) -> None:
    order = pc.sort_indices(losers, [("place", "ascending")])
    signed = ["signature"] if run.recipe.dedup.minhash is not None else []
    plan = pa.table(
        {"cluster": losers.column("doc_id"), "winner": winners.column("doc_id"), "old": winners.column("old")}
        | {name: winners.column(name) for name in (*_KEYS, *signed)}
    ).take(order)
    with run.store.create(PLAN) as sink:
        pq.write_table(plan, sink, row_group_size=PLAN_GROUP, compression="zstd", use_dictionary=False)


def wanted_keepers(run: Run, found: Ties, scanned: Sequence[str]) -> Ids:
    """Old keepers that met no new document themselves, sorted: they are looked up by their ids."""
    ids = np.unique(found.keeper)
    known = np.zeros(ids.size, bool)
    for path in scanned:
        with run.store.open(path) as handle:
            table = pq.read_table(handle, columns=["doc_id", "kept"], use_threads=False)
        places = index_ids.places(index_ids.from_arrow(table.column("doc_id")), ids)
        known[places[places >= 0]] = True
    return ids[~known]


def kinds(mine: pa.Table, theirs: pa.Table) -> NDArray[np.object_]:
    """url, exact or minhash, by which keys rows of `_KEYS` share; theirs are the winners'."""
    url, exact = (
        pc.fill_null(
            pc.and_(*(pc.equal(mine.column(f"{key}_{i}"), theirs.column(f"{key}_{i}")) for i in (1, 2))), False
        )
        for key in ("url", "exact")
    )
    return np.where(url.to_numpy(), "url", np.where(exact.to_numpy(), "exact", "minhash")).astype(object)
