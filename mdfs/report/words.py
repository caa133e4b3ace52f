"""Reasons, limits and measurements in words."""

from __future__ import annotations

from collections.abc import Sequence

from mdfs.recipe import Limit, Recipe
from mdfs.report.markup import Html, figure, tag, visible

_WORDS = {
    # dedup
    "url": "an equal URL; the better copy stays",
    "exact": "an equal text; the better copy stays",
    "minhash": "a nearly equal text; the better copy stays",
    # classify
    "pareto": "not drawn: the lower the score, the fewer stay",
    "top_share": "not among the share of its source that has the best scores",
    # collect: readable, but no document
    "http_status": "an answer that is no page, such as 404",
    "redirect": "a page that only leads to another one",
    "not_text": "a picture, a program or another kind of file",
    "no_text": "no text is left without markup and navigation",
    # collect: something is wrong
    "broken_record": "the record does not follow its format",
    "broken_http": "the HTTP answer cannot be read",
    "broken_json": "the line is not a JSON object",
    "broken_row": "the row does not fit the table's header",
    "broken_compression": "the compressed data is damaged",
    "broken_file": "the rest of the file cannot be read",
    "truncated": "the record or file ends too early",
    "too_long": "longer than collect.max_record_bytes allows",
    "text_too_long": "longer than collect.max_text_chars allows",
    "too_deep": "markup is nested too deeply",
    "killed_worker": "the process that read it died or stood still",
    "unreadable": "reading it failed",
}
#: The sides of a limit, and how a measurement that breaks one lies to it.
_BEYOND = {"min": "under", "max": "over", "any_of": "none of", "none_of": "one of"}


def explain(reason: str, recipe: Recipe) -> Html:
    """A reason in words: the limit as the recipe has it and what the rule measures."""
    signal, _, side = reason.rpartition(".")
    bound = getattr(recipe.rules.get(signal), side, None) if side in _BEYOND else None
    if bound is not None:
        return tag("span", tag("b", f"{_BEYOND[side]} {value_words(bound)}"), ": ", documentation().get(signal, ""))
    if reason.startswith("label."):
        keep = " and ".join(recipe.classify.keep) or "nothing"
        return tag("span", f"most probably {reason.removeprefix('label.')}; the recipe keeps {keep}")
    if reason.startswith("score.") and signal.removeprefix("score.") in recipe.classify.min_score:
        label = signal.removeprefix("score.")
        return tag("span", f"probability of {label} under {recipe.classify.min_score[label]:g}")
    return tag("span", _WORDS.get(reason, ""))


def documentation() -> dict[str, str]:
    """The first line of every measurement's documentation."""
    from mdfs.rules import signals

    return {entry["name"]: first_line(entry["help"]) for entry in signals.describe()}


def first_line(said: str) -> str:
    """The first line of a documentation, without the marks of reStructuredText."""
    return said.strip().partition("\n")[0].replace("`", "")


def value_words(value: float | str | Sequence[str] | None) -> str:
    """A measurement, or a side of its limit, as one reads it; control characters of words are spelt out."""
    if value is None:
        return "not measurable"
    if isinstance(value, int | float):
        return figure(value)
    return visible(value if isinstance(value, str) else ", ".join(value))


def limit_words(limit: Limit) -> str:
    """A limit as one reads it: `0.6 or more`, `at most 0.3`, `150 to 8,000`, `one of zh, en`, `none of ru`."""
    if limit.any_of is not None or limit.none_of is not None:
        sides = (("one of", limit.any_of), ("none of", limit.none_of))
        return " and ".join(f"{said} {value_words(words)}" for said, words in sides if words is not None)
    if limit.min is not None and limit.max is not None:
        return f"{figure(limit.min)} to {figure(limit.max)}"
    if limit.min is not None:
        return f"{figure(limit.min)} or more"
    return f"at most {figure(limit.max)}" if limit.max is not None else "anything"
