"""Test sets are found in the documents that stay and cut out of them, as for GPT-3 (see `mdfs.recipe.Decontaminate`).

    test sets ─ index ─┐
    rules/kept ─map─ hits ─ n-grams in too many documents ─map─ cuts ─ applied by the next stage

It belongs to dedup since it is of its kind: documents are compared with others, which takes a pass over all texts and a
count over the whole corpus (n-grams in more than `max_documents` documents are let be) before a single one is decided;
and it works behind dedup, so that copies do not count. No text is rewritten here: a part's cuts lie beside its
duplicates, and the stage that leaves out the duplicates applies them (`mdfs.cuts`) and accounts for what it drops.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mdfs import cuts
from mdfs.dedup import benchmarks, grams, keys, stays
from mdfs.ledger import File, Row, fingerprint
from mdfs.parts import PartWriter, read_part
from mdfs.recipe import Decontaminate, Recipe, from_dict
from mdfs.stage import Job, Run, Unit

#: Sub-steps of dedup, and where the last one's files lie.
BENCHMARKS, HITS, CUTS = "dedup-benchmarks", "dedup-hits", "dedup-cuts"
HITS_FOLDER, CUTS_FOLDER = "dedup/hits", "dedup/cuts"
#: N-grams that are in too many documents, while the stage works.
FREQUENT = "dedup/work/frequent.json"

#: Why documents are dropped.
TOO_SHORT, TOO_SPLIT = "decontaminate.too_short", "decontaminate.too_split"

#: One row a document with hits: its length, and the number and place of each n-gram, in characters.
HIT = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("chars", pa.int64(), nullable=False),
        *(pa.field(name, pa.list_(pa.int64()), nullable=False) for name in ("grams", "starts", "ends")),
    ]
)


def run(run: Run, parts: list[File]) -> None:
    """Leave the cuts of all parts; nothing, and nothing of before, where the recipe names no test set."""
    wanted = bool(run.recipe.decontaminate.benchmarks)
    if not wanted and not run.ledger.rows(BENCHMARKS):
        return
    sets = fingerprint(benchmarks.digests(run.recipe))
    run.map(BENCHMARKS, count, [Unit("all", {"test_sets": sets})] if wanted else [], ())
    units = [Unit(unit.id, unit.data | {"test_sets": sets}, unit.cost) for unit in stays.units(run, parts, CUTS)]
    found = run.map(HITS, scan, units if wanted else [], (HITS_FOLDER,))
    hits = sorted((file for row in found for file in row.files), key=lambda file: file.path)
    frequent = _frequent(run, hits)
    run.store.write_json(FREQUENT, frequent)
    data = {"test_sets": sets, "frequent": fingerprint(frequent)}
    units = [Unit(keys.part_name(file.path), data | {"hits": file.path, "sha256": file.sha256}) for file in hits]
    run.map(CUTS, decide, units, (CUTS_FOLDER,))


def count(job: Job, unit: Unit) -> Row:
    """Say what the test sets hold: `<name>.texts`, `<name>.too_short` (texts without an n-gram), `<name>.ngrams`."""
    index, facts = _index_of(job, unit), dict[str, int]()
    for bit, (name, texts, short) in enumerate(zip(_names(job.recipe), index.keys, index.short, strict=True)):
        owned = int(np.count_nonzero(index.owners & np.uint64(1 << bit)))
        facts |= {f"{name}.texts": texts, f"{name}.too_short": short, f"{name}.ngrams": owned}
    return Row(job.stage, unit.id, facts=facts)


def scan(job: Job, unit: Unit) -> Row:
    """Write the hits in one part's documents, copies left out; no file where there are none."""
    index, row = _index_of(job, unit), Row(job.stage, unit.id)
    with PartWriter(job.store, f"{HITS_FOLDER}/{unit.id}.parquet", HIT, kind="hits") as part:
        for batch, rows, size in stays.documents(job, unit, ["doc_id", "text"]):
            part.write(hits(batch, index))
            row.docs_in += rows
            row.bytes_in += size
    row.docs_out = row.docs_in
    row.files = part.files
    return row


def hits(batch: pa.RecordBatch, index: grams.Index) -> pa.RecordBatch:
    """Rows of `HIT` for the documents of a batch (any with `doc_id` and `text`) that have some."""
    found = grams.find(batch.column("text"), index)
    documents, first = np.unique(found.document, return_index=True)
    ends = pa.array(np.append(first, len(found.document)), pa.int32())
    rows = batch.take(pa.array(documents))
    lists = [pa.ListArray.from_arrays(ends, pa.array(values)) for values in (found.gram, found.start, found.end)]
    length = pc.utf8_length(rows.column("text")).cast(pa.int64())
    return pa.RecordBatch.from_arrays([rows.column("doc_id"), length, *lists], schema=HIT)


