"""What it costs to compare 100,000 new documents with an index, and to add them: CPU seconds by the index's size.

Usage: python tests/bench/dedup_index.py [ROWS ...]; indexes of 250,000, 500,000 and 1,000,000 documents where none are
given. Keys and signatures are made: random, but for a tenth of the new documents, which have those of an old one. Texts
play no part here, since sketches and dedup of the new documents among themselves are the same without an index. All is
done in this process, on one core.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from mdfs.dedup import index, index_add, index_ids, index_join, index_meet, keys  # noqa: E402
from mdfs.ledger import Ledger, Row  # noqa: E402
from mdfs.parts import PartWriter  # noqa: E402
from mdfs.progress import Progress  # noqa: E402
from mdfs.recipe import Dedup, MinHash, Recipe  # noqa: E402
from mdfs.schema import DOCUMENT  # noqa: E402
from mdfs.stage import Run, Unit  # noqa: E402
from mdfs.storage import Store  # noqa: E402

DEDUP = Dedup(url=True, exact=True, minhash=MinHash())
NEW, PART = 100_000, 20_000
BANDS = keys.band_columns(DEDUP)


class Inline:
    """An engine that does units here."""

    workers = 1

    def map(self, work: Any, job: Any, units: list[Unit], **_: Any) -> Iterator[Row]:
        """Rows of units in their order."""
        return (work(job, unit) for unit in units)


class Made(Run):
    """A run whose sketches were made, not computed."""

    def map(self, stage: str, *rest: Any, **options: Any) -> list[Row]:
        """All steps but the sketches."""
        return [] if stage == "dedup-sketches" else super().map(stage, *rest, **options)


def made(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Random keys and signatures of so many documents."""
    numbers = {name: rng.integers(1, 1 << 62, rows) for name in ("url_1", "url_2", "exact_1", "exact_2", *BANDS)}
    ids = rng.integers(0, 256, (rows, 16), np.uint8).view("S16").reshape(-1)
    length, signature = rng.integers(200, 5_000, rows), rng.integers(0, 256, (rows, 128), np.uint8)
    return numbers | {"ids": ids, "length": length, "signature": signature}


def fixed(values: np.ndarray[Any, Any]) -> pa.Array:
    """A binary value for each row of uint8."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(values.shape[1]), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def make_index(store: Store, rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """An index of so many kept documents; the keys of the last `NEW`."""
    schema, files, found = index.schema(DEDUP), [], dict[str, Any]()
    for number, start in enumerate(range(0, rows, index.FILE_ROWS)):
        size = min(index.FILE_ROWS, rows - start)
        found = made(rng, size)
        columns: dict[str, Any] = {name: pa.array(found[name]) for name in ("length", "url_1", "url_2", "exact_1", "exact_2", *BANDS)}  # fmt: skip
        ids = index_ids.to_arrow(found["ids"])
        columns |= {
            "doc_id": ids, "keeper": ids, "source": pa.array(["web"] * size), "part": pa.array(["rules/kept/part-0.parquet"] * size),
            "generation": pa.array(np.ones(size, np.int32)), "run": pa.array(np.zeros(size, np.int32)),
            "row": pa.array(np.arange(size)), "kept": pa.array(np.ones(size, bool)),
            "priority": pa.array(np.zeros(size, np.int64)), "signature": fixed(found["signature"]),
        }  # fmt: skip
        with PartWriter(store, f"documents/{number}.parquet", schema, kind="index", numbers=True) as part:
            part.write(pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema))
        files += [index.IndexFile(f.path, f.rows, f.bytes, f.sha256) for f in part.files]
    empty = index.new(index.parameters_of(DEDUP))
    run = {"id": "made", "uri": "made", "name": "made", "generation": 1, "docs": rows, "kept": rows}
    index.commit(store, empty, index.Head(empty.id, 0, empty.parameters, (run,), tuple(files)), "add")
    return found


def make_run(store: Store, rng: np.random.Generator, old: dict[str, Any]) -> Made:
    """A run of `NEW` documents whose dedup among themselves found nothing; a tenth have the bands of an old one."""
    schema = keys.schema(DEDUP)
    for number in range(NEW // PART):
        new, name = made(rng, PART), f"part-{number:05d}"
        copies = slice(number * PART // 10, (number + 1) * PART // 10)
        for column in (*BANDS, "signature", "length"):
            new[column][: PART // 10] = old[column][copies]
        ids = index_ids.to_hex(new["ids"])
        columns: dict[str, Any] = {column: pa.array(new[column]) for column in ("length", "url_1", "url_2", "exact_1", "exact_2", *BANDS)}  # fmt: skip
        zeros = pa.array(np.zeros(PART, np.int64))
        columns |= {"doc_id": pa.array(ids), "h": pa.array(index_ids.tie_breaks(new["ids"])), "priority": zeros}
        columns |= {"node": pa.array(np.arange(PART) + (number << 32)), "shingles": zeros, "sketch": zeros}
        batch = pa.RecordBatch.from_arrays([columns[column] for column in schema.names], schema=schema)
        commit(store, keys.STAGE, name, keys.path(name), batch, "keys")
        commit(store, "dedup-sketches", name, index_meet.sketches_path(name), pa.RecordBatch.from_pydict({"signature": fixed(new["signature"])}), "sketches")  # fmt: skip
        text = [
            {"doc_id": one, "source": "web", "source_key": "", "url": "", "title": "", "text": "文", "meta": []}
            for one in ids
        ]
        commit(
            store,
            "rules",
            name,
            f"rules/kept/{name}.parquet",
            pa.RecordBatch.from_pylist(text, schema=DOCUMENT),
            "kept",
        )
    return Made(store, Recipe("bench", dedup=DEDUP), Inline(), Progress(quiet=True))  # type: ignore[arg-type]


def commit(store: Store, stage: str, unit: str, path: str, batch: pa.RecordBatch, kind: str) -> None:
    """A file and its ledger row."""
    with PartWriter(store, path, batch.schema, kind=kind, numbers=kind != "kept") as part:
        part.write(batch)
    Ledger(store).commit(Row(stage, unit, files=part.files, docs_in=batch.num_rows, docs_out=batch.num_rows))


def seconds(function: Callable[[], Any]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def measure(folder: Path, rows: int) -> tuple[float, float, float]:
    """Comparing and adding, in CPU seconds, and MB of the index."""
    rng = np.random.default_rng(rows)
    store = Store(str(folder / f"index-{rows}"))
    run = make_run(Store(str(folder / f"run-{rows}")), rng, make_index(store, rng, rows))
    size = sum(file.bytes for file in index.read(store).files) / 1e6
    run.index, parts = store.uri, run.files("rules", "kept")
    compare = seconds(lambda: index_join.finish(run, index_join.view(run), parts))
    found = sum(row.docs_dropped for row in run.ledger.rows("dedup").values())
    if found != NEW // 10:
        raise AssertionError(f"{found} copies were found, not {NEW // 10}")
    return compare, seconds(lambda: index_add.add(run, store.uri)), size


def main() -> None:
    """Print a row for each size; kernels are compiled before by a small one."""
    sizes = [int(size) for size in sys.argv[1:]] or [250_000, 500_000, 1_000_000]
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder) / "warm", NEW // 5)
        print(f"{NEW:,} new documents, a tenth of them copies of old ones; CPU seconds")
        for rows in sizes:
            compare, add, size = measure(Path(folder), rows)
            print(f"index of {rows:>9,} ({size:5.0f} MB): compare {compare:6.1f}, add {add:5.1f}", flush=True)


if __name__ == "__main__":
    main()
