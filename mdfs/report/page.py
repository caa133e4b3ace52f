"""The page as a whole: head, style, order of the sections."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from mdfs.report import duplicates, examples, funnel, histograms
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, count, join, section, short, table, tag

_LINKS = (
    ("funnel", "Funnel"), ("sources", "Sources"), ("reasons", "Reasons"), ("signals", "Measurements"),
    ("duplicates", "Copies"), ("scores", "Fine filter"), ("tokens", "Tokens"), ("kept", "Kept"),
    ("dropped", "Dropped"), ("records", "Records"),
)  # fmt: skip


def page(facts: Facts) -> str:
    """The report as one HTML document without a script; what it may load is: its own style, nothing else."""
    style = Html((resources.files("mdfs.report") / "style.css").read_text("utf-8"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # No script, no font, no form; not even a style attribute, since only this one style has the digest. The only
    # picture is the empty icon, without which a browser would ask the server for one.
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    body = _body(facts)
    head = join(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html('<meta name="referrer" content="no-referrer">'),
            Html('<link rel="icon" href="data:,">'),
            tag("title", f"mdfs report: {facts.recipe.name}"),
            Html(f"<style>{style}</style>"),
        ],
        "\n",
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _body(facts: Facts) -> Html:
    sections = [
        funnel.by_stage(facts),
        funnel.by_source(facts),
        funnel.reasons(facts, histograms.alone(facts)),
        histograms.signals(facts),
        duplicates.section_of(facts),
        histograms.scores(facts),
        tokens(facts),
        examples.kept(facts),
        examples.dropped(facts),
        examples.records(facts),
    ]
    shown = [part for part in sections if part]
    links = [
        tag("a", word, href=f"#{name}")
        for name, word in _LINKS
        if any(f'<section id="{name}"' in s[:60] for s in shown)
    ]
    return join([_header(facts), tag("nav", *links, aria_label="Sections"), tag("main", join(shown, "\n"))], "\n")


def _header(facts: Facts) -> Html:
    recipe = facts.recipe
    facts_line = tag(
        "p", "recipe ", tag("b", recipe.name), " · digest ", tag("code", facts.digest), " · mdfs ", facts.version,
        class_="soft digest",
    )  # fmt: skip
    title = tag("h1", recipe.title or recipe.name)
    return tag("header", title, facts_line, funnel.tiles(facts), funnel.recipe_text(recipe))


def tokens(facts: Facts) -> Html:
    """Tokens and documents of each source in the shards; nothing where there are none."""
    shards = facts.files("tokenize", "shard")
    if not shards:
        return Html()
    rows = []
    for source in sorted({file.source for file in shards}):
        files = [file for file in shards if file.source == source]
        docs, held, size = (sum(getattr(file, name) for file in files) for name in ("rows", "tokens", "bytes"))
        numbers = [
            count(held),
            count(docs),
            f"{held / docs:,.0f}" if docs else "–",
            count(len(files)),
            f"{short(size)} B",
        ]
        rows.append([tag("bdi", source), *numbers])
    head = ["source", "tokens", "documents", "tokens a document", "shards", "bytes"]
    return section("tokens", "Tokens", table("Tokens of each source in the shards", head, rows))
