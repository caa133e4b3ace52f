"""From a selection to units of work: selected rows, grouped by archive without a session and in bounded memory.

    collect-select   a unit an index part file    selected rows, in sorted runs
    collect-group    a unit 500,000 rows          rows of a range of archives out of all runs, in order
    collect          a unit 64 MiB of archives    (mdfs/collect/ranges.py)

The driver holds a number for each archive (a crawl has 64,000 to 90,000) and never a row. What is planned stays under
ledger/plan, so the run after a dry run goes on from there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs.collect import crawlindex
from mdfs.collect.crawlindex import SELECTED, ranks
from mdfs.collect.fetch import MissingError, Root
from mdfs.collect.ranges import requests
from mdfs.errors import UsageError
from mdfs.ledger import File, Ledger, Row
from mdfs.parts import PartWriter, read_part
from mdfs.recipe import CommonCrawl
from mdfs.stage import Job, Run, Unit
from mdfs.storage import Store

STAGE = "collect-group"
#: Selected rows of whole archives, sorted by archive and offset; beside each file one with a row an archive.
FOLDER = "ledger/plan/grouped"
_SUMS = "-files.parquet"

#: Rows that are sorted in memory at once, but for an archive that has more: about 200 bytes each, so 100 MB.
GROUP_ROWS = 500_000
#: Bytes of archives that one unit of collection reads at least: 10 s at 10 MB/s pay for its ledger row and part file.
UNIT_BYTES = 64 << 20
#: Archives that must be missing, from the first on, before the root and not the archive is called wrong.
_PROBES = 3

#: One row an archive: its first row and their number in the grouped file, bytes of records, bytes and requests to read
#: them, and a digest of offsets and lengths.
FILES = pa.schema(
    [
        pa.field("warc_filename", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in ("first", "rows", "bytes", "read", "requests")),
        pa.field("digest", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Plan:
    """What is to be read. `selected` and `grouped` are the rows of the two steps; `bound` is the greatest rank kept."""

    selected: list[Row]
    grouped: list[Row]


def prepare(run: Run) -> Plan:
    """Select and group, or find that done; without a crawl in the recipe, what another recipe left there goes.

    Raises:
        UsageError: no such crawl, or nothing in it is selected.
    """
    wanted = bool(run.recipe.commoncrawl.crawl)
    if not wanted and not run.store.exists("ledger/plan"):
        return Plan([], [])
    parts = crawlindex.units(run) if wanted else []
    selected = run.map(crawlindex.STAGE, crawlindex.work, parts, (crawlindex.FOLDER,))
    groups = _groups(run, [file for row in selected for file in row.files])
    if wanted and not groups:
        raise UsageError(
            f"crawl {run.recipe.commoncrawl.crawl}: no record fits the selection; ask for less (--language, --url, "
            "--mime, --status), or allow more (--max-records, --max-bytes)"
        )
    return Plan(selected, run.map(STAGE, group, groups, (FOLDER,)))


def units(run: Run, plan: Plan) -> list[Unit]:
    """Units of collection: neighbouring archives until there is enough to read.

    Raises:
        UsageError: none of the first archives is there, so the root must be wrong.
    """
    crawl = run.recipe.commoncrawl
    found: list[Unit] = []
    for row in plan.grouped:
        for entry in _archives(run.store, row):
            said = run.recipe.source_of(f"{crawl.crawl}/{entry['warc_filename']}")
            source, path = said.name or crawl.crawl, row.files[0].path
            last = found[-1].data if found else {}
            if last and (last["source"], last["plan"]) == (source, path) and last["size"] < UNIT_BYTES:
                last["rows"] += entry["rows"]
                last["size"] += entry["read"]
                last["digest"] = _digest(last["digest"], entry["warc_filename"], entry["digest"])
            else:
                data = {"source": source, "path": entry["warc_filename"], "plan": path, "digest": entry["digest"]}
                data |= {"first": entry["first"], "rows": entry["rows"], "size": entry["read"]}
                found.append(Unit("", data))
    if found and not run.store.exists(Ledger.path("collect", _unit_id(found[0]))):
        _check_root(crawl, [unit.data["path"] for unit in found[:_PROBES]])
    return [Unit(_unit_id(unit), unit.data, cost=unit.data["size"]) for unit in found]


def summary(run: Run, plan: Plan) -> dict[str, Any]:
    """What the plan would read: `mdfs collect --dry-run --json`.

    `crawl_records` and `crawl_bytes` are those of the index's subset. Bytes are measured in the row groups that were
    read, and where others were left out, taken to be alike there.
    """
    facts: Counter[str] = Counter()
    for row in [*plan.selected, *plan.grouped]:
        facts.update(row.facts)
    archives = [entry for row in plan.grouped for entry in _archives(run.store, row)]
    sums = {key: sum(entry[key] for entry in archives) for key in ("rows", "bytes", "read", "requests")}
    measured = facts["measured_rows"]
    whole = facts["measured_bytes"] * facts["rows"] // measured if measured else 0
    return {
        "crawl": run.recipe.commoncrawl.crawl,
        "records": sums["rows"],
        "warc_files": len(archives),
        "requests": sums["requests"],
        "bytes": sums["read"],
        "record_bytes": sums["bytes"],
        "crawl_records": facts["rows"],
        "crawl_bytes": whole,
        "share_of_bytes": round(sums["read"] / whole, 6) if whole else 0.0,
        "languages": _named(facts, "language "),
        "status": _named(facts, "status "),
        "index_bytes": sum(row.bytes_in for row in plan.selected),
        "unusable": facts["unusable"],
    }


def _named(facts: Counter[str], prefix: str) -> dict[str, int]:
    """The counts whose names begin so, greatest first."""
    found = {name.removeprefix(prefix): count for name, count in facts.items() if name.startswith(prefix)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _archives(store: Store, row: Row) -> Iterator[dict[str, Any]]:
    for batch in read_part(store, row.files[1].path):
        yield from batch.to_pylist()


def _unit_id(unit: Unit) -> str:
    """16 hex digits over source and first archive, in a name of their own beside those of input files."""
    return _digest("crawl", unit.data["source"], unit.data["path"])


def _check_root(crawl: CommonCrawl, paths: list[str]) -> None:
    root = Root(crawl.data)
    for path in paths:
        try:
            root.size(path)
        except MissingError:
            continue
        return
    raise UsageError(
        f"{crawl.data}: has no {paths[0]}; name the root of the archives as [commoncrawl] data, or --crawl-data"
    )


def _groups(run: Run, files: list[File]) -> list[Unit]:
    """Units of grouping: ranges of archives that have about `GROUP_ROWS` rows each."""
    crawl, paths = run.recipe.commoncrawl, sorted(file.path for file in files)
    bound = _bound(run.store, paths, crawl)
    counts: Counter[str] = Counter()
    for path in paths:
        for batch in read_part(run.store, path, ["warc_filename", "offset"]):
            for entry in _kept(batch, bound).column("warc_filename").value_counts().to_pylist():
                counts[entry["values"]] += entry["counts"]
    said = {"bound": bound, "selected": _digest(*sorted(file.sha256 for file in files))}
    said |= {"gap": crawl.merge_gap, "longest": run.recipe.collect.max_record_bytes}
    found: list[Unit] = []
    rows = 0
    for name in sorted(counts):
        if not found or rows + counts[name] > GROUP_ROWS:
            found.append(Unit(f"{len(found):05}", {**said, "from": name}))
            rows = 0
        found[-1].data["to"] = name
        rows += counts[name]
    return found


def _bound(store: Store, paths: list[str], crawl: CommonCrawl) -> int | None:
    """The greatest rank that `max_records` and `max_bytes` leave; None where they leave all, -1 where nothing.

    Two readings: counts over 65,536 even ranges of ranks, then the rows of the range in which a bound is reached.
    """
    if not crawl.max_records and not crawl.max_bytes:
        return None
    most = crawl.max_records or 1 << 62, crawl.max_bytes or 1 << 62
    sums = np.zeros((2, 1 << 16), np.int64)
    for rank, length in _ranked(store, paths):
        at = (rank >> np.uint64(48)).astype(np.int64)
        np.add.at(sums[0], at, 1)
        np.add.at(sums[1], at, length)
    totals = sums.cumsum(axis=1)
    over = (totals[0] > most[0]) | (totals[1] > most[1])
    if not over.any():
        return None
    edge = int(over.argmax())
    records, size = (int(total[edge] - row[edge]) for total, row in zip(totals, sums, strict=True))
    bound = (edge << 48) - 1
    for rank_of, length_of in sorted(
        pair
        for rank, length in _ranked(store, paths)
        for pair in zip(*(one[rank >> np.uint64(48) == edge].tolist() for one in (rank, length)), strict=True)
    ):
        records, size = records + 1, size + length_of
        if records > most[0] or size > most[1]:
            break
        bound = rank_of
    return bound


def _ranked(store: Store, paths: list[str]) -> Iterator[tuple[Any, Any]]:
    for path in paths:
        for batch in read_part(store, path, ["warc_filename", "offset", "length"]):
            yield ranks(batch), batch.column("length").to_numpy()


def _kept(batch: pa.RecordBatch, bound: int | None) -> pa.RecordBatch:
    if bound is None:
        return batch
    return batch.slice(0, 0) if bound < 0 else batch.filter(pa.array(ranks(batch) <= np.uint64(bound)))


def group(job: Job, unit: Unit) -> Row:
    """Write the rows of a range of archives, in order, and a row for each archive."""
    table = _gathered(job.store, unit)
    row = Row(job.stage, unit.id)
    row.docs_in = row.docs_out = table.num_rows
    first = pc.if_else(pc.equal(table["languages"], ""), "unknown", table["languages"])
    row.facts = _counts("language ", pc.replace_substring_regex(first, ",.*", ""))
    row.facts |= _counts("status ", table["status"])
    for path, rows in (
        (f"{FOLDER}/{unit.id}.parquet", table),
        (f"{FOLDER}/{unit.id}{_SUMS}", pa.Table.from_pylist(list(_sums(table, unit)), FILES)),
    ):
        with PartWriter(job.store, path, rows.schema, kind="work") as part:
            for batch in rows.to_batches():
                part.write(batch)
        row.files += part.files
    return row


def _counts(prefix: str, column: pa.ChunkedArray) -> dict[str, int]:
    return {f"{prefix}{entry['values']}": entry["counts"] for entry in column.value_counts().to_pylist()}


def _gathered(store: Store, unit: Unit) -> pa.Table:
    """All selected rows of the unit's archives, sorted, a record that the index names twice once."""
    low, high, found = unit.data["from"], unit.data["to"], []
    for path in store.list(crawlindex.FOLDER):
        with store.open(path) as handle, pq.ParquetFile(handle) as file:
            for index in range(file.num_row_groups):
                names = file.metadata.row_group(index).column(0).statistics
                if names.max < low or names.min > high:
                    continue
                for batch in file.read_row_group(index, use_threads=False).to_batches():
                    name = batch.column("warc_filename")
                    inside = batch.filter(pc.and_(pc.greater_equal(name, low), pc.less_equal(name, high)))
                    found.append(_kept(inside, unit.data["bound"]))
    keys = [(name, "ascending") for name in SELECTED.names]
    table = pa.Table.from_batches(found, SELECTED).sort_by(keys).combine_chunks()
    again = np.zeros(table.num_rows, np.bool_)
    again[1:] = True
    for name in ("warc_filename", "offset"):
        column = table[name]
        again[1:] &= pc.equal(column[1:], column[:-1]).to_numpy()
    return table.filter(pa.array(~again)).combine_chunks()


def _sums(table: pa.Table, unit: Unit) -> Iterator[dict[str, Any]]:
    """`FILES`' rows."""
    first = 0
    for entry in table["warc_filename"].value_counts().to_pylist():  # in the order of their first rows
        rows = table.slice(first, entry["counts"])
        offsets, lengths = rows["offset"].to_numpy(), rows["length"].to_numpy()
        asked = [r for r in requests(offsets, lengths, unit.data["gap"], unit.data["longest"]) if r.end > r.begin]
        yield {
            "warc_filename": entry["values"],
            "first": first,
            "rows": entry["counts"],
            "bytes": int(lengths.sum()),
            "read": sum(request.end - request.begin for request in asked),
            "requests": len(asked),
            "digest": hashlib.blake2b(offsets.tobytes() + lengths.tobytes(), digest_size=16).hexdigest(),
        }
        first += entry["counts"]


def _digest(*parts: str) -> str:
    """16 hex digits over strings, each with its length before it."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "little") + raw)
    return hashed.hexdigest()
