"""Run.map: what the ledger holds is not done again, what has changed is, and nothing old is left lying."""

import dataclasses

import pytest
import unit_workers

from mdfs import engine
from mdfs.errors import RunError
from mdfs.progress import Progress
from mdfs.recipe import Limit, load
from mdfs.stage import Run, Unit
from mdfs.storage import Store


@pytest.fixture(scope="module")
def local():
    made = engine.create("local", 2)
    yield made
    made.close()


@pytest.fixture
def run(tmp_path, local):
    return Run(Store(str(tmp_path)), load("plain"), local, Progress(quiet=True))


def units(*records):
    return [Unit(f"u{i}", {"records": n}) for i, n in enumerate(records)]


def map_count(run, *records):
    return run.map("rules", unit_workers.count, units(*records), ("work",))


def test_rows_come_back_by_unit(run):
    assert [(row.unit, row.docs_in) for row in map_count(run, 1, 2, 3)] == [("u0", 1), ("u1", 2), ("u2", 3)]


def test_a_second_map_does_nothing_new(run):
    map_count(run, 1, 2)
    before = {path: (run.store.full(path), run.store.filesystem.get_file_info(run.store.full(path)).mtime_ns)
              for path in run.store.list("")}  # fmt: skip
    map_count(run, 1, 2)
    after = {path: (run.store.full(path), run.store.filesystem.get_file_info(run.store.full(path)).mtime_ns)
             for path in run.store.list("")}  # fmt: skip
    assert after == before


def test_a_changed_unit_is_done_again_and_a_lost_one_swept(run):
    map_count(run, 1, 2)
    run.store.write_bytes("manifest.json", b"{}")
    map_count(run, 7)
    assert run.store.read_bytes("work/u0.txt") == b"0,1,2,3,4,5,6"
    assert run.store.list("work") == ["work/u0.txt"]
    assert list(run.ledger.rows("rules")) == ["u0"]
    assert not run.store.exists("manifest.json"), "a manifest that speaks of other files must go"


def test_a_manifest_stays_when_nothing_changes(run):
    map_count(run, 1)
    run.store.write_bytes("manifest.json", b"{}")
    map_count(run, 1)
    assert run.store.exists("manifest.json")


def test_another_recipe_does_it_again(run):
    map_count(run, 1)
    stamp = run.store.read_bytes("ledger/rules.jsonl")
    run.recipe = dataclasses.replace(run.recipe, rules={"chars": Limit(min=3)})
    map_count(run, 1)
    assert run.store.read_bytes("ledger/rules.jsonl") != stamp


def test_strangers_in_a_stages_folder_are_swept(run):
    run.store.write_bytes("work/old.txt", b"")
    map_count(run, 1)
    assert run.store.list("work") == ["work/u0.txt"]


def test_a_stage_that_loses_a_document_fails_loudly_and_commits_nothing(run):
    with pytest.raises(RunError, match="2 documents in, 1 accounted for"):
        run.map("rules", unit_workers.lose, units(2), ("work",))
    assert run.ledger.rows("rules") == {}
