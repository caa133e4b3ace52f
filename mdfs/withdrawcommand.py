"""The command `mdfs withdraw`."""

from __future__ import annotations

import json
from typing import Any

import click

from mdfs.dedup import index_command


@click.command("withdraw")
@click.argument("out")
@click.option("--source", "sources", multiple=True, help="All documents of this source. May be given again.")
@click.option("--doc", "docs", multiple=True, help="The document with this doc_id. May be given again.")
@click.option("--file", "file", help="A text file with a doc_id a line.")
@click.option("--copies", is_flag=True, help="Their copies in the folder, too: all documents of their clusters.")
@click.option("--dry-run", is_flag=True, help="Say which files would change, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def withdraw_command(
    out: str, sources: tuple[str, ...], docs: tuple[str, ...], file: str | None, copies: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Take documents out of a finished run: out of its shards, and their texts out of every file of its folder.

    \b
    Example:
      mdfs withdraw out/ --source news.example.cn --dry-run
    """
    from mdfs import withdraw
    from mdfs.storage import Store

    found = withdraw.command(
        Store(out), list(sources), index_command.doc_ids(docs, file), copies=copies, dry_run=dry_run
    )
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else render(found))


def render(found: dict[str, Any]) -> str:
    """The same for a terminal."""
    would = "would be " if found["dry_run"] else ""
    lines = [f"{found['documents']:,} documents {would}withdrawn, {found['in_shards']:,} of them in shards"]
    lines += [f"  {path}" for paths in reversed(found["files"].values()) for path in paths]
    if found["unknown"]:
        lines.append(f"{len(found['unknown']):,} ids are not of this run, as {found['unknown'][0]}")
    if found["copies"]:
        lines.append(
            f"{found['copies']:,} copies of them stay, of which some have nearly their text; --copies takes them too"
        )
    if not found["dry_run"]:
        lines.append(f"content_digest {found['content_digest']}; `mdfs verify {found['output']}` checks the folder")
    return "\n".join(lines)
