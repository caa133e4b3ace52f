"""Units of work for tests of pool and engines: they travel to other processes by name, so they stand in a module."""

from __future__ import annotations

import os
import signal
import time

from mdfs.errors import UsageError
from mdfs.ledger import File, Row
from mdfs.pool import heartbeat
from mdfs.stage import Job, Unit


def count(job: Job, unit: Unit) -> Row:
    """Write a file with the unit's records, leaving out those in `skip`."""
    numbers = [n for n in range(unit.data["records"]) if n not in unit.skip]
    for n in numbers:
        heartbeat.at(n)
        heartbeat.did(docs=1, bytes=10)
    name = f"work/{unit.id}.txt"
    written = job.store.write_bytes(name, ",".join(map(str, numbers)).encode())
    file = File(name, "kept", len(numbers), written.bytes, written.sha256)
    return Row(job.stage, unit.id, files=[file], docs_in=unit.data["records"], docs_out=len(numbers),
               quarantined=len(unit.skip), bytes_in=10 * len(numbers))  # fmt: skip


def die_at(job: Job, unit: Unit) -> Row:
    """As a parser that a certain page kills: the process is gone at records named in `deadly`."""
    for n in range(unit.data["records"]):
        if n in unit.skip:
            continue
        heartbeat.at(n)
        if n in unit.data["deadly"]:
            os.kill(os.getpid(), signal.SIGKILL)
    return count(job, unit)


def die_once(job: Job, unit: Unit) -> Row:
    """As a process that the system kills for want of memory, once."""
    heartbeat.at(3)
    mark = f"died/{unit.id}"
    if not job.store.exists(mark):
        job.store.write_bytes(mark, b"")
        os.kill(os.getpid(), signal.SIGKILL)
    return count(job, unit)


def die_always(job: Job, unit: Unit) -> Row:
    """Dies before any record."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hang_at_two(job: Job, unit: Unit) -> Row:
    """As a parser that never ends at the third record."""
    if 2 not in unit.skip:
        heartbeat.at(2)
        time.sleep(600)
    return count(job, unit)


def fail(job: Job, unit: Unit) -> Row:
    """A bug in a stage."""
    raise ValueError(f"unit {unit.id} is odd")


def refuse(job: Job, unit: Unit) -> Row:
    """An error that is the user's."""
    raise UsageError("the model is missing; train one")


def lose(job: Job, unit: Unit) -> Row:
    """A stage that loses a document."""
    return Row(job.stage, unit.id, docs_in=2, docs_out=1)
