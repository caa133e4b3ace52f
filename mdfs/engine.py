"""The two engines: where units of work are done, and where the relational part of dedup runs.

`local` is a pool of processes and Sail, an engine in Rust that lives in this process, speaks PySpark and needs no
Java. `spark` is the session that spark-submit or a Spark Connect address gives, or a local one. Everything else in mdfs
sees the `Engine` protocol only; this is the one module that imports pyspark.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from mdfs import devices
from mdfs.errors import RunError, UsageError
from mdfs.ledger import Row
from mdfs.pool import Pool, Watcher, attempt, unpack_failure
from mdfs.stage import Job, Unit, Work

#: Names for `--engine`.
NAMES = ("local", "spark")
#: Seconds between two looks at how far a Spark map has come.
POLL_SECONDS = 1.0


class Engine(Protocol):
    """What stages may ask of an engine.

    Attributes:
        workers: processes on this machine that do units; 0 where they are elsewhere and the session is what scales.
    """

    name: str
    workers: int

    def map(
        self, work: Work, job: Job, units: Sequence[Unit], *, isolated: bool, gpu: bool, bar: Watcher
    ) -> Iterator[Row]:
        """Rows of all units as they are done, in no order."""

    def session(self) -> Any:
        """A PySpark session (`pyspark.sql.SparkSession`, classic or Connect)."""

    def functions(self) -> Any:
        """The module `pyspark.sql.functions`."""

    def window(self) -> Any:
        """The class `pyspark.sql.Window`."""

    def close(self) -> None:
        """Give everything back."""


def create(name: str, workers: int = 0) -> Engine:
    """The engine of that name; `workers` processes for `local`, all cores where 0.

    Raises:
        UsageError: no such engine.
    """
    if name == "local":
        return LocalEngine(workers or available_cores())
    if name == "spark":
        return SparkEngine()
    raise UsageError(f"no engine is called {name!r}; choose one of {', '.join(NAMES)}")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _PySpark:
    """What both engines take from pyspark, imported when first asked for (it takes half a second)."""

    def functions(self) -> Any:
        """The module `pyspark.sql.functions`."""
        from pyspark.sql import functions

        return functions

    def window(self) -> Any:
        """The class `pyspark.sql.Window`."""
        from pyspark.sql import Window

        return Window


class LocalEngine(_PySpark):
    """A pool of processes for units and Sail for the relational part; all on this machine."""

    name = "local"

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise UsageError(f"--workers must be at least 1, not {workers}")
        self.workers = workers
        self._pool = Pool(workers)
        self._gpu_pool: Pool | None = None
        self._stack = contextlib.ExitStack()
        self._session: Any = None

    def map(
        self, work: Work, job: Job, units: Sequence[Unit], *, isolated: bool, gpu: bool, bar: Watcher
    ) -> Iterator[Row]:
        """Rows of all units as they are done. Every unit is isolated here; `gpu` units have a process for each GPU."""
        count = devices.gpus() if gpu else 0
        if not count:
            return self._pool.map(work, job, units, bar)
        if self._gpu_pool is None:
            cores = max(1, available_cores() // count)
            self._gpu_pool = Pool(count, [devices.environment(number, cores) for number in range(count)])
        return self._gpu_pool.map(work, job, units, bar)

    def session(self) -> Any:
        """Sail's session, started when first asked for."""
        if self._session is None:
            os.environ.setdefault("RUST_LOG", "error")
            from pysail.spark import SparkConnectServer
            from pyspark.sql import SparkSession

            server = SparkConnectServer()
            server.start(background=True)
            self._stack.callback(server.stop)
            host, port = server.listening_address
            # `create`, not `getOrCreate`: another server's session in this process is not ours to take or to stop.
            self._session = SparkSession.builder.remote(f"sc://{host}:{port}").create()
            self._stack.callback(self._session.stop)
        return self._session

    def close(self) -> None:
        """End the processes, the session and its server."""
        self._pool.close()
        if self._gpu_pool is not None:
            self._gpu_pool.close()
        self._session = None
        self._stack.close()


