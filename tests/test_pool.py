"""The pool: a worker may die or hang, and the run goes on without the record that did it."""

import time
from dataclasses import replace

import pytest
import unit_workers

from mdfs import pool
from mdfs.errors import RunError, UsageError
from mdfs.pool import Pool
from mdfs.recipe import Collect, load
from mdfs.stage import Job, Unit
from mdfs.storage import Store


@pytest.fixture
def job(tmp_path):
    return Job("collect", Store(str(tmp_path)), load("plain"))


@pytest.fixture
def two():
    workers = Pool(2)
    yield workers
    workers.close()


def units(n, **data):
    return [Unit(f"u{i}", {"records": 5, **data}) for i in range(n)]


class Watched:
    docs = bytes = 0

    def beat(self, docs, bytes):  # noqa: A002
        self.docs, self.bytes = docs, bytes


def test_every_unit_is_done_once(two, job):
    watched = Watched()
    rows = list(two.map(unit_workers.count, job, units(9), watched))
    assert sorted(row.unit for row in rows) == [f"u{i}" for i in range(9)]
    assert (watched.docs, watched.bytes) == (45, 450)


def test_a_record_that_kills_is_left_out_and_the_rest_is_done(two, job):
    rows = list(two.map(unit_workers.die_at, job, units(3, deadly=[1, 4])))
    assert len(rows) == 3
    assert all(row.quarantined == 2 for row in rows)
    assert job.store.read_bytes("work/u0.txt") == b"0,2,3"


def test_a_process_killed_by_chance_costs_a_retry_and_nothing_else(two, job):
    (row,) = two.map(unit_workers.die_once, job, units(1))
    assert row.quarantined == 0
    assert job.store.read_bytes("work/u0.txt") == b"0,1,2,3,4"


def test_a_record_that_never_ends_is_left_out(two, job, monkeypatch):
    monkeypatch.setattr(pool, "STALL_SECONDS", 0.5)
    start = time.monotonic()
    (row,) = two.map(unit_workers.hang_at_two, job, units(1))
    assert row.quarantined == 1
    assert job.store.read_bytes("work/u0.txt") == b"0,1,3,4"
    assert time.monotonic() - start < 60


def test_the_recipe_says_how_long_a_record_of_an_archive_may_take(two, tmp_path):
    collect = replace(load("plain"), collect=Collect(record_seconds=0.5))
    (row,) = two.map(unit_workers.hang_at_two, Job("collect", Store(str(tmp_path)), collect), units(1))
    assert row.quarantined == 1
    assert pool.patience(Job("rules", Store(str(tmp_path)), collect)) == pool.STALL_SECONDS


def test_to_wait_for_a_storage_is_not_to_stand_still():
    heart = pool.Heartbeat()
    heart.at(7)
    before = heart.state()
    with heart.waiting():
        assert heart.read()[0] == -1
    assert heart.read()[0] == 7
    assert heart.state() != before


def test_death_outside_any_record_ends_the_run_with_one_line(two, job):
    with pytest.raises(RunError, match="SIGKILL.*fewer --workers"):
        list(two.map(unit_workers.die_always, job, units(1)))


def test_a_bug_ends_the_run_and_keeps_its_traceback(two, job):
    with pytest.raises(RunError, match="ValueError: unit u0 is odd.*last-error.txt"):
        list(two.map(unit_workers.fail, job, units(1)))
    assert b"in fail" in job.store.read_bytes("ledger/last-error.txt")


def test_the_users_error_stays_the_users(two, job):
    with pytest.raises(UsageError, match="^the model is missing; train one$"):
        list(two.map(unit_workers.refuse, job, units(1)))


def test_too_many_deadly_records_end_the_run(two, job, monkeypatch):
    monkeypatch.setattr(pool, "MAX_SKIPPED", 1)
    with pytest.raises(RunError, match="died again"):
        list(two.map(unit_workers.die_at, job, units(1, deadly=[1, 2])))


def test_workers_end_with_the_pool(job):
    workers = Pool(2)
    list(workers.map(unit_workers.count, job, units(4)))
    processes = [worker.process for worker in workers._workers]
    workers.close()
    assert processes
    assert all(process.poll() is not None for process in processes)
