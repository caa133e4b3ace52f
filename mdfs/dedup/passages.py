"""Passages that stand in several places: all but the first are cut out, or only counted (see `mdfs.recipe.Substring`).

    documents that stay ─map─ samples ─ tally ─ shared ones, by part ─map─ windows ─ tally ─ first places, by part ─map─
    cuts

What is cut is exactly what a comparison of all windows (`mdfs.dedup.windows`) would cut: each window of which an equal
one stands in a document before this one in the keeper order, or before it in the same document and apart from it. So
nothing is lost: what is cut out somewhere stays at its first place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mdfs import __version__, cuts
from mdfs.dedup import keys, stays, tally, windows
from mdfs.ledger import File, Row, fingerprint
from mdfs.parts import PartWriter, string_bytes
from mdfs.recipe import Recipe, Substring
from mdfs.stage import Job, Run, Unit

#: Sub-steps of dedup, and where the last one's files lie.
SAMPLES, WINDOWS, CUTS = "dedup-passage-samples", "dedup-passage-windows", "dedup-passage-cuts"
CUTS_FOLDER, REPEATED_FOLDER = "dedup/passage-cuts", "dedup/passages"
#: Why documents are dropped.
TOO_SHORT = "substring.too_short"

#: What is asked of samples and of windows.
SAMPLED = tally.Tally("samples", "often", more_than=1)
MET = tally.Tally("windows", "first")

#: One row a document with passages that stand elsewhere before: places in its text as earlier steps leave it.
REPEATED = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("chars", pa.int64(), nullable=False),
        *(pa.field(name, pa.list_(pa.int64()), nullable=False) for name in ("starts", "ends")),
    ]
)

_DONE = "dedup-passages"
#: UTF-8 bytes of a character that `Substring.span_chars` counts, a Chinese one.
CHAR_BYTES = 3
#: Bytes of text whose windows are held at once: 1.4 million, 40 bytes each, where all are shared.
_SLICE = 4 << 20

Numbers = NDArray[np.int64]


def run(run: Run, parts: list[File]) -> None:
    """Leave the cuts of all parts; nothing, and nothing of before, where the recipe does not ask for it."""
    if run.recipe.dedup.substring is None:
        if run.ledger.rows(_DONE) or run.store.exists(f"dedup/{SAMPLED.name}"):
            run.map(CUTS, decide, [], (CUTS_FOLDER, REPEATED_FOLDER))
            run.ledger.forget(_DONE, ["all"])
            _forget(run)
        return
    units = stays.units(run, parts, CUTS)
    digest = fingerprint(__version__, run.recipe.stage_digest("dedup"), [unit.data for unit in units])
    compared = [stays.compared(unit, digest) for unit in units]
    done, made = run.ledger.rows(_DONE).get("all"), run.ledger.rows(CUTS)
    if done is None or done.fingerprint != digest or any(unit.id not in made for unit in units):
        run.ledger.forget(_DONE, ["all"])
        sampled = run.map(SAMPLES, sample, units, (SAMPLED.rows,))
        tally.run_tally(run, SAMPLED, sum(file.rows for row in sampled for file in row.files), digest)
        met = run.map(WINDOWS, meet, compared, (MET.rows,))
        tally.run_tally(run, MET, sum(file.rows for row in met for file in row.files), digest)
    run.map(CUTS, decide, compared, (CUTS_FOLDER, REPEATED_FOLDER))
    if not run.ledger.rows(_DONE):
        run.ledger.commit(Row(_DONE, "all", digest))
        run.ledger.settle(_DONE)
    _forget(run)


def _forget(run: Run) -> None:
    # Samples go last: where they are left, a run that was cut off knows that there is something to remove.
    tally.forget(run, MET, WINDOWS)
    tally.forget(run, SAMPLED, SAMPLES)


def _said(recipe: Recipe) -> Substring:
    assert recipe.dedup.substring is not None
    return recipe.dedup.substring


def _size(recipe: Recipe) -> int:
    """Bytes of a window."""
    return CHAR_BYTES * _said(recipe).span_chars


def sample(job: Job, unit: Unit) -> Row:
    """Write the samples of one part: each once, as of one document or of two (of more it makes no difference)."""
    row, found = Row(job.stage, unit.id), [np.zeros(0, np.int64)]
    for batch, docs, size in stays.documents(job, unit, ["doc_id", "text"]):
        found.append(windows.samples(batch.column("text"), size=_size(job.recipe)))
        row.docs_in += docs
        row.bytes_in += size
    ordered = np.sort(np.concatenate(found))
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if ordered.size else ordered
    counts = np.minimum(np.diff(np.append(begins, ordered.size)), 2)
    with tally.RowsWriter(job.store, SAMPLED, unit.id) as file:
        file.write(ordered[begins], np.zeros_like(begins), counts, np.full_like(begins, unit.data["number"]))
    row.docs_out, row.files = row.docs_in, file.files
    return row


def meet(job: Job, unit: Unit) -> Row:
    """Write the windows of one part whose samples are shared, each with the first and the last document that has it
    among those that are looked through together."""
    row = Row(job.stage, unit.id)
    with tally.RowsWriter(job.store, MET, unit.id) as file:
        for _, found, one, two in _windows(job, unit, row):
            columns = _ends(found, one[found.document], two[found.document])
            file.write(*columns, np.full(columns[0].size, unit.data["number"], np.int64))
    row.docs_out, row.files = row.docs_in, file.files
    return row


def _ends(found: windows.Windows, one: Numbers, two: Numbers) -> list[Numbers]:
    """hash, check, order_1 and order_2 of the first and the last document of each window."""
    order = np.lexsort((two, one, found.checks, found.hashes))
    columns = [column[order] for column in (found.hashes, found.checks, one, two)]
    new = np.ones(order.size, bool)
    new[1:] = (columns[0][1:] != columns[0][:-1]) | (columns[1][1:] != columns[1][:-1])
    first = np.flatnonzero(new)
    last = np.append(first, order.size)[1:] - 1
    several = (columns[2][first] != columns[2][last]) | (columns[3][first] != columns[3][last])
    chosen = np.concatenate([first, last[several]])
    return [column[chosen] for column in columns]


def _windows(job: Job, unit: Unit, row: Row) -> Iterator[tuple[pa.RecordBatch, windows.Windows, Numbers, Numbers]]:
    """Slices of a part's documents with their windows whose samples are shared, and the documents' places in the keeper
    order; counts in `row`."""
    (shared,) = tally.answer(job.store, SAMPLED, unit.data["number"])
    prefer = [f"signals.{name}" for name in job.recipe.dedup.prefer]
    columns = ["doc_id", "source", "text", *prefer]
    for batch, docs, size in stays.documents(job, unit, columns) if shared.size else ():
        for piece in _slices(batch):
            found = windows.find(piece.column("text"), shared, size=_size(job.recipe))
            yield piece, found, *keeper_order(piece, job.recipe)
        row.docs_in += docs
        row.bytes_in += size


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halves of a batch, and halves of these, until they hold one document or at most `_SLICE` bytes of text."""
    if batch.num_rows > 1 and string_bytes(batch.column("text")) > _SLICE:
        middle = batch.num_rows // 2
        yield from _slices(batch.slice(0, middle))
        yield from _slices(batch.slice(middle))
    elif batch.num_rows:
        yield batch