def _frequent(run: Run, files: list[File]) -> list[int]:
    """N-grams in more documents than the recipe allows, sorted; 8 bytes each n-gram that is hit."""
    most = run.recipe.decontaminate.max_documents
    documents: Counter[int] = Counter()
    for file in files if most else ():
        for batch in read_part(run.store, file.path, ["grams"]):
            lists = batch.column("grams")
            parents = pc.list_parent_indices(lists).to_numpy()
            each = np.unique(np.stack([parents, lists.flatten().to_numpy()]), axis=1)[1]
            numbers, counts = np.unique(each, return_counts=True)
            documents.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
    return sorted(gram for gram, many in documents.items() if many > most)


def decide(job: Job, unit: Unit) -> Row:
    """Write one part's cuts. Facts: documents cut, dropped, characters removed, `<name>.documents` and `<name>.hits`
    for each test set, and `frequent`, the hits that were let be."""
    index, said = _index_of(job, unit), job.recipe.decontaminate
    frequent = np.array(job.store.read_json(FREQUENT), np.int64)
    names, facts = _names(job.recipe), Counter[str]()
    row = Row(job.stage, unit.id)
    with PartWriter(job.store, f"{CUTS_FOLDER}/{unit.id}.parquet", cuts.CUT, kind="cuts") as part:
        for batch in read_part(job.store, unit.data["hits"]):
            decided = [_decided(hit, said, index, names, frequent, facts) for hit in batch.to_pylist()]
            rows = [entry for entry in decided if entry]
            part.write(pa.RecordBatch.from_pylist(rows, schema=cuts.CUT))
            row.docs_in += batch.num_rows
    row.docs_out, row.files, row.facts = row.docs_in, part.files, dict(sorted(facts.items()))
    return row


def _decided(
    hit: dict[str, Any], said: Decontaminate, index: grams.Index, names: Sequence[str], frequent: np.ndarray,
    facts: Counter[str],
) -> dict[str, Any] | None:  # fmt: skip
    """The row of `cuts.CUT` of one document, counted in `facts`; None where all its hits are let be."""
    numbers, starts, ends = (np.array(hit[name], np.int64) for name in ("grams", "starts", "ends"))
    rare = ~np.isin(numbers, frequent)
    facts["frequent"] += int(numbers.size - rare.sum())
    if not rare.any():
        return None
    owners, because = index.owners[numbers[rare]], []
    for bit, name in enumerate(names):
        many = int(np.count_nonzero(owners & np.uint64(1 << bit)))
        if many:
            because.append(name)
            facts.update({f"{name}.documents": 1, f"{name}.hits": many})
    pieces, reason = cut(hit["chars"], starts[rare].tolist(), ends[rare].tolist(), said)
    facts["dropped" if reason else "cut"] += 1
    if not reason:
        facts["chars_removed"] += hit["chars"] - sum(end - start for start, end in pieces)
    first, last = [piece[0] for piece in pieces], [piece[1] for piece in pieces]
    return {"doc_id": hit["doc_id"], "starts": first, "ends": last, "reason": reason, "because": because,
            "between": cuts.BETWEEN}  # fmt: skip


def cut(chars: int, starts: list[int], ends: list[int], said: Decontaminate) -> tuple[list[tuple[int, int]], str]:
    """The pieces of a text of `chars` characters that stay, and why it is dropped ("" where it is not).

    `starts` and `ends` are of the hits, in the order of starts. Pieces are counted before the short ones go.
    """
    pieces, at = [], 0
    for start, end in zip(starts, ends, strict=True):
        if start - said.around > at:
            pieces.append((at, start - said.around))
        at = max(at, end + said.around)
    if at < chars:
        pieces.append((at, chars))
    if len(pieces) > said.max_splits:
        return [], TOO_SPLIT
    long = [(start, end) for start, end in pieces if end - start >= said.min_chars]
    return long, "" if long else TOO_SHORT


def _names(recipe: Recipe) -> list[str]:
    return [benchmark.name for benchmark in recipe.decontaminate.benchmarks]


def _index_of(job: Job, unit: Unit) -> grams.Index:
    said = job.recipe.to_dict()["decontaminate"]  # paths are absolute there
    return _index(json.dumps(said, sort_keys=True, ensure_ascii=False), unit.data["test_sets"])


@functools.lru_cache(maxsize=1)
def _index(said: str, digest: str) -> grams.Index:
    """The index of a recipe's table, built once a worker; `digest`, of the files, tells old contents from new."""
    recipe = from_dict({"name": digest, "decontaminate": json.loads(said)})
    table = recipe.decontaminate
    texts = (benchmarks.texts(recipe, benchmark) for benchmark in table.benchmarks)
    return grams.index(texts, words=table.words, chars=table.chars)
