"""How fast `mdfs what-if` decides a corpus anew.

    python tests/bench/whatif_speed.py [--rows 1000000] [--folder FOLDER]

Makes a run's folder of so many measured documents, unless FOLDER has one (the sample's documents over and over, each
figure shaken by a fifth, so that they compress as real ones do; texts are cut short, since none is read). Then it
changes limits in three ways and prints seconds and rows a second of the whole command, imports included, and what
memory the largest took.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs import recipe, schema
from mdfs.ledger import Ledger, Row
from mdfs.parts import PartWriter
from mdfs.rules import decide
from mdfs.rules.signals import SIGNALS
from mdfs.rules.stage import MEASURED
from mdfs.storage import Store

PART = 20_000
ASKED = (
    ["--set", "rules.han_ratio.min=0.9"],
    ["--set", "rules.chars=false"],
    ["--set", "rules.chars.min=300", "--set", "rules.digit_ratio.max=0.02"],
)
SAMPLE = Path(__file__).resolve().parents[1] / "sample" / "corpus"


def measured() -> pa.RecordBatch:
    """The sample's documents, measured by yuan1, with short texts."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = [part for path in sorted(SAMPLE.iterdir()) for part in ("--input", str(path))]
        command = [sys.executable, "-m", "mdfs", "run", "--until", "rules", "-q", "--recipe", "yuan1", *inputs]
        subprocess.run([*command, "--output", folder], check=True)
        table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in Path(folder).glob("rules/*/*")])
    table = table.set_column(6, MEASURED.field("text"), pc.utf8_slice_codeunits(table.column("text"), 0, 200))
    return table.combine_chunks().to_batches()[0]


def shaken(measured: pa.StructArray, rng: np.random.Generator) -> pa.StructArray:
    """The same measurements, those that are no whole numbers up to a fifth larger or smaller."""
    columns = []
    for field in SIGNALS:
        column = pc.struct_field(measured, field.name)
        factor = pa.array(rng.uniform(0.8, 1.2, len(column)))
        columns.append(pc.multiply(column, factor) if field.type == pa.float64() else column)
    return pa.StructArray.from_arrays(columns, fields=list(SIGNALS))


def part(store: Store, number: int, documents: pa.RecordBatch, rows: int) -> None:
    """One part file of kept and one of dropped documents, and the row that says so."""
    rng, unit = np.random.default_rng(number), f"part-{number:05d}"
    drawn = documents.take(pa.array(rng.integers(0, documents.num_rows, rows)))
    ids = pa.array([rng.bytes(16).hex() for _ in range(rows)])
    signals = shaken(drawn.column("signals"), rng)
    reasons = decide.drop_reasons(signals, recipe.load("yuan1").rules)
    drawn = drawn.set_column(0, schema.DOCUMENT.field("doc_id"), ids).drop_columns(["signals", "drop_reasons"])
    drawn = pa.RecordBatch.from_arrays([*drawn.columns, signals, reasons], schema=MEASURED)
    clean = pc.equal(pc.list_value_length(reasons), 0)
    row = Row("rules", unit, docs_in=rows)
    for kind, mask in (("kept", clean), ("dropped", pc.invert(clean))):
        with PartWriter(store, f"rules/{kind}/{unit}.parquet", MEASURED, kind=kind, source="web") as writer:
            writer.write(drawn.filter(mask))
        row.files += writer.files
    counted = pc.value_counts(pc.list_flatten(reasons)).to_pylist()
    row.dropped = {str(entry["values"]): int(entry["counts"]) for entry in counted}
    row.docs_out = int(pc.sum(clean).as_py())
    row.docs_dropped = rows - row.docs_out
    Ledger(store).commit(row)
    Ledger(store).commit(Row("collect", unit, docs_in=rows, docs_out=rows))


def make(folder: Path, rows: int) -> None:
    """A run's folder after the rules."""
    store, documents = Store(str(folder)), measured()
    yuan = recipe.load("yuan1")
    about = {"mdfs_version": "bench", "recipe": yuan.to_dict(), "recipe_digest": yuan.digest(), "stages": {}}
    store.write_json("ledger/run.json", about)
    for number, start in enumerate(range(0, rows, PART)):
        part(store, number, documents, min(PART, rows - start))


def ask(folder: Path, rows: int, asked: list[str]) -> None:
    """One change of the limits, timed."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "mdfs", "what-if", str(folder), *asked, "--json"],
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    print(f"{' '.join(asked[1::2]):<50} {seconds:6.2f} s {rows / seconds:12,.0f} rows/s "
          f"{usage.ru_maxrss >> 10:6,} MiB, processor {usage.ru_utime + usage.ru_stime:.2f} s")  # fmt: skip
    assert process.returncode == 0


def main() -> None:
    """Make, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="made where it does not exist, and left there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "out"
        if not folder.exists():
            make(folder, options.rows)
        for asked in ASKED:
            ask(folder, options.rows, asked)


if __name__ == "__main__":
    main()
