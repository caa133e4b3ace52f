"""Which records of a Common Crawl a selection means, read from its columnar index: one part file is one unit of work.

The index of a crawl is 300 Parquet files of about 1 GB, sorted by SURT key. Row groups whose statistics rule them out
are not read; of the others the columns that decide come first, and the rest only where a row is left.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from mdfs.collect import urlpatterns
from mdfs.collect.fetch import MissingError, Root
from mdfs.errors import RunError, UsageError
from mdfs.ledger import Row
from mdfs.parts import PartWriter
from mdfs.recipe import CommonCrawl
from mdfs.stage import Job, Run, Unit
from mdfs.storage import locate

STAGE = "collect-select"
#: Selected rows, in runs that are each sorted by file and offset.
FOLDER = "ledger/plan/selected"

#: A selected record. `languages` is "" where none was found.
SELECTED = pa.schema(
    [
        pa.field("warc_filename", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("status", pa.int32(), nullable=False),
        pa.field("languages", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
    ]
)
#: Rows that are sorted in memory at once: about 200 bytes each, so 100 MB.
RUN_ROWS = 500_000
#: Rows of the index that are looked at at once.
_BATCH = 1 << 16
#: Columns without which a file is no index.
_NEEDED = ("url", "warc_filename", "warc_record_offset", "warc_record_length", "fetch_status")
#: Columns that hold few different values; they stay dictionaries, and expressions look at each value once.
_FEW = ["content_languages", "content_mime_detected", "content_mime_type", "warc_filename"]
#: Bytes that a list of index files may have: 900 names take 130 kB.
_MOST_NAMES = 64 << 20


def units(run: Run) -> list[Unit]:
    """One unit an index part file of the recipe's crawl and subset.

    Raises:
        UsageError: there is no such crawl, or a URL pattern is none.
    """
    crawl = run.recipe.commoncrawl
    if crawl.urls:
        urlpatterns.expression(crawl.urls)
    web = crawl.index.startswith(("http://", "https://"))
    parts = _listed(crawl) if web else _found(crawl)
    if not parts:
        raise UsageError(
            f"crawl {crawl.crawl}: {crawl.index} has no index of it, subset {crawl.subset}; ids are on "
            "https://index.commoncrawl.org"
        )
    return [
        Unit(hashlib.blake2b(path.encode(), digest_size=8).hexdigest(), {"path": path, **said}, said.get("size", 0))
        for path, said in sorted(parts.items())
    ]


def _folder(crawl: CommonCrawl) -> str:
    return f"crawl={crawl.crawl}/subset={crawl.subset}/"


def _found(crawl: CommonCrawl) -> dict[str, dict[str, int]]:
    """Part files by path under the index's root, with their size and the moment of their last change."""
    filesystem, base = locate(crawl.index)
    selector = fs.FileSelector(f"{base}/{_folder(crawl)}", recursive=True, allow_not_found=True)
    try:
        infos = filesystem.get_file_info(selector)
    except OSError as error:
        hint = "name another [commoncrawl] index, or https://data.commoncrawl.org/cc-index/table/cc-main/warc"
        raise UsageError(f"{crawl.index}: cannot be listed ({error}); {hint}") from None
    files = [info for info in infos if info.type == fs.FileType.File and info.path.endswith(".parquet")]
    return {info.path.removeprefix(base + "/"): {"size": info.size, "stamp": info.mtime_ns or 0} for info in files}


def _listed(crawl: CommonCrawl) -> dict[str, dict[str, int]]:
    """The same from the list of files that Common Crawl publishes, since a web server shows no folders."""
    root, path = Root(crawl.data), f"crawl-data/{crawl.crawl}/cc-index-table.paths.gz"
    try:
        packed = root.read(path, 0, root.size(path))
    except MissingError:
        return {}
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        lines = file.read(_MOST_NAMES).decode("utf-8", "replace").split()
    inside = (line[line.find("crawl=") :] for line in lines if "crawl=" in line)
    return {path: {} for path in inside if path.startswith(_folder(crawl)) and path.endswith(".parquet")}


