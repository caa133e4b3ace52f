"""Second step: which documents may be copies of each other. Here on a session; `mdfs.dedup.localpairs` is the same on
one machine without one.

Every plan here is linear in its input, however many documents share a key: a document is paired with at most two others
of each group, never with all, and groups are walked in order, not collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mdfs.dedup import sortedfiles
from mdfs.dedup.keys import ROW_BITS, band_columns
from mdfs.errors import RunError
from mdfs.ledger import Row
from mdfs.recipe import Dedup
from mdfs.stage import Run

#: Pairs that are copies without a look at their texts: columns a < b.
LINKS = "dedup/work/links"
#: Pairs to be verified: columns owner and other; a folder for each group of bands.
CANDIDATES = "dedup/work/candidates"
#: The others of candidates, node, and the group of parts that each owner's part is in.
WANTED = "dedup/work/wanted"
#: Name of the ledger's row that counts hot buckets.
HOT = "dedup-pairs"
#: Hot buckets that the ledger names, the largest.
NAMED = 50
#: Bytes that a session takes for each document and band of a group: measured with Sail, 1.2 GB for a million documents
#: and 18 bands, half of them shared.
SESSION_BYTES = 70


def write(run: Run, keys: str, rows: int, parts_together: int) -> None:
    """Write `LINKS`, `CANDIDATES` and `WANTED` from the keys files in the folder `keys`, and the ledger's row `HOT`.

    Args:
        run: with an engine that has a session.
        keys: a folder. `rows`: documents in it.
        parts_together: parts in a group of `WANTED`.

    Raises:
        RunError: two documents have one doc_id.
    """
    frame = run.engine.session().read.parquet(run.store.spark_uri(keys))
    _refuse_equal_ids(run, frame)
    dedup = run.recipe.dedup
    _links(run, frame, dedup).write.mode("overwrite").parquet(run.store.spark_uri(LINKS))
    found: dict[str, int] = {}
    for number, bands in enumerate(band_groups(dedup, rows, run.memory)):
        rows_of = _banded(run, frame, dedup, bands)
        found |= _hot_facts(rows_of, dedup, bands)
        pairs_of = _candidates(run, rows_of, dedup)
        folder = f"{CANDIDATES}/{number}"
        by_part(run, pairs_of, "owner", folder)
        want(run, folder, f"{WANTED}/{number}", parts_together)
    commit_hot(run, found)


def band_groups(dedup: Dedup, rows: int, memory: int) -> list[list[int]]:
    """Bands that a session works on together, so that it stays under `memory` bytes; 0 is no bound."""
    bands = list(range(len(band_columns(dedup))))
    size = len(bands) if not memory else max(1, memory // max(1, rows * SESSION_BYTES))
    return [bands[start : start + size] for start in range(0, len(bands), max(1, size))]


def commit_hot(run: Run, buckets: dict[str, int]) -> None:
    """Tell the ledger about hot buckets: `buckets`, `documents` (once for each of its buckets), `largest`, and the
    size of each of the `NAMED` largest as `band <i> <hash>`."""
    largest = sorted(buckets.items(), key=lambda item: (-item[1], item[0]))[:NAMED]
    facts = {"buckets": len(buckets), "documents": sum(buckets.values()), "largest": max(buckets.values(), default=0)}
    run.ledger.commit(Row(HOT, "all", facts=facts | dict(largest)))
    run.ledger.settle(HOT)


def hot_name(band: int, value: int) -> str:
    """What a hot bucket is called in the ledger: its band and the band's hash."""
    return f"band {band} {value & 0xFFFFFFFFFFFFFFFF:016x}"


def by_part(run: Run, frame: Any, node: str, folder: str) -> None:
    """Write rows to `folder`/part=<number>/ by the part that the column `node` lies in."""
    number = run.engine.functions().shiftright(node, ROW_BITS)
    frame = frame.withColumn("part", number).repartition("part")
    frame.write.mode("overwrite").partitionBy("part").parquet(run.store.spark_uri(folder))


def want(run: Run, candidates: str, folder: str, parts_together: int) -> None:
    """Write which group of parts wants which others of the pairs in a folder, by the part that these lie in."""
    if not sortedfiles.paths(run.store, candidates):
        return
    F, rows = run.engine.functions(), run.engine.session().read.parquet(run.store.spark_uri(candidates))
    group = F.floor(F.shiftright("owner", ROW_BITS) / parts_together).cast("bigint")
    by_part(run, rows.select(F.col("other").alias("node"), group.alias("group")).distinct(), "node", folder)


