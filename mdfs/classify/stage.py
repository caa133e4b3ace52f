"""Fine filtering: leave out dedup's copies, apply its cuts, score what is left, keep the documents the recipe keeps.

    rules/kept ─map─ classify/{kept,dropped}
    rules/kept ─map─ scores, histograms ─driver─ bars ─map─ classify/{kept,dropped}       where `top_share` is asked for

Whether a document is among the best of its source is known only when all are scored. So then there are two maps: the
first leaves scores and a small histogram beside each part, the second decides from them.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs import classify, cuts, parts
from mdfs.classify import decide
from mdfs.classify.ahead import ahead
from mdfs.classify.decide import LABELS, Bar
from mdfs.errors import RunError, UsageError
from mdfs.ledger import Row
from mdfs.parts import PartWriter
from mdfs.pool import heartbeat
from mdfs.recipe import Classify, Recipe
from mdfs.schema import DECIDED_BY, DROP_REASONS, LABEL, SCORES
from mdfs.stage import Job, Run, Stage, Unit

#: The step that scores without deciding, and where its files lie.
SCORING, SCORES_FOLDER, HISTOGRAMS_FOLDER = "classify-scores", "scores/documents", "scores/histograms"

#: One row a document that was scored, in the order of the part's documents.
SCORED = pa.schema([pa.field("doc_id", pa.string(), nullable=False), SCORES, DECIDED_BY])

#: One row a source and bin of `mdfs.classify.decide.bins` that holds documents.
HISTOGRAM = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("bin", pa.int32(), nullable=False),
        pa.field("docs", pa.int64(), nullable=False),
    ]
)


def run(run: Run) -> None:
    """One unit for each part file that the rules kept; two where the best share of sources is asked for."""
    options = run.recipe.classify
    units, gpu = _units(run), classify.uses_bert(run.recipe)
    shared = bool(options.model and options.top_share)
    if shared or run.ledger.rows(SCORING):
        rows = run.map(SCORING, score, units if shared else [], (SCORES_FOLDER, HISTOGRAMS_FOLDER), gpu=gpu)
        units = _with_bars(run, units, rows) if shared else units
    run.map("classify", work, units, ("classify",), gpu=gpu and not shared)


def _units(run: Run) -> list[Unit]:
    copies = {PurePosixPath(file.path).name: file for file in run.files("dedup", "duplicates")}
    cut = cuts.of_parts(run)
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
        unit = PurePosixPath(name).stem
        units.append(Unit(unit, data | cuts.unit_data(cut.get(unit, [])), part.text_bytes))
    return units


def _with_bars(run: Run, units: list[Unit], rows: list[Row]) -> list[Unit]:
    """The units with their scores and the bars of their sources; a unit without scores has no documents."""
    files = {row.unit: {file.kind: file for file in row.files} for row in rows}
    bars = _bars(run, [of_unit["histogram"].path for of_unit in files.values() if "histogram" in of_unit])
    out = []
    for unit in units:
        scored, source = files[unit.id].get("scores"), unit.data["source"]
        mine = {name: bar.plain() for name, bar in bars.items() if source in ("", name)}
        said = {"scores": scored.path if scored else "", "scores_sha256": scored.sha256 if scored else "", "bars": mine}
        out.append(Unit(unit.id, unit.data | said, unit.cost))
    return out


def _bars(run: Run, paths: list[str]) -> dict[str, Bar]:
    """The bar of every source that has one, from the histograms of all parts."""
    sums: dict[str, npt.NDArray[np.int64]] = {}
    for path in paths:
        for batch in parts.read_part(run.store, path):
            names, place, docs = (batch.column(name) for name in HISTOGRAM.names)
            for name in pc.unique(names).to_pylist():
                here = pc.equal(names, name)
                sums.setdefault(name, np.zeros(decide.BINS, np.int64))
                np.add.at(sums[name], place.filter(here).to_numpy(), docs.filter(here).to_numpy())
    options = run.recipe.classify
    shares = {name: decide.share_of(name, options) for name in sums}
    return {name: decide.bar_of(sums[name], share) for name, share in sorted(shares.items()) if share is not None}


def score(job: Job, unit: Unit) -> Row:
    """Score one part file: scores by document and a histogram by source; decides nothing."""
    row = Row(job.stage, unit.id)
    name = PurePosixPath(unit.data["path"]).name
    counts: Counter[tuple[str, int]] = Counter()
    rank = LABELS.index(job.recipe.classify.rank_by)
    with PartWriter(job.store, f"{SCORES_FOLDER}/{name}", SCORED, kind="scores") as scored:
        for batch, (scores, decided_by), _ in _scored(job, unit, cuts.read_all(job.store, unit.data.get("cuts", []))):
            fields = [batch.column("doc_id"), _struct(scores), pa.array(decided_by, pa.string())]
            scored.write(pa.RecordBatch.from_arrays(fields, schema=SCORED))
            counts.update(zip(batch.column("source").to_pylist(), decide.bins(scores[:, rank]).tolist(), strict=True))
            row.docs_in += batch.num_rows
    row.docs_out = row.docs_in
    with PartWriter(job.store, f"{HISTOGRAMS_FOLDER}/{name}", HISTOGRAM, kind="histogram") as histogram:
        rows = [(*key, docs) for key, docs in sorted(counts.items())]
        columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), HISTOGRAM, strict=False)]
        if columns:
            histogram.write(pa.RecordBatch.from_arrays(columns, schema=HISTOGRAM))
    row.files = scored.files + histogram.files
    return row


def work(job: Job, unit: Unit) -> Row:
    """Score one part file, or take the scores that are there, into classify/kept and classify/dropped."""
    row = Row(job.stage, unit.id)
    name = PurePosixPath(unit.data["path"]).name
    schema = _schema(job, unit.data["path"])
    reasons: Counter[str] = Counter()
    source, options = unit.data["source"], job.recipe.classify
    bars = {key: Bar(int(said[0]), said[1]) for key, said in unit.data.get("bars", {}).items()}
    found = cuts.read_all(job.store, unit.data.get("cuts", []))
    with (
        PartWriter(job.store, f"classify/kept/{name}", schema, kind="kept", source=source) as kept,
        PartWriter(job.store, f"classify/dropped/{name}", schema, kind="dropped", source=source) as dropped,
    ):
        for batch, (scores, decided_by), size in _scored(job, unit, found):
            scored = cuts.with_reasons(_decided(batch, scores, decided_by, options, bars), *found)
            keep = pc.equal(pc.list_value_length(scored.column("drop_reasons")), 0)
            kept.write(scored.filter(keep))
            dropped.write(scored.filter(pc.invert(keep)))
            reasons.update(pc.list_flatten(scored.column("drop_reasons")).to_pylist())
            row.docs_in += scored.num_rows
            row.bytes_in += size
    row.docs_out, row.docs_dropped = kept.rows, dropped.rows
    row.dropped = dict(sorted(reasons.items()))
    row.files = kept.files + dropped.files
    return row


Scored = tuple[npt.NDArray[np.float32], list[str]]
"""Scores in the order of `LABELS`, float32[documents, 3], and who gave them; no row and no name without a model."""


def _scored(job: Job, unit: Unit, found: tuple[cuts.Cuts, ...]) -> Iterator[tuple[pa.RecordBatch, Scored, int]]:
    """A part's documents with copies left out and cuts applied, their scores, and the bytes of text gone through."""
    removed = _removed(job, unit.data["duplicates"])
    stored = _stored(job, unit.data["scores"]) if unit.data.get("scores") else None
    at = 0

    def scored(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Scored | None, int, int]:
        stays = cuts.applied(batch.filter(pc.invert(pc.is_in(batch.column("doc_id"), removed))), *found)
        said = _scores(stays, job.recipe) if stored is None else None
        return stays, said, batch.num_rows, parts.string_bytes(batch.column("text"))

    threads = _threads(job.recipe) if stored is None else 1
    for stays, said, rows, size in ahead(scored, parts.read_part(job.store, unit.data["path"]), threads):
        if said is None:
            said = _slice(stored, at, stays, unit.data["scores"])
        at += stays.num_rows
        heartbeat.did(docs=rows, bytes=size)
        yield stays, said, size


