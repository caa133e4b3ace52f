"""The tables that stages hand to each other, column by column, and the check at every border.

The unit of data is `pyarrow.RecordBatch`. A stage adds columns and never renames or retypes one, so the schema after a
stage is the schema before it plus what the stage declares.
"""

from __future__ import annotations

import pyarrow as pa

from mdfs.errors import RunError

#: One document as collected. `doc_id` is 32 hex digits (see `mdfs.collect.documents.doc_id`).
DOCUMENT = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("fetched_at", pa.timestamp("ms", tz="UTC")),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("meta", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)

#: Names of the limits that a document broke; empty where it is kept.
DROP_REASONS = pa.field("drop_reasons", pa.list_(pa.string()), nullable=False)

#: What the fine filter says: probabilities that sum to 1, null where no model was asked.
SCORES = pa.field("scores", pa.struct([pa.field(name, pa.float32()) for name in ("high", "low", "ad")]))
LABEL = pa.field("label", pa.string())
DECIDED_BY = pa.field("decided_by", pa.string())

#: One row a removed document. `kind` is url, exact, minhash or containment; `similarity` is the Jaccard similarity of
#: the two texts' shingle sets, 1.0 for url and exact, and for containment the share of this one's that the other has.
DUPLICATE = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("duplicate_of", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
    ]
)

#: One row a document; the end-of-document token is part of `input_ids`.
SHARD = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("input_ids", pa.list_(pa.uint32()), nullable=False),
    ]
)

#: Records that gave no document. `disposition` is `dropped` where a readable record is no document (a picture, a 404
#: page) and `quarantined` where something is wrong with it. `place` is the record's place in its file.
QUARANTINE = pa.schema(
    [
        pa.field("stage", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("disposition", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return `batch` with exactly `schema`'s columns, in its order.

    Spark hands every column over as nullable and Sail lets wrong columns through, so names, types and nulls are
    checked here and nullability is put back.

    Raises:
        RunError: a column is missing, has another type, or holds a null where `schema` has none.
    """
    columns = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            raise RunError(f"column {field.name!r} is missing; the table has {batch.schema.names}")
        column = batch.column(index)
        if not _same_type(column.type, field.type):
            raise RunError(f"column {field.name!r} is {column.type}, not {field.type}")
        if column.null_count and not field.nullable:
            raise RunError(f"column {field.name!r} holds {column.null_count} nulls and may hold none")
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _same_type(left: pa.DataType, right: pa.DataType) -> bool:
    """Equal but for the names and nullability of nested fields, in which Parquet and Spark differ."""
    if pa.types.is_map(left) and pa.types.is_map(right):
        return _same_type(left.key_type, right.key_type) and _same_type(left.item_type, right.item_type)
    if pa.types.is_list(left) and pa.types.is_list(right):
        return _same_type(left.value_type, right.value_type)
    if pa.types.is_struct(left) and pa.types.is_struct(right):
        pairs = zip(left.fields, right.fields, strict=False)
        return left.num_fields == right.num_fields and all(
            a.name == b.name and _same_type(a.type, b.type) for a, b in pairs
        )
    return bool(left == right)
