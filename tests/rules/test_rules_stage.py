"""The stage: part files in, kept and dropped part files out, every document accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rules_documents import PROSE, batch

from mdfs import parts, recipe, schema
from mdfs.ledger import Ledger, Row
from mdfs.progress import Progress
from mdfs.rules import stage
from mdfs.stage import Run
from mdfs.storage import Store


class InProcess:
    """An engine that does each unit where it stands."""

    def map(self, function: Any, job: Any, units: Any, **_: Any) -> Iterator[Row]:
        return (function(job, unit) for unit in units)


def collected(folder: Path, *files: list[str]) -> Run:
    """A run in which collect has left one part file for each list of texts."""
    store = Store(str(folder))
    for number, texts in enumerate(files):
        name = f"part-{number:05d}"
        with parts.PartWriter(store, f"collect/{name}.parquet", schema.DOCUMENT, kind="kept", source="web") as part:
            part.write(batch(texts))
        Ledger(store).commit(Row("collect", name, files=part.files, docs_in=len(texts), docs_out=len(texts)))
    return Run(store, recipe.load("yuan1"), InProcess(), Progress(quiet=True))  # type: ignore[arg-type]


def rows(run: Run, kind: str) -> list[dict[str, Any]]:
    batches = [b for file in run.files("rules", kind) for b in parts.read_part(run.store, file.path)]
    return [row for b in batches for row in b.to_pylist()]


def test_splits_part_files(tmp_path: Path) -> None:
    """Each part file becomes a kept and a dropped one of its own name; the ledger counts reasons."""
    run = collected(tmp_path, ["　" + PROSE, "短", PROSE + "尾巴。"], [PROSE * 2])
    stage.STAGE.run(run)
    assert [row["text"] for row in rows(run, "kept")] == [PROSE, PROSE + "尾巴。"]
    assert [row["text"] for row in rows(run, "dropped")] == ["短", PROSE * 2]
    assert [f.path for f in run.files("rules", "kept")] == ["rules/kept/part-00000.parquet"]
    assert [f.path for f in run.files("rules", "dropped")] == [f"rules/dropped/part-0000{k}.parquet" for k in (0, 1)]
    assert {f.source for kind in ("kept", "dropped") for f in run.files("rules", kind)} == {"web"}
    first, second = run.ledger.rows("rules").values()
    assert (first.docs_in, first.docs_out, first.docs_dropped) == (3, 2, 1)
    assert (second.docs_in, second.docs_out, second.docs_dropped) == (1, 0, 1)
    assert first.dropped["chars.min"] == 1
    assert second.dropped == {"duplicate_16gram_ratio.max": 1}
    assert first.bytes_in == sum(len(t.encode()) for t in ("　" + PROSE, "短", PROSE + "尾巴。"))


def test_schema_of_the_files(tmp_path: Path) -> None:
    """The files hold a document's columns and what the stage declares to add."""
    run = collected(tmp_path, [PROSE, "短"])
    stage.STAGE.run(run)
    for kind in ("kept", "dropped"):
        for b in (b for file in run.files("rules", kind) for b in parts.read_part(run.store, file.path)):
            schema.conform(b, stage.MEASURED)
    assert pa.schema([*schema.DOCUMENT, *stage.STAGE.adds]) == stage.MEASURED
    assert set(stage.STAGE.needs) <= set(schema.DOCUMENT.names)


def test_nothing_to_do_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run does nothing; other limits do everything again."""
    run = collected(tmp_path, [PROSE])
    stage.STAGE.run(run)
    monkeypatch.setattr(InProcess, "map", lambda self, function, job, units, **_: iter([1 / 0] if units else []))
    stage.STAGE.run(run)
    run.recipe = recipe.from_dict({"name": "other", "rules": {"chars": {"min": 3.0}}})
    with pytest.raises(ZeroDivisionError):
        stage.STAGE.run(run)
