"""Documents made from other documents by the recipes in derive.toml: reprints, near-duplicates, damage.

A recipe names a `kind` (one function below), the pages it is `from`, the kind's own parameters, and any header of the
new page to be replaced. `{slug}` in a header stands for the slug of the page it comes from, `{n}` for the row's number.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from samplekit.page import Page, check

Recipe = dict[str, Any]
Pages = dict[str, Page]


def reprint(page: Page, recipe: Recipe, pages: Pages) -> str:
    """The same text on another site: only the headers differ."""
    return page.body


def near(page: Page, recipe: Recipe, pages: Pages) -> str:
    """An edited copy: `replace` pairs, paragraphs `cut` (by number from 0), lines put `before` and `after`."""
    body = "\n".join(text for i, text in enumerate(page.paragraphs) if i not in recipe.get("cut", []))
    for old, new in recipe.get("replace", []):
        body = body.replace(old, new)
    return "\n".join([*recipe.get("before", []), body, *recipe.get("after", [])])


def mixed(page: Page, recipe: Recipe, pages: Pages) -> str:
    """The first `keep` paragraphs of the page, then those of page `other` from its paragraph `start` on."""
    other = pages[recipe["other"]].paragraphs[recipe.get("start", 0) :]
    return "\n".join([*page.paragraphs[: recipe["keep"]], *other])


def tracking(page: Page, recipe: Recipe, pages: Pages) -> str:
    """The same page under a URL with tracking parameters (`query`)."""
    return page.body


def mojibake(page: Page, recipe: Recipe, pages: Pages) -> str:
    """UTF-8 bytes read `as` another encoding, and stored that way: the damage is in the text itself."""
    return page.body.encode("utf-8").decode(recipe["as"], errors="replace")


def truncated(page: Page, recipe: Recipe, pages: Pages) -> str:
    """The first `keep` (a fraction) of the characters."""
    return page.body[: int(len(page.body) * recipe["keep"])]


def repeated(page: Page, recipe: Recipe, pages: Pages) -> str:
    """The body `times` times in one page."""
    return "\n".join([page.body] * recipe["times"])


def filled(page: Page, recipe: Recipe, pages: Pages) -> str:
    """One row of `rows` put into the {names} of a page that is `into: template`."""
    return page.body.format(**recipe["row"])


KINDS: dict[str, Callable[[Page, Recipe, Pages], str]] = {
    f.__name__: f for f in (reprint, near, mixed, tracking, mojibake, truncated, repeated, filled)
}
HEADERS = {field.name for field in fields(Page)} - {"key", "body", "derived_from", "derivation"}


def derive_all(path: Path, sources: list[Page]) -> list[Page]:
    """All documents that the recipes of `path` make of `sources`. KeyError where a recipe names an unknown page."""
    pages = {page.key: page for page in sources}
    recipes = tomllib.loads(path.read_text("utf-8"))["derive"]
    made = [page for recipe in recipes for page in _follow(recipe, pages)]
    return _with_own_keys(made)


def _follow(recipe: Recipe, pages: Pages) -> Iterator[Page]:
    for name in recipe["from"]:
        for n, row in enumerate(recipe.get("rows", [{}])):
            yield _make(pages[name], {**recipe, "row": row, "n": n}, pages)


def _make(page: Page, recipe: Recipe, pages: Pages) -> Page:
    words = {"slug": page.key.split("/")[1], "title": page.title, "n": recipe["n"], **recipe["row"]}
    headers = {name: str(recipe[name]).format(**words) for name in HEADERS & recipe.keys()}
    if recipe["kind"] == "tracking":
        headers["url"] = f"{page.url}?{recipe['query']}"
    if page.into == "template":
        headers.setdefault("into", "web")
    body = KINDS[recipe["kind"]](page, recipe, pages)
    source = replace(page, body=body, derived_from=page.key, derivation=recipe["kind"])
    return check(replace(source, key=f"{page.key}~{recipe['kind']}", **headers))


def _with_own_keys(pages: list[Page]) -> list[Page]:
    """Number the keys that occur more than once: `~near`, `~near2`, `~near3`."""
    seen: dict[str, int] = {}
    named = []
    for page in pages:
        seen[page.key] = seen.get(page.key, 0) + 1
        named.append(replace(page, key=page.key + str(seen[page.key])) if seen[page.key] > 1 else page)
    return named
