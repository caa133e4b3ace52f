"""A small finished run's folder, made by the stages' own writers without collecting anything."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from mdfs import manifest, schema
from mdfs.ledger import File, Ledger, Row
from mdfs.parts import PartWriter
from mdfs.progress import Progress
from mdfs.recipe import Recipe, Tokenize
from mdfs.stage import Job, Run, Unit, Work
from mdfs.storage import Store
from mdfs.tokenize.stage import STAGE

KEPT = pa.schema([*schema.DOCUMENT, schema.DROP_REASONS])


class Inline:
    """An engine that does units here, in the order given or its reverse."""

    name = "inline"

    def __init__(self, *, backwards: bool = False) -> None:
        self.backwards = backwards

    def map(self, work: Work, job: Job, units: Sequence[Unit], **_: Any) -> Iterator[Row]:
        for unit in reversed(units) if self.backwards else units:
            yield work(job, unit)


def doc_id(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def documents(source: str, texts: Sequence[str], salt: object = "", reasons: Sequence[str] = ()) -> pa.RecordBatch:
    rows = [
        {"doc_id": doc_id(source, salt, i), "source": source, "source_key": "", "url": "", "fetched_at": None,
         "title": "", "text": text, "meta": [], "drop_reasons": list(reasons)}
        for i, text in enumerate(texts)
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=KEPT)


def write(store: Store, path: str, kind: str, source: str, batch: pa.RecordBatch) -> list[File]:
    with PartWriter(store, path, batch.schema, kind=kind, source=source) as part:
        part.write(batch)
    return part.files


def commit(store: Store, stage: str, unit: str, docs_in: int, files: list[File], **counts: Any) -> int:
    row = Row(stage, unit, files=files, docs_in=docs_in, **counts)
    row.docs_out = docs_in - row.docs_dropped - row.quarantined
    Ledger(store).commit(row)
    return row.docs_out


def fill(
    store: Store, unit: str, source: str, texts: Sequence[str], languages: Sequence[str | None] | None = None
) -> None:
    """One part's way through collect, rules, dedup and classify: `texts` are kept; a few more are lost on the way.

    `languages` are those of the kept texts, in the column `signals` of what classify kept; no such column without.
    """
    name = f"{unit}.parquet"
    kept = documents(source, texts, unit)
    short = documents(source, ["短", "短"], (unit, "short"), ["length.min", "han_ratio.min"])
    advert = documents(source, ["加微信"], (unit, "advert"), ["label.ad"])
    copied = documents(source, ["转载"], (unit, "copied"))
    lost = [
        ("collect", source, "a.warc", str(place), "", "", disposition, reason, "")
        for place, (disposition, reason) in enumerate([("quarantined", "truncated"), ("dropped", "not_text")])
    ]
    lost_batch = pa.RecordBatch.from_arrays(
        [pa.array(c, pa.string()) for c in zip(*lost, strict=True)], schema=schema.QUARANTINE
    )
    every = pa.concat_batches([kept, short, advert, copied])
    files = write(store, f"collect/{name}", "kept", source, every.select(schema.DOCUMENT.names))
    files += write(store, f"quarantine/{name}", "quarantine", source, lost_batch)
    counts: dict[str, Any] = {
        "dropped": {"not_text": 1},
        "quarantine_reasons": {"truncated": 1},
        "skipped": {"warcinfo": 1},
    }
    left = commit(store, "collect", unit, every.num_rows + 2, files, docs_dropped=1, quarantined=1, **counts)
    clean = pa.concat_batches([kept, advert, copied])
    clean = clean.set_column(8, schema.DROP_REASONS, pa.array([[]] * clean.num_rows, schema.DROP_REASONS.type))
    files = write(store, f"rules/kept/{name}", "kept", source, clean)
    files += write(store, f"rules/dropped/{name}", "dropped", source, short)
    left = commit(store, "rules", unit, left, files, docs_dropped=2, dropped={"length.min": 2, "han_ratio.min": 2})
    pairs = [
        {"doc_id": copy, "duplicate_of": doc_id("first"), "kind": "exact", "similarity": 1.0}
        for copy in copied["doc_id"].to_pylist()
    ]
    copies = pa.RecordBatch.from_pylist(pairs, schema=schema.DUPLICATE)
    files = write(store, f"dedup/duplicates/{name}", "duplicates", source, copies)
    left = commit(store, "dedup", unit, left, files, docs_dropped=1, dropped={"exact": 1})
    if languages is not None:
        signals = pa.StructArray.from_arrays([pa.array(languages, pa.string())], ["lang"])
        kept = kept.append_column("signals", signals)
    files = write(store, f"classify/kept/{name}", "kept", source, kept)
    files += write(store, f"classify/dropped/{name}", "dropped", source, advert)
    commit(store, "classify", unit, left, files, docs_dropped=1, dropped=dict(Counter({"label.ad": 1})))


def run_over(store: Store, shard_tokens: int = 1000, *, backwards: bool = False, partition: bool = False) -> Run:
    options = Tokenize(shard_tokens=shard_tokens, partition_by_language=partition)
    recipe = Recipe("small", title="A small run", tokenize=options)
    return Run(store, recipe, Inline(backwards=backwards), Progress(quiet=True))


def finish(
    store: Store, shard_tokens: int = 1000, *, backwards: bool = False, partition: bool = False
) -> dict[str, Any]:
    """Tokenize what classify kept and write the manifest."""
    run = run_over(store, shard_tokens, backwards=backwards, partition=partition)
    STAGE.run(run)
    return manifest.write(run)


def corpus(store: Store, parts: dict[str, list[list[str]]], shard_tokens: int = 1000) -> dict[str, Any]:
    """A finished run's folder from source → parts → texts."""
    for source, of_source in parts.items():
        for number, texts in enumerate(of_source):
            fill(store, f"part-{doc_id(source)[:6]}-{number:04d}", source, texts)
    return finish(store, shard_tokens)


def texts(count: int, salt: str = "") -> list[str]:
    """Texts of different lengths, each with its own number in it."""
    return [f"第{salt}{i}篇。" + "山高月小，水落石出。" * (i % 7) for i in range(count)]
