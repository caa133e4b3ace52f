"""The Spark engine does the same units with the same rows, and survives what the local one survives."""

import pytest
import unit_workers

from mdfs import engine
from mdfs.errors import RunError, UsageError
from mdfs.progress import Bar, Progress
from mdfs.recipe import load
from mdfs.stage import Job, Unit
from mdfs.storage import Store

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def spark():
    made = engine.create("spark")
    yield made
    made.close()


@pytest.fixture
def job(tmp_path):
    return Job("collect", Store(str(tmp_path)), load("plain"))


def do(spark, work, job, units, *, isolated=False):
    bar = Bar(Progress(quiet=True), "collect", 0, len(units), 0)
    return list(spark.map(work, job, units, isolated=isolated, gpu=False, bar=bar))


def units(n, **data):
    return [Unit(f"u{i}", {"records": 5, **data}) for i in range(n)]


def test_every_unit_is_done_once_each_in_a_task_of_its_own(spark, job):
    rows = do(spark, unit_workers.count, job, units(7))
    assert sorted(row.unit for row in rows) == [f"u{i}" for i in range(7)]


def test_no_units_no_session_needed(spark, job):
    assert do(spark, unit_workers.count, job, []) == []


def test_an_isolated_unit_survives_the_death_of_its_process(spark, job):
    rows = do(spark, unit_workers.die_at, job, units(2, deadly=[1, 4]), isolated=True)
    assert [row.quarantined for row in rows] == [2, 2]
    assert job.store.read_bytes("work/u1.txt") == b"0,2,3"


def test_a_bug_ends_the_run_with_one_line(spark, job):
    with pytest.raises(RunError, match="ValueError: unit u0 is odd"):
        do(spark, unit_workers.fail, job, units(1))


def test_the_users_error_stays_the_users(spark, job):
    with pytest.raises(UsageError, match="^the model is missing; train one$"):
        do(spark, unit_workers.refuse, job, units(1))
