"""Exact similarity to old documents, where the folders of the runs that brought them are given."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs.dedup import index_ids, index_meet, minhash
from mdfs.dedup.keys import ROW_BITS
from mdfs.stage import Job, Unit
from mdfs.storage import Store

Numbers = NDArray[np.int64]


def measured(job: Job, unit: Unit, pairs: Numbers, estimated: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Jaccard similarity of the shingle sets of pairs whose old run's folder is given, else what was estimated.

    A text that was withdrawn from that folder is empty and resembles nothing, while its pair shares a whole band; the
    estimate counts there, so that a withdrawn text stays known.

    Args:
        pairs: int64[n, 2], numbers of new and old documents. `estimated`: float64[n].
    """
    found = estimated.copy()
    held = _sets(job, job.store, unit.data["part"], np.unique(pairs[:, 0]) - (unit.data["number"] << ROW_BITS))
    first = unit.data["number"] << ROW_BITS
    olds = np.unique(pairs[:, 1])
    for numbers, table in index_meet.old_tables(job.store, unit.data["old"], olds, ["run", "part", "row"]):
        for (run, part), rows in _by_part(table).items():
            if str(run) not in unit.data["texts"]:
                continue
            places = table.column("row").to_numpy()[rows]
            order = np.argsort(places)
            theirs = _sets(job, Store(unit.data["texts"][str(run)]), part, places[order])
            by_number = {int(numbers[rows[i]]): theirs[int(places[i])] for i in order}
            for place in np.flatnonzero(np.isin(pairs[:, 1], numbers[rows])):
                similarity = _jaccard(held[int(pairs[place, 0]) - first], by_number[int(pairs[place, 1])])
                found[place] = similarity or estimated[place]
    return found


def _by_part(table: pa.Table) -> dict[tuple[int, str], Numbers]:
    """Rows of the table by the run and part that their texts lie in."""
    found: dict[tuple[int, str], list[int]] = {}
    for row, which in enumerate(zip(*(table.column(name).to_pylist() for name in ("run", "part")), strict=True)):
        found.setdefault(which, []).append(row)
    return {which: np.array(rows) for which, rows in found.items()}


def _sets(job: Job, store: Store, part: str, rows: Numbers) -> dict[int, NDArray[np.uint32]]:
    """The distinct shingle hashes, sorted, of the texts in some rows (sorted) of a part, by row."""
    assert job.recipe.dedup.minhash is not None
    texts = index_ids.rows(store, part, rows, ["text"]).column(0).combine_chunks()
    hashes, ends = minhash.shingles(texts, ngram=job.recipe.dedup.minhash.ngram)
    return {row: np.unique(hashes[ends[i] : ends[i + 1]]) for i, row in enumerate(rows.tolist())}


def _jaccard(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    shared = np.intersect1d(one, other, assume_unique=True).size
    return shared / max(1, one.size + other.size - shared)
