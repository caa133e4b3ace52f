"""The coarse filter as a stage: a part file of collected documents becomes one of kept and one of dropped ones."""

from __future__ import annotations

import posixpath
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from mdfs import parts, pool, rules, schema
from mdfs.ledger import File, Row
from mdfs.rules.signals import SIGNALS
from mdfs.stage import Job, Run, Stage, Unit

SIGNALS_FIELD = pa.field("signals", SIGNALS, nullable=False)
#: What this stage writes, kept and dropped alike.
MEASURED = pa.schema([*schema.DOCUMENT, SIGNALS_FIELD, schema.DROP_REASONS])


def work(job: Job, unit: Unit) -> Row:
    """Measure one part file and split it into `rules/kept` and `rules/dropped`, under its own name."""
    path, source = unit.data["path"], unit.data["source"]
    row = Row(job.stage, unit.id)
    reasons: Counter[str] = Counter()
    name = posixpath.basename(path)
    kept = parts.PartWriter(job.store, f"rules/kept/{name}", MEASURED, kind="kept", source=source)
    dropped = parts.PartWriter(job.store, f"rules/dropped/{name}", MEASURED, kind="dropped", source=source)
    with kept, dropped:
        for batch in parts.read_part(job.store, path):
            size = parts.string_bytes(batch.column("text"))
            batch = rules.annotate(schema.conform(batch, schema.DOCUMENT), job.recipe)
            clean = pc.equal(pc.list_value_length(batch.column("drop_reasons")), 0)
            kept.write(batch.filter(clean))
            dropped.write(batch.filter(pc.invert(clean)))
            reasons.update(pc.list_flatten(batch.column("drop_reasons")).to_pylist())
            row.docs_in += batch.num_rows
            row.bytes_in += size
            pool.heartbeat.did(batch.num_rows, size)
    row.docs_out, row.docs_dropped, row.dropped = kept.rows, dropped.rows, dict(sorted(reasons.items()))
    row.files = [*kept.files, *dropped.files]
    return row


def unit_of(file: File) -> Unit:
    """The unit that measures one part file."""
    stem = posixpath.basename(file.path).removesuffix(".parquet")
    return Unit(stem, {"path": file.path, "sha256": file.sha256, "source": file.source}, file.text_bytes)


def run(run: Run) -> None:
    """Measure every part file that collect kept."""
    run.map("rules", work, map(unit_of, run.files("collect", "kept")), ("rules",))


STAGE = Stage(
    name="rules",
    needs=("doc_id", "text"),
    adds=(SIGNALS_FIELD, schema.DROP_REASONS),
    run=run,
    help="Edit and measure every document and drop those that break a limit of the recipe.",
)
