"""Fifth step: the best copy of each component stays; all others are removed in its favour. Here on a session;
`mdfs.dedup.localkeepers` is the same without one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mdfs.dedup import components, pairs
from mdfs.dedup.keys import prefer_columns
from mdfs.ledger import Row
from mdfs.stage import Run

#: Removed documents: node, doc_id, keeper, duplicate_of, kind and similarity.
REMOVED = "dedup/work/removed"
#: Name of the ledger's row that counts clusters by size.
CLUSTERS = "dedup-clusters"
#: Pairs of these and their keepers that are still to be compared, as `pairs.CANDIDATES` and `pairs.WANTED`.
LACKING, LACKING_WANTED = "dedup/work/lacking", "dedup/work/lacking-wanted"

_KEYS = ("url_1", "url_2", "exact_1", "exact_2")


def write(run: Run, keys: str, verified: str | None, parts_together: int) -> None:
    """Write `REMOVED` and `LACKING` from the components, the keys files and the files of verified pairs, if any.

    The similarity of a removed text to its keeper is null where that very pair was not verified: in a chain of copies
    the ends were never compared. These are `LACKING`.
    """
    session, store = run.engine.session(), run.store
    members = session.read.parquet(store.spark_uri(components.FOLDER))
    removed = _removed(run, session.read.parquet(store.spark_uri(keys)).join(members, "node"))
    if verified is None:
        removed = removed.withColumn("similarity", run.engine.functions().lit(None).cast("double"))
    else:
        # A pair may have been verified for both of its owners.
        similar = session.read.parquet(store.spark_uri(verified)).dropDuplicates(["a", "b"])
        removed = removed.join(similar, ["a", "b"], "left")
    columns = removed.select("node", "doc_id", "keeper", "duplicate_of", "kind", "similarity")
    pairs.by_part(run, columns, "node", REMOVED)
    written = session.read.parquet(store.spark_uri(REMOVED))
    commit_clusters(run, _sizes(run, written))
    written = written.where("kind = 'minhash' and similarity is null")
    F = run.engine.functions()
    pairs.by_part(run, written.select(F.col("node").alias("owner"), F.col("keeper").alias("other")), "owner", LACKING)
    pairs.want(run, LACKING, LACKING_WANTED, parts_together)


def commit_clusters(run: Run, sizes: Counter[int]) -> None:
    """Tell the ledger how many clusters there are, `clusters`, the `largest`, and how many have a size from a power of
    two up to the next one: `2` (2 and 3 documents), `4`, `8` and so on. `sizes`: size → clusters."""
    facts = Counter({"clusters": sum(sizes.values()), "largest": max(sizes, default=0)})
    for size, many in sorted(sizes.items()):
        facts[str(1 << (size.bit_length() - 1))] += many
    run.ledger.commit(Row(CLUSTERS, "all", facts=dict(facts)))
    run.ledger.settle(CLUSTERS)


def _sizes(run: Run, removed: Any) -> Counter[int]:
    """Size of cluster → how many have it, one more than are removed."""
    F = run.engine.functions()
    of_keeper = removed.groupBy("keeper").agg(F.count("*").alias("copies"))
    rows = of_keeper.groupBy("copies").agg(F.count("*").alias("clusters")).collect()
    return Counter({int(row["copies"]) + 1: int(row["clusters"]) for row in rows})


def _removed(run: Run, members: Any) -> Any:
    """Every member but the best, with the best's node and doc_id, and the kind of copy it is of that one."""
    F, W = run.engine.functions(), run.engine.window()
    order = [
        F.col("priority").desc(),
        *(F.col(name).desc_nulls_last() for name in prefer_columns(run.recipe.dedup)),
        F.col("length").desc(),
        F.col("doc_id").asc(),
    ]
    best = W.partitionBy("root").orderBy(*order)
    names = {"node": "keeper", "doc_id": "duplicate_of", **{name: f"kept_{name}" for name in _KEYS}}
    chosen = [F.first(name).over(best).alias(alias) for name, alias in names.items()]
    rows = members.select("node", "doc_id", *_KEYS, *chosen).where("node <> keeper")
    kind = F.when(_equal(run, "url"), "url").when(_equal(run, "exact"), "exact").otherwise("minhash")
    ends = {"a": F.least("node", "keeper"), "b": F.greatest("node", "keeper")}
    return rows.withColumns({"kind": kind, **ends})


def _equal(run: Run, key: str) -> Any:
    """Whether a row and its keeper have one key; null, which counts as no, where one has none."""
    F = run.engine.functions()
    halves = [F.col(f"{key}_{half}") == F.col(f"kept_{key}_{half}") for half in (1, 2)]
    return halves[0] & halves[1]
