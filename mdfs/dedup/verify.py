"""Third step: the similarity of pairs, from their texts.

A worker has the pairs whose owners lie in one part. It holds the owners' shingles, as many at once as `HELD_HASHES`
allows, and walks through the others in the order in which they lie in their files, reading only row groups and rows
that it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup.keys import ROW_BITS
from mdfs.dedup.minhash import shingles
from mdfs.ledger import Row
from mdfs.parts import PartWriter, string_bytes
from mdfs.pool import heartbeat
from mdfs.stage import Job, Unit
from mdfs.storage import Store

STAGE = "dedup-verify"
FOLDER = "dedup/verified"
#: Where the list of the parts' paths stands while the stage works; a node's upper bits are a place in it.
PARTS = "dedup/work/parts.json"
#: Shingle hashes of owners held at once: 64 MiB.
HELD_HASHES = 16 << 20

#: Pairs with their Jaccard similarity, a < b.
VERIFIED = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("similarity", pa.float64())])

Nodes = NDArray[np.int64]


def work(job: Job, unit: Unit) -> Row:
    """Write the similarities of the candidate pairs in the files `unit.data["pairs"]`; docs_in counts pairs."""
    assert job.recipe.dedup.minhash is not None
    table = read_tables(job.store, unit.data["pairs"])
    owners, others = (table.column(name).to_numpy() for name in ("owner", "other"))
    found = similarities(job.store, parts(job.store), owners, others, job.recipe.dedup.minhash.ngram)
    ends = [np.minimum(owners, others), np.maximum(owners, others)]
    order = np.lexsort(ends[::-1])
    columns = [pa.array(column[order]) for column in (*ends, found)]
    with PartWriter(job.store, f"{FOLDER}/{unit.id}.parquet", VERIFIED, kind="verified") as part:
        part.write(pa.RecordBatch.from_arrays(columns, schema=VERIFIED))
    return Row(STAGE, unit.id, files=part.files, docs_in=len(found), docs_out=len(found))


def parts(store: Store) -> list[str]:
    """Paths of all parts, by number."""
    return [str(path) for path in store.read_json(PARTS)]


def read_tables(store: Store, paths: list[str]) -> pa.Table:
    """Parquet files that the session wrote, one after another."""
    tables = []
    for path in paths:
        with store.open(path) as handle:
            tables.append(pq.read_table(handle, use_threads=False))
    return pa.concat_tables(tables)


def similarities(store: Store, paths: list[str], owners: Nodes, others: Nodes, ngram: int) -> NDArray[np.float64]:
    """Jaccard similarity of the shingle sets of each pair; 1.0 where neither text has a shingle.

    Args:
        store: where the parts lie. `paths`: of all parts, by number.
        owners, others: int64[n] each, nodes (see `mdfs.dedup.keys`).
        ngram: characters in a shingle.

    Returns:
        float64[n].
    """
    found = np.zeros(len(owners), np.float64)
    order = np.argsort(owners, kind="stable")
    for held in _held(store, paths, np.unique(owners), ngram):
        low, high = np.searchsorted(owners[order], [held.nodes[0], held.nodes[-1] + 1])
        pairs = order[low:high]
        pairs = pairs[np.argsort(others[pairs], kind="stable")]
        for seen in _sets(store, paths, np.unique(others[pairs]), ngram):
            low, high = np.searchsorted(others[pairs], [seen.nodes[0], seen.nodes[-1] + 1])
            now = pairs[low:high]
            found[now] = _jaccard(
                held.hashes, held.ends, np.searchsorted(held.nodes, owners[now]),
                seen.hashes, seen.ends, np.searchsorted(seen.nodes, others[now]),
            )  # fmt: skip
    return found


@dataclass(frozen=True)
class Sets:
    """Shingle hashes of some documents, sorted for each: those of nodes[i] lie from ends[i] to ends[i + 1]."""

    nodes: Nodes
    hashes: NDArray[np.uint32]
    ends: NDArray[np.int64]


def _held(store: Store, paths: list[str], nodes: Nodes, ngram: int) -> Iterator[Sets]:
    """`_sets`, put together until there are `HELD_HASHES`."""
    waiting: list[Sets] = []
    for sets in _sets(store, paths, nodes, ngram):
        waiting.append(sets)
        if sum(s.hashes.size for s in waiting) >= HELD_HASHES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(sets: list[Sets]) -> Sets:
    starts = np.cumsum([0, *(s.hashes.size for s in sets)])
    ends = [np.zeros(1, np.int64), *(s.ends[1:] + start for s, start in zip(sets, starts, strict=False))]
    return Sets(np.concatenate([s.nodes for s in sets]), np.concatenate([s.hashes for s in sets]), np.concatenate(ends))


def _sets(store: Store, paths: list[str], nodes: Nodes, ngram: int) -> Iterator[Sets]:
    """The shingles of `nodes` (sorted), one `Sets` for each row group that holds some of them."""
    numbers = nodes >> ROW_BITS
    for number in np.unique(numbers).tolist():
        low, high = np.searchsorted(numbers, [number, number + 1])
        first = number << ROW_BITS
        with store.open(paths[number]) as handle, pq.ParquetFile(handle) as file:
            for rows, texts in _texts(file, nodes[low:high] - first):
                hashes, ends = shingles(texts, ngram=ngram)
                for i in range(len(texts)):
                    hashes[ends[i] : ends[i + 1]].sort()
                heartbeat.did(docs=0, bytes=string_bytes(texts))
                yield Sets(rows + first, hashes, ends)


def _texts(file: Any, rows: Nodes) -> Iterator[tuple[Nodes, pa.Array]]:
    """The texts of some rows (sorted) of a part, a row group at a time."""
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        low, high = np.searchsorted(rows, [start, end])
        if low < high:
            column = file.read_row_group(group, columns=["text"], use_threads=False).column("text").combine_chunks()
            yield rows[low:high], column.take(pa.array(rows[low:high] - start))
        start = end


@numba.njit(nogil=True, cache=True)
def _jaccard(left, left_ends, left_at, right, right_ends, right_at):  # type: ignore[no-untyped-def]
    """float64[n]: for each pair, shared over all distinct hashes of two sorted runs."""
    found = np.empty(left_at.size, np.float64)
    for k in range(left_at.size):
        i, i_end = left_ends[left_at[k]], left_ends[left_at[k] + 1]
        j, j_end = right_ends[right_at[k]], right_ends[right_at[k] + 1]
        shared = total = 0
        while i < i_end or j < j_end:
            in_left = i < i_end and (j == j_end or left[i] <= right[j])
            in_right = j < j_end and (i == i_end or right[j] <= left[i])
            value = left[i] if in_left else right[j]
            total += 1
            shared += in_left and in_right
            while i < i_end and left[i] == value:
                i += 1
            while j < j_end and right[j] == value:
                j += 1
        found[k] = shared / total if total else 1.0
    return found
