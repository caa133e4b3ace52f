"""Third step: the similarity of pairs, from their texts or from their signatures.

What is compared of a document is a run of 32-bit hashes: its shingles, sorted, or its signature. Copies lie anywhere in
the corpus, so a worker that fetched the others of its pairs from their parts would read the whole corpus. Instead each
part is read once: a first map sends the hashes of documents that are wanted elsewhere, as sorted slices for each group
of parts that wants them; a second map holds the owners of one group, as many at once as `HELD_HASHES` allows, and walks
through what was sent to the group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import keys, sortedfiles
from mdfs.dedup.keys import ROW_BITS
from mdfs.dedup.minhash import shingles
from mdfs.ledger import File, Row
from mdfs.parts import PartWriter, string_bytes
from mdfs.pool import heartbeat
from mdfs.recipe import MinHash, Recipe
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

SEND, STAGE = "dedup-send", "dedup-verify"
FOLDER = "dedup/verified"
#: Where the list of the parts' paths stands while the stage works; a node's upper bits are a place in it.
PARTS = "dedup/work/parts.json"
#: What one group of parts has sent to others: node, group, hashes; sorted by group for each row group.
SENT = "dedup/work/sent"
#: Hashes held at once, of owners or on their way: 64 MiB.
HELD_HASHES = 16 << 20
#: Hashes in a row group of what was sent, the least that is read of it: 1 MiB.
GROUP_HASHES = 1 << 18
#: Bytes of text in a group of parts: few groups, so that few slices are sent, each of which holds a few hundred MB of
#: the hashes of its owners, where a fifth of the documents have a copy.
GROUP_TEXT = 1 << 30
#: Groups that there are at least, where there are parts enough: so many workers verify at once.
LEAST_GROUPS = 64

#: What is measured of a pair.
SIMILAR, CONTAINED = "similar", "contained"
#: Pairs with their Jaccard similarity, a < b.
VERIFIED = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("similarity", pa.float64())])
_SENT = pa.schema([("group", pa.int64()), ("node", pa.int64()), ("hashes", pa.large_list(pa.uint32()))])

Nodes = NDArray[np.int64]


def parts_together(parts: Sequence[File]) -> int:
    """How many parts, one after another, are a group."""
    text = sum(part.text_bytes for part in parts) or 1
    return max(1, min(len(parts) * GROUP_TEXT // text, -(-len(parts) // LEAST_GROUPS)))


@dataclass(frozen=True)
class Step:
    """A pass of sending and verifying.

    Attributes:
        candidates, wanted: folders of pairs (owner, other) and of (node, group), as `mdfs.dedup.pairs` says.
        folder: where the similarities go. `suffix`: of the names in the ledger.
        measure: `SIMILAR`, or `CONTAINED`: the share of the other's shingles that are the owner's too; then a is the
            other and b the owner.
    """

    candidates: str
    wanted: str
    folder: str
    suffix: str = ""
    measure: str = SIMILAR


def run_step(run: Run, step: Step, together: int, digest: str) -> int:
    """Send and verify; returns the number of pairs that were verified."""
    data = {"compared": digest, "together": together, "step": [step.candidates, step.wanted, step.folder]}
    data["measure"] = step.measure
    sent, groups = f"{SENT}{step.suffix}", -(-len(parts(run.store)) // together)
    units = [Unit(_name(number), data | {"number": number, "sent": sent}) for number in range(groups)]
    wanted, candidates = (sortedfiles.paths(run.store, folder) for folder in (step.wanted, step.candidates))
    if not candidates:
        units = []
    run.map(SEND + step.suffix, send, [_with(unit, "files", wanted, together) for unit in units], ())
    verifying = [_with(unit, "files", candidates, together) for unit in units]
    return sum(row.docs_in for row in run.map(STAGE + step.suffix, work, verifying, (step.folder,)))


def path(folder: str, group: int) -> str:
    """Where the similarities of one group's pairs stand."""
    return f"{folder}/{_name(group)}.parquet"


def _name(group: int) -> str:
    return f"group-{group:05d}"


def _with(unit: Unit, name: str, paths: list[str], together: int) -> Unit:
    """The unit with the files that may hold its rows: all, or those of its parts where a session wrote by part."""
    first = unit.data["number"] * together
    numbers = {f"part={number}" for number in range(first, first + together)}
    mine = [path for path in paths if "/part=" not in path or path.split("/")[-2] in numbers]
    return Unit(unit.id, unit.data | {name: mine}, len(mine))


def _range(unit: Unit) -> tuple[int, int]:
    """The nodes of a unit's parts."""
    first = unit.data["number"] * unit.data["together"]
    return first << ROW_BITS, (first + unit.data["together"]) << ROW_BITS


