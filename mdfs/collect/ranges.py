"""Selected records of archives, read by ranges: near ones by one request, each handed on by itself.

What lies between two records of a request is read and thrown away unopened: it is no record that anybody asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mdfs.collect.fetch import MissingError, Root, in_order
from mdfs.pool import heartbeat
from mdfs.stage import Job, Unit
from mdfs.storage import Store

#: Bytes that a request of several records may have: with eight under way, a worker holds 64 MiB.
MAX_REQUEST = 8 << 20
#: A record's headers, and what gzip adds to a body that it cannot make smaller, beside `max_record_bytes`.
_SLACK = 64 << 10


class Request(NamedTuple):
    """A range of a file, from byte `begin` up to `end`, and the numbers of the rows whose records lie in it.

    `begin` = `end`: the one row's record is too long to be read.
    """

    begin: int
    end: int
    rows: list[int]


class Record(NamedTuple):
    """A selected record: its number in the unit, its file and offset there, and its bytes, or why there are none."""

    number: int
    path: str
    offset: int
    url: str
    data: bytes
    problem: str = ""
    detail: str = ""


def requests(offsets: NDArray[np.int64], lengths: NDArray[np.int64], gap: int, longest: int) -> list[Request]:
    """The requests that read records of one file, in the order of their offsets.

    Records with at most `gap` bytes between them go together, up to `MAX_REQUEST` bytes; a record that is longer than
    `longest` bytes (a limit on what it unpacks to, so no good record is) is not asked for.
    """
    found: list[Request] = []
    for row, (offset, length) in enumerate(zip(offsets.tolist(), lengths.tolist(), strict=True)):
        end = offset + length
        before = found[-1] if found else None
        if length > longest + _SLACK:
            found.append(Request(offset, offset, [row]))
        elif before and before.end > before.begin and offset <= before.end + gap and end <= before.begin + MAX_REQUEST:
            found[-1] = Request(before.begin, max(before.end, end), [*before.rows, row])
        else:
            found.append(Request(offset, end, [row]))
    return found


def records(job: Job, unit: Unit, root: Root) -> Iterator[Record]:
    """The records of a unit, in order; the heartbeat rests while they are waited for.

    Raises:
        RunError: the storage did not answer after all tries.
    """
    gap, longest = job.recipe.commoncrawl.merge_gap, job.recipe.collect.max_record_bytes
    asked, number = [], 0
    for path, rows in _files(_rows(job.store, unit)):
        offsets, lengths = rows.column("offset").to_numpy(), rows.column("length").to_numpy()
        for request in requests(offsets, lengths, gap, longest):
            asked.append((path, rows, number, request))
        number += rows.num_rows
    answers = in_order(lambda one: _fetched(root, one[0], one[3]), asked)
    for path, rows, first, request in asked:
        heartbeat.idle()
        answer = next(answers)
        for row in request.rows:
            yield _record(first + row, path, rows.slice(row, 1), request, answer)


def _fetched(root: Root, path: str, request: Request) -> bytes | MissingError:
    if request.begin == request.end:
        return b""
    try:
        return root.read(path, request.begin, request.end - request.begin)
    except MissingError as error:
        return error


def _record(number: int, path: str, row: pa.Table, request: Request, answer: bytes | MissingError) -> Record:
    offset, length, url = (row.column(name)[0].as_py() for name in ("offset", "length", "url"))
    if isinstance(answer, MissingError):
        return Record(number, path, offset, url, b"", "not_found", str(answer))
    if request.begin == request.end:
        return Record(number, path, offset, url, b"", "too_long", f"{length} bytes, still compressed")
    start = offset - request.begin
    data = answer[start : start + length]
    if not data:
        return Record(number, path, offset, url, b"", "not_found", "the file ends before the record")
    return Record(number, path, offset, url, data)


def _rows(store: Store, unit: Unit) -> pa.Table:
    """The unit's rows of the plan: a few ten thousand of 200 bytes at most, since a unit is little more than a file."""
    first, stop = unit.data["first"], unit.data["first"] + unit.data["rows"]
    found, start = [], 0
    with store.open(unit.data["plan"]) as handle, pq.ParquetFile(handle) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if start < stop and first < end:
                table = file.read_row_group(group, columns=["warc_filename", "offset", "length", "url"])
                found.append(table.slice(max(0, first - start), min(stop, end) - max(first, start)))
            start = end
    return pa.concat_tables(found).combine_chunks()


def _files(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Rows file by file; those of a file stand together."""
    names = rows.column("warc_filename").to_pylist()
    start = 0
    for row in range(1, len(names) + 1):
        if row == len(names) or names[row] != names[start]:
            yield names[start], rows.slice(start, row - start)
            start = row
