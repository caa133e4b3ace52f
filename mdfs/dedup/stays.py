"""The documents that stay so far, with their texts as the steps so far leave them, part by part.

Steps behind the search for copies work on these: copies do not count, and what one step cut out the next does not see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mdfs import cuts
from mdfs.dedup import keys
from mdfs.ledger import File
from mdfs.parts import read_part, string_bytes
from mdfs.pool import heartbeat
from mdfs.stage import Job, Run, Unit


def units(run: Run, parts: Sequence[File], before: str) -> list[Unit]:
    """A unit for each part, for `documents`: it names the copies, and the cuts of steps before the one called `before`
    (see `mdfs.cuts.STEPS`). Its `number` is its place in the list."""
    copies = {keys.part_name(file.path): file for file in run.files("dedup", "duplicates")}
    layers = cuts.of_parts(run, before)
    found = []
    for number, part in enumerate(parts):
        name = keys.part_name(part.path)
        said: dict[str, Any] = {"path": part.path, "sha256": part.sha256, "number": number}
        if name in copies:
            said |= {"duplicates": copies[name].path, "duplicates_sha256": copies[name].sha256}
        if name in layers:
            said |= cuts.unit_data(layers[name])
        found.append(Unit(name, said, part.text_bytes))
    return found


def compared(unit: Unit, digest: str) -> Unit:
    """The unit with a digest of all that it is compared with."""
    return Unit(unit.id, unit.data | {"compared": digest}, unit.cost)


def documents(job: Job, unit: Unit, columns: list[str]) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    """Documents of a unit's part with some columns (`doc_id` and `text` among them), a row group at a time; with each
    how many documents were gone through, and bytes of their texts."""
    path = unit.data.get("duplicates")
    ids = [batch.column(0) for batch in read_part(job.store, path, ["doc_id"])] if path else []
    gone = pa.chunked_array(ids, pa.string()).combine_chunks()
    layers = cuts.read_all(job.store, unit.data.get("cuts", []))
    dropped = pa.array([doc_id for layer in layers for doc_id in layer.reasons], pa.string())
    for batch in read_part(job.store, unit.data["path"], columns):
        size = string_bytes(batch.column("text"))
        left = pc.or_(pc.is_in(batch.column("doc_id"), gone), pc.is_in(batch.column("doc_id"), dropped))
        yield cuts.applied(batch.filter(pc.invert(left)), *layers), batch.num_rows, size
        heartbeat.did(docs=batch.num_rows, bytes=size)