def send(job: Job, unit: Unit) -> Row:
    """Write the hashes of documents of some parts that other groups, or their own, want."""
    node, group = sortedfiles.read(job.store, unit.data["files"], ["node", "group"], *_range(unit))
    node, group = sortedfiles.distinct_pairs(node, group)
    if not node.size:
        return Row(job.stage, unit.id)
    with (
        job.store.create(f"{unit.data['sent']}/{unit.id}.parquet") as sink,
        pq.ParquetWriter(sink, _SENT, use_dictionary=False, compression="none") as writer,
    ):
        for held in _held(_sets(job, unit, sortedfiles.distinct(node))):
            low, high = np.searchsorted(node, [held.nodes[0], held.nodes[-1] + 1])
            _send(writer, held, node[low:high], group[low:high])
    return Row(job.stage, unit.id)


def _send(writer: Any, held: Sets, node: Nodes, group: Nodes) -> None:
    """Write rows sorted by group, in row groups of about `GROUP_HASHES`."""
    order = np.argsort(group, kind="stable")
    at = np.searchsorted(held.nodes, node[order])
    sizes = held.ends[at + 1] - held.ends[at]
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // GROUP_HASHES)) + 1
    for rows in np.split(np.arange(at.size), cuts):
        ends = np.concatenate([[0], np.cumsum(sizes[rows])])
        hashes = np.empty(ends[-1], np.uint32)
        _gather(held.hashes, held.ends, at[rows], hashes)
        lists = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(hashes))
        columns = [pa.array(group[order][rows]), pa.array(node[order][rows]), lists]
        writer.write_table(pa.table(columns, schema=_SENT), row_group_size=max(1, rows.size))


def _received(store: Store, folder: str, number: int, wanted: Nodes) -> Iterator[Sets]:
    """What was sent to one group of documents in `wanted` (sorted)."""
    for name in sortedfiles.paths(store, folder):
        with store.open(name) as handle, pq.ParquetFile(handle) as file:
            for i in range(file.num_row_groups):
                said = file.metadata.row_group(i).column(0).statistics
                if said.min <= number <= said.max:
                    table = file.read_row_group(i, use_threads=False)
                    mine = np.flatnonzero(table.column("group").to_numpy() == number)
                    nodes = table.column("node").to_numpy()[mine]
                    mine = mine[sortedfiles.among(nodes, wanted)]
                    if mine.size:
                        rows = table.take(pa.array(mine)).combine_chunks()
                        lists = rows.column("hashes").chunk(0)
                        heartbeat.did(docs=0, bytes=rows.nbytes)
                        ends = lists.offsets.to_numpy()
                        yield Sets(rows.column("node").to_numpy(), lists.values.to_numpy(), ends)


def work(job: Job, unit: Unit) -> Row:
    """Write the similarities of the candidate pairs that some parts own; docs_in counts pairs."""
    owners, others = sortedfiles.read(job.store, unit.data["files"], ["owner", "other"], *_range(unit))
    owners, others = sortedfiles.distinct_pairs(owners, others)
    found = np.full(owners.size, np.nan)
    for held in _held(_sets(job, unit, sortedfiles.distinct(owners))):
        low, high = np.searchsorted(owners, [held.nodes[0], held.nodes[-1] + 1])
        _compare(job, unit, held, owners[low:high], others[low:high], found[low:high])
    assert not np.isnan(found).any(), "a document that was wanted was not sent"
    contained = unit.data["measure"] == CONTAINED
    ends = [others, owners] if contained else [np.minimum(owners, others), np.maximum(owners, others)]
    order = np.lexsort(ends[::-1])
    columns = [pa.array(column[order]) for column in (*ends, found)]
    target = path(unit.data["step"][2], unit.data["number"])
    with PartWriter(job.store, target, VERIFIED, kind="verified", numbers=True) as part:
        part.write(pa.RecordBatch.from_arrays(columns, schema=VERIFIED))
    return Row(job.stage, unit.id, files=part.files, docs_in=len(found), docs_out=len(found))


def _compare(job: Job, unit: Unit, held: Sets, owners: Nodes, others: Nodes, found: NDArray[np.float64]) -> None:
    """Fill in the similarities of pairs whose owners are held."""
    measure = _agreement if _signed(job, unit) else _jaccard
    if unit.data["measure"] == CONTAINED:
        measure = _containment
    order = np.argsort(others, kind="stable")
    for seen in _received(job.store, unit.data["sent"], unit.data["number"], sortedfiles.distinct(others)):
        low, high = (np.searchsorted(others[order], seen.nodes, side) for side in ("left", "right"))
        seen_at = np.repeat(np.arange(seen.nodes.size), high - low)
        now = order[np.repeat(low, high - low) + _counted(high - low)]
        held_at = np.searchsorted(held.nodes, owners[now])
        found[now] = measure(held.hashes, held.ends, held_at, seen.hashes, seen.ends, seen_at)


