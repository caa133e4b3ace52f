"""The straight line: the stages in their order, and a run through them.

uri ─ collect ─ rules ─ dedup ─ classify ─ tokenize ─ manifest ─ loader
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import mdfs.classify.stage
import mdfs.collect.stage
import mdfs.dedup.stage
import mdfs.rules.stage
import mdfs.tokenize.stage
from mdfs import __version__, engine, manifest, objectstore, report, withdraw
from mdfs.about import ABOUT
from mdfs.dedup import index_join
from mdfs.errors import UsageError
from mdfs.progress import Progress
from mdfs.recipe import Recipe
from mdfs.stage import Run, Stage
from mdfs.storage import InputFile, Store, find_inputs

STAGES: tuple[Stage, ...] = (
    mdfs.collect.stage.STAGE,
    mdfs.rules.stage.STAGE,
    mdfs.dedup.stage.STAGE,
    mdfs.classify.stage.STAGE,
    mdfs.tokenize.stage.STAGE,
)


def names() -> tuple[str, ...]:
    """Names of the stages, in order."""
    return tuple(stage.name for stage in STAGES)


def through(run: Run, until: str | None = None) -> None:
    """Do all stages, or those up to `until`; then, after the last one, manifest and report.

    Raises:
        UsageError: no stage is called `until`.
        RunError: a stage failed; the same call goes on from there.
    """
    last = _index(until) if until else len(STAGES) - 1
    _begin(run)
    for stage in STAGES[: last + 1]:
        _do(run, stage)
    _finish(run, complete=last == len(STAGES) - 1)


def only(run: Run, name: str) -> None:
    """Do one stage over what the stage before left.

    Raises:
        UsageError: a stage before it has left nothing, or was done by a recipe that says other things to it.
    """
    index = _index(name)
    done = run.store.read_json(ABOUT)["stages"] if run.store.exists(ABOUT) else {}
    for before in STAGES[:index]:
        if before.name not in done:
            hint = f"run `mdfs {before.name}` first with the same --output"
            raise UsageError(f"{run.store.uri}: nothing to do for {name}: {hint}")
        if done[before.name] != run.recipe.stage_digest(before.name):
            hint = f"run `mdfs {before.name}` again with recipe {run.recipe.name}, or use the folder's own"
            raise UsageError(f"{run.store.uri}: {before.name} was done by another recipe; {hint}")
    _begin(run)
    _do(run, STAGES[index])
    _finish(run, complete=index == len(STAGES) - 1)


@contextlib.contextmanager
def opened(
    recipe: Recipe, output: str, inputs: list[str], *, engine_name: str = "local", workers: int = 0,
    progress: Progress | None = None, index: str = "", index_new: bool = False, old_runs: tuple[str, ...] = (),
) -> Iterator[Run]:  # fmt: skip
    """A run over `output`, alone there, with its engine started when needed and given back at the end. `index`,
    `index_new` and `old_runs`: see `Run`.
    """
    files = input_files(inputs, recipe)
    objectstore.prepare_session(output)
    store = Store(output)
    with contextlib.closing(engine.create(engine_name, workers)) as worker, store.locked():
        run = Run(store, recipe, worker, progress or Progress(quiet=True), files)
        run.index, run.index_new, run.old_runs = index, index_new, old_runs
        yield run


def input_files(uris: list[str], recipe: Recipe) -> list[InputFile]:
    """The files that inputs mean, with the source that the recipe or the input's name gives them."""
    found = []
    for uri, name, path, info in find_inputs(uris):
        said = recipe.source_of(f"{name}/{path}")
        found.append(InputFile(uri, said.name or name, path, info.size, info.mtime_ns or 0, name))
    return found


def _begin(run: Run) -> None:
    if run.store.exists(withdraw.RECORDS):
        raise UsageError(
            f"{run.store.uri}: documents were withdrawn from this folder, and a run would read them from its inputs "
            "again; run into a new --output with their inputs left out"
        )
    index_join.check(run)
    run.store.sweep_temporary()
    about = {"mdfs_version": __version__, "recipe": run.recipe.to_dict(), "recipe_digest": run.recipe.digest()}
    before = run.store.read_json(ABOUT) if run.store.exists(ABOUT) else {"stages": {}}
    if {key: before.get(key) for key in about} != about:
        run.store.delete("manifest.json")
        run.store.write_json(ABOUT, about | {"stages": before["stages"]})


def _do(run: Run, stage: Stage) -> None:
    """Do a stage, and say by which words of the recipe it was done."""
    stage.run(run)
    about = run.store.read_json(ABOUT)
    said = run.recipe.stage_digest(stage.name)
    if about["stages"].get(stage.name) != said:
        about["stages"][stage.name] = said
        run.store.write_json(ABOUT, about)


def _finish(run: Run, *, complete: bool) -> None:
    """The report, and behind a complete corpus the manifest, last of all."""
    report.write(run.store)
    if complete:
        manifest.write(run)


def _index(name: str) -> int:
    if name not in names():
        raise UsageError(f"no stage is called {name!r}; stages are {', '.join(names())}")
    return names().index(name)
