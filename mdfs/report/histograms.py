"""What was measured: for every signal, documents that stayed above the line and documents that went below it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mdfs.recipe import Limit
from mdfs.report import sampling, svg
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, details, figure, join, note, quoted, section, share, tag
from mdfs.report.sampling import Sample
from mdfs.report.words import documentation, limit_words

Floats = npt.NDArray[np.float64]
#: Values of a measurement that are shown by themselves; the others are one bar.
WORDS = 12


def signals(facts: Facts) -> Html:
    """Histograms of all signals; those that have a limit come first."""
    kept = sampling.read(facts.store, facts.files("rules", "kept"), ["signals"])
    dropped = sampling.read(facts.store, facts.files("rules", "dropped"), ["signals"])
    names = _fields(kept, "signals") or _fields(dropped, "signals")
    if not names:
        return Html()
    limits, documented = facts.recipe.rules, documentation()
    cards = {name: (_word if kind == pa.string() else _signal)(name, kept, dropped, limits.get(name),
                    documented.get(name, "")) for name, kind in names.items()}  # fmt: skip
    limited = [cards[name] for name in names if name in limits]
    others = [cards[name] for name in names if name not in limits]
    key = svg.legend(
        ("kept", "kept by the rules, above the line"), ("dropped", "dropped, below"), ("cut", "what a limit cuts off")
    )
    source = note(
        f"Kept: {kept.words()}. Dropped: {dropped.words()}. Each side is drawn to its own tallest bar, heights by the "
        "square root of counts, so that rare values show; values beyond an end of the axis stand in its last bar."
    )
    return section(
        "signals", "Measurements", key, source, tag("div", *limited, class_="grid"),
        details(f"{len(others)} measurements without a limit", tag("div", *others, class_="grid")) if others else "",
    )  # fmt: skip


def _fields(sample: Sample, struct: str) -> dict[str, pa.DataType]:
    """The fields of a struct by name, none where the sample has no such column."""
    if struct not in sample.table.column_names:
        return {}
    return {field.name: field.type for field in sample.table.schema.field(struct).type}


def _signal(name: str, kept: Sample, dropped: Sample, limit: Limit | None, documented: str) -> Html:
    up, up_null = column(kept, "signals", name)
    down, down_null = column(dropped, "signals", name)
    marks = _marks(limit)
    axis = svg.axis_for(np.concatenate([up, down]), [mark.value for mark in marks])
    chart = svg.Histogram(name, svg.Series("kept", "kept", up), svg.Series("dropped", "dropped", down), axis, marks)
    medians = [f"median {_median(up)} kept, {_median(down)} dropped"]
    if nulls := up_null + down_null:
        medians.append(f"not measurable in {nulls:,}")
    return tag(
        "figure", _heading(name, limit, documented), chart.draw(), tag("span", "; ".join(medians), class_="soft")
    )


def _word(name: str, kept: Sample, dropped: Sample, limit: Limit | None, documented: str) -> Html:
    """A measurement that is a word: its commonest values, each with what was kept and what was dropped."""
    sides = [_counted(sample, _values(sample, "signals", name), "not measurable") for sample in (kept, dropped)]
    return tag("figure", _heading(name, limit, documented), _bars(sides, kept.whole and dropped.whole))


def _heading(name: str, limit: Limit | None, documented: str) -> Html:
    wanted = tag("span", "keeps ", limit_words(limit), class_="wanted") if limit else ""
    return tag("figcaption", tag("b", tag("code", name)), " ", wanted, tag("span", documented, class_="soft says"))


def column(sample: Sample, struct: str, name: str) -> tuple[Floats, int]:
    """A field's values that are there, which are numbers, and how many are null."""
    values = _values(sample, struct, name)
    if values is None:
        return np.zeros(0), 0
    there = pc.drop_null(values).cast(pa.float64()).to_numpy()
    return there[np.isfinite(there)], int(values.null_count)


def _values(sample: Sample, struct: str, name: str) -> pa.ChunkedArray | None:
    """A field's values; None where the sample has no such column."""
    if struct not in sample.table.column_names:
        return None
    return pc.struct_field(sample.table.column(struct), name)


def _marks(limit: Limit | None) -> list[svg.Mark]:
    if limit is None:
        return []
    sides = ((limit.min, "min", -1), (limit.max, "max", 1))
    return [svg.Mark(value, f"{word} {figure(value)}", side) for value, word, side in sides if value is not None]