def keeper_order(batch: pa.RecordBatch, recipe: Recipe) -> tuple[Numbers, Numbers]:
    """Two numbers for each document: of two documents the one whose pair is smaller stays.

    First the priority of the source and the preferred signals (as many bits of each as go into 56), then the length in
    characters and 40 bits of the doc_id. Documents of equal pairs are as one: none goes in favour of the other.
    """
    names, ranks = batch.column("source").dictionary_encode(), _ranks(recipe)
    rank = np.array([ranks[keys.priority(recipe, name)] for name in names.dictionary.to_pylist()], np.int64)
    one = rank[names.indices.to_numpy()] if batch.num_rows else np.zeros(0, np.int64)
    prefer = recipe.dedup.prefer
    bits = min(32, 56 // max(1, len(prefer)))
    for name in prefer:
        one = (one << bits) | (_descending(batch, name) >> (32 - bits))
    length = np.minimum(pc.utf8_length(batch.column("text")).to_numpy().astype(np.int64), (1 << 23) - 1)
    drawn = np.array([int(doc_id[:10], 16) for doc_id in batch.column("doc_id").to_pylist()], np.int64)
    return one, ((1 << 23) - 1 - length) << 40 | drawn


def _ranks(recipe: Recipe) -> dict[int, int]:
    """Places of the priorities, the highest first; from the 128th on they share one."""
    priorities = sorted({0, *(entry.priority for entry in recipe.source)}, reverse=True)
    return {priority: min(place, 127) for place, priority in enumerate(priorities)}


def _descending(batch: pa.RecordBatch, name: str) -> Numbers:
    """32 bits of a signal, rounded as dedup does: the greater it is the smaller, and the greatest where it is null."""
    values = pc.round(pc.struct_field(batch.column("signals"), name).cast(pa.float64()), ndigits=keys.DECIMALS)
    numbers = np.nan_to_num(pc.fill_null(values, -np.inf).to_numpy(), nan=-np.inf, posinf=-np.inf, neginf=-np.inf)
    bits = (numbers.astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)
    ascending = np.where(bits < 0, -1 - (bits & 0x7FFFFFFF), bits) + (1 << 31)
    found: Numbers = (1 << 32) - 1 - ascending
    return found


def decide(job: Job, unit: Unit) -> Row:
    """Write one part's cuts, or where they are only counted, the passages. Facts: `documents` that repeat something,
    `passages` and their `chars`; where it is cut, documents `cut` and `dropped`, `chars_removed` of those cut."""
    said, row, facts = _said(job.recipe), Row(job.stage, unit.id), Counter[str]()
    answer = tally.answer(job.store, MET, unit.data["number"])
    with (
        PartWriter(job.store, f"{CUTS_FOLDER}/{unit.id}.parquet", cuts.CUT, kind="cuts") as cut,
        PartWriter(job.store, f"{REPEATED_FOLDER}/{unit.id}.parquet", REPEATED, kind="repeated") as repeated,
    ):
        for batch, found, one, two in _windows(job, unit, row):
            again = _again(found, one, two, answer)
            rows = [_counted(batch, found, document, again, facts) for document in np.unique(found.document[again])]
            if said.action == "cut":
                made = [_cut(entry, said, facts) for entry in rows]
                cut.write(pa.RecordBatch.from_pylist(made, schema=cuts.CUT))
            else:
                repeated.write(pa.RecordBatch.from_pylist(rows, schema=REPEATED))
    row.docs_out, row.facts = row.docs_in, dict(sorted(facts.items()))
    row.files = cut.files + repeated.files
    return row


def _again(found: windows.Windows, one: Numbers, two: Numbers, answer: list[Numbers]) -> NDArray[np.bool_]:
    """Which windows stand somewhere before: in a document that is before this one, or in this one and apart."""
    hashes, checks, first_one, first_two = answer
    again = np.zeros(found.start.size, bool)
    if hashes.size:
        at = np.minimum(np.searchsorted(hashes, found.hashes), hashes.size - 1)
        known = (hashes[at] == found.hashes) & (checks[at] == found.checks)
        own = (first_one[at] == one[found.document]) & (first_two[at] == two[found.document])
        again = known & ~own
    order = np.lexsort((found.start, found.checks, found.hashes, found.document))
    starts = np.ones(order.size, bool)
    starts[1:] = False
    for column in (found.document, found.hashes, found.checks):
        starts[1:] |= column[order][1:] != column[order][:-1]
    begins = np.flatnonzero(starts)
    sizes = np.diff(np.append(begins, order.size))
    apart = found.start[order] >= np.repeat(found.end[order][begins], sizes)
    again[order] |= apart
    return again


def _counted(
    batch: pa.RecordBatch, found: windows.Windows, document: int, again: NDArray[np.bool_], facts: Counter[str]
) -> dict[str, Any]:
    """The row of `REPEATED` of one document, counted in `facts`."""
    low, high = np.searchsorted(found.document, [document, document + 1])
    mine = again[low:high]
    spans = windows.union(found.start[low:high][mine], found.end[low:high][mine])
    facts.update(documents=1, passages=len(spans), chars=int((spans[:, 1] - spans[:, 0]).sum()))
    chars = len(batch.column("text")[int(document)].as_py())
    ids = batch.column("doc_id")[int(document)].as_py()
    return {"doc_id": ids, "chars": chars, "starts": spans[:, 0].tolist(), "ends": spans[:, 1].tolist()}


def _cut(row: dict[str, Any], said: Substring, facts: Counter[str]) -> dict[str, Any]:
    """The row of `cuts.CUT` that takes the passages of a row of `REPEATED` out, counted in `facts`."""
    edges = zip([0, *row["ends"]], [*row["starts"], row["chars"]], strict=True)
    pieces = [(start, end) for start, end in edges if start < end]
    left = sum(end - start for start, end in pieces)
    short = left < max(1, said.min_chars)
    facts["dropped" if short else "cut"] += 1
    if short:
        pieces = []
    else:
        facts["chars_removed"] += row["chars"] - left
    return {
        "doc_id": row["doc_id"], "starts": [start for start, _ in pieces], "ends": [end for _, end in pieces],
        "reason": TOO_SHORT if short else "", "because": ["repeats"], "between": cuts.BETWEEN,
    }  # fmt: skip
