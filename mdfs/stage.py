"""What a stage is, and what it may ask of the run that it is part of.

A stage is a function over a `Run`. It names units of work, hands them to `Run.map`, and each worker turns one unit
into files and one ledger row. Stages know each other only by the files and rows that they leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mdfs import __version__
from mdfs.ledger import File, Ledger, Row, fingerprint
from mdfs.recipe import Recipe
from mdfs.storage import InputFile, Store

if TYPE_CHECKING:
    from mdfs.engine import Engine
    from mdfs.progress import Progress


@dataclass(frozen=True)
class Unit:
    """A piece of work that one worker does at once.

    Attributes:
        id: a file name's worth of letters, the same for the same piece whatever the order or number of others.
        data: plain data (JSON) that says what to do; with the recipe it decides the result.
        cost: bytes to go through, for planning and progress.
        skip: places of records that killed a worker before, in order; they are quarantined and not read.
    """

    id: str
    data: dict[str, Any] = field(default_factory=dict)
    cost: int = 0
    skip: tuple[int, ...] = ()


@dataclass(frozen=True)
class Job:
    """What every worker of a stage is given: where to write, by which recipe, and under which stage's name."""

    stage: str
    store: Store
    recipe: Recipe


#: Turns one unit into files in place and the row that says so. A module-level function: it travels by name.
Work = Callable[[Job, Unit], Row]


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline.

    Attributes:
        name: on the command line, in the ledger and in the manifest.
        needs: columns of documents that it reads. `adds`: columns that it adds to them.
        run: does it.
        help: one line for `mdfs --help`.
    """

    name: str
    needs: tuple[str, ...]
    adds: tuple[pa.Field, ...]
    run: Callable[[Run], None]
    help: str


@dataclass
class Run:
    """One run over one output folder, on the driver."""

    store: Store
    recipe: Recipe
    engine: Engine
    progress: Progress
    inputs: list[InputFile] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """The rows of what is done."""
        return Ledger(self.store)

    def files(self, stage: str, kind: str) -> list[File]:
        """Files of one kind that a finished stage left, by path."""
        found = (file for row in self.ledger.rows(stage).values() for file in row.files if file.kind == kind)
        return sorted(found, key=lambda file: file.path)

    def map(self, stage: str, work: Work, units: Iterable[Unit], folders: tuple[str, ...], *, isolated: bool = False,
            gpu: bool = False) -> list[Row]:  # fmt: skip
        """Do every unit that the ledger lacks and return the rows of all, by unit.

        Before that, rows of units that are no more, or whose fingerprint has changed, are forgotten, and files in
        `folders` that no row names are removed. `isolated` units run in a process of their own kind that may die
        without the run dying (see `mdfs.pool`); `gpu` units ask the engine for a GPU where it has some.
        """
        wanted = {unit.id: unit for unit in units}
        prints = {id: self._fingerprint(stage, unit) for id, unit in wanted.items()}
        done = self.ledger.rows(stage)
        stale = [id for id, row in done.items() if prints.get(id) != row.fingerprint]
        self.ledger.forget(stage, stale)
        done = {id: row for id, row in done.items() if id not in set(stale)}
        self._sweep(stage, done.values(), folders)
        todo = sorted((u for u in wanted.values() if u.id not in done), key=lambda u: (-u.cost, u.id))
        job = Job(stage, self.store, self.recipe)
        with self.progress.stage(stage, sum(unit.cost for unit in todo), len(wanted) - len(todo)) as bar:
            commit = Commit(work, {unit.id: prints[unit.id] for unit in todo})
            for row in self.engine.map(commit, job, todo, isolated=isolated, gpu=gpu, bar=bar):
                done[row.unit] = row
                bar.unit_done(row)
        return [done[id] for id in sorted(done)]

    def _fingerprint(self, stage: str, unit: Unit) -> str:
        asked = stage.partition("-")[0]
        return fingerprint(__version__, stage, self.recipe.stage_digest(asked), unit.id, unit.data)

    def _sweep(self, stage: str, rows: Iterable[Row], folders: tuple[str, ...]) -> None:
        keep = {file.path for row in rows for file in row.files}
        for folder in folders:
            self.store.sweep(folder, keep)
        self.store.sweep(f"ledger/{stage}", {Ledger.path(stage, row.unit) for row in self.ledger.rows(stage).values()})


@dataclass(frozen=True)
class Commit:
    """Wraps a stage's work: times it, checks its accounting, and writes its ledger row last."""

    work: Work
    prints: dict[str, str]

    def __call__(self, job: Job, unit: Unit) -> Row:
        start = time.perf_counter()
        row = self.work(job, unit)
        row.seconds = round(time.perf_counter() - start, 3)
        row.fingerprint = self.prints[unit.id]
        if row.docs_in != row.docs_out + row.docs_dropped + row.quarantined:
            raise AssertionError(f"{job.stage}/{unit.id}: {row.docs_in} in, but {row.docs_out} + {row.docs_dropped} + {row.quarantined}")
        Ledger(job.store).commit(row)
        return row
