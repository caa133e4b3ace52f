"""Corpora of signatures and no texts: keys files as the first step of dedup leaves them, with planted copies.

Value k of document i is a hash of (i, k). A copy has its original's value with probability s, its Jaccard similarity,
and a value of its own otherwise, which is how MinHash behaves. Beside pairs and clusters there are documents that share
their first band and nothing else, as pages of one template do, and documents that are all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa

from mdfs.dedup import keys, lsh
from mdfs.dedup.shape import shape
from mdfs.ledger import File, Ledger, Row
from mdfs.parts import PartWriter
from mdfs.recipe import Dedup, MinHash
from mdfs.storage import Store

#: Documents of a part.
PART = 20_000


@dataclass(frozen=True)
class Plan:
    """What a corpus of `docs` documents holds.

    Attributes:
        original: int64[docs], whose signature a document started from; itself for those that are no copies.
        similarity: float64[docs], of a copy to its original.
        template: how many documents, the first ones, share their first band.
    """

    original: np.ndarray
    similarity: np.ndarray
    template: int = 0

    @property
    def docs(self) -> int:
        return len(self.original)


def crawl(docs: int, seed: int = 1) -> Plan:
    """A fifth are copies of 0.6 to 1.0, in clusters of Zipf's sizes; 1 in 50 has a template, 1 in 80 is one text."""
    draw = np.random.default_rng(seed)
    original, similarity = np.arange(docs), np.ones(docs)
    copies = np.flatnonzero(draw.random(docs) < 0.2)
    popular = np.minimum(draw.zipf(1.8, copies.size), docs) * np.int64(2654435761) % docs
    random = draw.integers(0, docs, copies.size)
    original[copies] = np.where(draw.random(copies.size) < 0.1, popular, random)
    similarity[copies] = draw.choice([0.6, 0.7, 0.8, 0.9, 0.95, 1.0], copies.size)
    notice = np.arange(docs // 2, docs // 2 + docs // 80)
    original[notice], similarity[notice] = docs // 2, 1.0
    return Plan(original, similarity, docs // 50)


def pairs_at(docs: int, levels: list[float], seed: int = 1) -> Plan:
    """Half the documents are each one of a pair, evenly over the levels; the two lie anywhere."""
    draw = np.random.default_rng(seed)
    order = draw.permutation(docs)
    many = docs // 4
    original, similarity = np.arange(docs), np.ones(docs)
    original[order[:many]] = order[many : 2 * many]
    similarity[order[:many]] = np.resize(levels, many)
    return Plan(original, similarity)


def write(store: Store, plan: Plan, dedup: Dedup) -> list[File]:
    """Write the keys files and their ledger rows; returns the parts that there would be."""
    said = dedup.minhash
    assert said is not None
    parts = []
    for number in range(-(-plan.docs // PART)):
        first, end = number * PART, min(plan.docs, (number + 1) * PART)
        batch = _keys(plan, dedup, said, first, end, number)
        name = f"part-{number:05d}"
        with PartWriter(store, keys.path(name), keys.schema(dedup), kind="keys", numbers=True) as part:
            part.write(batch)
        Ledger(store).commit(Row(keys.STAGE, name, files=part.files, docs_in=end - first, docs_out=end - first))
        parts.append(File(f"rules/kept/{name}.parquet", "kept", end - first, 0, "", text_bytes=3_000 * (end - first)))
    Ledger(store).settle(keys.STAGE)
    return parts


def signatures(plan: Plan, num_perm: int, band_rows: int, first: int = 0, end: int | None = None) -> np.ndarray:
    """Signatures of some documents: uint32[end - first, num_perm]."""
    rows = np.arange(first, plan.docs if end is None else end)
    return _signatures(rows, plan.original[rows], plan.similarity[rows], plan.template, num_perm, band_rows)


def doc_ids(first: int, end: int) -> list[str]:
    """32 hex digits each, as random as hashes."""
    return [f"{one:016x}{other:016x}" for one, other in _ids(np.arange(first, end)).tolist()]


def _keys(plan: Plan, dedup: Dedup, said: MinHash, first: int, end: int, number: int) -> pa.RecordBatch:
    bands, rows = shape(said.num_perm, said.threshold, said.recall)
    found = signatures(plan, said.num_perm, rows, first, end)
    many, ids = end - first, _ids(np.arange(first, end))
    hashes = lsh.band_hashes(found, bands, rows)
    columns = {
        "node": (np.int64(number) << keys.ROW_BITS) + np.arange(many), "doc_id": doc_ids(first, end),
        "h": ids[:, 0].view(np.int64), "priority": np.zeros(many, np.int64),
        "length": (ids[:, 1] % np.uint64(4_000)).astype(np.int64), "shingles": np.full(many, 500),
        "sketch": lsh.band_hashes(found, 1, said.num_perm)[:, 0],
    }  # fmt: skip
    columns |= {name: pa.nulls(many, pa.float64()) for name in keys.prefer_columns(dedup)}
    columns |= {f"{key}_{half}": pa.nulls(many, pa.int64()) for key in ("url", "exact") for half in (1, 2)}
    columns |= {name: hashes[:, i] for i, name in enumerate(keys.band_columns(dedup))}
    schema = keys.schema(dedup)
    if "signature" in schema.names:
        content = pa.py_buffer(np.ascontiguousarray(found))
        columns["signature"] = pa.FixedSizeBinaryArray.from_buffers(
            schema.field("signature").type, many, [None, content]
        )
    return pa.RecordBatch.from_arrays([pa.array(columns[name]) for name in schema.names], schema=schema)


@numba.njit(cache=True)
def _mixed(value):
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@numba.njit(cache=True)
def _ids(rows):
    found = np.empty((rows.size, 2), np.uint64)
    for i in range(rows.size):
        for half in range(2):
            found[i, half] = _mixed(_mixed(np.uint64(rows[i]) + np.uint64(1)) + np.uint64(half + 7))
    return found


@numba.njit(cache=True)
def _signatures(rows, original, similarity, template, num_perm, band_rows):
    found = np.empty((rows.size, num_perm), np.uint32)
    for i in range(rows.size):
        row, source = np.uint64(rows[i]), np.uint64(original[i])
        for k in range(num_perm):
            own = _mixed(_mixed(row * np.uint64(num_perm) + np.uint64(k) + np.uint64(11)))
            theirs = _mixed(_mixed(source * np.uint64(num_perm) + np.uint64(k) + np.uint64(11)))
            chance = np.float64(_mixed(own ^ np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)) / 9007199254740992.0
            value = theirs if chance < similarity[i] else own
            if row < np.uint64(template) and k < band_rows:
                value = np.uint64(k)
            found[i, k] = np.uint32(value & np.uint64(0xFFFFFFFF))
    return found
