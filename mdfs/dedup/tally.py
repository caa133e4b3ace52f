"""Hashes that all parts have in common: each part leaves rows of numbers, and gets back those that concern it.

    map over parts ─ rows by hash ─ sorted or shuffled by hash ─ found, by part ─ map over parts

No part is sent a list of the whole corpus, only the hashes that occur in itself; texts are not touched. On one machine
workers sort a range of the hashes each; with a session it groups them by sums and minima, so that no worker holds a
hash that stands in a million documents.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.dedup import sortedfiles
from mdfs.ledger import File, Row
from mdfs.pool import heartbeat
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

Numbers = NDArray[np.int64]

#: Columns of the rows that parts leave, and of what they get back beside `part`, by the rule that is asked.
COLUMNS = {"often": ("hash", "host", "docs", "part"), "first": ("hash", "check", "order_1", "order_2", "part")}
ANSWER = {"often": ("hash",), "first": ("hash", "check", "order_1", "order_2")}
#: Bytes that a worker takes for each row of its range, its sorted copy and the answer with it.
ROW_BYTES = 150
#: Rows of a row group; delta coding takes 5 to 6 bytes for a hash where sorted ones follow each other.
_GROUP = 1 << 16


@dataclass(frozen=True)
class Tally:
    """What is asked of rows of hashes.

    Attributes:
        name: of the step; the ledger has `dedup-<name>-tally`, files lie under dedup/<name>.
        rule: "often": hashes of more than `more_than` documents (the sum of `docs`) of at least `hosts` hosts.
            "first": hashes with equal `check` that stand under two different orders or more, with the least order.
        more_than, hosts: see there.
    """

    name: str
    rule: str
    more_than: int = 1
    hosts: int = 1

    @property
    def step(self) -> str:
        """What the ledger calls it."""
        return f"dedup-{self.name}-tally"

    @property
    def rows(self) -> str:
        """Folder of the rows that parts leave."""
        return f"dedup/{self.name}/rows"

    @property
    def found(self) -> str:
        """Folder of the rows that parts get back."""
        return f"dedup/{self.name}/found"


class RowsWriter:
    """Writes one part's rows, a sorted chunk at a time; `files` names what was written, after the block.

    The hash is delta-coded, the other columns have dictionaries, since they repeat.
    """

    def __init__(self, store: Store, tally: Tally, name: str) -> None:
        self._store, self._names = store, COLUMNS[tally.rule]
        self._path = f"{tally.rows}/{name}.parquet"
        self._stack = contextlib.ExitStack()
        self._sink: Any = None
        self._file: Any = None
        self.rows = 0
        self.files: list[File] = []

    def write(self, *columns: Numbers) -> None:
        """Append rows; the columns are those of `COLUMNS`, in that order."""
        if not columns[0].size:
            return
        order = np.argsort(columns[0], kind="stable")
        arrays = [pa.array(values[order], pa.int64()) for values in columns]
        if self._file is None:
            self._sink = self._stack.enter_context(self._store.create(self._path))
            schema = pa.schema([(name, pa.int64()) for name in self._names])
            coded = {"use_dictionary": list(self._names[1:]), "column_encoding": {"hash": "DELTA_BINARY_PACKED"}}
            self._file = self._stack.enter_context(pq.ParquetWriter(self._sink, schema, compression="zstd", **coded))
        self._file.write_table(pa.table(dict(zip(self._names, arrays, strict=True))), row_group_size=_GROUP)
        self.rows += len(order)

    def __enter__(self) -> RowsWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
        if error[0] is None and self._sink is not None:
            written = self._sink.written()
            self.files = [File(self._path, "rows", self.rows, written.bytes, written.sha256)]


def run_tally(run: Run, tally: Tally, rows: int, digest: str) -> None:
    """Leave what each part gets back, from the files in `tally.rows` with so many rows in all.

    `digest` changes with their content; what was done for it is not done again.
    """
    marker = f"dedup/{tally.name}/begun.json"
    said = [digest, asdict(tally)]
    if not run.store.exists(marker) or run.store.read_json(marker) != said:
        run.store.delete_folder(tally.found)
        run.store.delete(f"dedup/{tally.name}/done.json")
        run.ledger.forget(tally.step, list(run.ledger.rows(tally.step)))
        run.store.write_json(marker, said)
    if run.engine.workers:
        run.map(tally.step, work, _units(run, tally, rows, digest), ())
    elif not run.store.exists(f"dedup/{tally.name}/done.json"):
        if rows:
            _by_session(run, tally)
        run.store.write_json(f"dedup/{tally.name}/done.json", digest)


def forget(run: Run, tally: Tally, step: str) -> None:
    """Remove what a tally, and the step that left its rows, have left."""
    if run.store.exists(f"dedup/{tally.name}"):
        for name in (tally.step, step):
            run.ledger.forget(name, list(run.ledger.rows(name)))
        run.store.delete_folder(f"dedup/{tally.name}")


def _units(run: Run, tally: Tally, rows: int, digest: str) -> Iterator[Unit]:
    """As many ranges of the hashes as there are workers, or more where memory asks for it."""
    share = run.memory // run.engine.workers
    ranges = max(run.engine.workers, math.ceil(rows * ROW_BYTES / share) if share else 1) if rows else 0
    for number in range(ranges):
        data = {"tally": asdict(tally), "range": [number, ranges], "compared": digest}
        yield Unit(f"range-{number:05d}-of-{ranges}", data)


def work(job: Job, unit: Unit) -> Row:
    """Answer for one range of the hashes."""
    tally, (number, ranges) = Tally(**unit.data["tally"]), unit.data["range"]
    names = COLUMNS[tally.rule]
    low, high = (-(1 << 63) + (1 << 64) * edge // ranges for edge in (number, number + 1))
    files = sortedfiles.paths(job.store, tally.rows)
    columns = sortedfiles.read(job.store, files, names, low, high if high < 1 << 63 else None)
    heartbeat.did(docs=0, bytes=8 * len(names) * columns[0].size)
    rows = dict(zip(names, columns, strict=True))
    found = _often(rows, tally) if tally.rule == "often" else _first(rows)
    order = np.argsort(found["part"], kind="stable")
    ordered = {name: found[name][order] for name in ("part", *ANSWER[tally.rule])}
    sortedfiles.write(job.store, f"{tally.found}/{unit.id}.parquet", ordered)
    return Row(job.stage, unit.id)


def _starts(*columns: Numbers) -> NDArray[np.bool_]:
    """Where rows (sorted) differ from the row before them."""
    starts = np.ones(columns[0].size, bool)
    starts[1:] = False
    for column in columns:
        starts[1:] |= column[1:] != column[:-1]
    return starts


def _often(rows: dict[str, Numbers], tally: Tally) -> dict[str, Numbers]:
    order = np.lexsort((rows["host"], rows["hash"]))
    value, host = rows["hash"][order], rows["host"][order]
    begins = np.flatnonzero(_starts(value))
    docs = np.add.reduceat(rows["docs"][order], begins) if begins.size else begins
    hosts = np.add.reduceat(_starts(value, host).astype(np.int64), begins) if begins.size else begins
    enough = np.repeat((docs > tally.more_than) & (hosts >= tally.hosts), np.diff(np.append(begins, value.size)))
    part, value = sortedfiles.distinct_pairs(rows["part"][order][enough], value[enough])
    return {"part": part, "hash": value}


def _first(rows: dict[str, Numbers]) -> dict[str, Numbers]:
    order = np.lexsort((rows["order_2"], rows["order_1"], rows["check"], rows["hash"]))
    value, check, one, two, part = (rows[name][order] for name in COLUMNS["first"])
    begins = np.flatnonzero(_starts(value, check))
    sizes = np.diff(np.append(begins, value.size))
    last = begins + sizes - 1
    several = np.repeat((one[begins] != one[last]) | (two[begins] != two[last]), sizes)
    first = np.repeat(begins, sizes)[several]
    found = {"part": part[several], "hash": value[first], "check": check[first]}
    found |= {"order_1": one[first], "order_2": two[first]}
    order = np.lexsort((found["check"], found["hash"], found["part"]))
    found = {name: column[order] for name, column in found.items()}
    new = _starts(found["part"], found["hash"], found["check"])
    return {name: column[new] for name, column in found.items()}


def _by_session(run: Run, tally: Tally) -> None:
    """The same by sums and minima on the session, a folder a part."""
    F = run.engine.functions()
    rows = run.engine.session().read.parquet(run.store.spark_uri(tally.rows))
    if tally.rule == "often":
        sums = rows.groupBy("hash").agg(F.sum("docs").alias("docs"), F.countDistinct("host").alias("hosts"))
        sums = sums.where(f"docs > {tally.more_than} and hosts >= {tally.hosts}").select("hash")
        found = rows.select("hash", "part").distinct().join(sums, "hash", "left_semi")
    else:
        order = F.struct("order_1", "order_2")
        sums = rows.groupBy("hash", "check").agg(F.min(order).alias("first"), F.max(order).alias("last"))
        sums = sums.where("first <> last").select(
            "hash", "check", F.col("first.order_1").alias("order_1"), F.col("first.order_2").alias("order_2")
        )
        found = rows.select("hash", "check", "part").distinct().join(sums, ["hash", "check"])
    found = found.select("part", *ANSWER[tally.rule]).repartition("part")
    found.write.mode("overwrite").partitionBy("part").parquet(run.store.spark_uri(tally.found))


def answer(store: Store, tally: Tally, part: int) -> list[Numbers]:
    """What a part gets back: a column for each of `ANSWER`, rows sorted by hash."""
    names, found = ANSWER[tally.rule], []
    for path in sortedfiles.paths(store, tally.found):
        if f"/part={part}/" in path:
            found.append(sortedfiles.read(store, [path], names))
        elif "/part=" not in path:
            found.append(sortedfiles.read(store, [path], ["part", *names], part, part + 1)[1:])
    if not found:
        return [np.zeros(0, np.int64) for _ in names]
    columns = [np.concatenate(pieces) for pieces in zip(*found, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]
