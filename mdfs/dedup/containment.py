"""Texts that stand inside longer ones: a press release in a page, a chapter in a book (see `mdfs.recipe.Containment`).

    documents that stay ─map─ samples ─ buckets ─ pairs ─map─ candidates ─ verify ─ who goes

It is done behind the search for near-copies, on what that leaves, so that there are few long texts to a short one. In a
bucket, the documents that have one sample, each is paired with the next longer one and with the `LONGEST` longest; so a
bucket costs as much as it has documents, and a pair that it passes over meets in the rarer ones of its samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import keepers, keys, pairs, sampledgrams, sortedfiles, verify
from mdfs.dedup.keys import ROW_BITS
from mdfs.ledger import File, Row
from mdfs.parts import read_part, string_bytes
from mdfs.pool import heartbeat
from mdfs.recipe import Containment, Recipe
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

#: Sub-steps of dedup in the ledger; what they write lies under dedup/work.
ROWS, BUCKETS, CHOOSE, SUFFIX = "dedup-contain-rows", "dedup-contain-buckets", "dedup-contain-choose", "-contained"
STEPS = (ROWS, BUCKETS, CHOOSE, verify.SEND + SUFFIX, verify.STAGE + SUFFIX)
SAMPLES, MET = "dedup/work/contain-samples", "dedup/work/contain-met"
CANDIDATES, WANTED = "dedup/work/contain-candidates", "dedup/work/contain-wanted"
VERIFIED = "dedup/work/contain-verified"
#: Documents that go: the columns of `keepers.REMOVED`.
REMOVED = "dedup/work/contained"

#: The longest documents of a bucket that all others are paired with; and the most candidates of a document, those that
#: share most samples with it, the longest first.
LONGEST, MOST = 8, 8
#: Bytes that a worker takes for each row of samples of its range.
ROW_BYTES = 200

Numbers = NDArray[np.int64]
_COLUMNS = ("hash", "rank", "node", "priority")
_MET = ("contained", "container", "rank", "shared")


def run(run: Run, parts: list[File], together: int, digest: str) -> None:
    """Leave `REMOVED`. What is done already (see `mdfs.dedup.stage.compare`) is not done again, but for the last step.

    Args:
        parts: the part files, by number. `together`: how many are a group of `verify`.
        digest: changes with the documents and the recipe.
    """
    units = [Unit(unit.id, unit.data | {"compared": digest}, unit.cost) for unit in keys.units(parts)]
    rows = run.map(ROWS, sample, units, ())
    count = sum(row.facts["rows"] for row in rows)
    if run.engine.workers:
        run.map(BUCKETS, meet, _ranges(run, count, digest), ())
        groups = range(-(-len(parts) // together))
        data = {"together": together, "compared": digest}
        chosen = [Unit(f"group-{number:05d}", data | {"number": number}) for number in groups]
        run.map(CHOOSE, choose, chosen, ())
    elif count and not run.store.exists("dedup/work/contain-done.json"):
        _by_session(run, together)
        run.store.write_json("dedup/work/contain-done.json", digest)
    verify.run_step(run, verify.Step(CANDIDATES, WANTED, VERIFIED, SUFFIX, verify.CONTAINED), together, digest)
    run.store.delete_folder(REMOVED)
    _write(run, *_gone(run))


def _said(recipe: Recipe) -> Containment:
    assert recipe.dedup.containment is not None
    return recipe.dedup.containment


def sample(job: Job, unit: Unit) -> Row:
    """Write one part's samples: hash, rank (length and 40 bits of the doc_id), node and priority of the document."""
    row, said, found = Row(job.stage, unit.id), _said(job.recipe), [np.zeros((4, 0), np.int64)]
    number, at = int(unit.data["number"]), 0
    gone = _removed(job.store, number)
    for batch in read_part(job.store, unit.data["path"], ["doc_id", "source", "text"]):
        node = (number << ROW_BITS) + at + np.arange(batch.num_rows)
        documents, hashes, words = sampledgrams.samples(batch.column("text"))
        stays = (words >= said.min_chars) & ~sortedfiles.among(node, gone)
        mine = stays[documents]
        documents, hashes = documents[mine], hashes[mine]
        rank = _ranks(batch.column("doc_id"), pc.utf8_length(batch.column("text")))
        priority = _priorities(batch, job.recipe)
        found.append(np.stack([hashes, rank[documents], node[documents], priority[documents]]))
        size = string_bytes(batch.column("text"))
        heartbeat.did(docs=batch.num_rows, bytes=size)
        at += batch.num_rows
        row.bytes_in += size
    columns = np.concatenate(found, axis=1)
    columns = columns[:, np.argsort(columns[0], kind="stable")]
    _write_samples(job.store, f"{SAMPLES}/{unit.id}.parquet", columns)
    row.docs_in = row.docs_out = at
    row.facts = {"rows": columns.shape[1]}
    return row


