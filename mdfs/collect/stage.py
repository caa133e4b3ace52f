"""The stage: every input file is one unit of work and gives part files of documents and a file of what gave none.

Records of a Common Crawl that the recipe selects are units beside the files; `mdfs/collect/crawlplan.py` makes them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from mdfs.collect import crawlplan, fetch, mojibake, ranges, readers, streams
from mdfs.collect.documents import (
    Batcher,
    BrokenFileError,
    Document,
    Dropped,
    Outcome,
    Pending,
    Quarantined,
    Skipped,
    quarantine_batch,
    utf8,
)
from mdfs.collect.readers import mediawiki
from mdfs.errors import RunError, UsageError
from mdfs.ledger import File, Row
from mdfs.parts import GROUP_ROWS, PartWriter
from mdfs.pool import heartbeat
from mdfs.recipe import Collect
from mdfs.schema import DOCUMENT, QUARANTINE
from mdfs.stage import Job, Run, Stage, Unit
from mdfs.storage import InputFile, Store, locate

#: A text of these alone is none: what str.strip takes, and marks that show nothing.
_BLANK = "\0\ufeff\u200b\u2028\u2029\x85\x1c\x1d\x1e\x1f\u3000\xa0 \t\r\n\v\f"

_KILLED = "the process that read it died or stood still"


def run(run: Run) -> None:
    """Collect every input file, and every part of the recipe's crawl, that the ledger lacks."""
    plan = crawlplan.prepare(run)
    everything = [*units(run), *crawlplan.units(run, plan)]
    run.map("collect", work, everything, ("collect", "quarantine"), isolated=True)


def units(run: Run) -> list[Unit]:
    """One unit a file, named after its source and path, so that it is the same wherever the input lies.

    Raises:
        UsageError: two files have the same source and path, or a reader that the recipe forces does not exist.
    """
    seen: dict[str, InputFile] = {}
    found = []
    for file in run.inputs:
        first, *others = _units(run, file)
        if other := seen.get(first.id):
            raise UsageError(
                f"inputs {other.uri} and {file.uri} are both {file.path!r} of source {file.source!r}: their documents "
                "would get the same ids; rename one of the two, or tell them apart with `[[source]] name`"
            )
        seen[first.id] = file
        found += [first, *others]
    return found


def _units(run: Run, file: InputFile) -> list[Unit]:
    """The unit of a file; several, of a range of bytes each, where its reader can begin in the middle."""
    said = run.recipe.source_of(f"{file.input}/{file.path}")
    if said.reader:
        readers.named(said.reader)
    data = dataclasses.asdict(file) | {"reader": said.reader, "fields": said.fields}
    if not (mediawiki.is_multistream(file.path) and file.size > mediawiki.RANGE_BYTES and not said.reader):
        return [Unit(unit_id(file.source, file.path), data, cost=file.size)]
    found = []
    for begin in range(0, file.size, mediawiki.RANGE_BYTES):
        end = min(begin + mediawiki.RANGE_BYTES, file.size)
        piece = data | {"begin": begin, "end": end, "size": end - begin}
        found.append(Unit(unit_id(file.source, f"{file.path}\0{begin}"), piece, cost=end - begin))
    return found


