"""Fourth step: who belongs together, directly or by way of others.

Each component of the graph of copies is named by its smallest node. Which node that is decides nothing but the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from mdfs.dedup import sortedfiles
from mdfs.errors import RunError
from mdfs.stage import Run
from mdfs.storage import Store

#: Each node that has a copy, with the smallest node of its component, root.
FOLDER = "dedup/work/components"
_ROUND = "dedup/work/round"

#: Rounds after which contraction is given up. It takes O(log² n) rounds (Kiveris et al. 2014, Connected Components in
#: MapReduce and Beyond); measured: 5 for a million random edges, 20 for a path of a million nodes in their order.
ROUNDS = 60

Nodes = NDArray[np.int64]


def write_by_union_find(store: Store, edges: Callable[[], Iterator[tuple[Nodes, Nodes]]]) -> None:
    """Write `FOLDER` on the driver: 16 bytes and 1 µs a node that has a copy, and what one piece of `edges` takes.

    Args:
        store: of the run.
        edges: gives the edges (a, b) in pieces, int64[n] each; called twice.
    """
    nodes = _nodes(edges())
    parents = np.arange(nodes.size)
    for a, b in edges():
        _unite(parents, np.searchsorted(nodes, a), np.searchsorted(nodes, b))
    _settle(parents)
    sortedfiles.write(store, f"{FOLDER}/all.parquet", {"node": nodes, "root": nodes[parents]})


def _nodes(edges: Iterator[tuple[Nodes, Nodes]]) -> Nodes:
    """All nodes, sorted, each once. What is new is merged when it is as much as what is there: n log n in all."""
    nodes, waiting = np.zeros(0, np.int64), [np.zeros(0, np.int64)]
    for a, b in edges:
        waiting.append(sortedfiles.distinct(np.concatenate([a, b])))
        if sum(piece.size for piece in waiting) > max(1 << 20, nodes.size):
            nodes, waiting = sortedfiles.distinct(np.concatenate([nodes, *waiting])), []
    return sortedfiles.distinct(np.concatenate([nodes, *waiting]))


def union_find(a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All nodes of the edges, sorted, and the smallest node of each one's component."""
    nodes = np.unique(np.concatenate([a, b]))
    parents = np.arange(nodes.size)
    _unite(parents, np.searchsorted(nodes, a), np.searchsorted(nodes, b))
    _settle(parents)
    return nodes, nodes[parents]


@numba.njit(nogil=True, cache=True)
def _unite(parents, a, b):  # type: ignore[no-untyped-def]
    for k in range(a.size):
        x, y = a[k], b[k]
        while parents[x] != x:
            parents[x] = parents[parents[x]]
            x = parents[x]
        while parents[y] != y:
            parents[y] = parents[parents[y]]
            y = parents[y]
        if x < y:
            parents[y] = x
        else:
            parents[x] = y


@numba.njit(nogil=True, cache=True)
def _settle(parents):  # type: ignore[no-untyped-def]
    """Point every node at its root; parents are never greater than their children."""
    for x in range(parents.size):
        parents[x] = parents[parents[x]]


def write_by_contraction(run: Run, edges: Any) -> None:
    """Write `FOLDER` from a frame of edges (a, b) on the session, by alternating large-star and small-star steps.

    Every round is written and read back, so that no plan grows with the rounds.

    Raises:
        RunError: no end after `ROUNDS` rounds.
    """
    F = run.engine.functions()
    pairs = edges.where("a <> b").select(F.greatest("a", "b").alias("u"), F.least("a", "b").alias("v")).distinct()
    for number in range(ROUNDS):
        uri = run.store.spark_uri(f"{_ROUND}-{number}")
        _small_star(run, _large_star(run, pairs)).write.mode("overwrite").parquet(uri)
        pairs = run.engine.session().read.parquet(uri)
        if number:
            run.store.delete_folder(f"{_ROUND}-{number - 1}")
        if _are_stars(run, pairs):
            break
    else:
        raise RunError(f"dedup: clusters of copies did not settle in {ROUNDS} rounds; run again with --engine local")
    members = pairs.select(F.col("u").alias("node"), F.col("v").alias("root"))
    roots = pairs.select(F.col("v").alias("node"), F.col("v").alias("root")).distinct()
    members.union(roots).write.mode("overwrite").parquet(run.store.spark_uri(FOLDER))
    run.store.delete_folder(f"{_ROUND}-{number}")


def _large_star(run: Run, pairs: Any) -> Any:
    """Tie each larger neighbour of a node to the least of the node and all its neighbours."""
    F = run.engine.functions()
    both = pairs.union(pairs.select(F.col("v").alias("u"), F.col("u").alias("v")))
    tied = _with_least(run, both).where("v > u")
    return tied.select(F.col("v").alias("u"), F.least("u", "least").alias("v")).distinct()


def _small_star(run: Run, pairs: Any) -> Any:
    """Tie a node and its smaller neighbours to the least of them."""
    F = run.engine.functions()
    ends = _with_least(run, pairs).select(F.explode(F.array("u", "v")).alias("u"), F.col("least").alias("v"))
    return ends.where("u <> v").distinct()


def _with_least(run: Run, pairs: Any) -> Any:
    """The pairs with the smallest v of each u. A group and a join: a window took Sail four times as long."""
    least = pairs.groupBy("u").agg(run.engine.functions().min("v").alias("least"))
    return pairs.join(least, "u")


def _are_stars(run: Run, pairs: Any) -> bool:
    """Whether each node is tied to one smaller node which is tied to none: then both steps change nothing."""
    F = run.engine.functions()
    several = pairs.groupBy("u").count().where("count > 1").limit(1).count()
    tied = pairs.select(F.col("u").alias("v"))
    return not several and not pairs.join(tied, "v", "left_semi").limit(1).count()
