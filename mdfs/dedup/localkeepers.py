"""Fifth step on one machine: `mdfs.dedup.keepers`, the same rows, without a session.

The keys of documents that have a copy are read part by part and sorted by component, as many components at once as the
budget allows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import components, keepers, sortedfiles, verify
from mdfs.dedup.keys import ROW_BITS, prefer_columns
from mdfs.recipe import Dedup
from mdfs.stage import Run
from mdfs.storage import Store

#: Bytes for each document of the components at hand: its keys, their sorted copy, and the rows that are written.
MEMBER_BYTES = 400

Numbers = NDArray[np.int64]

_URL, _EXACT = ("url_1", "url_2"), ("exact_1", "exact_2")


def write(run: Run, paths: Sequence[str], verified: str, parts_together: int) -> None:
    """Write `keepers.REMOVED`, `keepers.LACKING` and `keepers.LACKING_WANTED`.

    Args:
        run: its `memory` bounds how much is sorted at once.
        paths: of the keys files, by number of the part. `verified`: the folder of verified pairs.
        parts_together: parts in a group of `LACKING_WANTED`.
    """
    store = run.store
    node, root = sortedfiles.read(store, sortedfiles.paths(store, components.FOLDER), ["node", "root"])
    order = np.argsort(node)
    node, root = node[order], root[order]
    cluster = np.searchsorted(sortedfiles.distinct(root), root)
    passes = math.ceil(node.size * MEMBER_BYTES / run.memory) if run.memory else 1
    keepers.commit_clusters(run, _sizes(cluster))
    for number in range(max(1, passes)):
        mine = np.flatnonzero(cluster % max(1, passes) == number)
        removed = _removed(_members(store, paths, node[mine], run.recipe.dedup), cluster[mine], run.recipe.dedup)
        similarity = _similarities(store, verified, node, removed)
        _write(store, f"{number}.parquet", removed, similarity, parts_together)


def _sizes(cluster: Numbers) -> Counter[int]:
    sizes = np.bincount(np.bincount(cluster))
    return Counter({size: int(many) for size, many in enumerate(sizes.tolist()) if size and many})


def _members(store: Store, paths: Sequence[str], node: Numbers, dedup: Dedup) -> pa.Table:
    """The keys of documents, in the order of their nodes."""
    columns = ["node", "doc_id", "priority", *prefer_columns(dedup), "length", *_URL, *_EXACT]
    parts, tables = node >> ROW_BITS, []
    for part in np.unique(parts).tolist():
        low, high = np.searchsorted(parts, [part, part + 1])
        with store.open(paths[part]) as handle, pq.ParquetFile(handle) as file:
            table = file.read(columns=columns, use_threads=False)
        tables.append(table.take(pa.array(node[low:high] - (part << ROW_BITS))))
    return pa.concat_tables(tables).combine_chunks()


def _removed(members: pa.Table, cluster: Numbers, dedup: Dedup) -> pa.Table:
    """The columns of `keepers.REMOVED` but the similarity, by node."""
    order = np.lexsort([*reversed(list(_ranks(members, dedup))), cluster])
    starts = np.ones(order.size, bool)
    starts[1:] = cluster[order][1:] != cluster[order][:-1]
    best = np.empty(order.size, np.int64)
    best[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    gone = np.flatnonzero(best != np.arange(best.size))
    rows, kept = members.take(pa.array(gone)), members.take(pa.array(best[gone]))
    kind = pc.if_else(_equal(rows, kept, _URL), "url", pc.if_else(_equal(rows, kept, _EXACT), "exact", "minhash"))
    names = ["node", "doc_id", "keeper", "duplicate_of", "kind"]
    columns = [rows.column("node"), rows.column("doc_id"), kept.column("node"), kept.column("doc_id"), kind]
    return pa.table(columns, names=names)


def _ranks(members: pa.Table, dedup: Dedup) -> Iterator[NDArray[np.float64] | NDArray[np.uint64] | Numbers]:
    """What members are ordered by, the first first; the smallest is the best."""
    yield -members.column("priority").to_numpy()
    for name in prefer_columns(dedup):
        yield -members.column(name).fill_null(-np.inf).to_numpy()
    yield -members.column("length").to_numpy()
    spelt = np.frombuffer("".join(members.column("doc_id").to_pylist()).encode(), ">u8").reshape(-1, 4)
    for i in range(4):
        yield spelt[:, i].astype(np.uint64)


def _equal(rows: pa.Table, kept: pa.Table, key: tuple[str, str]) -> pa.ChunkedArray:
    """Whether rows and their keepers have one key; no where one has none."""
    halves = [pc.equal(rows.column(name), kept.column(name)) for name in key]
    return pc.fill_null(pc.and_(*halves), False)


def _similarities(store: Store, verified: str, node: Numbers, removed: pa.Table) -> NDArray[np.float64]:
    """The verified similarity of each removed document to its keeper, NaN where there is none."""
    ends = [removed.column(name).to_numpy() for name in ("node", "keeper")]
    if not removed.num_rows:
        return np.zeros(0)
    wanted = _pair_keys(node, np.minimum(*ends), np.maximum(*ends))
    order = np.argsort(wanted)
    wanted, found = wanted[order], np.full(wanted.size, np.nan)
    for path in sortedfiles.paths(store, verified):
        table = verify.read_tables(store, [path])
        a, b, similarity = (table.column(name).to_numpy() for name in ("a", "b", "similarity"))
        known = sortedfiles.among(a, node) & sortedfiles.among(b, node)
        pair = _pair_keys(node, a[known], b[known])
        at = np.minimum(np.searchsorted(wanted, pair), wanted.size - 1)
        hit = wanted[at] == pair
        found[order[at[hit]]] = similarity[known][hit]
    return found


def _pair_keys(node: Numbers, a: Numbers, b: Numbers) -> NDArray[np.uint64]:
    """A number for each pair of members: there are fewer than 2^32."""
    first, second = (np.searchsorted(node, end).astype(np.uint64) for end in (a, b))
    return first << np.uint64(32) | second


def _write(store: Store, name: str, removed: pa.Table, similarity: NDArray[np.float64], together: int) -> None:
    """Write the removed documents, and the pairs that were not compared."""
    if not removed.num_rows:
        return
    with store.create(f"{keepers.REMOVED}/{name}") as sink:
        pq.write_table(
            removed.append_column("similarity", pa.array(similarity, from_pandas=True)), sink,
            row_group_size=sortedfiles.ROWS, use_dictionary=["kind"], compression="snappy",
        )  # fmt: skip
    lacking = np.isnan(similarity) & pc.equal(removed.column("kind"), "minhash").to_numpy(zero_copy_only=False)
    owner, other = (removed.column(name).to_numpy()[lacking] for name in ("node", "keeper"))
    sortedfiles.write(store, f"{keepers.LACKING}/{name}", {"owner": owner, "other": other})
    group = (owner >> ROW_BITS) // together
    other, group = sortedfiles.distinct_pairs(other, group)
    sortedfiles.write(store, f"{keepers.LACKING_WANTED}/{name}", {"node": other, "group": group})