def _write_samples(store: Store, path: str, columns: Numbers) -> None:
    """Rows sorted by hash: that delta-coded, the others by dictionaries, since a document has many; 10 bytes a row."""
    table = pa.table({name: pa.array(values) for name, values in zip(_COLUMNS, columns, strict=True)})
    if table.num_rows:
        coded = {"use_dictionary": list(_COLUMNS[1:]), "column_encoding": {"hash": "DELTA_BINARY_PACKED"}}
        with store.create(path) as sink:
            pq.write_table(table, sink, row_group_size=sortedfiles.ROWS, compression="zstd", **coded)


def _removed(store: Store, number: int) -> Numbers:
    """Nodes of a part that are removed as copies already, sorted."""
    files = [path for path in sortedfiles.paths(store, keepers.REMOVED) if _of_part(path, number)]
    (node,) = sortedfiles.read(store, files, ["node"], number << ROW_BITS, (number + 1) << ROW_BITS)
    return np.sort(node)


def _of_part(path: str, number: int) -> bool:
    return "/part=" not in path or f"/part={number}/" in path


def _ranks(ids: pa.Array, length: pa.Array) -> Numbers:
    """A number that orders documents by their length in characters, then by doc_id."""
    drawn = np.array([int(doc_id[:10], 16) for doc_id in ids.to_pylist()], np.int64)
    chars: Numbers = length.to_numpy().astype(np.int64)
    return np.minimum(chars, (1 << 23) - 1) << 40 | drawn


def _priorities(batch: pa.RecordBatch, recipe: Recipe) -> Numbers:
    coded = batch.column("source").dictionary_encode()
    known = np.array([keys.priority(recipe, source) for source in coded.dictionary.to_pylist()], np.int64)
    found: Numbers = known[coded.indices.to_numpy()] if batch.num_rows else np.zeros(0, np.int64)
    return found


def _ranges(run: Run, rows: int, digest: str) -> Iterator[Unit]:
    share = run.memory // run.engine.workers
    ranges = max(run.engine.workers, math.ceil(rows * ROW_BYTES / share) if share else 1) if rows else 0
    for number in range(ranges):
        yield Unit(f"range-{number:05d}-of-{ranges}", {"range": [number, ranges], "compared": digest})