def _stored(job: Job, path: str) -> pa.Table:
    """All scores of a part: some 60 bytes a document."""
    return pa.Table.from_batches(parts.read_part(job.store, path), schema=SCORED)


def _slice(stored: pa.Table, at: int, batch: pa.RecordBatch, path: str) -> Scored:
    here = stored.slice(at, batch.num_rows).combine_chunks()
    if here.column("doc_id").to_pylist() != batch.column("doc_id").to_pylist():
        raise RunError(f"{path}: its documents are not those of the part; remove the folder scores/ and start again")
    columns = [pc.struct_field(here.column("scores"), name).to_numpy() for name in LABELS]
    scores = np.stack(columns, axis=1) if batch.num_rows else np.zeros((0, len(LABELS)), np.float32)
    return scores, here.column("decided_by").to_pylist()


def annotate(batch: pa.RecordBatch, recipe: Recipe) -> pa.RecordBatch:
    """Add `scores`, `label`, `decided_by` and this stage's `drop_reasons` to documents (any batch with `text`, and with
    `doc_id` where the recipe draws by it). `top_share` needs a whole run and is left out.

    Without a model in the recipe the first three are null and everything is kept.
    """
    scores, decided_by = _scores(batch, recipe)
    return _decided(batch, scores, decided_by, recipe.classify, {})


