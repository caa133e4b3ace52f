"""The options of `mdfs run` and `mdfs collect` that choose records of a Common Crawl, and what a dry run says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mdfs.errors import UsageError

if TYPE_CHECKING:
    from mdfs.recipe import Recipe
    from mdfs.stage import Run

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
#: Languages and statuses that a dry run prints.
_SHOWN = 8


def size(context: click.Context, parameter: click.Parameter, value: str | None) -> int:
    """A number of bytes as people write it: 5000000, 500GB (powers of 1000), 2TiB (of 1024); 0 if nothing is said."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?) ?([kmgtp]?)(i?)b?", (value or "0").strip().lower())
    if not found or (found[3] and not found[2]):
        raise click.BadParameter(f"{value!r} is no size; write 500GB or 2TiB", context, parameter)
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _UNITS[found[2]])


OPTIONS = (
    click.option("--crawl", help="Common Crawl to collect from, as CC-MAIN-2021-31."),
    click.option("--language", "languages", multiple=True, help="Of the crawl: pages in this language, as zho."),
    click.option("--url", "urls", multiple=True, help="Of the crawl: example.cn, *.gov.cn, a.cn/b/*, re:EXPRESSION."),
    click.option("--mime", multiple=True, help="Of the crawl: this type by content, as text/html or text/*."),
    click.option("--status", multiple=True, type=int, help="Of the crawl: this HTTP status. [default: 200]"),
    click.option("--max-records", type=click.IntRange(min=1), help="A fair sample of at most so many records."),
    click.option("--max-bytes", callback=size, help="A fair sample of at most so long records, as 500GB."),
    click.option("--crawl-index", help="Root of the columnar index: path or URI. [default: data.commoncrawl.org]"),
    click.option("--crawl-data", help="Root of the archives: path or URI. [default: data.commoncrawl.org]"),
    click.option("--dry-run", is_flag=True, help="Say what would be read of the crawl, and stop there."),
)  # fmt: skip


def with_options(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    """The recipe with what the command line says in its `[commoncrawl]`.

    Raises:
        UsageError: options for a crawl and no crawl, or a value that the recipe may not have.
    """
    from mdfs.recipe import from_dict

    names = {"crawl_index": "index", "crawl_data": "data"}
    said = {names.get(key, key): value for key, value in options.items() if value and key != "dry_run"}
    if not (said.get("crawl") or recipe.commoncrawl.crawl):
        if said or options.get("dry_run"):
            raise UsageError(
                "nothing to choose records from: give --crawl, as CC-MAIN-2021-31, or name it in the recipe"
            )
        return recipe
    if not said:
        return recipe
    changed = dataclasses.replace(recipe, commoncrawl=dataclasses.replace(recipe.commoncrawl, **said))
    return dataclasses.replace(from_dict(changed.to_dict()), folder=recipe.folder)


def dry_run(run: Run) -> dict[str, Any]:
    """Plan what the recipe says of its crawl, and sum it up (`crawlplan.summary`); no archive is read."""
    from mdfs.collect import crawlplan

    return crawlplan.summary(run, crawlplan.prepare(run))


def render(found: dict[str, Any]) -> str:
    """A dry run's figures for people."""
    rows: list[tuple[str, str]] = [
        ("records", f"{found['records']:,} of {found['crawl_records']:,}"),
        ("WARC files", f"{found['warc_files']:,}"),
        ("requests", f"{found['requests']:,}"),
        (
            "to be read",
            f"{_size(found['bytes'])}, {found['share_of_bytes']:.2%} of about {_size(found['crawl_bytes'])}",
        ),
        ("records alone", _size(found["record_bytes"])),
        ("index read", _size(found["index_bytes"])),
        ("languages", _counts(found["languages"])),
        ("status", _counts(found["status"])),
    ]
    if found["unusable"]:
        rows.append(("left out", f"{found['unusable']:,} rows of the index that name no readable place"))
    return "\n".join([found["crawl"], *(f"  {name:<14} {value}" for name, value in rows)])


def _counts(counts: dict[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(counts) > _SHOWN else "")


def _size(number: int) -> str:
    """Bytes as a person reads them, in powers of 1000."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} PB"


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with these options."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function
