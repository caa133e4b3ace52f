"""Test sets: what of them was found in the corpus and cut out."""

from __future__ import annotations

from mdfs.report import svg
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, count, note, share, table, tag


def table_of(facts: Facts) -> Html:
    """A row for each test set of the recipe; nothing where it names none or dedup has not looked for them."""
    held, cut = facts.step("dedup-benchmarks"), facts.step("dedup-cuts")
    names = [benchmark.name for benchmark in facts.recipe.decontaminate.benchmarks]
    if not held or not names:
        return Html()
    most = max(cut.get(f"{name}.documents", 0) for name in names)
    rows = [_row(name, held, cut, most) for name in sorted(names, key=lambda n: (-cut.get(f"{n}.documents", 0), n))]
    head = ["test set", "", "documents hit", "n-grams hit", "its texts", "of these too short", "its n-grams"]
    words = (
        f"Of the documents that stay, {count(cut.get('cut', 0))} were cut and {count(cut.get('dropped', 0))} dropped, "
        f"{count(cut.get('chars_removed', 0))} characters in all. {count(cut.get('frequent', 0))} hits were let be, "
        "since their n-gram is in too many documents. A text with fewer characters than an n-gram cannot be found."
    )
    title = "Test sets found in the documents that stay"
    return tag("div", tag("h3", title), table(title, head, rows, left=2), note(words))


def _row(name: str, held: dict[str, int], cut: dict[str, int], most: int) -> list[object]:
    hit, texts, short = cut.get(f"{name}.documents", 0), held.get(f"{name}.texts", 0), held.get(f"{name}.too_short", 0)
    drawn = svg.bar([("dropped", hit)], most, f"{name}: {hit:,}")
    numbers = [count(hit), count(cut.get(f"{name}.hits", 0)), count(texts), share(short, texts)]
    return [tag("bdi", name), drawn, *numbers, count(held.get(f"{name}.ngrams", 0))]
