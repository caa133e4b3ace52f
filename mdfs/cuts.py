"""Cuts: which pieces of some documents stay, as one step finds them and the next stage that maps texts applies them.

A step that compares documents with others (test sets, copies of passages) rewrites no text: it leaves a small file
beside each part, as dedup leaves the ids of copies, and the text moves once, where it would have moved anyway. Steps
work one after another, each on the texts as those before it leave them, so cuts are layers that are applied in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mdfs.ledger import File
from mdfs.parts import read_part
from mdfs.schema import DROP_REASONS
from mdfs.storage import Store

if TYPE_CHECKING:
    from mdfs.stage import Run

#: Steps that leave cuts, in the order in which these are applied: lines, passages, test sets.
STEPS = ("dedup-line-cuts", "dedup-passage-cuts", "dedup-cuts")

#: One row a document that is cut. `starts` and `ends`, in characters (code points) of its text, are the pieces that
#: stay, in the text as earlier steps leave it, and `between` is what they are joined by; a document with `reason` is
#: dropped whole. `because` names what was found in it.
CUT = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("starts", pa.list_(pa.int64()), nullable=False),
        pa.field("ends", pa.list_(pa.int64()), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("because", pa.list_(pa.string()), nullable=False),
        pa.field("between", pa.string(), nullable=False),
    ]
)

#: Between two pieces: a blank line, which is where a reader, and a model, expects a new thought.
BETWEEN = "\n\n"


@dataclass(frozen=True)
class Cuts:
    """The cuts of one part by one step.

    Attributes:
        pieces: doc_id → (start, end) of each piece that stays. `reasons`: doc_id → why it is dropped whole.
        between: what stands between two pieces.
    """

    pieces: dict[str, list[tuple[int, int]]]
    reasons: dict[str, str]
    between: str = BETWEEN


def of_parts(run: Run, before: str = "") -> dict[str, list[File]]:
    """Files of cuts by the name of their part, in the order of `STEPS`, up to a step (not included) or of all."""
    found: dict[str, list[File]] = {}
    for step in STEPS[: STEPS.index(before) if before else None]:
        for file in run.files(step, "cuts"):
            found.setdefault(PurePosixPath(file.path).stem, []).append(file)
    return found


def unit_data(files: Iterable[File]) -> dict[str, Any]:
    """What a unit says of the cuts of its part: `cuts`, their paths, for `read_all`, and digests of their content."""
    files = list(files)
    return {"cuts": [file.path for file in files], "cuts_sha256": [file.sha256 for file in files]} if files else {}


def read_all(store: Store, paths: Sequence[str]) -> tuple[Cuts, ...]:
    """The layers of a part."""
    return tuple(read(store, path) for path in paths)


def read(store: Store, path: str) -> Cuts:
    """Read one cuts file."""
    pieces: dict[str, list[tuple[int, int]]] = {}
    reasons: dict[str, str] = {}
    between = BETWEEN
    for batch in read_part(store, path):
        for row in batch.to_pylist():
            between = row["between"]
            if row["reason"]:
                reasons[row["doc_id"]] = row["reason"]
            else:
                pieces[row["doc_id"]] = list(zip(row["starts"], row["ends"], strict=True))
    return Cuts(pieces, reasons, between)


def applied(batch: pa.RecordBatch, *layers: Cuts) -> pa.RecordBatch:
    """Documents with their texts cut; those that are to be dropped keep theirs, so that one can see why."""
    for cuts in layers:
        touched = pc.is_in(batch.column("doc_id"), pa.array(list(cuts.pieces), pa.string()))
        if pc.any(touched).as_py():
            batch = _applied(batch, cuts, touched)
    return batch


def _applied(batch: pa.RecordBatch, cuts: Cuts, touched: pa.Array) -> pa.RecordBatch:
    changed = batch.filter(touched)
    rows = zip(changed.column("doc_id").to_pylist(), changed.column("text").to_pylist(), strict=True)
    texts = [cuts.between.join(text[start:end] for start, end in cuts.pieces[doc_id]) for doc_id, text in rows]
    place = batch.schema.get_field_index("text")
    column = pc.replace_with_mask(batch.column(place), touched, pa.array(texts, pa.string()))
    return batch.set_column(place, batch.schema.field(place), column)


def with_reasons(batch: pa.RecordBatch, *layers: Cuts) -> pa.RecordBatch:
    """Documents with the reasons of their cuts before their other `drop_reasons`."""
    said = {doc_id: reason for cuts in layers for doc_id, reason in cuts.reasons.items()}
    if not said:
        return batch
    place = batch.schema.get_field_index("drop_reasons")
    rows = zip(batch.column("doc_id").to_pylist(), batch.column(place).to_pylist(), strict=True)
    reasons = [[said[doc_id], *others] if doc_id in said else others for doc_id, others in rows]
    return batch.set_column(place, batch.schema.field(place), pa.array(reasons, DROP_REASONS.type))
