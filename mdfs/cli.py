"""The `mdfs` command. Imports inside the commands keep `mdfs --help` quick."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import click

from mdfs import __version__, withdrawcommand
from mdfs.collect import crawlcommand
from mdfs.dedup import index_command
from mdfs.errors import MdfsError, UsageError

Command = Callable[..., Any]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process: 0, 2 for bad usage or input, 1 for a failed run, 130 if interrupted."""
    try:
        cli.main(arguments, prog_name="mdfs", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.UsageError as error:
        context = error.ctx.command_path if error.ctx else "mdfs"
        _fail(f"{' '.join(error.format_message().split())} See `{context} --help`.", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except MdfsError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        _fail(f"{error}; make room or access, then start the same command again: it goes on from here", 1)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; the same command goes on from here", 130)
    sys.exit(0)


def _fail(message: str, status: int) -> None:
    click.echo(f"mdfs: {message}", err=True)
    sys.exit(status)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="mdfs")
def cli() -> None:
    """Turn raw web archives, news, encyclopedias and books into token shards for training a language model.

    \b
    Example:
      mdfs run --recipe yuan1 --input crawl/ --input news.dat --output out/
    """


def run_options(*, with_inputs: bool) -> Callable[[Command], Command]:
    """The options that `run` and the single stages share."""
    options = [
        click.option("--recipe", "-r", help="Name or path of a recipe. [default: the folder's own, else yuan1]"),
        click.option("--output", "-o", required=True, help="Folder of the run: a path or URI."),
        click.option("--engine", type=click.Choice(["local", "spark"]), default="local", show_default=True,
                     help="local: processes on this machine; spark: the session of spark-submit."),
        click.option("--workers", type=click.IntRange(min=1), help="Local processes. [default: all cores]"),
        click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
    ]  # fmt: skip
    if with_inputs:
        options.insert(1, click.option("--input", "-i", "inputs", multiple=True,
                                       help="File, folder or glob; path or URI. May be given again."))  # fmt: skip

    def decorate(function: Command) -> Command:
        function = crawlcommand.decorated(function) if with_inputs else function
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


#: For the commands that do dedup, the one stage whose memory would grow with the corpus.
MEMORY = click.option("--memory", metavar="SIZE", help="Memory that dedup may take, all workers together, as in 8GB. "
                      "[default: half of this machine's; with --engine spark no bound]")  # fmt: skip


@cli.command("run")
@run_options(with_inputs=True)
@MEMORY
@click.option("--until", help="Stop after this stage: collect, rules, dedup, classify or tokenize.")
@index_command.decorated
@index_command.ADD
def run_command(until: str | None, index_add: bool, **options: Any) -> None:
    """Do everything: collect, rules, dedup, classify, tokenize, manifest and report.

    Started again in the same folder it does what is missing and nothing else.

    \b
    Example:
      mdfs run --recipe yuan1 --input 'crawl/**/*.warc.gz' --output out/
      mdfs run --recipe yuan1 --crawl CC-MAIN-2021-31 --language zho --max-bytes 50GB --output out/
      mdfs run --recipe yuan1 --input crawl/2021-32/ --output out-32/ --index index/ --index-add
    """
    from mdfs import pipeline

    if index_add and (until or not options["index"]):
        raise UsageError("--index-add goes with --index and a whole run: name the index, and leave out --until")

    def work(run: Any) -> None:
        pipeline.through(run, until)
        if index_add:
            index_command.add(run, run.index)

    _do(work, index_new=index_add, **options)


def _stage_command(name: str, text: str, *, with_inputs: bool = False) -> None:
    """Register the command of one stage."""

    def command(**options: Any) -> None:
        from mdfs import pipeline

        _do(lambda run: pipeline.only(run, name), **options)

    inputs = "--input crawl/ " if with_inputs else ""
    command.__doc__ = f"{text}\n\n    \b\n    Example:\n      mdfs {name} --recipe yuan1 {inputs}--output out/\n"
    cli.command(name)(run_options(with_inputs=with_inputs)(command))


_stage_command("collect", "Read archives, dumps and tables into documents.", with_inputs=True)
_stage_command("rules", "Edit and measure every document and drop those that break a limit.")


@cli.group("dedup", invoke_without_command=True)
@run_options(with_inputs=False)
@MEMORY
@index_command.decorated
@click.pass_context
def dedup_group(context: click.Context, /, **options: Any) -> None:
    """Find copies: same URL, same text, nearly the same text. Without a command of its own, do the stage.

    \b
    Example:
      mdfs dedup --recipe yuan1 --output out/ --memory 8GB
    """
    if context.invoked_subcommand is not None:
        return
    if options["output"] is None:
        raise click.MissingParameter(ctx=context, param=next(p for p in dedup_group.params if p.name == "output"))
    from mdfs import pipeline

    _do(lambda run: pipeline.only(run, "dedup"), **options)


# The stage's own options are asked for in the command: `mdfs dedup explain` has none of them.
next(option for option in dedup_group.params if option.name == "output").required = False


@dedup_group.command("explain")
@click.argument("out")
@click.argument("document")
@click.option("--members", type=click.IntRange(min=1), default=10, show_default=True, help="Copies listed at most.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def dedup_explain(out: str, document: str, members: int, as_json: bool) -> None:
    """Show the copies of a document, given by its doc_id or URL: which one stays and why, texts side by side.

    \b
    Example:
      mdfs dedup explain out/ http://news.example.cn/2021/05/a1.html
    """
    from mdfs.dedup import explain
    from mdfs.storage import Store

    found = explain.explain(Store(out), document, members=members)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else explain.render(found))


_stage_command("classify", "Tell high quality, low quality and advertising apart and keep what the recipe keeps.")
_stage_command("tokenize", "Write token shards and the manifest.")


def _do(work: Callable[[Any], None], *, recipe: str | None, output: str, engine: str, workers: int | None, quiet: bool,
        as_json: bool, memory: str | None = None,
        inputs: tuple[str, ...] | None = None, index: str = "", index_new: bool = False,
        old_runs: tuple[str, ...] = (), **crawl: Any) -> None:  # fmt: skip
    from mdfs import about, pipeline
    from mdfs import recipe as recipes
    from mdfs.memory import parse
    from mdfs.progress import Progress
    from mdfs.storage import Store

    start = time.monotonic()
    bound = parse(memory or "") if memory or engine == "local" else 0
    progress = Progress(quiet=quiet or as_json)
    chosen = recipes.load(recipe) if recipe else about.recipe_of(Store(output), otherwise="yuan1")
    chosen = crawlcommand.with_options(chosen, crawl)
    if inputs is not None and not inputs and not chosen.commoncrawl.crawl:
        raise UsageError("nothing to read: give --input, a file, folder or glob, or --crawl, a Common Crawl")
    opened = pipeline.opened(
        chosen, output, list(inputs or ()), engine_name=engine, workers=workers or 0, progress=progress, index=index,
        index_new=index_new, old_runs=old_runs,
    )  # fmt: skip
    with opened as run:
        run.memory = bound
        if crawl.get("dry_run"):
            found = crawlcommand.dry_run(run)
            click.echo(json.dumps(found, ensure_ascii=False) if as_json else crawlcommand.render(found))
            return
        work(run)
        _tell(run.store, time.monotonic() - start, quiet=quiet, as_json=as_json)


def _tell(store: Any, seconds: float, *, quiet: bool, as_json: bool) -> None:
    """The funnel, and where things lie."""
    from mdfs.funnel import funnel, render
    from mdfs.storage import join

    rows = funnel(store)
    found = {name: join(store.uri, name) for name in ("manifest.json", "report.html") if store.exists(name)}
    totals = store.read_json("manifest.json")["totals"] if "manifest.json" in found else None
    if as_json:
        stages = [row.to_dict() for row in rows]
        result = {"output": store.uri, "seconds": round(seconds, 2), "stages": stages, "totals": totals, **found}
        click.echo(json.dumps(result, ensure_ascii=False))
    elif not quiet:
        click.echo("\n" + render(rows) + "\n")
        if totals:
            click.echo(f"{totals['docs']:,} documents, {totals['tokens']:,} tokens in {seconds:.1f} s")
            click.echo(f"shards    {join(store.uri, 'shards')}")
        for name, path in found.items():
            click.echo(f"{name.partition('.')[0]:<9} {path}")


@cli.command("verify")
@click.argument("out")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def verify_command(out: str, as_json: bool) -> None:
    """Check every digest, count and the accounting of a finished run; status 1 and one line for all that is off.

    \b
    Example:
      mdfs verify out/
    """
    from mdfs.storage import Store
    from mdfs.verify import verify

    problems = verify(Store(out))
    if as_json:
        click.echo(json.dumps({"ok": not problems, "problems": problems}, ensure_ascii=False))
    else:
        click.echo("\n".join(problems) if problems else "all digests, counts and the accounting are right")
    if problems:
        sys.exit(1)


cli.add_command(index_command.index_group)
cli.add_command(withdrawcommand.withdraw_command)


@cli.command("why")
@click.argument("out")
@click.argument("document")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def why_command(out: str, document: str, as_json: bool) -> None:
    """Say what happened to a document, given by its doc_id or URL, at every stage.

    \b
    Example:
      mdfs why out/ http://news.example.cn/2021/05/a1.html
    """
    from mdfs.report import why
    from mdfs.storage import Store

    found = why.explain(Store(out), document)
    click.echo(json.dumps(found, ensure_ascii=False, default=str) if as_json else why.render(found))


@cli.command("what-if")
@click.argument("out")
@click.option("--recipe", "-r", default="", help="Name or path of the other recipe. [default: the folder's own]")
@click.option("--set", "settings", multiple=True, help="A setting such as rules.han_ratio.min=0.5; may be given again.")
@click.option("--samples", type=click.IntRange(min=0), default=5, show_default=True, help="Documents shown a side.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def what_if_command(out: str, recipe: str, settings: tuple[str, ...], samples: int, as_json: bool) -> None:
    """Say what other limits would keep and drop, from the stored measurements alone.

    A setting's value is TOML; rules.chars=false removes a limit. Nothing in the folder is changed.

    \b
    Example:
      mdfs what-if out/ --set rules.han_ratio.min=0.5 --set rules.chars=false
    """
    from mdfs import recipe as recipes
    from mdfs import whatif
    from mdfs.storage import Store

    other = recipes.load(recipe) if recipe else None
    found = whatif.compare(Store(out), other, settings, samples=samples)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else whatif.render(found))


@cli.command("report")
@click.argument("out")
def report_command(out: str) -> None:
    """Write report.html anew from what a run has left.

    \b
    Example:
      mdfs report out/
    """
    from mdfs import about, report
    from mdfs.storage import Store, join

    store = Store(out)
    about.recipe_of(store)
    click.echo(join(store.uri, report.write(store)))


@cli.group("recipe")
def recipe_group() -> None:
    """List, show and check recipes."""


@recipe_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON list.")
def recipe_list(as_json: bool) -> None:
    """List the recipes that come with mdfs.

    \b
    Example:
      mdfs recipe list
    """
    from mdfs import recipe as recipes

    found = [{"name": name, "title": recipes.load(name).title} for name in recipes.shipped()]
    _table(found, as_json)


@recipe_group.command("show")
@click.argument("name_or_path")
def recipe_show(name_or_path: str) -> None:
    """Print a recipe with its bases resolved, every default filled in, as TOML.

    \b
    Example:
      mdfs recipe show yuan1 > mine.toml
    """
    from mdfs import recipe as recipes

    click.echo(recipes.load(name_or_path).to_toml(), nl=False)


@recipe_group.command("check")
@click.argument("name_or_path")
def recipe_check(name_or_path: str) -> None:
    """Check a recipe: its keys, its measurements, its model and its tokenizer; prints its digest.

    \b
    Example:
      mdfs recipe check mine.toml
    """
    from mdfs import recipe as recipes

    click.echo(f"{name_or_path}: good, digest {recipes.load(name_or_path).digest()}")


@cli.group("source")
def source_group() -> None:
    """What mdfs can read."""


@source_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON list.")
def source_list(as_json: bool) -> None:
    """List the readers: what each reads, by which names, and an example.

    \b
    Example:
      mdfs source list
    """
    from mdfs.collect import readers

    _table(readers.described(), as_json)


@cli.group("rule")
def rule_group() -> None:
    """What mdfs measures."""


@rule_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON list.")
def rule_list(as_json: bool) -> None:
    """List the measurements that a recipe may set limits on.

    \b
    Example:
      mdfs rule list
    """
    from mdfs.rules import signals

    _table(signals.describe(), as_json)


class _Classifiers(click.Group):
    """A group whose commands are read when first asked for: mdfs itself imports nothing of `mdfs.classifiers`."""

    @property
    def commands(self) -> dict[str, click.Command]:
        """The commands by name."""
        found: dict[str, click.Command] = importlib.import_module("mdfs.classifiers.command").COMMANDS
        return found

    @commands.setter
    def commands(self, given: MutableMapping[str, click.Command]) -> None:
        """click sets an empty table when it makes a group."""


@cli.group("classifier", cls=_Classifiers)
def classifier_group() -> None:
    """Train, measure, calibrate and export classifiers for the fine filter."""


def _table(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Rows of equal keys: the first column aligned, the others under it."""
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        raise UsageError("nothing to list")
    for row in rows:
        name, *rest = (", ".join(value) if isinstance(value, list) else str(value) for value in row.values())
        click.echo(f"{name:<24} " + ("\n" + " " * 25).join(" ".join(line.split()) for line in rest if line))
