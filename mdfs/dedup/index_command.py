"""The commands `mdfs index …` and the options by which `mdfs run` and `mdfs dedup` use an index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mdfs.errors import UsageError

OPTIONS = (
    click.option("--index", default="", help="Index of earlier runs to compare with: path or URI."),
    click.option("--old-run", "old_runs", multiple=True,
                 help="Folder of a run in the index, for exact similarity to its texts. May be given again."),
)  # fmt: skip
ADD = click.option("--index-add", is_flag=True, help="When the run is complete, add it to --index; made if not there.")


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the options that both take."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.group("index")
def index_group() -> None:
    """Keep an index of all documents of earlier runs, so that the next run leaves out what they hold."""


@index_group.command("add")
@click.argument("index")
@click.argument("out")
@click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True,
              help="local: processes on this machine; spark: the session of spark-submit.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Local processes. [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def add_command(index: str, out: str, engine: str, workers: int | None, as_json: bool) -> None:
    """Add the documents of a finished run to an index, which is made where there is none.

    The run must have been compared with what the index holds (`mdfs run --index`). Added twice, nothing changes.

    \b
    Example:
      mdfs index add s3://corpus/index out/
    """
    from mdfs import about, pipeline
    from mdfs.storage import Store

    recipe = about.recipe_of(Store(out))
    with pipeline.opened(recipe, out, [], engine_name=engine, workers=workers or 0) as run:
        found = add(run, index)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else _said(found))


def add(run: Any, uri: str) -> dict[str, Any]:
    """Add a complete run to an index.

    Raises:
        UsageError: it is not complete, or see `index_add.add`.
    """
    from mdfs.dedup import index_add

    if not run.store.exists("manifest.json"):
        raise UsageError(f"{run.store.uri}: the run is not complete; finish it, then add it to the index")
    head, new = index_add.add(run, uri)
    return {"index": uri, "version": head.version, "documents": head.documents, "added": new}


def _said(found: dict[str, Any]) -> str:
    what = "added" if found["added"] else "is in it already"
    return f"{what}: {found['index']}, version {found['version']}, {found['documents']:,} documents"


@index_group.command("show")
@click.argument("index")
@click.option("--version", type=click.IntRange(min=1), help="An older version. [default: the newest]")
@click.option("--doc", "docs", multiple=True, help="Say where this document lies, by its doc_id. May be given again.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def show_command(index: str, version: int | None, docs: tuple[str, ...], as_json: bool) -> None:
    """Show an index: its settings, runs, versions and files; or in which run and part some documents lie.

    \b
    Example:
      mdfs index show s3://corpus/index
    """
    from mdfs.dedup import index as indexes
    from mdfs.dedup import index_edit
    from mdfs.storage import Store

    store = Store(index)
    head = indexes.read(store, version)
    if docs:
        found = index_edit.find(store, head, doc_ids(docs, None))
        if as_json:
            click.echo(json.dumps(found, ensure_ascii=False))
            return
        for entry in found:
            fate = "kept" if entry["kept"] else f"a copy of {entry['keeper']}"
            click.echo(f"{entry['doc_id']}  {entry['run']}  {entry['part']} row {entry['row']:,}  {fate}")
        if not found:
            raise UsageError(f"index {index} holds none of these documents")
        return
    click.echo(json.dumps(head.to_dict(), ensure_ascii=False) if as_json else _head_lines(index, head))


_HEAD_COLUMNS = ("version", "kind", "created", "documents", "run")


def _head_lines(uri: str, head: Any) -> str:
    size, gone = sum(file.bytes for file in head.files), sum(file.deleted for file in head.files)
    lines = [
        f"{uri}: version {head.version}, {head.documents:,} documents, {size / 1e6:,.1f} MB in {len(head.files)} files"
    ]
    if gone:
        lines.append(f"  {gone:,} removed documents are in the files still; `mdfs index compact` writes them anew")
    lines += ["", "settings"] + [f"  {name:<22} {value}" for name, value in head.parameters.items()]
    lines += ["", "runs"]
    lines += [
        f"  {run['generation']:>3}  {run['docs']:>12,} documents, {run['kept']:,} kept  {run['uri']}"
        for run in head.runs
    ]
    lines += ["", "versions"]
    for entry in head.history:
        said = {key: value for key, value in entry.items() if key not in _HEAD_COLUMNS}
        line = f"  {entry['version']:>3}  {entry['created']}  {entry['kind']:<8} {entry['documents']:>12,} documents  "
        lines.append(line + ", ".join(f"{key} {value}" for key, value in said.items()))
    return "\n".join(lines)


def doc_ids(docs: tuple[str, ...], file: str | None) -> list[str]:
    """Document ids of options and of a file with one a line.

    Raises:
        UsageError: the file cannot be read, or one is not 32 hex digits.
    """
    import re

    lines = []
    if file is not None:
        try:
            lines = Path(file).read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"--file {file}: cannot be read ({error}); give a text file with a doc_id a line"
            ) from None
    found = [name.lower() for name in (*docs, *lines)]
    for name in found:
        if not re.fullmatch(r"[0-9a-f]{32}", name):
            raise UsageError(f"{name[:80]!r} is no doc_id; these are 32 hex digits, and `mdfs why` finds them by URL")
    return found


@index_group.command("remove")
@click.argument("index")
@click.option("--source", "sources", multiple=True, help="All documents of this source. May be given again.")
@click.option("--doc", "docs", multiple=True, help="The document with this doc_id. May be given again.")
@click.option("--file", "file", help="A text file with a doc_id a line.")
@click.option("--dry-run", is_flag=True, help="Say how many there are, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def remove_command(
    index: str, sources: tuple[str, ...], docs: tuple[str, ...], file: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take documents out of an index: when they come again, they are new.

    For a takedown that is to last leave them in: their copies are kept out by it. Texts lie in the runs' folders, and
    `mdfs withdraw` removes them there.

    \b
    Example:
      mdfs index remove s3://corpus/index --source news.example.cn
    """
    from mdfs.dedup import index_edit
    from mdfs.storage import Store

    ids = doc_ids(docs, file)
    if not sources and not ids:
        raise UsageError("nothing to remove: give --source, --doc or --file")
    found = index_edit.remove(Store(index), list(sources), ids, dry_run=dry_run)
    said = {"index": index, "version": found.head.version, "removed": found.documents, "unknown": list(found.unknown)}
    if as_json:
        click.echo(json.dumps(said | {"dry_run": dry_run}, ensure_ascii=False))
        return
    done = "would be removed" if dry_run else f"removed; version {found.head.version} holds {found.head.documents:,}"
    click.echo(f"{found.documents:,} documents {done}")
    if found.unknown:
        click.echo(f"{len(found.unknown):,} are not in it, as {found.unknown[0]}")


@index_group.command("compact")
@click.argument("index")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def compact_command(index: str, as_json: bool) -> None:
    """Write an index anew without its removed documents, and forget its older versions.

    \b
    Example:
      mdfs index compact s3://corpus/index
    """
    from mdfs.dedup import index_edit
    from mdfs.storage import Store

    head, less = index_edit.compact(Store(index))
    said = {"index": index, "version": head.version, "documents": head.documents, "bytes_less": less}
    text = f"version {head.version}: {head.documents:,} documents, {less / 1e6:,.1f} MB less"
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else text)


@index_group.command("merge")
@click.argument("one")
@click.argument("other")
@click.option("--output", "-o", required=True, help="Folder of the new index: path or URI.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def merge_command(one: str, other: str, output: str, as_json: bool) -> None:
    """Make one index of two that have the same settings; documents of the second count as later ones.

    \b
    Example:
      mdfs index merge indexes/news indexes/web --output indexes/all
    """
    from mdfs.dedup import index_edit
    from mdfs.storage import Store

    head = index_edit.merge(Store(one), Store(other), Store(output))
    said = {"index": output, "version": head.version, "documents": head.documents}
    text = f"{output}: version {head.version}, {head.documents:,} documents"
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else text)
