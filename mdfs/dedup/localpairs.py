"""Second step on one machine: the links and candidates of `mdfs.dedup.pairs`, the same rows, without a session.

Workers read the columns that they need of all keys files, sort them in memory and write sorted files. A worker's share
is a few bands, or where even one band is too much for the budget, the documents whose key falls in one range: keys are
hashes, so ranges are of one size. A range is found by reading the column again, which costs a tenth of sorting it, so
nothing else is spilled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import keys, pairs, sortedfiles
from mdfs.ledger import File, Row
from mdfs.parts import read_part
from mdfs.pool import heartbeat
from mdfs.recipe import Dedup
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

#: Sub-steps of dedup in the ledger: same address, text or id; then same band.
LINKS, BANDS = "dedup-links", "dedup-bands"
#: Documents that are linked by their exact text and have its signature too; they are left out of the bands.
COPIES = "dedup/work/copies"
#: Bytes that a worker takes for each document of its range: node, h, two halves of a key, sketch, counters, and what of
#: it is sorted; measured with texts that all have a copy.
KEY_BYTES = 110
#: The same for bands: node, h and length, and what of one band is sorted; and for each band its hashes and pairs.
BAND_BYTES, EACH_BAND_BYTES = 90, 28

Numbers = NDArray[np.int64]


def write(run: Run, files: list[File], parts_together: int, digest: str) -> None:
    """Write `pairs.LINKS`, `pairs.CANDIDATES` and `pairs.WANTED`, and the ledger's row `pairs.HOT`.

    Args:
        run: its `memory` is what all workers together may take, in bytes; 0: no bound.
        files: the keys files, by number of the part.
        parts_together: parts in a group of `pairs.WANTED`.
        digest: changes with the keys.

    Raises:
        RunError: two documents have one doc_id.
    """
    dedup, rows = run.recipe.dedup, sum(file.rows for file in files)
    share = run.memory // run.engine.workers
    data = {"keys": [file.path for file in files], "compared": digest}
    kinds = ["ids", *(["url"] if dedup.url else []), *(["exact"] if dedup.exact or dedup.minhash else [])]
    ranges = math.ceil(rows * KEY_BYTES / share) if share else 1
    units = [
        Unit(f"{kind}-{number}-of-{ranges}", data | {"kind": kind, "range": [number, ranges]})
        for kind in kinds
        for number in range(max(1, ranges))
    ]
    run.map(LINKS, link, units, ())
    units = list(_band_units(dedup, rows, share, run.engine.workers, data | {"together": parts_together}))
    found: dict[str, int] = {}
    for row in run.map(BANDS, band, units, ()):
        found |= row.facts
    pairs.commit_hot(run, found)


def _band_units(dedup: Dedup, rows: int, share: int, workers: int, data: dict[str, Any]) -> Iterator[Unit]:
    """As many bands together as fit a worker's share, and at least two units a worker; else one band in ranges."""
    bands = len(keys.band_columns(dedup))
    size = max(1, math.ceil(bands / (2 * workers)))
    if share:
        size = max(1, min(size, (share // max(1, rows) - BAND_BYTES) // EACH_BAND_BYTES))
    ranges = math.ceil(rows * (BAND_BYTES + EACH_BAND_BYTES) / share) if share and size == 1 else 1
    for first in range(0, bands, size):
        together = list(range(first, min(bands, first + size)))
        for number in range(max(1, ranges)):
            name = f"band-{first:02d}-{len(together)}-{number}-of-{ranges}"
            yield Unit(name, data | {"bands": together, "range": [number, ranges]})


def link(job: Job, unit: Unit) -> Row:
    """Write links, and which documents are exact copies; or look for equal ids.

    Raises:
        RunError: two documents have one doc_id.
    """
    kind, (number, ranges) = unit.data["kind"], unit.data["range"]
    columns = {"ids": ["h"], "url": ["url_1", "url_2", "h"], "exact": ["exact_1", "exact_2", "sketch", "h"]}[kind]
    node, *values = _columns(job.store, unit.data["keys"], columns, number, ranges)
    shared = _shared(values[0])
    node, values = node[shared], [column[shared] for column in values]
    if kind == "ids":
        _refuse_equal_ids(job.store, unit.data["keys"], node, values[0])
        return Row(job.stage, unit.id)
    a, b = _star(node, values[-1], values[:2])
    order = np.argsort(a)
    sortedfiles.write(job.store, f"{pairs.LINKS}/{unit.id}.parquet", {"a": a[order], "b": b[order]})
    if kind == "exact" and job.recipe.dedup.exact:
        first, copy = _star(node, values[-1], values[:3], ordered=False)
        sortedfiles.write(job.store, f"{COPIES}/{unit.id}.parquet", {"node": np.sort(copy)})
    return Row(job.stage, unit.id)


def _columns(store: Store, paths: Sequence[str], names: list[str], number: int, ranges: int) -> list[Numbers]:
    """Nodes and columns of the documents that have the first column and have it in one of so many ranges."""
    found: list[list[Numbers]] = [[] for _ in range(len(names) + 1)]
    for path in paths:
        with store.open(path) as handle, pq.ParquetFile(handle) as file:
            table = file.read(columns=["node", *names], use_threads=False)
        table = table.filter(table.column(names[0]).is_valid())
        values = [table.column(name).to_numpy() for name in ("node", *names)]
        inside = _in_range(values[1], number, ranges)
        for collected, column in zip(found, values, strict=True):
            collected.append(column if inside is None else column[inside])
        heartbeat.did(docs=0, bytes=table.nbytes)
    return [np.concatenate(collected) for collected in found]


def _in_range(values: Numbers, number: int, ranges: int) -> NDArray[np.bool_] | None:
    """Which hashes are in range `number` of `ranges`; None for all."""
    if ranges <= 1:
        return None
    upper = values.view(np.uint64) >> np.uint64(32)
    inside: NDArray[np.bool_] = (upper * np.uint64(ranges)) >> np.uint64(32) == np.uint64(number)
    return inside


def _shared(values: Numbers) -> Numbers:
    """Places of the values that are there more than once, and some that are not."""
    slots = 1 << max(10, (2 * values.size).bit_length())
    counters = np.zeros(slots, np.uint8)
    return np.flatnonzero(_crowded(values, counters))


@numba.njit(nogil=True, cache=True)
def _crowded(values, counters):  # type: ignore[no-untyped-def]
    """Which values meet another in one of the counters; values are hashes, or are spread like them here."""
    mask = np.uint64(counters.size - 1)
    found = np.zeros(values.size, np.bool_)
    for i in range(values.size):
        slot = (np.uint64(values[i]) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
        counters[slot] = min(counters[slot] + 1, 2)
    for i in range(values.size):
        slot = (np.uint64(values[i]) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
        found[i] = values[i] != 0 and counters[slot] > 1
    return found


def _star(node: Numbers, h: Numbers, key: list[Numbers], *, ordered: bool = True) -> tuple[Numbers, Numbers]:
    """Pairs of each document with the first, by (h, node), of those that have all its keys; the smaller node first,
    or where not `ordered` the first document."""
    order = np.lexsort((node, h, *key[::-1]))
    node = node[order]
    starts = np.ones(node.size, bool)
    for i, column in enumerate(key):
        changes = column[order][1:] != column[order][:-1]
        starts[1:] = changes if i == 0 else starts[1:] | changes
    if not node.size:
        return node, node
    first = node[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    first, node = first[~starts], node[~starts]
    return (np.minimum(first, node), np.maximum(first, node)) if ordered else (first, node)


def _refuse_equal_ids(store: Store, paths: Sequence[str], node: Numbers, h: Numbers) -> None:
    """Look at the doc_ids of the documents whose `h` is another's too; there are next to none."""
    first, same = _star(node, h, [h])
    suspects = np.unique(np.concatenate([first, same]))
    counts: dict[str, int] = {}
    for number in np.unique(suspects >> keys.ROW_BITS).tolist():
        for batch in read_part(store, paths[number], ["node", "doc_id"]):
            alike = np.isin(batch.column("node").to_numpy(), suspects)
            for name in batch.column("doc_id").filter(alike).to_pylist():
                counts[name] = counts.get(name, 0) + 1
    equal = sorted(name for name, count in counts.items() if count > 1)
    if equal:
        raise pairs.equal_ids(equal[0], counts[equal[0]])


def band(job: Job, unit: Unit) -> Row:
    """Write the candidates that some bands propose; facts name its hot buckets."""
    assert job.recipe.dedup.minhash is not None
    number, ranges = unit.data["range"]
    most = job.recipe.dedup.minhash.max_bucket
    names = [keys.band_columns(job.recipe.dedup)[i] for i in unit.data["bands"]]
    node, h, length, *hashes = _band_columns(job.store, unit.data["keys"], names, number, ranges)
    row, found = Row(job.stage, unit.id), [np.zeros(0, np.uint64)]
    for place in unit.data["bands"]:
        values = hashes.pop(0)
        shared = _shared(values)
        at = shared[np.argsort(values[shared])]
        proposed, many, hot = _propose(values, h, length, at.astype(np.uint32), np.int64(most))
        found.append(sortedfiles.distinct(proposed[:many]))
        row.facts |= {pairs.hot_name(place, value): int(size) for value, size in hot.tolist()}
        heartbeat.did(docs=0, bytes=values.nbytes)
    _write_candidates(job.store, unit, node, sortedfiles.distinct(np.concatenate(found)))
    return row


def _band_columns(store: Store, paths: Sequence[str], names: list[str], number: int, ranges: int) -> list[Numbers]:
    """node, h, length and the hashes of bands of the documents that have a signature of their own."""
    copies = [sortedfiles.SortedFile(store, path, ["node"]) for path in sortedfiles.paths(store, COPIES)]
    found: list[list[Numbers]] = [[] for _ in range(len(names) + 3)]
    for part, path in enumerate(paths):
        with store.open(path) as handle, pq.ParquetFile(handle) as file:
            table = file.read(columns=["node", "h", "length", *names], use_threads=False)
        values = [table.column(name).to_numpy() for name in ("node", "h", "length", *names)]
        wanted = values[3] != 0
        for file_of_copies in copies:
            (gone,) = file_of_copies.read(part << keys.ROW_BITS, (part + 1) << keys.ROW_BITS)
            wanted[gone - (part << keys.ROW_BITS)] = False
        inside = _in_range(values[3], number, ranges)
        wanted = wanted if inside is None else wanted & inside
        for collected, column in zip(found, values, strict=True):
            collected.append(column[wanted])
        heartbeat.did(docs=0, bytes=table.nbytes)
    for file_of_copies in copies:
        file_of_copies.__exit__()
    return [np.concatenate(collected) for collected in found]


def _write_candidates(store: Store, unit: Unit, node: Numbers, found: NDArray[np.uint64]) -> None:
    """Pairs of rows, owner * 2^32 + other, as sorted files: by owner, and by other with the owner's group."""
    lower = np.uint64(32)
    columns = {"owner": node[found >> lower], "other": node[found & np.uint64(0xFFFFFFFF)]}
    sortedfiles.write(store, f"{pairs.CANDIDATES}/{unit.id}.parquet", columns)
    swapped = np.sort((found << lower) | (found >> lower))
    other = node[swapped >> lower]
    group = (node[swapped & np.uint64(0xFFFFFFFF)] >> keys.ROW_BITS) // unit.data["together"]
    new = np.ones(other.size, bool)
    new[1:] = (other[1:] != other[:-1]) | (group[1:] != group[:-1])
    columns = {"node": other[new], "group": group[new]}
    sortedfiles.write(store, f"{pairs.WANTED}/{unit.id}.parquet", columns)


@numba.njit(nogil=True, cache=True)
def _propose(values, h, length, at, most):  # type: ignore[no-untyped-def]
    """Pairs that the buckets of one band propose (see `mdfs.dedup.pairs`).

    `at` are the rows to look at, sorted by `values`. Returned are uint64 pairs, owner * 2^32 + other, of rows, how many
    of them are filled, and int64[k, 2], hash and size of each hot bucket.
    """
    proposed = np.empty(2 * at.size, np.uint64)
    hot = []
    many = 0
    start = 0
    while start < at.size:
        end = start + 1
        value = values[at[start]]
        while end < at.size and values[at[end]] == value:
            end += 1
        size = end - start
        if size > most:
            hot.append((value, size))
            drawn = _drawn(h, at[start:end], value)
            for i in range(start, end):
                if at[i] != drawn:
                    proposed[many] = np.uint64(at[i]) << np.uint64(32) | np.uint64(drawn)
                    many += 1
        elif size > 1:
            bucket = at[start:end]
            _sort(bucket, h, length)
            drawn = _drawn(h, bucket, value)
            before = 0
            while bucket[before] != drawn:
                before += 1
            for i in range(size):
                if i:
                    proposed[many] = np.uint64(bucket[i]) << np.uint64(32) | np.uint64(bucket[i - 1])
                    many += 1
                if abs(i - before) > 1:
                    later, earlier = bucket[max(i, before)], bucket[min(i, before)]
                    proposed[many] = np.uint64(later) << np.uint64(32) | np.uint64(earlier)
                    many += 1
        start = end
    found = np.empty((len(hot), 2), np.int64)
    for i in range(len(hot)):
        found[i, 0], found[i, 1] = hot[i]
    return proposed, many, found


@numba.njit(nogil=True, cache=True)
def _drawn(h, bucket, value):  # type: ignore[no-untyped-def]
    """The row with the smallest (h ^ value, node); rows are in the order of nodes."""
    best = bucket[0]
    for row in bucket:
        draw, least = h[row] ^ value, h[best] ^ value
        if draw < least or (draw == least and row < best):
            best = row
    return best


@numba.njit(nogil=True, cache=True, inline="always")
def _after(h, length, one, other):  # type: ignore[no-untyped-def]
    """Whether a row comes after another by (length, h, node)."""
    if length[one] != length[other]:
        return length[one] > length[other]
    if h[one] != h[other]:
        return h[one] > h[other]
    return one > other


@numba.njit(nogil=True, cache=True)
def _sort(bucket, h, length):  # type: ignore[no-untyped-def]
    """Sort rows by (length, h, node) in place: heapsort, so that no bucket takes more than n log n steps."""
    size = bucket.size
    for start in range(size // 2 - 1, -1, -1):
        _sift(bucket, start, size, h, length)
    for end in range(size - 1, 0, -1):
        bucket[0], bucket[end] = bucket[end], bucket[0]
        _sift(bucket, 0, end, h, length)


@numba.njit(nogil=True, cache=True)
def _sift(bucket, root, end, h, length):  # type: ignore[no-untyped-def]
    while 2 * root + 1 < end:
        child = 2 * root + 1
        if child + 1 < end and _after(h, length, bucket[child + 1], bucket[child]):
            child += 1
        if not _after(h, length, bucket[child], bucket[root]):
            return
        bucket[root], bucket[child] = bucket[child], bucket[root]
        root = child
