"""The funnel by stage and by source, and why documents went; all of it exact, from the ledger."""

from __future__ import annotations

from collections import Counter

from mdfs.ledger import Row
from mdfs.recipe import Recipe
from mdfs.report import svg
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, count, details, note, section, share, short, table, tag
from mdfs.report.words import explain

_KEPT, _DROPPED, _QUARANTINED = "kept", "dropped", "quarantined"


def tiles(facts: Facts) -> Html:
    """The run in four numbers."""
    shown: list[tuple[str, str, str]] = []
    if (collect := facts.totals.get("collect")) is not None:
        shown.append((short(collect.docs_in), "records read", f"{collect.docs_in:,}"))
        shown.append((short(collect.docs_out), "documents", f"{collect.docs_out:,}"))
    if facts.totals and (last := list(facts.totals.values())[-1]).stage != "collect":
        first = collect.docs_out if collect else last.docs_in
        where = "in the shards" if last.stage == "tokenize" else f"left after {last.stage}"
        shown.append(
            (short(last.docs_out), f"{where}, {share(last.docs_out, first)} of documents", f"{last.docs_out:,}")
        )
    if shards := facts.files("tokenize", "shard"):
        tokens = sum(file.tokens for file in shards)
        shown.append((short(tokens), "tokens", f"{tokens:,}"))
    items = [tag("div", tag("dt", word), tag("dd", number, title=exact)) for number, word, exact in shown]
    return tag("dl", *items, class_="tiles")


def by_stage(facts: Facts) -> Html:
    """What came in, what stayed and what went, stage by stage."""
    if not facts.totals:
        return section("funnel", "Funnel", tag("p", "No stage has been finished yet."))
    whole = max(row.docs_in for row in facts.totals.values())
    head = ["stage", "", "in", "kept", "dropped", "quarantined", "kept of in"]
    rows = [_stage_row(row, whole) for row in facts.totals.values()]
    key = svg.legend((_KEPT, "kept"), (_DROPPED, "dropped"), (_QUARANTINED, "quarantined: something is wrong with it"))
    return section("funnel", "Funnel", key, table("Documents in, kept and dropped at each stage", head, rows, left=2),
                   *_notes(facts))  # fmt: skip


def _stage_row(row: Row, whole: int) -> list[object]:
    went = f"{row.docs_dropped:,} dropped, {row.quarantined:,} quarantined"
    said = f"{row.stage}: {row.docs_in:,} in, {row.docs_out:,} kept, {went}"
    parts = [(_KEPT, row.docs_out), (_DROPPED, row.docs_dropped), (_QUARANTINED, row.quarantined)]
    drawn = svg.bar(parts, whole, said)
    counts = [count(number) for number in (row.docs_in, row.docs_out, row.docs_dropped, row.quarantined)]
    return [row.stage, drawn, *counts, share(row.docs_out, row.docs_in)]


def _notes(facts: Facts) -> list[Html]:
    said = []
    if (collect := facts.totals.get("collect")) is not None:
        said.append("collect counts records of the input files, the other stages count documents.")
        if collect.skipped:
            kinds = ", ".join(f"{kind} {number:,}" for kind, number in collect.skipped.items())
            said.append(f"Not counted, since no documents by design: {kinds}.")
    missing = [stage for stage in ("rules", "dedup", "classify", "tokenize") if stage not in facts.totals]
    if missing:
        said.append(f"Not done yet: {', '.join(missing)}.")
    return [note(*[line + " " for line in said])] if said else []


def by_source(facts: Facts) -> Html:
    """What every source gave and what is left of it."""
    columns = _source_columns(facts)
    if not columns:
        return Html()
    sources = sorted({source for _, found in columns for source in found})
    first = columns[0][1]
    kept = [found for name, found in columns if name not in ("tokens", "tokens a document")][-1]
    most = max(first.values(), default=0)
    rows = []
    for source in sources:
        began, left = first.get(source, 0), kept.get(source, 0)
        said = f"{source}: {left:,} of {began:,} left"
        drawn = svg.bar([(_KEPT, left), (_DROPPED, max(0, began - left))], most, said)
        numbers = [count(found.get(source, 0)) for _, found in columns]
        rows.append([tag("bdi", source), drawn, *numbers, share(left, began)])
    head = ["source", "", *(name for name, _ in columns), "left"]
    return section("sources", "Sources", table("Documents left of each source after each stage", head, rows, left=2))


def _source_columns(facts: Facts) -> list[tuple[str, Counter[str]]]:
    columns = [(f"after {stage}", _rows_by_source(facts, stage, "kept")) for stage in ("collect", "rules")]
    if "dedup" in facts.totals:
        columns.append(("after dedup", columns[-1][1] - _rows_by_source(facts, "dedup", "duplicates")))
    columns.append(("after classify", _rows_by_source(facts, "classify", "kept")))
    tokens: Counter[str] = Counter()
    for file in facts.files("tokenize", "shard"):
        tokens[facts.source_of(file)] += file.tokens
    columns.append(("tokens", tokens))
    return [(name, found) for name, found in columns if found]


def _rows_by_source(facts: Facts, stage: str, kind: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in facts.files(stage, kind):
        found[facts.source_of(file)] += file.rows
    return found


def reasons(facts: Facts, alone: dict[str, float]) -> Html:
    """Why documents went, stage by stage. `alone`: of the documents with a reason, the share that had no other."""
    tables = []
    for stage, row in facts.totals.items():
        found = [(name, number, _DROPPED) for name, number in row.dropped.items()]
        found += [(name, number, _QUARANTINED) for name, number in row.quarantine_reasons.items()]
        if found:
            tables.append(_reason_table(facts, stage, row, sorted(found, key=lambda item: (-item[1], item[0])), alone))
    if not tables:
        return section("reasons", "Why documents went", tag("p", "Nothing was dropped."))
    words = (
        "A document counts under each reason it has, so shares may add up to more than 100%. Only reason: the share of "
        "its documents that the rules would keep if this limit were not there."
    )
    return section("reasons", "Why documents went", note(words), *tables)


def _reason_table(
    facts: Facts, stage: str, row: Row, found: list[tuple[str, int, str]], alone: dict[str, float]
) -> Html:
    most = max(number for _, number, _ in found)
    with_alone = stage == "rules" and bool(alone)
    last = ["only reason"] if with_alone else []
    head = ["reason", "", "documents", "of what went", "of in", *last]
    rows = []
    for name, number, how in found:
        drawn = svg.bar([(how, number)], most, f"{name}: {number:,}")
        shares = [share(number, row.docs_dropped + row.quarantined), share(number, row.docs_in)]
        last = [f"{alone[name]:.0%}" if name in alone else "–"] if with_alone else []
        what = tag("span", tag("code", name), tag("span", explain(name, facts.recipe), class_="soft says"))
        rows.append([what, drawn, count(number), *shares, *last])
    return tag("div", tag("h3", stage), table(f"Reasons at {stage}", head, rows, left=2), class_="reasons")


def recipe_text(recipe: Recipe) -> Html:
    """The recipe with every default filled in."""
    return details("The recipe, with every default filled in", tag("pre", recipe.to_toml()))
