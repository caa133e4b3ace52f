"""Fine filtering: leave out dedup's copies, apply its cuts, score what is left, keep the labels the recipe keeps."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs import classify, cuts, parts
from mdfs.errors import UsageError
from mdfs.ledger import Row
from mdfs.parts import PartWriter
from mdfs.pool import heartbeat
from mdfs.recipe import Classify, Recipe
from mdfs.schema import DECIDED_BY, DROP_REASONS, LABEL, SCORES
from mdfs.stage import Job, Run, Stage, Unit

#: Labels of the `scores` struct, in its order.
LABELS = tuple(field.name for field in SCORES.type)


def run(run: Run) -> None:
    """One unit for each part file that the rules kept."""
    copies = {PurePosixPath(file.path).name: file for file in run.files("dedup", "duplicates")}
    cut = {PurePosixPath(file.path).name: file for file in run.files("dedup-cuts", "cuts")}
    units = []
    for part in run.files("rules", "kept"):
        name = PurePosixPath(part.path).name
        copy = copies.get(name)
        data = {
            "path": part.path,
            "sha256": part.sha256,
            "source": part.source,
            "duplicates": copy.path if copy else "",
            "duplicates_sha256": copy.sha256 if copy else "",
        }
        if name in cut:
            data |= {"cuts": cut[name].path, "cuts_sha256": cut[name].sha256}
        units.append(Unit(PurePosixPath(name).stem, data, part.text_bytes))
    run.map("classify", work, units, ("classify",), gpu=True)


def work(job: Job, unit: Unit) -> Row:
    """Score one part file into classify/kept and classify/dropped."""
    row = Row(job.stage, unit.id)
    name = PurePosixPath(unit.data["path"]).name
    schema = _schema(job, unit.data["path"])
    removed = _removed(job, unit.data["duplicates"])
    found = cuts.read(job.store, unit.data.get("cuts", ""))
    reasons: Counter[str] = Counter()
    source = unit.data["source"]
    with (
        PartWriter(job.store, f"classify/kept/{name}", schema, kind="kept", source=source) as kept,
        PartWriter(job.store, f"classify/dropped/{name}", schema, kind="dropped", source=source) as dropped,
    ):
        for batch in parts.read_part(job.store, unit.data["path"]):
            stays = batch.filter(pc.invert(pc.is_in(batch.column("doc_id"), removed)))
            scored = cuts.with_reasons(annotate(cuts.applied(stays, found), job.recipe), found)
            keep = pc.equal(pc.list_value_length(scored.column("drop_reasons")), 0)
            kept.write(scored.filter(keep))
            dropped.write(scored.filter(pc.invert(keep)))
            reasons.update(pc.list_flatten(scored.column("drop_reasons")).to_pylist())
            row.docs_in += scored.num_rows
            size = parts.string_bytes(batch.column("text"))
            row.bytes_in += size
            heartbeat.did(docs=batch.num_rows, bytes=size)
    row.docs_out, row.docs_dropped = kept.rows, dropped.rows
    row.dropped = dict(sorted(reasons.items()))
    row.files = kept.files + dropped.files
    return row


def annotate(batch: pa.RecordBatch, recipe: Recipe) -> pa.RecordBatch:
    """Add `scores`, `label`, `decided_by` and this stage's `drop_reasons` to documents (any batch with `text`).

    Without a model in the recipe the first three are null and everything is kept.
    """
    options = recipe.classify
    if options.model and batch.num_rows:
        model, order = _model(recipe.path(options.model))
        decided = model.decide(batch.column("text"))
        scores = np.ascontiguousarray(decided.scores[:, order], np.float32)
        added = _columns(scores, list(decided.decided_by))
        reasons = [drop_reasons(row, options) for row in scores]
    else:
        added = [pa.nulls(batch.num_rows, field.type) for field in (SCORES, LABEL, DECIDED_BY)]
        reasons = [[] for _ in range(batch.num_rows)]
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["drop_reasons"] = pa.array(reasons, DROP_REASONS.type)
    columns |= dict(zip((SCORES.name, LABEL.name, DECIDED_BY.name), added, strict=True))
    schema = _with_columns(batch.schema)
    return pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def drop_reasons(scores: np.ndarray, options: Classify) -> list[str]:
    """Why a document with these probabilities (in the order of `LABELS`) goes; empty where it stays."""
    label = LABELS[int(scores.argmax())]
    reasons = [] if label in options.keep else [f"label.{label}"]
    for name, least in sorted(options.min_score.items()):
        if scores[LABELS.index(name)] < least:
            reasons.append(f"score.{name}.min")
    return reasons


@functools.lru_cache(maxsize=2)
def _model(artifact: str) -> tuple[classify.Classifier, list[int]]:
    """The model, loaded once a worker, and where each of `LABELS` stands among its columns."""
    model = classify.load(artifact)
    if sorted(model.labels) != sorted(LABELS):
        has, wanted = ", ".join(model.labels), ", ".join(LABELS)
        raise UsageError(f"model {artifact}: its labels are {has}; the fine filter needs {wanted}")
    return model, [model.labels.index(label) for label in LABELS]


def _columns(scores: np.ndarray, decided_by: list[str]) -> list[pa.Array]:
    fields = [pa.array(scores[:, place]) for place in range(len(LABELS))]
    labels = pa.array(np.asarray(LABELS, object)[scores.argmax(axis=1)], pa.string())
    return [pa.StructArray.from_arrays(fields, fields=list(SCORES.type)), labels, pa.array(decided_by, pa.string())]


def _removed(job: Job, path: str) -> pa.Array:
    """Ids of the copies in a part."""
    if not path:
        return pa.array([], pa.string())
    batches = [batch.column("doc_id") for batch in parts.read_part(job.store, path, ["doc_id"])]
    return pa.chunked_array(batches, pa.string()).combine_chunks()


def _schema(job: Job, path: str) -> pa.Schema:
    with job.store.open(path) as handle:
        return _with_columns(pq.read_schema(handle))


def _with_columns(schema: pa.Schema) -> pa.Schema:
    """A schema after this stage. Fields are taken anew, so that nullability and metadata are ours."""
    ours = {DROP_REASONS.name, SCORES.name, LABEL.name, DECIDED_BY.name}
    fields = [field for field in schema if field.name not in ours]
    return pa.schema([*fields, DROP_REASONS, SCORES, LABEL, DECIDED_BY])


STAGE = Stage(
    name="classify",
    needs=("doc_id", "text", "drop_reasons"),
    adds=(SCORES, LABEL, DECIDED_BY),
    run=run,
    help="Tell high quality, low quality and advertising apart and keep what the recipe keeps.",
)
