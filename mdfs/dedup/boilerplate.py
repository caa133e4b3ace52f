"""Boilerplate by the line: lines of many documents are counted over the corpus and cut (see `mdfs.recipe.Lines`).

documents that stay ─map─ rows of line hashes ─ tally ─ hashes that are in too many, by part ─map─ cuts
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mdfs import __version__, cuts
from mdfs.dedup import exact, lines, sortedfiles, stays, tally
from mdfs.ledger import File, Row, fingerprint
from mdfs.parts import PartWriter
from mdfs.recipe import Lines
from mdfs.stage import Job, Run, Unit
from mdfs.storage import glob_match

#: Sub-steps of dedup, and where the last one's files lie.
ROWS, CUTS = "dedup-line-rows", "dedup-line-cuts"
CUTS_FOLDER = "dedup/line-cuts"
#: Why documents are dropped.
TOO_SHORT = "lines.too_short"

_DONE = "dedup-lines"
_COLUMNS = ["doc_id", "source", "url", "text"]

Numbers = NDArray[np.int64]


def tally_of(said: Lines) -> tally.Tally:
    """What is asked of the rows."""
    return tally.Tally("lines", "often", more_than=said.max_documents, hosts=said.min_hosts)


def run(run: Run, parts: list[File]) -> None:
    """Leave the cuts of all parts; nothing, and nothing of before, where the recipe does not ask for it."""
    said = run.recipe.dedup.lines
    asked = tally_of(said or Lines())
    if said is None:
        if run.ledger.rows(_DONE) or run.store.exists(f"dedup/{asked.name}"):
            run.map(CUTS, decide, [], (CUTS_FOLDER,))
            run.ledger.forget(_DONE, ["all"])
            tally.forget(run, asked, ROWS)
        return
    units = stays.units(run, parts, CUTS)
    digest = fingerprint(__version__, run.recipe.stage_digest("dedup"), [unit.data for unit in units])
    done, made = run.ledger.rows(_DONE).get("all"), run.ledger.rows(CUTS)
    if done is None or done.fingerprint != digest or any(unit.id not in made for unit in units):
        run.ledger.forget(_DONE, ["all"])
        rows = run.map(ROWS, count, units, (asked.rows,))
        tally.run_tally(run, asked, sum(file.rows for row in rows for file in row.files), digest)
    run.map(CUTS, decide, [stays.compared(unit, digest) for unit in units], (CUTS_FOLDER,))
    if not run.ledger.rows(_DONE):
        run.ledger.commit(Row(_DONE, "all", digest))
        run.ledger.settle(_DONE)
    tally.forget(run, asked, ROWS)


def count(job: Job, unit: Unit) -> Row:
    """Write one part's rows of (hash, host, documents)."""
    said = job.recipe.dedup.lines
    assert said is not None
    row, found = Row(job.stage, unit.id), [np.zeros((0, 3), np.int64)]
    for batch, docs, size in stays.documents(job, unit, _COLUMNS):
        of_batch, compared = _compared(batch, said)
        document, value = sortedfiles.distinct_pairs(of_batch.document[compared], of_batch.hashes[compared])
        host = _hosts(batch)[document] if said.min_hosts > 1 else np.zeros(value.size, np.int64)
        found.append(_summed(value, host, np.ones(value.size, np.int64)))
        row.docs_in += docs
        row.bytes_in += size
    rows = _summed(*np.concatenate(found).T)
    with tally.RowsWriter(job.store, tally_of(said), unit.id) as file:
        file.write(*rows.T, np.full(len(rows), unit.data["number"], np.int64))
    row.docs_out, row.files = row.docs_in, file.files
    return row


def _compared(batch: pa.RecordBatch, said: Lines) -> tuple[lines.Lines, NDArray[np.bool_]]:
    """The lines of documents, and which of them are compared with others."""
    found = lines.find(batch.column("text"), paragraphs=said.unit == "paragraph")
    compared = (found.letters >= said.min_line_chars) & (found.flags & lines.BLANK == 0)
    if said.code:
        compared &= found.flags & lines.CODE == 0
    if said.exempt:
        sources = batch.column("source").dictionary_encode()
        names = sources.dictionary.to_pylist()
        free = np.array([any(glob_match(name, glob) for glob in said.exempt) for name in names], bool)
        compared &= ~free[sources.indices.to_numpy()][found.document]
    return found, compared


def _hosts(batch: pa.RecordBatch) -> Numbers:
    """A hash of each document's host, or of its source where it has none."""
    said = zip(batch.column("url").to_pylist(), batch.column("source").to_pylist(), strict=True)
    names = [_host(url) or f" {source}" for url, source in said]
    return np.ascontiguousarray(exact.string_keys(names)[:, 0])


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # as "http://[1"
        return ""


def _summed(value: Numbers, host: Numbers, docs: Numbers) -> Numbers:
    """int64[n, 3]: rows with one hash and host added up."""
    order = np.lexsort((host, value))
    value, host, docs = value[order], host[order], docs[order]
    new = np.ones(value.size, bool)
    new[1:] = (value[1:] != value[:-1]) | (host[1:] != host[:-1])
    begins = np.flatnonzero(new)
    sums = np.add.reduceat(docs, begins) if begins.size else docs
    return np.stack([value[new], host[new], sums], axis=1)


def decide(job: Job, unit: Unit) -> Row:
    """Write one part's cuts. Facts: documents `cut` and `dropped`, `lines_removed` and `chars_removed` of those cut."""
    said = job.recipe.dedup.lines
    assert said is not None
    row, facts = Row(job.stage, unit.id), Counter[str]()
    (often,) = tally.answer(job.store, tally_of(said), unit.data["number"])
    with PartWriter(job.store, f"{CUTS_FOLDER}/{unit.id}.parquet", cuts.CUT, kind="cuts") as part:
        for batch, docs, size in stays.documents(job, unit, _COLUMNS) if often.size else ():
            rows = list(_cut(batch, said, often, facts))
            part.write(pa.RecordBatch.from_pylist(rows, schema=cuts.CUT))
            row.docs_in += docs
            row.bytes_in += size
    row.docs_out, row.files, row.facts = row.docs_in, part.files, dict(sorted(facts.items()))
    return row


def _cut(batch: pa.RecordBatch, said: Lines, often: Numbers, facts: Counter[str]) -> Iterator[dict[str, object]]:
    """Rows of `cuts.CUT` for the documents of a batch that hold such lines, counted in `facts`."""
    found, compared = _compared(batch, said)
    gone = compared & sortedfiles.among(found.hashes, often)
    ids = batch.column("doc_id")
    for document in np.unique(found.document[gone]).tolist():
        low, high = np.searchsorted(found.document, [document, document + 1]).tolist()
        pieces = lines.pieces(found.start[low:high], found.end[low:high], found.flags[low:high], gone[low:high])
        left = int((pieces[:, 1] - pieces[:, 0]).sum())
        short = left < said.min_chars
        facts["dropped" if short else "cut"] += 1
        if not short:
            facts["lines_removed"] += int(gone[low:high].sum())
            facts["chars_removed"] += int(found.end[high - 1]) - left
        yield {
            "doc_id": ids[document].as_py(), "reason": TOO_SHORT if short else "", "because": [said.unit],
            "starts": [] if short else pieces[:, 0].tolist(), "ends": [] if short else pieces[:, 1].tolist(),
            "between": "",
        }  # fmt: skip
