"""Files as readers see them: decompressed as they are read, never as a whole, and what they are told by content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow as pa

from mdfs.collect.documents import BrokenFileError
from mdfs.pool import heartbeat

#: First bytes → compression.
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\0", "xz"),
)
#: Bytes looked at to tell what a file is.
HEAD = 1 << 16
#: Bytes read at once. A compressed file that breaks off loses at most this much of what could be had.
CHUNK = 1 << 16
#: The same for Arrow's decompressors, which read on until they have all that was asked for and lose it in an error.
SMALL_CHUNK = 1 << 12

#: What decompressors raise on broken or truncated data.
BROKEN_DATA = (EOFError, OSError, lzma.LZMAError, zlib.error, pa.ArrowInvalid)


class Source(io.RawIOBase):
    """An input file. Remembers an error of the storage under it, which is no fault of the file's content."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self.error: Exception | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing: a decompressor that is done with closes what is under it, and the file is still needed."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The next `size` bytes, less only at the end of the file."""
        try:
            with heartbeat.waiting():
                return bytes(self._file.read(None if size is None or size < 0 else size))
        except OSError as error:
            self.error = error
            raise

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer`; the number of bytes put there."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset in bytes."""
        self._file.seek(offset, whence)
        return int(self._file.tell())

    def tell(self) -> int:
        """Where the next read begins."""
        return int(self._file.tell())


class Head(NamedTuple):
    """A file's beginning: its compression ("" if none) and the first bytes of what is inside.

    `problem` says why nothing could be decompressed, or is empty.
    """

    compression: str
    inside: bytes
    problem: str = ""


def look(source: Source) -> Head:
    """What a file begins with. The file is at its start again afterwards."""
    raw = source.read(HEAD)
    source.seek(0)
    compression = next((name for magic, name in _MAGIC if raw.startswith(magic)), "")
    if not compression:
        return Head("", raw)
    try:
        inside = b"".join(_limited(chunks(decompressed(source, compression)), HEAD))
    except BrokenFileError as error:
        source.seek(0)
        return Head(compression, b"", error.detail)
    source.seek(0)
    return Head(compression, inside)


def decompressed(source: Source, compression: str) -> BinaryIO:
    """The content of a file, as a stream that `chunks` reads."""
    if compression == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=source, mode="rb"))
    if compression == "bz2":
        return cast(BinaryIO, bz2.BZ2File(cast(BinaryIO, source), "rb"))
    if compression == "xz":
        return cast(BinaryIO, lzma.LZMAFile(cast(BinaryIO, source), "rb"))
    if compression:
        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(source, "r"), compression))
    return cast(BinaryIO, source)


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """A stream's bytes in pieces; all that can be had before an error.

    Raises:
        BrokenFileError: compressed data is broken or ends too early.
    """
    read = getattr(stream, "read1", stream.read)
    size = SMALL_CHUNK if isinstance(stream, pa.NativeFile) else CHUNK
    while True:
        try:
            piece = read(size)
        except BROKEN_DATA as error:
            reason = "truncated" if isinstance(error, EOFError) else "broken_compression"
            raise BrokenFileError(reason, f"{type(error).__name__}: {error}") from None
        if not piece:
            return
        yield piece


def records(stream: BinaryIO, end: bytes, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Pieces of a stream that end with `end` (which stays on), and their lengths; the last may lack it.

    A piece longer than `limit` bytes gives None in place of its bytes and takes no memory.
    """
    buffer, size, searched = bytearray(), 0, 0
    for chunk in chunks(stream):
        buffer += chunk
        begin = 0
        while (at := buffer.find(end, max(begin, searched))) >= 0:
            stop = at + len(end)
            size += stop - begin
            yield size, (bytes(buffer[begin:stop]) if size <= limit else None)
            begin, searched, size = stop, 0, 0
        del buffer[:begin]
        if size + len(buffer) > limit:
            drop = max(0, len(buffer) - len(end) + 1)
            size += drop
            del buffer[:drop]
        searched = max(0, len(buffer) - len(end) + 1)
    size += len(buffer)
    if size:
        yield size, (bytes(buffer) if size <= limit else None)


def _limited(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Pieces up to `limit` bytes in all. What comes before an error counts; an error at once does not."""
    got = 0
    while got < limit:
        try:
            piece = next(pieces, b"")
        except BrokenFileError:
            if not got:
                raise
            return
        if not piece:
            return
        yield piece[: limit - got]
        got += len(piece)