def _median(values: Floats) -> str:
    return figure(float(np.median(values))) if values.size else "–"


def alone(facts: Facts) -> dict[str, float]:
    """Reason → of the documents that the rules dropped with it, the share that had no other, from a sample."""
    sample = sampling.read(facts.store, facts.files("rules", "dropped"), ["drop_reasons"])
    if not sample.table.num_rows:
        return {}
    said = sample.table.column("drop_reasons")
    single = said.filter(pc.equal(pc.list_value_length(said), 1))
    every, only = (_counts(of) for of in (said, single))
    return {reason: only[reason] / number for reason, number in every.items()}


def _counts(lists: pa.ChunkedArray) -> Counter[str]:
    counted = pc.value_counts(pc.list_flatten(lists))
    return Counter({entry["values"]: entry["counts"] for entry in counted.to_pylist()})


def scores(facts: Facts) -> Html:
    """The fine filter's probabilities, its labels, and which of its models decided."""
    columns = ["scores", "label", "decided_by"]
    kept = sampling.read(facts.store, facts.files("classify", "kept"), columns)
    dropped = sampling.read(facts.store, facts.files("classify", "dropped"), columns)
    names = _fields(kept, "scores") or _fields(dropped, "scores")
    if not any(column(sample, "scores", name)[0].size for sample in (kept, dropped) for name in names):
        return Html()
    charts = [_score(name, kept, dropped, facts.recipe.classify.min_score.get(name)) for name in names]
    shares = [
        _shares(kept, dropped, which, title) for which, title in (("label", "Label"), ("decided_by", "Decided by"))
    ]
    words = note(f"Kept: {kept.words()}. Dropped: {dropped.words()}. Heights by the square root of counts.")
    return section("scores", "Fine filter", words, tag("div", *charts, *shares, class_="grid"))


def _score(name: str, kept: Sample, dropped: Sample, least: float | None) -> Html:
    up, down = column(kept, "scores", name)[0], column(dropped, "scores", name)[0]
    marks = _marks(Limit(min=least)) if least is not None else []
    chart = svg.Histogram(
        f"probability of {name}", svg.Series("kept", "kept", up), svg.Series("dropped", "dropped", down),
        svg.Axis(0.0, 1.0), marks,
    )  # fmt: skip
    heading = tag("figcaption", tag("b", name), tag("span", " probability, kept above, dropped below", class_="soft"))
    return tag("figure", heading, chart.draw())


def _shares(kept: Sample, dropped: Sample, which: str, title: str) -> Html:
    columns = [sample.table.column(which) if which in sample.table.column_names else None for sample in (kept, dropped)]
    sides = [_counted(*of, "not asked") for of in zip((kept, dropped), columns, strict=True)]
    return tag("figure", tag("figcaption", tag("b", title)), _bars(sides, kept.whole and dropped.whole))


def _bars(sides: list[dict[str, float]], exact: bool) -> Html:
    """A bar for each of the commonest words, kept and dropped side by side, and one for all the others together."""
    words = sorted({*sides[0], *sides[1]}, key=lambda word: (-sides[0].get(word, 0) - sides[1].get(word, 0), word))
    whole = sum(sides[0].values()) + sum(sides[1].values())
    shown = [(word, [word]) for word in words[:WORDS]]
    if words[WORDS:]:
        shown.append((f"{len(words) - WORDS:,} others", words[WORDS:]))
    rows = []
    for title, together in shown:
        stays, goes = (sum(side.get(word, 0.0) for word in together) for side in sides)
        said = f"{'' if exact else '≈ '}{round(stays + goes):,} · {share(stays + goes, whole)}"
        drawn = svg.bar([("kept", stays), ("dropped", goes)], whole, f"{title}: {said}, of them {round(stays):,} kept")
        rows.append(tag("div", tag("span", quoted(title)), drawn, tag("span", said, class_="num")))
    return tag("div", join(rows), class_="shares")


def _counted(sample: Sample, values: pa.ChunkedArray | None, null: str) -> dict[str, float]:
    """How many documents say what, scaled from the sample to all: kept and dropped are not sampled alike.

    Documents that say nothing are counted under `null`.
    """
    if values is None:
        return {}
    scale = sample.rows / max(1, sample.table.num_rows)
    found: dict[str, float] = {}
    for entry in pc.value_counts(values).to_pylist():
        word = entry["values"] or null
        found[word] = found.get(word, 0.0) + entry["counts"] * scale
    return found