class SparkEngine(_PySpark):
    """The Spark session that is there: spark-submit's, or the one at SPARK_REMOTE, or a new local one."""

    name = "spark"
    workers = 0

    def __init__(self) -> None:
        self._session: Any = None
        self._ours = False

    def session(self) -> Any:
        """The session, found or started when first asked for."""
        if self._session is None:
            from pyspark.sql import SparkSession

            self._ours = SparkSession.getActiveSession() is None
            try:
                self._session = _with_settings(SparkSession.builder).getOrCreate()
            except Exception as error:  # pyspark raises RuntimeError and its own kinds, by the way Java is missing
                line = str(error).strip().splitlines()[0][:200]
                raise RunError(f"Spark did not start ({line}); `--engine spark` needs Java 17 or newer") from error
        return self._session

    def map(
        self, work: Work, job: Job, units: Sequence[Unit], *, isolated: bool, gpu: bool, bar: Watcher
    ) -> Iterator[Row]:
        """Rows of all units, when all are done; how far it is is read off the ledger meanwhile."""
        if not units:
            return
        payloads = [pickle.dumps((work, job, unit, isolated)) for unit in units]
        table = pa.table({"place": pa.array(range(len(units)), pa.int64()), "payload": pa.array(payloads, pa.binary())})
        frame = self.session().createDataFrame(table).repartitionByRange(len(units), "place")
        profile = gpu_profile(self.session().conf.get) if gpu else None
        done = frame.mapInArrow(_run_units, "answer binary", profile=profile)
        with _following(job, bar):
            answers = done.toArrow().column("answer").to_pylist()
        for packed in answers:
            answer = pickle.loads(packed)  # noqa: S301  (our own executors wrote it)
            if not isinstance(answer, Row):
                raise unpack_failure(answer, job)
            yield answer

    def close(self) -> None:
        """Stop the session if it was started here."""
        if self._session is not None and self._ours:
            self._session.stop()
        self._session = None


def _with_settings(builder: Any) -> Any:
    """Settings that mdfs needs where nobody else has decided: spark-submit's and the cluster's own win."""
    builder = builder.appName("mdfs").config("spark.sql.execution.arrow.maxRecordsPerBatch", "1")
    if "SPARK_REMOTE" in os.environ:
        return builder
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # under spark-submit
        return builder
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else executors take the first python3 on the PATH
    cores = available_cores()
    return (
        builder.master(os.environ.get("MASTER", f"local[{cores}]"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.shuffle.partitions", str(2 * cores))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
    )


def gpu_profile(setting: Callable[[str, str], str | None]) -> Any:
    """What a stage that wants GPUs asks Spark for: a GPU for each task; None where `spark.mdfs.gpus` is not set.

    `setting(name, default)` reads the session's settings. With dynamic allocation executors are asked for too, with
    `spark.mdfs.gpus` GPUs, `spark.mdfs.gpu.cores` (4), `spark.mdfs.gpu.memory` (16g) and the script at
    `spark.mdfs.gpu.discoveryScript`; without it, the executors that are there must have GPUs.

    Raises:
        UsageError: a setting is no whole number.
    """
    said = setting("spark.mdfs.gpus", "0") or "0"
    cores = setting("spark.mdfs.gpu.cores", "4") or "4"
    if not (said.isdigit() and cores.isdigit()):
        raise UsageError(f"spark.mdfs.gpus={said!r}, spark.mdfs.gpu.cores={cores!r}: give whole numbers")
    if int(said) == 0:
        return None
    from pyspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests

    builder = ResourceProfileBuilder().require(TaskResourceRequests().cpus(1).resource("gpu", 1))
    if setting("spark.dynamicAllocation.enabled", "false") == "true":
        asked = ExecutorResourceRequests().cores(int(cores)).memory(setting("spark.mdfs.gpu.memory", "16g") or "16g")
        script = setting("spark.mdfs.gpu.discoveryScript", "") or ""
        builder = builder.require(asked.resource("gpu", int(said), script))
    return builder.build


def _take_gpu() -> None:
    """On an executor: tell torch which GPU Spark gave this task, if any."""
    from pyspark import TaskContext

    context = TaskContext.get()
    found = context.resources().get("gpu") if context is not None else None
    if found is not None and found.addresses:
        os.environ[devices.DEVICE_VARIABLE] = f"cuda:{found.addresses[0]}"


def _run_units(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """On an executor: do the units of a partition. Errors travel as data: a bad unit is no reason to try it again."""
    _take_gpu()
    for batch in batches:
        for payload in batch.column("payload").to_pylist():
            work, job, unit, isolated = pickle.loads(payload)  # noqa: S301  (our own driver wrote it)
            answer = attempt(_Isolated(work) if isolated else work, job, unit)
            yield pa.RecordBatch.from_pydict({"answer": pa.array([pickle.dumps(answer)], pa.binary())})


class _Isolated:
    """Work done in a child of the executor's Python process, which may die without the task dying."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __call__(self, job: Job, unit: Unit) -> Row:
        (row,) = _executor_pool().map(self._work, job, [unit])
        return row


@functools.lru_cache(maxsize=1)
def _executor_pool() -> Pool:
    """One child for each Python worker of Spark; it ends with its parent."""
    return Pool(1)


@contextlib.contextmanager
def _following(job: Job, bar: Watcher) -> Iterator[None]:
    """Tell the bar about ledger rows as executors commit them."""
    over = threading.Event()
    before = set(job.store.list(f"ledger/{job.stage}"))

    def follow() -> None:
        seen, docs, size = set(before), 0, 0
        while not over.wait(POLL_SECONDS):
            for path in job.store.list(f"ledger/{job.stage}"):
                if path not in seen and path.endswith(".json"):
                    seen.add(path)
                    row = Row.from_dict(job.store.read_json(path))
                    docs, size = docs + row.docs_in, size + row.bytes_in
            bar.beat(docs, size)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
