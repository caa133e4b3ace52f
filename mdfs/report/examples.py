"""A few documents for each reason, so that a person can judge what the numbers did.

Which ones is not chance and not choice: those with the smallest doc_id, which is a hash.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs.ledger import File, Row
from mdfs.report import sampling
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, count, details, note, quoted, section, tag
from mdfs.report.words import explain, value_words

#: Examples of each reason.
EACH = 3
#: Reasons that get examples; a recipe with more limits than this is told apart by the tables alone.
REASONS = 60
#: Characters and lines of a text that are shown.
CHARS, LINES = 300, 10

#: Part files looked into for one reason; a part whose ledger row counts the reason holds a document with it.
_PARTS = 2


@dataclass(frozen=True, order=True)
class Place:
    """Where an example stands. Ordered by doc_id."""

    doc_id: str
    path: str
    group: int
    row: int


def kept(facts: Facts) -> Html:
    """Documents that are left after the last stage done."""
    stage = facts.final()
    if not stage:
        return Html()
    files = facts.files(stage, "kept")
    found = _smallest(facts, sampling.evenly(files, 8), 2 * EACH)
    shown = [_card(document, []) for document in fetch(facts, found)]
    more = note(f"The {len(shown)} with the smallest doc_id (a hash, so they are as good as drawn by lot) in "
                f"{_parts(min(len(files), 8), len(files))}.")  # fmt: skip
    return section("kept", f"Kept: examples after {stage}", more, tag("div", *shown, class_="cards"))


def dropped(facts: Facts) -> Html:
    """Documents that went, by stage and reason, the most frequent reason first."""
    parts: list[Html] = []
    for stage in ("rules", "classify"):
        total = facts.totals.get(stage)
        for reason, number in _frequent(total.dropped if total else {}):
            found = _smallest(facts, _with_reason(facts, stage, reason), EACH, reason)
            cards = [_card(document, _measured(document, facts)) for document in fetch(facts, found)]
            summary = _summary(facts, stage, reason, number)
            parts.append(details(summary, tag("div", *cards, class_="cards"), opened=not parts))
    if not parts:
        return Html()
    return section("dropped", "Dropped: examples by reason", *parts)


def records(facts: Facts) -> Html:
    """Records that gave no document, by reason."""
    parts = []
    for stage, total in facts.totals.items():
        said = total.quarantine_reasons | (total.dropped if stage == "collect" else {})
        for reason, number in _frequent(said):
            rows = _records(facts, stage, reason)
            if rows:
                summary = _summary(facts, stage, reason, number)
                parts.append(details(summary, tag("ul", *[_record(row) for row in rows], class_="records")))
    if not parts:
        return Html()
    words = note(
        "Quarantined: something is wrong with the record. Dropped at collect: a readable record that is no document."
    )
    return section("records", "Records that gave no document", words, *parts)


def fetch(facts: Facts, places: Iterable[Place]) -> list[dict[str, Any]]:
    """The documents at some places, text included; each row group is read once."""
    by_group: dict[tuple[str, int], list[Place]] = {}
    for place in places:
        by_group.setdefault((place.path, place.group), []).append(place)
    columns = ["doc_id", "url", "title", "source", "text", "drop_reasons", "signals", "scores", "label"]
    found = []
    for (path, group), here in sorted(by_group.items()):
        found += sampling.read_rows(facts.store, path, group, columns, [place.row for place in here])
    return sorted(found, key=lambda document: str(document["doc_id"]))


def excerpt(value: str) -> str:
    """The first characters and lines of a text."""
    lines = value[: CHARS + 1].split("\n")
    cut = "\n".join(lines[:LINES])[:CHARS]
    return cut + ("…" if len(cut) < len(value) else "")


def head(document: dict[str, Any]) -> Html:
    """Title, URL, source and doc_id of a document. The URL is text: nothing in the report leads to a crawled page."""
    title = quoted(document["title"][:120] or "(no title)")
    url = tag("span", quoted(document["url"][:300] or "no URL"), class_="url")
    return tag("div", tag("b", title), url, tag("span", tag("bdi", document["source"]), " · ",
               tag("code", document["doc_id"]), class_="soft"), class_="head")  # fmt: skip


def _summary(facts: Facts, stage: str, reason: str, number: int) -> Html:
    words = tag("span", f" {count(number)} at {stage}. ", explain(reason, facts.recipe), class_="soft")
    return tag("span", tag("code", reason), words)


def _card(document: dict[str, Any], measured: list[str]) -> Html:
    chips = [tag("span", word, class_="chip") for word in measured]
    return tag(
        "article", head(document), *chips, tag("p", quoted(excerpt(document["text"])), class_="text"), dir="auto"
    )


def _measured(document: dict[str, Any], facts: Facts) -> list[str]:
    """The measurements that broke a limit, or the probabilities."""
    said = []
    for reason in document.get("drop_reasons") or []:
        signal, _, side = reason.rpartition(".")
        value = (document.get("signals") or {}).get(signal)
        limit = getattr(facts.recipe.rules.get(signal), side, None)
        if value is not None and limit is not None:
            said.append(f"{signal} {value_words(value)}, {side} {value_words(limit)}")
    if not said and document.get("scores"):
        said += [f"{name} {value:.2f}" for name, value in document["scores"].items() if value is not None]
    return said


def _smallest(facts: Facts, files: Sequence[File], many: int, reason: str = "") -> list[Place]:
    """The smallest doc_ids (of documents with a reason) in the first row groups of some part files."""
    found: list[Place] = []
    for file in files:
        found = heapq.nsmallest(many, [*found, *_candidates(facts, file, reason)])
    return found


def _candidates(facts: Facts, file: File, reason: str) -> list[Place]:
    """The smallest doc_ids of the first row groups that hold enough documents with the reason."""
    columns = ["doc_id", "drop_reasons"] if reason else ["doc_id"]
    found: list[Place] = []
    with facts.store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=columns, use_threads=False)
            rows = (
                _rows_with(table.column("drop_reasons").combine_chunks(), reason) if reason else range(table.num_rows)
            )
            ids = table.column("doc_id").take(pa.array(rows, pa.int64())).to_pylist()
            found += heapq.nsmallest(
                2 * EACH, [Place(doc, file.path, group, row) for doc, row in zip(ids, rows, strict=True)]
            )
            if len(found) >= EACH:
                break
    return found


def _rows_with(said: pa.Array, reason: str) -> list[int]:
    """Rows whose list of reasons has this one."""
    rows: list[int] = pc.list_parent_indices(said).filter(pc.equal(pc.list_flatten(said), reason)).to_pylist()
    return rows


def _with_reason(facts: Facts, stage: str, reason: str) -> list[File]:
    """Part files that hold documents with a reason, found by their ledger rows."""
    rows: list[Row] = [row for row in facts.rows[stage] if row.dropped.get(reason)]
    files = [file for row in rows for file in row.files if file.kind == "dropped"]
    return sampling.evenly(sorted(files, key=lambda file: file.path), _PARTS)


def _frequent(counted: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:REASONS]


def _records(facts: Facts, stage: str, reason: str) -> list[dict[str, Any]]:
    rows = [r for r in facts.rows[stage] if r.quarantine_reasons.get(reason) or r.dropped.get(reason)]
    files = [file for row in rows for file in row.files if file.kind == "quarantine"]
    found: list[dict[str, Any]] = []
    for file in sampling.evenly(sorted(files, key=lambda file: file.path), _PARTS):
        table = sampling.read(facts.store, [file], ["path", "place", "source_key", "url", "reason", "detail"], 1).table
        found += [row for row in table.to_pylist() if row["reason"] == reason][:EACH]
    return found[:EACH]


def _record(row: dict[str, Any]) -> Html:
    where = tag("code", quoted(row["path"][:200]), " ", quoted(row["place"][:100]))
    name = quoted((row["url"] or row["source_key"])[:300])
    return tag(
        "li", where, " ", tag("span", name, class_="url"), tag("span", quoted(row["detail"][:CHARS]), class_="soft")
    )


def _parts(looked: int, of: int) -> str:
    return f"all {of:,} part files" if looked == of else f"{looked:,} of {of:,} part files"