def unit_id(source: str, path: str) -> str:
    """16 hex digits of the BLAKE2b of source and path, lengths before each."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in (source, path):
        raw = part.encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "little") + raw)
    return hashed.hexdigest()


def work(job: Job, unit: Unit) -> Row:
    """Read one file, or the planned ranges of some.

    Raises:
        RunError: the storage that holds it failed; what is wrong with its content becomes quarantine rows.
    """
    if "plan" in unit.data:
        return _ranges(job, unit)
    uri = unit.data["uri"]
    filesystem, path = locate(uri)
    with filesystem.open_input_file(path) as file:
        source = streams.Source(file)
        try:
            with _Output(job.store, unit, job.recipe.collect) as output:
                for outcome in outcomes(source, unit, job.recipe.collect):
                    output.take(outcome)
        except OSError as error:
            if source.error:
                raise RunError(f"{uri}: cannot be read ({error}); run again when the storage answers") from error
            raise
    return output.row(job.stage)


def _ranges(job: Job, unit: Unit) -> Row:
    """Read the selected records of some archives."""
    root, limits, skip = fetch.Root(job.recipe.commoncrawl.data), job.recipe.collect, frozenset(unit.skip)
    with _Output(job.store, unit, limits) as output:
        for record in ranges.records(job, unit, root):
            heartbeat.at(record.number)
            output.turn_to(record.path)
            for outcome in _of_range(record, limits, killed=record.number in skip):
                output.take(outcome)
            heartbeat.did(docs=1, bytes=len(record.data))
        heartbeat.idle()
    row = output.row(job.stage)
    row.bytes_in, row.facts = root.bytes, {"requests": root.requests}
    return row


def _of_range(record: ranges.Record, limits: Collect, *, killed: bool) -> Iterator[Outcome]:
    """What a record by itself gives, with places as in the whole archive, so that document ids are the same."""
    if killed or record.problem:
        reason, detail = ("killed_worker", _KILLED) if killed else (record.problem, record.detail)
        yield Quarantined(str(record.offset), reason, detail, record.url)
        return
    source = streams.Source(io.BytesIO(record.data))
    compression = "gzip" if record.data.startswith(b"\x1f\x8b") else ""
    items = _guarded(readers.named("warc").read(source, readers.Context(record.path, compression, {}, limits)), source)
    found = False
    for item in items:
        outcome = _looked_into(item, killed=False)
        found = True
        if not isinstance(outcome, Skipped):
            outcome = outcome._replace(place=_moved(outcome.place, record.offset))
        yield outcome
    if not found:
        yield Quarantined(str(record.offset), "no_record", "no WARC record stands there", record.url)


def _moved(place: str, offset: int) -> str:
    """A place in a range as the place in the file in which the range begins at `offset`."""
    return re.sub(r"\d+", lambda found: str(int(found[0]) + offset), place, count=1)


def outcomes(source: streams.Source, unit: Unit, limits: Collect) -> Iterator[Outcome]:
    """What each record of a file gives, in order. Says at which record it is, and how far it has come."""
    data = unit.data
    head = streams.look(source)
    reader = None if head.problem else readers.for_file(data["path"], head.inside, data.get("reader", ""))
    if reader is None:
        reason = "broken_compression" if head.problem else "no_reader"
        yield Quarantined("0", reason, head.problem or ("no known kind of file" if head.inside.strip() else "empty"))
        return
    context = readers.Context(
        data["path"], head.compression, data.get("fields", {}), limits, data.get("begin", 0), data.get("end", 0)
    )
    skip, at = frozenset(unit.skip), context.begin
    items = _guarded(reader.read(source, context), source)
    for ordinal, item in enumerate(_announced(items)):
        yield _looked_into(item, killed=ordinal in skip)
        before, at = at, max(at, source.tell())
        heartbeat.did(docs=1, bytes=at - before)


def _announced(items: Iterator[Pending | Outcome]) -> Iterator[Pending | Outcome]:
    """The items, each after saying that it is worked on, its reading included."""
    ordinal = 0
    heartbeat.at(ordinal)
    for item in items:
        yield item
        ordinal += 1
        heartbeat.at(ordinal)


def _guarded(items: Iterator[Pending | Outcome], source: streams.Source) -> Iterator[Pending | Outcome]:
    """The items; what a reader raises becomes one quarantine row for the rest of the file."""
    place = "0"
    try:
        for item in items:
            place = getattr(item, "place", place)
            yield item
    except BrokenFileError as error:
        broken = Quarantined(error.place or f"after {place}", error.reason, error.detail)
    except Exception as error:  # noqa: BLE001  (files are written by strangers; storage errors are told apart below)
        broken = Quarantined(f"after {place}", "broken_file", f"{type(error).__name__}: {error}")
    else:
        return
    if source.error:
        raise source.error
    yield broken


def _looked_into(item: Pending | Outcome, *, killed: bool) -> Outcome:
    """The outcome of a record; what looking into it raises is the record's fault."""
    if not isinstance(item, Pending):
        return item
    if killed:
        return Quarantined(item.place, "killed_worker", _KILLED)
    try:
        return item.work()
    except Exception as error:  # noqa: BLE001  (a record is written by a stranger; it costs one row, not the run)
        return Quarantined(item.place, "unreadable", f"{type(error).__name__}: {error}")


