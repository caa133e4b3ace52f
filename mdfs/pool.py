"""A pool of worker processes that may die: a page that kills a parser costs a retry and a quarantine row, not the run.

Each worker is a fresh interpreter (no fork of a process with threads, no second import of the caller's script) with a
socket for tasks and a few shared bytes, its heartbeat: the record it is at, and how many documents and bytes it has
done. When a worker dies, the heartbeat tells at which record, and the unit is done again; when it dies there twice,
or stands still there, that record is left out and quarantined.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from types import MappingProxyType
from typing import Any, Protocol

from mdfs.errors import MdfsError, RunError, UsageError
from mdfs.ledger import Row
from mdfs.stage import Job, Unit

#: A worker that stays this many seconds at one record is stopped; in collection the recipe's `record_seconds`, if less.
STALL_SECONDS = 120.0
#: Records of one unit that may be left out before the unit itself is called broken.
MAX_SKIPPED = 1_000
#: Seconds between looks at the heartbeats.
TICK = 0.25

_NOWHERE = -1
_CELLS = 4 * 8
#: Libraries that start threads of their own would fight over the cores that the pool has handed out.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
_ENVIRONMENT = dict.fromkeys(_THREADS, "1") | {"TOKENIZERS_PARALLELISM": "false", "PYTHONSAFEPATH": "1"}


class Heartbeat:
    """Four shared 64-bit integers: place of the record under work, documents and bytes done, times a place was told."""

    def __init__(self, buffer: Any = None) -> None:
        self.attach(bytearray(_CELLS) if buffer is None else buffer)

    def attach(self, buffer: Any) -> None:
        """Keep the integers in `buffer` (32 bytes, shared with whoever watches) from now on."""
        self._cells = memoryview(buffer).cast("q")
        self._cells[0] = _NOWHERE

    def at(self, place: int) -> None:
        """Say that the record at `place` is being worked on; to say it again is to say that it gets on."""
        self._cells[0] = place
        self._cells[3] += 1

    def idle(self) -> None:
        """Say that no record is worked on: to wait for a storage is not to stand still."""
        self._cells[0] = _NOWHERE

    def did(self, docs: int, bytes: int) -> None:  # noqa: A002  (the unit is the name)
        """Say that so many more documents and bytes are done."""
        self._cells[1] += docs
        self._cells[2] += bytes

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Within: what takes time is the storage and no record; afterwards the record gets on."""
        place = self._cells[0]
        self.idle()
        try:
            yield
        finally:
            self.at(place)

    def read(self) -> tuple[int, int, int]:
        """Place, documents, bytes."""
        return self._cells[0], self._cells[1], self._cells[2]

    def state(self) -> tuple[int, ...]:
        """All that changes as work gets on, the place first."""
        return tuple(self._cells)


#: The heartbeat of this process; outside a pool nobody listens to it.
heartbeat = Heartbeat()


class Watcher(Protocol):
    """Gets the sums of all heartbeats while the pool works."""

    def beat(self, docs: int, bytes: int) -> None:  # noqa: A002
        """Documents and bytes done since the map began."""


@dataclass
class Task:
    """A unit under way: where its worker died before."""

    unit: Unit
    last_place: int | None = None
    deaths: int = 0