def meet(job: Job, unit: Unit) -> Row:
    """Write the pairs that meet in the buckets of one range of hashes, with how many samples they share there."""
    number, ranges = unit.data["range"]
    low, high = (-(1 << 63) + (1 << 64) * edge // ranges for edge in (number, number + 1))
    files = sortedfiles.paths(job.store, SAMPLES)
    columns = sortedfiles.read(job.store, files, _COLUMNS, low, high if high < 1 << 63 else None)
    order = np.lexsort((-columns[1], columns[0]))
    value, rank, node, priority = (column[order] for column in columns)
    contained, container = _pairs(value, rank, priority, np.int64(_said(job.recipe).max_bucket))
    summed = _summed(node[contained], node[container], rank[container], np.ones(contained.size, np.int64))
    sortedfiles.write(job.store, f"{MET}/{unit.id}.parquet", dict(zip(_MET, summed, strict=True)))
    heartbeat.did(docs=0, bytes=8 * value.size)
    return Row(job.stage, unit.id)


@numba.njit(nogil=True, cache=True)
def _pairs(value, rank, priority, most):  # type: ignore[no-untyped-def]
    """Rows of the shorter and the longer document of each pair; rows are sorted by hash, longest first."""
    first, second, many = np.empty(1024, np.int64), np.empty(1024, np.int64), 0
    start = 0
    while start < value.size:
        end = start + 1
        while end < value.size and value[end] == value[start]:
            end += 1
        if end - start <= most:
            for i in range(start + 1, end):
                longest = min(i, start + LONGEST)
                for k in range(start, longest + (i - 1 >= longest)):
                    j = k if k < longest else i - 1
                    if rank[j] >> 40 == rank[i] >> 40 or priority[j] < priority[i]:
                        continue
                    if many == first.size:
                        first, second = np.concatenate((first, first)), np.concatenate((second, second))
                    first[many], second[many] = i, j
                    many += 1
        start = end
    return first[:many].copy(), second[:many].copy()


def _summed(contained: Numbers, container: Numbers, rank: Numbers, shared: Numbers) -> list[Numbers]:
    """Each pair once, with the sum of what it shares; sorted by both."""
    order = np.lexsort((container, contained))
    columns = [column[order] for column in (contained, container, rank)]
    new = np.ones(order.size, bool)
    new[1:] = (columns[0][1:] != columns[0][:-1]) | (columns[1][1:] != columns[1][:-1])
    begins = np.flatnonzero(new)
    sums = np.add.reduceat(shared[order], begins) if begins.size else begins
    return [*(column[begins] for column in columns), sums]


def choose(job: Job, unit: Unit) -> Row:
    """Write the candidates of documents of one group of parts."""
    together = unit.data["together"]
    first = unit.data["number"] * together
    files = sortedfiles.paths(job.store, MET)
    read = sortedfiles.read(job.store, files, _MET, first << ROW_BITS, (first + together) << ROW_BITS)
    contained, container, rank, shared = _summed(*read)
    order = np.lexsort((-rank, -shared, contained))
    contained, container = contained[order], container[order]
    begins = np.flatnonzero(np.append(True, contained[1:] != contained[:-1])) if contained.size else contained
    place = np.arange(contained.size) - np.repeat(begins, np.diff(np.append(begins, contained.size)))
    other, owner = contained[place < MOST], container[place < MOST]
    order = np.argsort(owner, kind="stable")
    sortedfiles.write(job.store, f"{CANDIDATES}/{unit.id}.parquet", {"owner": owner[order], "other": other[order]})
    other, group = sortedfiles.distinct_pairs(other, (owner >> ROW_BITS) // together)
    sortedfiles.write(job.store, f"{WANTED}/{unit.id}.parquet", {"node": other, "group": group})
    return Row(job.stage, unit.id)


def _by_session(run: Run, together: int) -> None:
    """`meet` and `choose` on the session: windows in buckets that are not hot, then sums."""
    F, W = run.engine.functions(), run.engine.window()
    rows = run.engine.session().read.parquet(run.store.spark_uri(SAMPLES))
    sizes = rows.groupBy("hash").count().where(f"count > 1 and count <= {_said(run.recipe).max_bucket}").select("hash")
    longest = W.partitionBy("hash").orderBy(F.col("rank").desc(), F.col("node"))
    placed = rows.join(sizes, "hash", "left_semi").withColumn("place", F.row_number().over(longest))
    longer = placed.where(f"place <= {LONGEST}").select(
        "hash", *(F.col(name).alias(f"long_{name}") for name in ("rank", "node", "priority", "place"))
    )
    met = placed.join(longer, "hash").where("long_place < place")
    following = [F.lag(name).over(longest).alias(f"long_{name}") for name in ("rank", "node", "priority")]
    after = placed.select("hash", "rank", "node", "priority", "place", *following)
    after = after.where(f"long_node is not null and place > {LONGEST + 1}")
    names = ["node", "long_node", "rank", "long_rank", "priority", "long_priority"]
    both = met.select(*names).union(after.select(*names))
    fits = F.shiftright("long_rank", 40) > F.shiftright("rank", 40)
    both = both.where(fits & (F.col("long_priority") >= F.col("priority")))
    summed = both.groupBy("node", "long_node", "long_rank").agg(F.count("*").alias("shared"))
    best = W.partitionBy("node").orderBy(F.col("shared").desc(), F.col("long_rank").desc(), F.col("long_node"))
    chosen = summed.withColumn("best", F.row_number().over(best)).where(f"best <= {MOST}")
    chosen = chosen.select(F.col("long_node").alias("owner"), F.col("node").alias("other"))
    pairs.by_part(run, chosen, "owner", CANDIDATES)
    pairs.want(run, CANDIDATES, WANTED, together)


def _gone(run: Run) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
    """Documents that go, the one that each goes in favour of, and the share of its shingles that stand there.

    The driver holds 24 bytes for each verified pair that is similar enough.
    """
    found: list[list[Any]] = [[np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]]
    for path in sortedfiles.paths(run.store, VERIFIED):
        table = verify.read_tables(run.store, [path])
        columns = [table.column(name).to_numpy() for name in ("a", "b", "similarity")]
        enough = columns[2] >= _said(run.recipe).threshold
        for collected, column in zip(found, columns, strict=True):
            collected.append(column[enough])
    contained, container, share = (np.concatenate(columns) for columns in found)
    nodes = np.unique(np.concatenate([contained, container]))
    ranks = np.concatenate([rank for _, rank in _facts_of(run, nodes)]) if nodes.size else nodes
    a, b = np.searchsorted(nodes, contained), np.searchsorted(nodes, container)
    # Longest first; of a document's pairs that with the greatest share, then the longest.
    order = np.lexsort((-ranks[b], -share, -ranks[a]))
    chosen = _decided(a[order], b[order], nodes.size)
    picked = order[chosen]
    return contained[picked], container[picked], share[picked]


@numba.njit(nogil=True, cache=True)
def _decided(contained, container, count):  # type: ignore[no-untyped-def]
    """Places of the pairs by which documents go: the first of a document's whose longer one stays itself."""
    gone, chosen, many = np.zeros(count, np.bool_), np.empty(contained.size, np.int64), 0
    for i in range(contained.size):
        if not gone[contained[i]] and not gone[container[i]]:
            gone[contained[i]] = True
            chosen[many] = i
            many += 1
    return chosen[:many].copy()


def _facts_of(run: Run, nodes: Numbers) -> Iterator[tuple[pa.Array, Numbers]]:
    """doc_ids and ranks of documents (sorted nodes), part by part."""
    files = {keys.part_name(file.path): file.path for file in run.files(keys.STAGE, "keys")}
    names = [keys.part_name(path) for path in verify.parts(run.store)]
    numbers = nodes >> ROW_BITS
    for number in np.unique(numbers).tolist():
        low, high = np.searchsorted(numbers, [number, number + 1])
        with run.store.open(files[names[number]]) as handle, pq.ParquetFile(handle) as file:
            table = file.read(columns=["doc_id", "length"], use_threads=False)
        table = table.take(pa.array(nodes[low:high] - (number << ROW_BITS))).combine_chunks()
        ids = table.column("doc_id").combine_chunks()
        yield ids, _ranks(ids, table.column("length"))


def _write(run: Run, contained: Numbers, container: Numbers, share: NDArray[np.float64]) -> None:
    """Write `REMOVED`, sorted by node, a file."""
    if not contained.size:
        return
    nodes = np.unique(np.concatenate([contained, container]))
    ids = pa.chunked_array([ids for ids, _ in _facts_of(run, nodes)], pa.string()).combine_chunks()
    order = np.argsort(contained)
    contained, container, share = contained[order], container[order], share[order]
    columns: Sequence[Any] = (
        pa.array(contained), ids.take(pa.array(np.searchsorted(nodes, contained))), pa.array(container),
        ids.take(pa.array(np.searchsorted(nodes, container))), pa.array(["containment"] * contained.size),
        pa.array(share),
    )  # fmt: skip
    names = ["node", "doc_id", "keeper", "duplicate_of", "kind", "similarity"]
    with run.store.create(f"{REMOVED}/all.parquet") as sink:
        pq.write_table(pa.table(dict(zip(names, columns, strict=True))), sink, row_group_size=sortedfiles.ROWS)
