"""Cuts: which pieces of some documents stay, as one step finds them and the next stage that maps texts applies them.

A step that compares documents with others (test sets, copies of passages) rewrites no text: it leaves a small file
beside each part, as dedup leaves the ids of copies, and the text moves once, where it would have moved anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mdfs.parts import read_part
from mdfs.schema import DROP_REASONS
from mdfs.storage import Store

#: One row a document that is cut. `starts` and `ends`, in characters (code points) of its text, are the pieces that
#: stay; a document with `reason` is dropped whole. `because` names what was found in it.
CUT = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("starts", pa.list_(pa.int64()), nullable=False),
        pa.field("ends", pa.list_(pa.int64()), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("because", pa.list_(pa.string()), nullable=False),
    ]
)

#: Between two pieces: a blank line, which is where a reader, and a model, expects a new thought.
BETWEEN = "\n\n"


@dataclass(frozen=True)
class Cuts:
    """The cuts of one part.

    Attributes:
        pieces: doc_id → (start, end) of each piece that stays. `reasons`: doc_id → why it is dropped whole.
    """

    pieces: dict[str, list[tuple[int, int]]]
    reasons: dict[str, str]


def read(store: Store, path: str) -> Cuts:
    """Read the cuts file of a part; none where `path` is empty."""
    cuts = Cuts({}, {})
    for batch in read_part(store, path) if path else ():
        for row in batch.to_pylist():
            if row["reason"]:
                cuts.reasons[row["doc_id"]] = row["reason"]
            else:
                cuts.pieces[row["doc_id"]] = list(zip(row["starts"], row["ends"], strict=True))
    return cuts


def applied(batch: pa.RecordBatch, cuts: Cuts) -> pa.RecordBatch:
    """Documents with their texts cut; those that are to be dropped keep theirs, so that one can see why."""
    touched = pc.is_in(batch.column("doc_id"), pa.array(list(cuts.pieces), pa.string()))
    if not pc.any(touched).as_py():
        return batch
    changed = batch.filter(touched)
    rows = zip(changed.column("doc_id").to_pylist(), changed.column("text").to_pylist(), strict=True)
    texts = [BETWEEN.join(text[start:end] for start, end in cuts.pieces[doc_id]) for doc_id, text in rows]
    place = batch.schema.get_field_index("text")
    column = pc.replace_with_mask(batch.column(place), touched, pa.array(texts, pa.string()))
    return batch.set_column(place, batch.schema.field(place), column)


def with_reasons(batch: pa.RecordBatch, cuts: Cuts) -> pa.RecordBatch:
    """Documents with the reasons of their cuts before their other `drop_reasons`."""
    if not cuts.reasons:
        return batch
    place = batch.schema.get_field_index("drop_reasons")
    rows = zip(batch.column("doc_id").to_pylist(), batch.column(place).to_pylist(), strict=True)
    reasons = [[cuts.reasons[doc_id], *others] if doc_id in cuts.reasons else others for doc_id, others in rows]
    return batch.set_column(place, batch.schema.field(place), pa.array(reasons, DROP_REASONS.type))
