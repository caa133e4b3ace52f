"""What a stage is, and what it may ask of the run that it is part of.

A stage is a function over a `Run`. It names units of work, hands them to `Run.map`, and each worker turns one unit
into files and one ledger row. Stages know each other only by the files and rows that they leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
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
        skip: places of records that killed a worker before; they are quarantined and not read.
        fingerprint: set by `Run.map`; changes with anything that changes the unit's result.
    """

    id: str
    data: dict[str, Any] = field(default_factory=dict)
    cost: int = 0
    skip: tuple[int, ...] = ()
    fingerprint: str = ""


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
    """One run over one output folder, on the driver.

    Attributes:
        memory: bytes that steps whose memory would grow with the corpus may take on this machine, all workers together;
            0: no bound. It decides how much is done at once and changes no result.
        index: of documents of earlier runs that these are compared with (`mdfs.dedup.index`); none where empty.
        index_new: there need not be an index yet: the run will be its first.
        old_runs: folders of earlier runs whose texts may be read to compare with.
    """

    store: Store
    recipe: Recipe
    engine: Engine
    progress: Progress
    inputs: list[InputFile] = field(default_factory=list)
    memory: int = 0
    index: str = ""
    index_new: bool = False
    old_runs: tuple[str, ...] = ()

    @property
    def ledger(self) -> Ledger:
        """The rows of what is done."""
        return Ledger(self.store)

    def files(self, stage: str, kind: str) -> list[File]:
        """Files of one kind that a finished stage left, by path."""
        found = (file for row in self.ledger.rows(stage).values() for file in row.files if file.kind == kind)
        return sorted(found, key=lambda file: file.path)

    def map(
        self,
        stage: str,
        work: Work,
        units: Iterable[Unit],
        folders: tuple[str, ...],
        *,
        isolated: bool = False,
        gpu: bool = False,
    ) -> list[Row]:
        """Do every unit that the ledger lacks and return the rows of all, by unit.

        Before that, rows of units that are no more, or whose fingerprint has changed, are forgotten, and files in
        `folders` that no row names are removed. `isolated` units run in a process that may die without the run dying
        (see `mdfs.pool`); `gpu` units ask the engine for a GPU where it has some.
        """
        wanted = self._fingerprinted(stage, units)
        done = self._still_valid(stage, wanted)
        self._sweep(stage, done.values(), folders)
        todo = sorted((u for u in wanted.values() if u.id not in done), key=lambda u: (-u.cost, u.id))
        job = Job(stage, self.store, self.recipe)
        with self.progress.stage(stage, sum(unit.cost for unit in todo), len(todo), len(done)) as bar:
            for row in self.engine.map(Commit(work), job, todo, isolated=isolated, gpu=gpu, bar=bar):
                done[row.unit] = row
                bar.unit_done(row)
        self.ledger.settle(stage)
        return [done[unit] for unit in sorted(done)]

    def _fingerprinted(self, stage: str, units: Iterable[Unit]) -> dict[str, Unit]:
        """Units by id, each with the fingerprint of its work. Sub-steps are called `<stage>-<step>`."""
        said = self.recipe.stage_digest(stage.partition("-")[0])
        return {
            unit.id: replace(unit, fingerprint=fingerprint(__version__, stage, said, unit.id, unit.data))
            for unit in units
        }

    def _still_valid(self, stage: str, wanted: dict[str, Unit]) -> dict[str, Row]:
        """Rows of work that is done and is still the work that is wanted; the others are forgotten."""
        rows = self.ledger.rows(stage)
        valid = {key: row for key, row in rows.items() if key in wanted and wanted[key].fingerprint == row.fingerprint}
        if len(valid) < max(len(rows), len(wanted)):
            self.store.delete("manifest.json")  # it would speak of files that are about to change
        self.ledger.forget(stage, [key for key in rows if key not in valid])
        return valid

    def _sweep(self, stage: str, rows: Iterable[Row], folders: tuple[str, ...]) -> None:
        rows = list(rows)
        written = {file.path for row in rows for file in row.files}
        for folder in folders:
            self.store.sweep(folder, written)
        self.store.sweep(f"ledger/{stage}", {Ledger.path(stage, row.unit) for row in rows})


@dataclass(frozen=True)
class Commit:
    """Wraps a stage's work: times it, checks its accounting, and writes its ledger row last."""

    work: Work

    def __call__(self, job: Job, unit: Unit) -> Row:
        """Do the unit and commit it.

        Raises:
            AssertionError: the stage lost or invented documents; a bug, never the user's fault.
        """
        start = time.perf_counter()
        row = self.work(job, unit)
        row.seconds = round(time.perf_counter() - start, 3)
        row.fingerprint = unit.fingerprint
        out = row.docs_out + row.docs_dropped + row.quarantined
        if row.docs_in != out:
            raise AssertionError(f"{job.stage}/{unit.id}: {row.docs_in} documents in, {out} accounted for")
        Ledger(job.store).commit(row)
        return row