class _Output:
    """The files that one unit writes, and its counts. A context: after an error nothing that is unfinished stays."""

    def __init__(self, store: Store, unit: Unit, limits: Collect) -> None:
        self.store, self.unit, self.limits = store, unit, limits
        self.source, self.path = unit.data["source"], unit.data["path"]
        self._batcher = Batcher(self.source, self.path)
        self._part: PartWriter | None = None
        self._parts = self._rows = self._text = self._out = 0
        self._without: list[Dropped | Quarantined] = []
        self._rest = PartWriter(
            store, f"quarantine/collect-{unit.id}.parquet", QUARANTINE, kind="quarantine", source=self.source
        )
        self._counts: dict[type, Counter[str]] = {Dropped: Counter(), Quarantined: Counter(), Skipped: Counter()}
        self._files: list[File] = []

    def turn_to(self, path: str) -> None:
        """What comes next is of another file of the source."""
        if path != self.path:
            self._write_without()
            self.path = self._batcher.path = path

    def take(self, outcome: Outcome) -> None:
        """Write or count one outcome."""
        outcome = _checked(outcome, self.limits)
        if isinstance(outcome, Document):
            self._write(outcome)
        elif isinstance(outcome, Skipped):
            self._counts[Skipped][outcome.kind] += 1
        else:
            self._counts[type(outcome)][outcome.reason] += 1
            self._without.append(outcome)
            if len(self._without) >= GROUP_ROWS:
                self._write_without()

    def row(self, stage: str) -> Row:
        """What was done, once the context is left."""
        counts = {kind: dict(sorted(counter.items())) for kind, counter in self._counts.items()}
        dropped, broken = sum(counts[Dropped].values()), sum(counts[Quarantined].values())
        row = Row(stage, self.unit.id, files=self._files, bytes_in=self.unit.data["size"])
        row.docs_in, row.docs_out = self._out + dropped + broken, self._out
        row.docs_dropped, row.dropped = dropped, counts[Dropped]
        row.quarantined, row.quarantine_reasons = broken, counts[Quarantined]
        row.skipped = counts[Skipped]
        return row

    def __enter__(self) -> Self:
        self._rest.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end_part()
            self._write_without()
        elif self._part is not None:
            self._part.__exit__(kind, error, trace)
        self._rest.__exit__(kind, error, trace)
        self._files += self._rest.files

    def _write(self, document: Document) -> None:
        for batch in self._batcher.add(document):
            self._writer().write(batch)
        self._out += 1
        self._rows += 1
        self._text += len(utf8(document.text))
        if self._rows >= self.limits.part_documents or self._text >= self.limits.part_bytes:
            self._end_part()

    def _writer(self) -> PartWriter:
        """The part that is being written, begun if there is none."""
        if self._part is None:
            path = f"collect/part-{self.unit.id}-{self._parts:04}.parquet"
            self._part = PartWriter(self.store, path, DOCUMENT, kind="kept", source=self.source).__enter__()
            self._parts += 1
        return self._part

    def _end_part(self) -> None:
        for batch in self._batcher.rest():
            self._writer().write(batch)
        part, self._part = self._part, None
        self._rows = self._text = 0
        if part is not None:
            part.__exit__(None, None, None)
            self._files += part.files

    def _write_without(self) -> None:
        self._rest.write(quarantine_batch(self.source, self.path, self._without))
        self._without = []


def _checked(outcome: Outcome, limits: Collect) -> Outcome:
    """The outcome; a document is looked at: whether it has text, how much, and whether it is what was written."""
    if not isinstance(outcome, Document):
        return outcome
    said = (outcome.url, outcome.source_key)
    if len(outcome.text) > limits.max_text_chars:
        return Quarantined(outcome.place, "text_too_long", f"{len(outcome.text)} characters", *said)
    if not outcome.text.strip(_BLANK):
        return Dropped(outcome.place, "no_text", "", *said)
    text, way = mojibake.repaired(outcome.text)
    if mojibake.is_garbled(text):
        return Quarantined(outcome.place, "garbled", text[:100], *said)
    if not way:
        return outcome
    title = mojibake.repaired(outcome.title)[0]
    return outcome._replace(text=text, title=title, meta=outcome.meta | {"repaired": way})


STAGE = Stage(
    name="collect",
    needs=(),
    adds=tuple(DOCUMENT),
    run=run,
    help="Read web archives, dumps, books and tables into documents.",
)
