"""Tokenizing: kept documents to shards, a group of part files of one source at a time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mdfs import parts
from mdfs.ledger import File, Row
from mdfs.pool import heartbeat
from mdfs.recipe import Tokenize
from mdfs.schema import SHARD
from mdfs.stage import Job, Run, Stage, Unit
from mdfs.storage import Store
from mdfs.tokenize import tokenizer
from mdfs.tokenize.shards import ShardWriter

#: UTF-8 bytes of Chinese text in a token, for planning only: 4 to 6 with the starter.
BYTES_PER_TOKEN = 4
#: The language of documents without letters: ISO 639-2's code for undetermined.
UNKNOWN = "und"

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
    """Tokenize a unit's part files into shards/<folder of the source>/, or the folders of languages in it."""
    row = Row(job.stage, unit.id)
    options = job.recipe.tokenize
    encoder = _tokenizer(job.recipe.path(options.tokenizer), options.eod)
    columns = ["doc_id", "text", *(["signals.lang"] if options.partition_by_language else [])]
    with Writers(job.store, unit, options) as writers:
        for part in unit.data["parts"]:
            for batch in parts.read_part(job.store, part["path"], columns):
                texts = batch.column("text")
                lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype("int64")
                encoded = pa.RecordBatch.from_arrays([batch.column("doc_id"), encoder.encode(texts)], schema=SHARD)
                writers.write(encoded, lengths, _languages(batch) if options.partition_by_language else None)
                row.docs_in += batch.num_rows
                row.bytes_in += int(lengths.sum())
                heartbeat.did(docs=batch.num_rows, bytes=int(lengths.sum()))
    row.docs_out = row.docs_in
    row.files = writers.files()
    return row


class Writers(contextlib.ExitStack):
    """A unit's shards: one `ShardWriter` for each language, or a single one where the recipe does not part them.

    Each holds a row group at most, and there are as many as scripts and the recipe's model tell languages apart.
    """

    def __init__(self, store: Store, unit: Unit, options: Tokenize) -> None:
        super().__init__()
        self._store, self._unit, self._options = store, unit, options
        self._writers: dict[str, ShardWriter] = {}

    def write(self, batch: pa.RecordBatch, text_bytes: np.ndarray, languages: pa.Array | None) -> None:
        """Append documents (`schema.SHARD`), their UTF-8 lengths (int64) and languages (strings, none where all are
        in one writer)."""
        if languages is None:
            self._of("").write(batch, text_bytes)
            return
        for language in sorted(pc.unique(languages).to_pylist()):
            here = pc.equal(languages, language)
            self._of(language).write(batch.filter(here), text_bytes[here.to_numpy(zero_copy_only=False)])

    def files(self) -> list[File]:
        """The shards, language by language."""
        return [file for language in sorted(self._writers) for file in self._writers[language].files]

    def _of(self, language: str) -> ShardWriter:
        if language not in self._writers:
            source = self._unit.data["source"]
            place = "/".join([folder(source), *([f"lang={folder(language)}"] if language else [])])
            writer = ShardWriter(
                self._store, f"shards/{place}/{self._unit.id}", source, self._options.shard_tokens, language
            )
            self._writers[language] = self.enter_context(writer)
        return self._writers[language]


def _languages(batch: pa.RecordBatch) -> pa.Array:
    """The documents' languages, `und` where nothing could be said."""
    return pc.fill_null(pc.struct_field(batch.column("signals"), "lang"), UNKNOWN)


def folder(source: str) -> str:
    """A folder's name for a source or a language: its own where that is plain, else what is plain in it and 8 hex
    digits of its SHA-256, so that no two of them share a folder, on file systems that fold case either."""
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
    needs=("doc_id", "text", "signals"),
    adds=(),
    run=run,
    help="Write token shards and the manifest.",
)
