"""Parquet tables. A record's place is its row number, from 1."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from mdfs.collect.documents import BrokenFileError, Outcome, Pending
from mdfs.collect.readers import fields
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.streams import Source

#: Rows decoded at once.
_ROWS = 512


def _sniff(head: bytes, path: str) -> bool:
    return head.startswith(b"PAR1")


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    number = 0
    try:
        file = pq.ParquetFile(pa.PythonFile(source, "r"))
        wanted = _wanted(file.schema_arrow.names, context.fields)
        for batch in file.iter_batches(batch_size=_ROWS, columns=wanted, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                size = len(row.get("text") or "") if isinstance(row.get("text"), str) else 0
                yield Pending(str(number), size, functools.partial(fields.document, str(number), row, context.fields))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BrokenFileError("broken_parquet", str(error), str(number + 1)) from None


def _wanted(names: list[str], named: dict[str, str]) -> list[str] | None:
    """Columns that are of use; all of them where there is no text among them, so that the message can name them."""
    found = fields.columns(names, named)
    return (
        sorted({theirs.partition(".")[0] if theirs not in names else theirs for theirs in found.values()})
        if "text" in found
        else None
    )


READER = Reader(
    name="parquet",
    endings=(".parquet",),
    sniff=_sniff,
    read=_read,
    reads="Parquet tables",
    example="part-00000.parquet",
    fills=fields.FILLS,
)