def _counted(sizes: Nodes) -> Nodes:
    """0, 1, … for each size."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


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


@dataclass(frozen=True)
class Sets:
    """Hashes of some documents: those of nodes[i] lie from ends[i] to ends[i + 1]."""

    nodes: Nodes
    hashes: NDArray[np.uint32]
    ends: NDArray[np.int64]


def _held(found: Iterator[Sets]) -> Iterator[Sets]:
    """Sets put together until there are `HELD_HASHES`."""
    waiting: list[Sets] = []
    for sets in found:
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


def _signed(job: Job, unit: Unit) -> bool:
    """Whether signatures are compared."""
    return keys.by_signature(job.recipe.dedup) and unit.data["measure"] == SIMILAR


def _sets(job: Job, unit: Unit, nodes: Nodes) -> Iterator[Sets]:
    """The hashes of `nodes` (sorted), one `Sets` for each row group that holds some of them."""
    store, paths, recipe = job.store, parts(job.store), job.recipe
    numbers = nodes >> ROW_BITS
    signed = _signed(job, unit)
    for number in np.unique(numbers).tolist():
        low, high = np.searchsorted(numbers, [number, number + 1])
        first = number << ROW_BITS
        name = keys.path(keys.part_name(paths[number])) if signed else paths[number]
        with store.open(name) as handle, pq.ParquetFile(handle) as file:
            for rows, values in _values(file, nodes[low:high] - first, "signature" if signed else "text"):
                yield Sets(rows + first, *(_signatures(values) if signed else _shingles(values, recipe)))


def _values(file: Any, rows: Nodes, column: str) -> Iterator[tuple[Nodes, pa.Array]]:
    """A column's values in some rows (sorted) of a part, a row group at a time."""
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        low, high = np.searchsorted(rows, [start, end])
        if low < high:
            values = file.read_row_group(group, columns=[column], use_threads=False).column(column).combine_chunks()
            yield rows[low:high], values.take(pa.array(rows[low:high] - start))
        start = end


def _signatures(values: pa.Array) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    size = values.type.byte_width // 4
    hashes = np.frombuffer(values.buffers()[1], np.uint32, len(values) * size, values.offset * size * 4)
    return hashes, np.arange(len(values) + 1) * size


def _shingles(texts: pa.Array, recipe: Recipe) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Sorted shingles. Without MinHash, pairs that are tied by way of others are measured by its defaults."""
    hashes, ends = shingles(texts, ngram=(recipe.dedup.minhash or MinHash()).ngram)
    for i in range(len(texts)):
        hashes[ends[i] : ends[i + 1]].sort()
    heartbeat.did(docs=0, bytes=string_bytes(texts))
    return hashes, ends


@numba.njit(nogil=True, cache=True)
def _gather(hashes, ends, at, found):  # type: ignore[no-untyped-def]
    """Copy the runs of hashes at some places, one after another."""
    filled = 0
    for i in at:
        size = ends[i + 1] - ends[i]
        found[filled : filled + size] = hashes[ends[i] : ends[i + 1]]
        filled += size


@numba.njit(nogil=True, cache=True)
def _agreement(left, left_ends, left_at, right, right_ends, right_at):  # type: ignore[no-untyped-def]
    """float64[n]: for each pair, the share of equal values of two signatures of one length."""
    found = np.empty(left_at.size, np.float64)
    for k in range(left_at.size):
        i, j = left_ends[left_at[k]], right_ends[right_at[k]]
        size = left_ends[left_at[k] + 1] - i
        same = 0
        for n in range(size):
            same += left[i + n] == right[j + n]
        found[k] = same / size
    return found


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


@numba.njit(nogil=True, cache=True)
def _containment(left, left_ends, left_at, right, right_ends, right_at):  # type: ignore[no-untyped-def]
    """float64[n]: for each pair, the share of the distinct hashes of the right sorted run that the left one has."""
    found = np.empty(left_at.size, np.float64)
    for k in range(left_at.size):
        i, i_end = left_ends[left_at[k]], left_ends[left_at[k] + 1]
        j, j_end = right_ends[right_at[k]], right_ends[right_at[k] + 1]
        shared = total = 0
        while j < j_end:
            value = right[j]
            while i < i_end and left[i] < value:
                i += 1
            total += 1
            shared += i < i_end and left[i] == value
            while j < j_end and right[j] == value:
                j += 1
        found[k] = shared / total if total else 1.0
    return found
