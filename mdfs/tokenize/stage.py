"""Tokenizing: kept documents to shards, a group of part files of one source at a time."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from mdfs import parts
from mdfs.ledger import File, Row
from mdfs.pool import heartbeat
from mdfs.schema import SHARD
from mdfs.stage import Job, Run, Stage, Unit
from mdfs.tokenize import tokenizer
from mdfs.tokenize.shards import ShardWriter

#: UTF-8 bytes of Chinese text in a token, for planning only: 4 to 6 with the starter.
BYTES_PER_TOKEN = 4

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MARKED = re.compile(r".*-[0-9a-f]{8}")


def run(run: Run) -> None:
    """One unit for each group of part files that fill about one shard."""
    kept = run.files("classify", "kept")
    run.map("tokenize", work, units(kept, run.recipe.tokenize.shard_tokens), ("shards",))


def units(files: Iterable[File], shard_tokens: int) -> list[Unit]:
    """Group part files, source by source in the order of their paths, into units of about `shard_tokens` at most.

    A part file that is larger is a unit by itself and gives several shards.
    """
    grouped: list[list[File]] = []
    for _, of_source in itertools.groupby(sorted(files, key=lambda f: (f.source, f.path)), lambda f: f.source):
        room = 0
        for file in of_source:
            if file.text_bytes > room or room == 0:
                grouped.append([])
                room = shard_tokens * BYTES_PER_TOKEN
            grouped[-1].append(file)
            room = max(0, room - file.text_bytes)
    return [_unit(group) for group in grouped]


def work(job: Job, unit: Unit) -> Row:
    """Tokenize a unit's part files into shards/<folder of the source>/."""
    row = Row(job.stage, unit.id)
    options = job.recipe.tokenize
    encoder = _tokenizer(job.recipe.path(options.tokenizer), options.eod)
    source = unit.data["source"]
    with ShardWriter(job.store, f"shards/{folder(source)}/{unit.id}", source, options.shard_tokens) as shards:
        for part in unit.data["parts"]:
            for batch in parts.read_part(job.store, part["path"], ["doc_id", "text"]):
                texts = batch.column("text")
                lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype("int64")
                encoded = pa.RecordBatch.from_arrays([batch.column("doc_id"), encoder.encode(texts)], schema=SHARD)
                shards.write(encoded, lengths)
                row.docs_in += batch.num_rows
                row.bytes_in += int(lengths.sum())
                heartbeat.did(docs=batch.num_rows, bytes=int(lengths.sum()))
    row.docs_out = row.docs_in
    row.files = shards.files
    return row


def folder(source: str) -> str:
    """A folder's name for a source: its own where that is plain, else what is plain in it and 8 hex digits of its
    SHA-256, so that no two sources share a folder, on file systems that fold case either."""
    if _PLAIN.fullmatch(source) and not _MARKED.fullmatch(source):
        return source
    plain = re.sub(r"[^\w-]+", "_", source.lower())[:40].strip("_")
    return f"{plain or 'source'}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def _unit(group: list[File]) -> Unit:
    first = group[0]
    mark = hashlib.blake2b(f"{first.source}\0{first.path}".encode(), digest_size=4).hexdigest()
    data = {"source": first.source, "parts": [{"path": file.path, "sha256": file.sha256} for file in group]}
    stem = re.sub(r"[^\w.-]", "_", PurePosixPath(first.path).stem)[:60]
    return Unit(f"{stem}-{mark}", data, sum(file.text_bytes for file in group))


@functools.lru_cache(maxsize=2)
def _tokenizer(name_or_path: str, eod: str) -> tokenizer.Tokenizer:
    """The tokenizer, loaded once a worker."""
    return tokenizer.load(name_or_path, eod)


STAGE = Stage(
    name="tokenize",
    needs=("doc_id", "text"),
    adds=(),
    run=run,
    help="Write token shards and the manifest.",
)
