"""What a report is drawn from: the recipe and the ledger of one run, read once."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from mdfs.about import ABOUT, recipe_of
from mdfs.funnel import STAGES
from mdfs.ledger import File, Ledger, Row, total
from mdfs.recipe import Recipe
from mdfs.storage import Store


@dataclass(frozen=True)
class Facts:
    """One run as its ledger has it.

    Attributes:
        store: the run's folder. `recipe`: by which it was made, `version`: of the mdfs that made it.
        digest: the recipe's, or why it cannot be computed here (a model that is not at hand).
        rows: stage → its ledger rows, for the stages that have been done. `totals`: these added up.
    """

    store: Store
    recipe: Recipe
    version: str
    digest: str
    rows: dict[str, list[Row]]
    totals: dict[str, Row]

    def files(self, stage: str, kind: str) -> list[File]:
        """Files of one kind that a stage left, by path."""
        found = (file for row in self.rows.get(stage, []) for file in row.files if file.kind == kind)
        return sorted(found, key=lambda file: file.path)

    def step(self, name: str) -> dict[str, int]:
        """What all units of a step of a stage counted, added up; empty where it was not done."""
        summed: Counter[str] = Counter()
        for row in Ledger(self.store).rows(name).values():
            summed.update(row.facts)
        return dict(summed)

    def step_files(self, name: str, kind: str) -> list[File]:
        """Files of one kind that a step of a stage left, by path."""
        rows = Ledger(self.store).rows(name).values()
        return sorted((file for row in rows for file in row.files if file.kind == kind), key=lambda file: file.path)

    def final(self) -> str:
        """The last stage done that leaves documents with their text; empty where there is none."""
        return next((stage for stage in ("classify", "rules", "collect") if self.files(stage, "kept")), "")

    def source_of(self, file: File) -> str:
        """The source of a file's documents; a file about documents has its part's source."""
        return file.source or self._source_of_part.get(PurePosixPath(file.path).name, "(several)")

    @functools.cached_property
    def _source_of_part(self) -> dict[str, str]:
        kept = self.files("collect", "kept") + self.files("rules", "kept")
        return {PurePosixPath(file.path).name: file.source for file in kept}


def gather(store: Store) -> Facts:
    """Read a run's recipe and ledger.

    Raises:
        UsageError: the folder is no run's folder.
    """
    recipe = recipe_of(store)
    about = store.read_json(ABOUT)
    ledger = Ledger(store)
    rows = {stage: list(ledger.rows(stage).values()) for stage in STAGES}
    done = {stage: of for stage, of in rows.items() if of}
    return Facts(
        store,
        recipe,
        about["mdfs_version"],
        about["recipe_digest"],
        done,
        {stage: total(of, stage) for stage, of in done.items()},
    )
