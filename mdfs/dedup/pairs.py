"""Second step, on the session: which documents may be copies of each other.

Every plan here is linear in its input, however many documents share a key: a document is paired with at most two others
of each group, never with all, and groups are walked in order, not collected.
"""

from __future__ import annotations

from typing import Any

from mdfs.dedup.keys import ROW_BITS
from mdfs.errors import RunError
from mdfs.recipe import Dedup
from mdfs.stage import Run

#: Pairs that are copies without a look at their texts: columns a < b.
LINKS = "dedup/work/links"
#: Pairs to be verified: columns owner and other, one folder for each part that owners lie in.
CANDIDATES = "dedup/work/candidates"


def write(run: Run, keys: str) -> None:
    """Write `LINKS` and `CANDIDATES` from the keys files in the folder `keys`.

    Raises:
        RunError: two documents have one doc_id.
    """
    frame = run.engine.session().read.parquet(run.store.spark_uri(keys))
    _refuse_equal_ids(run, frame)
    dedup = run.recipe.dedup
    _links(run, frame, dedup).write.mode("overwrite").parquet(run.store.spark_uri(LINKS))
    if dedup.minhash is not None:
        by_part(run, _candidates(run, frame, dedup), "owner", CANDIDATES)


def by_part(run: Run, frame: Any, node: str, folder: str) -> None:
    """Write rows to `folder`/part=<number>/ by the part that the column `node` lies in."""
    number = run.engine.functions().shiftright(node, ROW_BITS)
    frame = frame.withColumn("part", number).repartition("part")
    frame.write.mode("overwrite").partitionBy("part").parquet(run.store.spark_uri(folder))


def _refuse_equal_ids(run: Run, keys: Any) -> None:
    """Numbers are counted before strings: only where two `h` are equal are doc_ids looked at."""
    repeated = keys.groupBy("h").count().where("count > 1").select("h")
    if not repeated.limit(1).count():
        return
    ids = keys.join(repeated, "h", "left_semi").groupBy("doc_id").count().where("count > 1")
    found = ids.orderBy("doc_id").limit(1).collect()
    if found:
        raise RunError(
            f"{found[0]['count']} documents have the doc_id {found[0]['doc_id']}; "
            "an input was collected twice under one name: remove one and collect again into a new folder"
        )


def _links(run: Run, keys: Any, dedup: Dedup) -> Any:
    """Pairs (a, b), a < b: each document with the first of those that have its URL, or its exact text."""
    edges = _star(run, keys, ["exact_1", "exact_2"])
    if dedup.url:
        edges = edges.union(_star(run, keys, ["url_1", "url_2"]))
    return edges.distinct()


def _star(run: Run, keys: Any, key: list[str]) -> Any:
    F = run.engine.functions()
    rows = _with_first(run, keys.where(F.col(key[0]).isNotNull()).select("node", "h", *key), key)
    pairs = rows.where("node <> first")
    return pairs.select(F.least("node", "first").alias("a"), F.greatest("node", "first").alias("b"))


def _with_first(run: Run, rows: Any, key: list[str]) -> Any:
    """The rows that share their key, with the node of the smallest `h` of those that have it as `first`."""
    F, W = run.engine.functions(), run.engine.window()
    first = F.first("node").over(W.partitionBy(*key).orderBy("h", "node"))
    return _shared(rows, key).withColumn("first", first)


def _shared(rows: Any, key: list[str]) -> Any:
    """The rows whose key others have too.

    Most keys stand alone, and a window costs by the group: without this step candidates of 400,000 documents took Sail
    90 s, with it 10. Spark shuffles the rows no second time for the window, since the join leaves them by key.
    """
    return rows.join(rows.groupBy(*key).count().where("count > 1").select(*key), key, "left_semi")


def _candidates(run: Run, keys: Any, dedup: Dedup) -> Any:
    """Pairs (owner, other) of documents that share a band, each pair once.

    In each group of one band hash a document owns two pairs: with the group's representative, and with its neighbour in
    length, which is its likeliest copy. The representative is drawn by the band hash, so that two copies that miss each
    other in one band meet by another. A document owns at most twice as many pairs as there are bands, so what a worker
    verifies for the owners of one part is bounded.
    """
    F, W = run.engine.functions(), run.engine.window()
    banded = keys.where(F.size("bands") > 0)
    if dedup.exact:
        banded = _one_of_each_text(run, banded)
    rows = _shared(banded.select("node", "h", "length", F.explode("bands").alias("band")), ["band"])
    drawn = W.partitionBy("band").orderBy(F.col("h").bitwiseXOR(F.col("band")), "node")
    lengths = W.partitionBy("band").orderBy("length", "h", "node")
    # Columns of their own: Sail takes no window function inside another expression.
    met = rows.select("node", F.first("node").over(drawn).alias("drawn"), F.lag("node").over(lengths).alias("next"))
    pairs = met.select("node", F.explode(F.array("drawn", "next")).alias("other"))
    pairs = pairs.where("other is not null and other <> node")
    ends = pairs.select("node", F.least("node", "other").alias("a"), F.greatest("node", "other").alias("b"))
    owned = ends.groupBy("a", "b").agg(F.min("node").alias("owner"))
    return owned.select("owner", F.when(owned.owner == owned.a, owned.b).otherwise(owned.a).alias("other"))


def _one_of_each_text(run: Run, keys: Any) -> Any:
    """Leave out documents that are linked to another already by their exact text and have its signature too: a notice
    that stands on a million pages is verified against its near-copies once."""
    key = ["exact_1", "exact_2", "sketch"]
    copies = _with_first(run, keys.select("node", "h", *key), key).where("node <> first")
    return keys.join(copies.select("node"), "node", "left_anti")