def work(job: Job, unit: Unit) -> Row:
    """Write the selected rows of one part file.

    Raises:
        RunError: the part file cannot be read. UsageError: it lacks a column that the selection needs.
    """
    crawl = job.recipe.commoncrawl
    root, path = Root(crawl.index), unit.data["path"]
    runs = _Runs(job, unit)
    try:
        handle = root.open(path)
        metadata = pq.read_metadata(handle)
        few = [name for name in _FEW if name in metadata.schema.names]
        with pq.ParquetFile(handle, metadata=metadata, pre_buffer=True, read_dictionary=few) as file:
            part = _Part(file, crawl)
            for group in range(file.num_row_groups):
                for batch in part.selected(group):
                    runs.add(batch)
    except MissingError as error:
        raise RunError(f"{crawl.index}: {path} is listed and not there ({error}); check [commoncrawl] index") from None
    except pa.ArrowException as error:
        raise RunError(f"{crawl.index}: {path} is no index file ({error}); restore it") from None
    runs.end()
    row = Row(job.stage, unit.id, files=runs.files, bytes_in=root.bytes, facts=dict(part.facts))
    row.docs_in = row.docs_out = runs.rows
    return row


class _Part:
    """One part file: which of its row groups may hold what is wanted, and the rows that are."""

    def __init__(self, file: Any, crawl: CommonCrawl) -> None:
        self.file, self.crawl = file, crawl
        self.columns = set(file.schema_arrow.names)
        self.mime = "content_mime_detected" if "content_mime_detected" in self.columns else "content_mime_type"
        self.surt = urlpatterns.surt_ranges(crawl.urls) if crawl.urls else None
        self.urls = urlpatterns.expression(crawl.urls) if crawl.urls else ""
        self.facts: Counter[str] = Counter(rows=0, measured_rows=0, measured_bytes=0, unusable=0)
        if missing := [name for name in (*_NEEDED, self.mime) if name not in self.columns]:
            raise UsageError(f"{crawl.index}: a part file has no column {missing[0]}; name a Common Crawl index")
        if crawl.languages and "content_languages" not in self.columns:
            raise UsageError(
                f"crawl {crawl.crawl}: its index has no languages (they begin with CC-MAIN-2018-39); leave out "
                "--language and let the recipe's rules decide"
            )

    def selected(self, group: int) -> Iterator[pa.RecordBatch]:
        """The wanted rows of a row group, with `SELECTED`'s columns."""
        self.facts["rows"] += self.file.metadata.row_group(group).num_rows
        if not self._may_hold(group):
            return
        wanted = self._first_look(group)
        if not wanted.any():
            return
        start = 0
        columns = [*_NEEDED, *(["content_languages"] if "content_languages" in self.columns else [])]
        for batch in self._batches(group, columns):
            mask = wanted[start : start + batch.num_rows]
            start += batch.num_rows
            self.facts["measured_rows"] += batch.num_rows
            self.facts["measured_bytes"] += pc.sum(batch.column("warc_record_length")).as_py() or 0
            yield self._usable(batch.filter(pa.array(mask)))

    def _batches(self, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        yield from self.file.iter_batches(_BATCH, row_groups=[group], columns=columns, use_threads=False)

    def _may_hold(self, group: int) -> bool:
        """False where the row group's statistics show that no row of it is wanted."""
        status = self._range(group, "fetch_status")
        if status and self.crawl.status and not any(status[0] <= one <= status[1] for one in self.crawl.status):
            return False
        keys = self._range(group, "url_surtkey")
        if keys and self.surt is not None:
            return any(low <= keys[1] and keys[0] < high for low, high in self.surt)
        return True

    def _range(self, group: int, column: str) -> tuple[Any, Any] | None:
        if column not in self.columns:
            return None
        index = self.file.schema.names.index(column)
        statistics = self.file.metadata.row_group(group).column(index).statistics
        return (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else None

    def _first_look(self, group: int) -> NDArray[np.bool_]:
        """bool[rows]: what status, languages and MIME type leave, before URLs are looked at."""
        crawl = self.crawl
        tests: dict[str, Any] = {}
        if crawl.status:
            tests["fetch_status"] = lambda column: pc.is_in(column, pa.array(crawl.status, column.type))
        if crawl.languages:
            names = "|".join(crawl.languages)
            found = f"^(?:{names})(?:,|$)" if crawl.first_language_only else f"(?:^|,)(?:{names})(?:,|$)"
            tests["content_languages"] = lambda column: _matches(column, found)
        if crawl.mime:
            types = "|".join(re.escape(one).replace(r"\*", ".*") for one in crawl.mime)
            tests[self.mime] = lambda column: _matches(column, f"^(?:{types})$")
        if not tests:
            return np.ones(self.file.metadata.row_group(group).num_rows, np.bool_)
        return np.concatenate([_all(batch, tests) for batch in self._batches(group, list(tests))])

    def _usable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows whose URL fits and which say where a record is. A name that leads out of the root is none."""
        url = pc.fill_null(batch.column("url"), "")
        keep = pc.match_substring_regex(url, self.urls) if self.urls else pa.array([True] * len(url), pa.bool_())
        names = _plain(batch.column("warc_filename"))
        offset, length = (batch.column(f"warc_record_{what}").cast(pa.int64()) for what in ("offset", "length"))
        named = pc.invert(pc.match_substring_regex(names, r"^$|^/|//|(?:^|/)\.\.?(?:/|$)|[\\\x00-\x1f]"))
        named = pc.and_(named, pc.less(pc.binary_length(names), 1024))
        said = pc.and_(named, pc.and_(pc.greater_equal(offset, 0), pc.greater(length, 0)))
        good = pc.fill_null(pc.and_(keep, said), False)
        self.facts["unusable"] += (pc.sum(keep).as_py() or 0) - (pc.sum(good).as_py() or 0)
        languages = _plain(batch.column("content_languages")) if "content_languages" in self.columns else None
        columns = [
            pc.fill_null(names, ""),
            offset,
            length,
            pc.fill_null(batch.column("fetch_status").cast(pa.int32()), 0),
            pa.array([""] * len(url)) if languages is None else pc.fill_null(languages, ""),
            url,
        ]
        return pa.RecordBatch.from_arrays([column.filter(good) for column in columns], schema=SELECTED)


def _all(batch: pa.RecordBatch, tests: dict[str, Any]) -> NDArray[np.bool_]:
    found = np.ones(batch.num_rows, np.bool_)
    for name, test in tests.items():
        found &= pc.fill_null(test(batch.column(name)), False).to_numpy(zero_copy_only=False)
    return found


def _matches(column: pa.Array, expression: str) -> pa.Array:
    """Which values match, each different value looked at once; null where there is none."""
    if not pa.types.is_dictionary(column.type):
        return pc.match_substring_regex(column, expression)
    return pc.match_substring_regex(column.dictionary, expression).take(column.indices)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


class _Runs:
    """Selected rows of one unit, written as sorted runs of bounded length."""

    def __init__(self, job: Job, unit: Unit) -> None:
        self.job, self.unit = job, unit
        self.most = job.recipe.commoncrawl.max_records
        self.files: list[Any] = []
        self.rows = 0
        self._batches: list[pa.RecordBatch] = []
        self._pending = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows in; a full run is cut down to what `max_records` can leave of it, or else written."""
        self._batches.append(batch)
        self._pending += batch.num_rows
        if self._pending >= RUN_ROWS:
            self._cut()
            if self._pending >= RUN_ROWS // 2:
                self._write()

    def end(self) -> None:
        """Write what is left."""
        self._cut()
        self._write()

    def _cut(self) -> None:
        if 0 < self.most < self._pending:
            table = pa.Table.from_batches(self._batches, SELECTED)
            kept = table.take(pa.array(np.argsort(ranks(table), kind="stable")[: self.most]))
            self._batches, self._pending = kept.to_batches(), kept.num_rows

    def _write(self) -> None:
        table = pa.Table.from_batches(self._batches, SELECTED)
        table = table.sort_by([("warc_filename", "ascending"), ("offset", "ascending")])
        path = f"{FOLDER}/{self.unit.id}-{len(self.files):04}.parquet"
        with PartWriter(self.job.store, path, SELECTED, kind="work") as part:
            for batch in table.to_batches():
                part.write(batch)
        self.files += part.files
        self.rows += table.num_rows
        self._batches, self._pending = [], 0


def ranks(rows: pa.Table | pa.RecordBatch) -> NDArray[np.uint64]:
    """uint64[n]: an even spread over all numbers that depends on a record's file and offset alone.

    A hash of the file's name and the offset, mixed as in SplitMix64 (Steele, Lea, Flood 2014). The records with the
    smallest ranks are a fair sample, and the same one whatever the order of the index and the number of workers.
    """
    names = rows.column("warc_filename")
    encoded = (names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names).dictionary_encode()
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in encoded.dictionary.to_pylist()]
    keys = np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)
    mixed = rows.column("offset").to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += keys[encoded.indices.to_numpy()]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result
