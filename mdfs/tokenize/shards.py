"""Shard files: one row a document, row groups of bounded size, closed at so many tokens; and what they contain.

The digest of a shard's content is a sum over its documents, so it does not depend on their order, and the sums of two
shards add up to the sum of both: what a corpus contains is told without regard to how it was cut into files.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs.ledger import File
from mdfs.schema import SHARD, conform
from mdfs.storage import Sink, Store

#: Tokens in a row group (4 MB), but for a single document that is longer. A reader holds some of these at once and
#: shuffles within them; the ranks of a training job share them out.
GROUP_TOKENS = 1 << 20
#: Documents in a row group, for sources of very short ones.
GROUP_ROWS = 1 << 14
#: zstd level 3. Ids are stored plainly: 1.8 bytes a token, read at 70 million tokens a second; dictionaries gave the
#: same size at half the speed of writing. BYTE_STREAM_SPLIT gave 1.6 bytes, but Spark 4.2 cannot read it.
ZSTD_LEVEL = 3
#: Sums of contents are taken modulo 2^256.
MODULUS = 1 << 256


class ShardWriter:
    """Writes consecutive shards `<stem>-0000.parquet`, `<stem>-0001.parquet` …; `files` holds one `File` for each.

    A shard is closed before the document with which it would hold more than `shard_tokens`; a longer document stands
    alone. A block that ends in an error leaves only shards that were closed before it (no ledger row names them).
    `language` is that of all documents, "" where they are not partitioned by it.
    """

    def __init__(self, store: Store, stem: str, source: str, shard_tokens: int, language: str = "") -> None:
        self._store, self._stem, self._limit = store, stem, shard_tokens
        self._source, self._language = source, language
        self._shard: _Shard | None = None
        self._tokens = 0
        self.files: list[File] = []

    def write(self, batch: pa.RecordBatch, text_bytes: np.ndarray) -> None:
        """Append documents (`schema.SHARD`); `text_bytes` (int64, one a row) are the UTF-8 lengths of their texts."""
        batch = conform(batch, SHARD)
        ends = np.cumsum(list_lengths(batch.column("input_ids")))
        start = 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + self._limit - self._tokens, side="right"))
            if stop <= start and self._tokens:
                self._close()
                continue
            stop = max(stop, start + 1)
            self._open().write(batch.slice(start, stop - start), int(text_bytes[start:stop].sum()))
            self._tokens += int(ends[stop - 1]) - before
            start = stop

    def _open(self) -> _Shard:
        if self._shard is None:
            path = f"{self._stem}-{len(self.files):04d}.parquet"
            self._shard = _Shard(self._store, path, self._source, self._language)
        return self._shard

    def _close(self) -> None:
        if self._shard is not None:
            self.files.append(self._shard.finish())
            self._shard, self._tokens = None, 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
        elif self._shard is not None:
            self._shard.abandon(kind, error, trace)


def without(store: Store, file: File, ids: pa.Array, text_bytes: int) -> File | None:
    """Write a shard anew, in its place, without some documents.

    Args:
        store: of the run. `file`: the shard's entry in the ledger.
        ids: of documents, string. `text_bytes`: UTF-8 bytes of the texts of those that are in this shard.

    Returns:
        The new entry, or None where nothing is left, and then the file is gone.
    """
    shard = _Shard(store, file.path, file.source, file.language)
    try:
        rows = 0
        with store.open(file.path) as handle, pq.ParquetFile(handle) as parquet:
            for group in range(parquet.num_row_groups):
                for batch in parquet.read_row_group(group, use_threads=False).combine_chunks().to_batches():
                    stays = conform(batch.filter(pc.invert(pc.is_in(batch.column("doc_id"), ids))), SHARD)
                    rows += stays.num_rows
                    if stays.num_rows:
                        shard.write(stays, 0)
        if not rows:
            raise _NothingLeftError
    except BaseException as error:
        shard.abandon(type(error), error, error.__traceback__)
        if isinstance(error, _NothingLeftError):
            store.delete(file.path)
            return None
        raise
    return replace(shard.finish(), text_bytes=file.text_bytes - text_bytes)


class _NothingLeftError(Exception):
    """All documents of a shard go."""


class _Shard:
    """One file in the making; holds the documents of one row group."""

    def __init__(self, store: Store, path: str, source: str, language: str) -> None:
        self._path, self._source, self._language = path, source, language
        self._stack = contextlib.ExitStack()
        self._sink: Sink = self._stack.enter_context(store.create(path))
        self._writer: Any = self._stack.enter_context(
            pq.ParquetWriter(self._sink, SHARD, compression="zstd", compression_level=ZSTD_LEVEL, use_dictionary=False)
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_tokens = 0
        self._rows = self._tokens = self._text_bytes = self._content = 0

    def write(self, batch: pa.RecordBatch, text_bytes: int) -> None:
        """Append documents."""
        self._rows += batch.num_rows
        self._text_bytes += text_bytes
        self._content = (self._content + content(batch)) % MODULUS
        for piece in _pieces(batch):
            tokens = int(list_lengths(piece.column("input_ids")).sum())
            self._tokens += tokens
            if self._pending_rows + piece.num_rows > GROUP_ROWS or self._pending_tokens + tokens > GROUP_TOKENS:
                self._flush()
            self._pending.append(piece)
            self._pending_rows += piece.num_rows
            self._pending_tokens += tokens

    def finish(self) -> File:
        """Put the file in place."""
        self._flush()
        self._stack.close()
        written = self._sink.written()
        return File(
            self._path, "shard", self._rows, written.bytes, written.sha256, self._source, self._text_bytes,
            tokens=self._tokens, content=f"{self._content:064x}", language=self._language,
        )  # fmt: skip

    def abandon(self, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave no file."""
        self._stack.__exit__(kind, error, trace)

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=SHARD)
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._pending, self._pending_rows, self._pending_tokens = [], 0, 0


def content(batch: pa.RecordBatch) -> int:
    """Sum modulo 2^256, over the rows of a shard's batch, of BLAKE2b-256(doc_id in ASCII, input_ids as little-endian
    uint32), each digest read as a big-endian number. The order of rows does not matter; a row twice counts twice."""
    lists = batch.column("input_ids")
    ids = np.ascontiguousarray(lists.values.to_numpy(zero_copy_only=False), dtype="<u4")
    offsets = lists.offsets.to_numpy()
    summed = 0
    for row, doc_id in enumerate(batch.column("doc_id").to_pylist()):
        hasher = hashlib.blake2b(doc_id.encode(), digest_size=32)
        hasher.update(ids[offsets[row] : offsets[row + 1]].data)
        summed += int.from_bytes(hasher.digest(), "big")
    return summed % MODULUS


def list_lengths(lists: pa.ListArray) -> np.ndarray:
    """Tokens of each row, int64."""
    lengths: np.ndarray = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    return lengths


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices that fit a row group each: halved until they do or hold one document."""
    tokens = int(list_lengths(batch.column("input_ids")).sum())
    if batch.num_rows > 1 and (batch.num_rows > GROUP_ROWS or tokens > GROUP_TOKENS):
        middle = batch.num_rows // 2
        yield from _pieces(batch.slice(0, middle))
        yield from _pieces(batch.slice(middle))
    else:
        yield batch