def _refuse_equal_ids(run: Run, keys: Any) -> None:
    """Numbers are counted before strings: only where two `h` are equal are doc_ids looked at."""
    repeated = keys.groupBy("h").count().where("count > 1").select("h")
    if not repeated.limit(1).count():
        return
    ids = keys.join(repeated, "h", "left_semi").groupBy("doc_id").count().where("count > 1")
    found = ids.orderBy("doc_id").limit(1).collect()
    if found:
        raise equal_ids(found[0]["doc_id"], found[0]["count"])


def equal_ids(doc_id: str, count: int) -> RunError:
    """The error for documents that have one doc_id."""
    return RunError(
        f"{count} documents have the doc_id {doc_id}; "
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
    sizes = rows.groupBy(*key).count().where("count > 1").select(*key)
    return rows.join(sizes, key, "left_semi").withColumn("first", first)


def _banded(run: Run, keys: Any, dedup: Dedup, bands: Sequence[int]) -> Any:
    """A row for each document and band that others share with it, with the `count` of those that do.

    Most bands stand alone, and a window costs by the group: without this step candidates of 400,000 documents took Sail
    90 s, with it 10. Spark shuffles the rows no second time for the window, since the join leaves them by band.
    """
    F = run.engine.functions()
    if dedup.exact:
        keys = _one_of_each_text(run, keys)
    columns = F.array(*(F.col(band_columns(dedup)[i]) for i in bands))
    rows = keys.select("node", "h", "length", F.posexplode(columns).alias("place", "band")).where("band <> 0")
    sizes = rows.groupBy("band").agg(F.count("*").alias("size"), F.min("place").alias("at")).where("size > 1")
    return rows.drop("place").join(sizes, "band")


def _one_of_each_text(run: Run, keys: Any) -> Any:
    """Leave out documents that are linked to another already by their exact text and have its signature too: a notice
    that stands on a million pages is verified against its near-copies once."""
    key = ["exact_1", "exact_2", "sketch"]
    copies = _with_first(run, keys.select("node", "h", *key), key).where("node <> first")
    return keys.join(copies.select("node"), "node", "left_anti")


def _hot_facts(rows: Any, dedup: Dedup, bands: Sequence[int]) -> dict[str, int]:
    """Name and size of hot buckets: at most as many as `max_bucket` goes into the documents, times the bands."""
    assert dedup.minhash is not None
    hot = rows.where(f"size > {dedup.minhash.max_bucket}").select("band", "size", "at").distinct().collect()
    return {hot_name(bands[row["at"]], row["band"]): int(row["size"]) for row in hot}


def _candidates(run: Run, rows: Any, dedup: Dedup) -> Any:
    """Pairs (owner, other) of documents that share a band; a pair may have two owners, each once.

    In each bucket a document is paired with the bucket's representative, and with its neighbour in length, which is its
    likeliest copy; in a hot bucket with the representative only. The representative is drawn by the band hash, so that
    two copies that miss each other in one band meet by another. The longer document owns the pair, as a rule the same
    one in every band; in a hot bucket the one that is not the representative does, so that none owns a million.
    """
    assert dedup.minhash is not None
    F, W = run.engine.functions(), run.engine.window()
    usual, hot = rows.where(f"size <= {dedup.minhash.max_bucket}"), rows.where(f"size > {dedup.minhash.max_bucket}")
    drawn = W.partitionBy("band").orderBy(F.col("h").bitwiseXOR(F.col("band")), "node")
    lengths = W.partitionBy("band").orderBy("length", "h", "node")
    # Columns of their own: Sail takes no window function inside another expression.
    firsts = [F.first(name).over(drawn).alias(f"drawn_{name}") for name in ("node", "h", "length")]
    met = usual.select("node", "h", "length", *firsts, F.lag("node").over(lengths).alias("next"))
    ahead = "length > drawn_length or (length = drawn_length and (h > drawn_h or (h = drawn_h and node > drawn_node)))"
    with_drawn = met.where("node <> drawn_node").select(
        F.when(F.expr(ahead), F.col("node")).otherwise(F.col("drawn_node")).alias("owner"),
        F.when(F.expr(ahead), F.col("drawn_node")).otherwise(F.col("node")).alias("other"),
    )
    with_next = met.where("next is not null").select(F.col("node").alias("owner"), F.col("next").alias("other"))
    return with_drawn.union(with_next).union(_with_representative(run, hot)).distinct()


def _with_representative(run: Run, hot: Any) -> Any:
    """Pairs (owner, other) of each document in a hot bucket with the bucket's representative, by sums and not by a
    window, which would put a bucket on one worker."""
    F = run.engine.functions()
    rows = hot.select("node", "band", F.col("h").bitwiseXOR(F.col("band")).alias("draw"))
    least = rows.groupBy("band").agg(F.min("draw").alias("least"))
    first = rows.join(least, "band").where("draw = least").groupBy("band").agg(F.min("node").alias("other"))
    return rows.join(first, "band").where("node <> other").select(F.col("node").alias("owner"), "other")