def _scores(batch: pa.RecordBatch, recipe: Recipe) -> Scored:
    model = recipe.classify.model
    if not model or not batch.num_rows:
        return np.zeros((0, len(LABELS)), np.float32), []
    loaded, order = _model(recipe.path(model), os.environ.get(classify.DEVICE_VARIABLE, ""))
    decided = loaded.decide(batch.column("text"))
    return np.ascontiguousarray(decided.scores[:, order], np.float32), list(decided.decided_by)


def _decided(
    batch: pa.RecordBatch,
    scores: npt.NDArray[np.float32],
    decided_by: list[str],
    options: Classify,
    bars: dict[str, Bar],
) -> pa.RecordBatch:
    if decided_by:
        added = _columns(scores, decided_by)
        drawn = bool(options.pareto_alpha or bars)
        ids = batch.column("doc_id").to_pylist() if drawn else [""] * batch.num_rows
        sources = batch.column("source").to_pylist() if bars else ()
        reasons = decide.drop_reasons(scores, ids, options, sources, bars)
    else:
        added = [pa.nulls(batch.num_rows, field.type) for field in (SCORES, LABEL, DECIDED_BY)]
        reasons = [[] for _ in range(batch.num_rows)]
    columns = {name: batch.column(name) for name in batch.schema.names}
    columns["drop_reasons"] = pa.array(reasons, DROP_REASONS.type)
    columns |= dict(zip((SCORES.name, LABEL.name, DECIDED_BY.name), added, strict=True))
    schema = _with_columns(batch.schema)
    return pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


@functools.lru_cache(maxsize=2)
def _model(artifact: str, device: str) -> tuple[classify.Classifier, list[int]]:
    """The model, loaded once a worker and device, and where each of `LABELS` stands among its columns."""
    model = classify.load(artifact, device=device or None)
    if sorted(model.labels) != sorted(LABELS):
        has, wanted = ", ".join(model.labels), ", ".join(LABELS)
        raise UsageError(f"model {artifact}: its labels are {has}; the fine filter needs {wanted}")
    return model, [model.labels.index(label) for label in LABELS]


def _threads(recipe: Recipe) -> int:
    """Row groups under way at once: 2 where a GPU scores, so that the next is read and tokenised meanwhile."""
    model = recipe.classify.model
    if not model:
        return 1
    return _model(recipe.path(model), os.environ.get(classify.DEVICE_VARIABLE, ""))[0].ahead


def _struct(scores: npt.NDArray[np.float32]) -> pa.StructArray:
    fields = [pa.array(scores[:, place]) for place in range(len(LABELS))]
    return pa.StructArray.from_arrays(fields, fields=list(SCORES.type))


def _columns(scores: npt.NDArray[np.float32], decided_by: list[str]) -> list[pa.Array]:
    labels = pa.array(np.asarray(LABELS, object)[scores.argmax(axis=1)], pa.string())
    return [_struct(scores), labels, pa.array(decided_by, pa.string())]


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
    needs=("doc_id", "source", "text", "drop_reasons"),
    adds=(SCORES, LABEL, DECIDED_BY),
    run=run,
    help="Tell high quality, low quality and advertising apart and keep what the recipe keeps.",
)