class Worker:
    """One child process; `place` is its number in the pool, `environment` what it is told besides the usual."""

    def __init__(self, place: int = 0, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        self.place = place
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as shared:
            shared.truncate(_CELLS)
            self._memory = mmap.mmap(shared.fileno(), _CELLS)
            self.heartbeat = Heartbeat(self._memory)
            code = f"from mdfs.pool import serve; serve({theirs.fileno()}, {shared.fileno()})"
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=(theirs.fileno(), shared.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_fileno(sys.stderr) else subprocess.DEVNULL,
                env=os.environ
                | _ENVIRONMENT
                | dict(environment)
                | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        theirs.close()
        self.pipe = Connection(ours.detach())
        self.task: Task | None = None
        self.moved: tuple[float, tuple[int, ...]] = (0.0, (_NOWHERE,))

    def give(self, task: Task, payload: bytes) -> None:
        """Send a task; a worker that is gone already is noticed at the next `wait`."""
        self.task = task
        self.heartbeat.at(_NOWHERE)
        self.moved = (time.monotonic(), self.heartbeat.state())
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(payload)

    def stalled(self, now: float, seconds: float) -> bool:
        """Whether it has stood at one record for more than so many seconds."""
        state = self.heartbeat.state()
        if state != self.moved[1]:
            self.moved = (now, state)
        return self.task is not None and state[0] != _NOWHERE and now - self.moved[0] > seconds

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()


class Pool:
    """`workers` processes, started when first needed and kept until `close`.

    Where `environments` are given, there is one for each: a worker that takes a dead one's place takes its environment.
    """

    def __init__(self, workers: int, environments: Sequence[Mapping[str, str]] = ()) -> None:
        self.size = workers
        self._environments = environments
        self._workers: list[Worker] = []
        self._retired = (0, 0)

    def map(
        self, work: Callable[[Job, Unit], Row], job: Job, units: Sequence[Unit], watcher: Watcher | None = None
    ) -> Iterator[Row]:
        """Rows of all units as they are done, in no order.

        Raises:
            MdfsError: the first error of a unit; units under way are given up (their files are not committed).
        """
        waiting = [Task(unit) for unit in reversed(units)]
        start = self._sum()
        while waiting or any(worker.task for worker in self._workers):
            self._hand_out(work, job, waiting)
            busy = [worker for worker in self._workers if worker.task]
            for ready in wait([worker.pipe for worker in busy], TICK):
                worker = next(w for w in busy if w.pipe is ready)
                row = self._receive(worker, job, waiting)
                if row is not None:
                    yield row
            self._stop_stalled(job, waiting)
            if watcher is not None:
                docs, size = self._sum()
                watcher.beat(docs - start[0], size - start[1])

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def _hand_out(self, work: Callable[[Job, Unit], Row], job: Job, waiting: list[Task]) -> None:
        while waiting:
            worker = next((w for w in self._workers if w.task is None), None)
            if worker is None:
                if len(self._workers) >= self.size:
                    return
                taken = {worker.place for worker in self._workers}
                place = next(number for number in range(self.size) if number not in taken)
                worker = Worker(place, self._environments[place] if self._environments else {})
                self._workers.append(worker)
            task = waiting.pop()
            worker.give(task, pickle.dumps((work, job, task.unit)))

    def _receive(self, worker: Worker, job: Job, waiting: list[Task]) -> Row | None:
        try:
            answer = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301  (our own process wrote it)
        except (EOFError, OSError):
            self._bury(worker, job, waiting, hung=False)
            return None
        worker.task = None
        if isinstance(answer, Row):
            return answer
        raise unpack_failure(answer, job)

    def _stop_stalled(self, job: Job, waiting: list[Task]) -> None:
        now = time.monotonic()
        for worker in [w for w in self._workers if w.stalled(now, patience(job))]:
            self._bury(worker, job, waiting, hung=True)

    def _bury(self, worker: Worker, job: Job, waiting: list[Task], *, hung: bool) -> None:
        """Take a dead worker out and put its unit back, without the record that killed it."""
        place, docs, size = worker.heartbeat.read()
        worker.kill()
        self._workers.remove(worker)
        self._retired = (self._retired[0] + docs, self._retired[1] + size)
        task = worker.task
        if task is None:
            return
        waiting.append(after_death(task, place, hung, job, worker.process.returncode))

    def _sum(self) -> tuple[int, int]:
        states = [worker.heartbeat.read() for worker in self._workers]
        return self._retired[0] + sum(s[1] for s in states), self._retired[1] + sum(s[2] for s in states)


def patience(job: Job) -> float:
    """Seconds that a worker of this job may stand at one record."""
    return min(STALL_SECONDS, job.recipe.collect.record_seconds) if job.stage == "collect" else STALL_SECONDS


def after_death(task: Task, place: int, hung: bool, job: Job, status: int) -> Task:
    """What to do with a unit whose worker died at `place`: try again, then leave the record out, then give up.

    Raises:
        RunError: it died twice outside any record, or more than `MAX_SKIPPED` records killed it.
    """
    if place != _NOWHERE and (hung or place == task.last_place):
        skip = (*task.unit.skip, place)
        if len(skip) <= MAX_SKIPPED:
            return Task(replace(task.unit, skip=skip))
    elif place != _NOWHERE or task.deaths == 0:
        return Task(task.unit, place, task.deaths + 1)
    cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    raise RunError(
        f"{job.stage}: the worker of unit {task.unit.id} died again ({cause}); "
        "if memory is short, use fewer --workers; start the same command again to go on from here"
    )


def serve(socket_fd: int, memory_fd: int) -> None:
    """The life of a worker process: take a task, do it, answer, until the other side is gone."""
    heartbeat.attach(mmap.mmap(memory_fd, _CELLS))
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import pyarrow as pa

    pa.set_cpu_count(1)
    pipe = Connection(socket_fd)
    while True:
        try:
            work, job, unit = pickle.loads(pipe.recv_bytes())  # noqa: S301  (the parent process wrote it)
        except EOFError:
            return
        answer = attempt(work, job, unit)
        try:
            pipe.send_bytes(pickle.dumps(answer))
        except OSError:
            return


def attempt(work: Callable[[Job, Unit], Row], job: Job, unit: Unit) -> Row | dict[str, str]:
    """The unit's row, or its error as plain data that travels between processes and machines."""
    try:
        return work(job, unit)
    except MdfsError as error:
        return {"kind": type(error).__name__, "message": str(error), "details": ""}
    except Exception as error:  # noqa: BLE001  (told to the driver, which stops the run with it)
        message = f"{job.stage}: unit {unit.id} failed: {type(error).__name__}: {error}"
        return {"kind": "RunError", "message": message, "details": traceback.format_exc()}


def unpack_failure(answer: dict[str, str], job: Job) -> MdfsError:
    """The error that `attempt` packed; its traceback, if any, is kept beside the ledger for whoever looks for it."""
    if answer["kind"] == "UsageError":
        return UsageError(answer["message"])
    if not answer["details"]:
        return RunError(answer["message"])
    job.store.write_bytes("ledger/last-error.txt", answer["details"].encode())
    return RunError(f"{answer['message'][:500]}; the traceback is in {job.store.uri}/ledger/last-error.txt")


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _has_fileno(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True
