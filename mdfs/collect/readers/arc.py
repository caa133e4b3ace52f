"""ARC archives, the format before WARC (Internet Archive, 1996 to 2008).

A record is a line (URL, IP address, date, type, [status, checksum, location, offset, file name,] length) and as many
bytes as its last field says. A record's place is its offset in the decompressed file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from mdfs.collect.documents import BrokenFileError, Outcome, Pending, Quarantined, Skipped, moment
from mdfs.collect.readers.base import Context, Reader
from mdfs.collect.readers.pages import Page, outcome
from mdfs.collect.streams import Source, chunks, decompressed
from mdfs.recipe import Collect

#: URLs may hold blanks, so a line is read from its end. A length may be -1 or a word in damaged files.
_LINE = re.compile(
    rb"(?P<url>[a-zA-Z][\w.+-]*:\S[^\n]*?) (?P<ip>\S+) (?P<date>\d{8,16}) (?P<mime>\S+)"
    rb"(?: \S+){0,6}? (?P<length>\d{1,15})\s*"
)
_MAX_LINE = 1 << 16
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


def _sniff(head: bytes, path: str) -> bool:
    return head.startswith(b"filedesc://")


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    stream = _Buffered(chunks(decompressed(source, context.compression)))
    while True:
        place = stream.offset
        try:
            line = stream.line()
            if line is None:
                return
            if not line.strip():
                continue
            if not (found := _LINE.fullmatch(line)):
                yield Quarantined(str(place), "broken_record", f"no ARC record line: {line[:80]!r}")
                stream.skip_to_record()
                continue
            yield _cut(stream, found, str(place), context.limits)
        except BrokenFileError as error:
            raise BrokenFileError(error.reason, error.detail, str(place)) from None


def _cut(stream: _Buffered, found: re.Match[bytes], place: str, limits: Collect) -> Pending | Outcome:
    url, mime = found["url"].decode("utf-8", "replace"), found["mime"].decode("latin-1")
    size = int(found["length"])
    if size > limits.max_record_bytes:
        stream.skip(size)
        return Quarantined(place, "too_long", f"{size} bytes", url)
    body = stream.take(size)
    if len(body) < size:
        return Quarantined(place, "truncated", f"{len(body)} of {size} bytes", url)
    if url.startswith("filedesc:"):
        return Skipped("filedesc")
    if not url.startswith(("http://", "https://")):
        return Skipped(url.partition(":")[0])
    date = moment(found["date"].decode())
    return Pending(place, size, functools.partial(_page, place, url, date, mime, body, limits))


def _page(place: str, url: str, date: int | None, mime: str, block: bytes, limits: Collect) -> Outcome:
    """The response in a record. Without an HTTP header the block is the page itself, of the type in the record line."""
    status, headers, body = _http(block)
    said = headers.get("content-type", mime)
    charset = _CHARSET.search(said)
    page = Page(
        place, url, "", date, status, said.partition(";")[0], charset[1] if charset else None,
        headers.get("transfer-encoding", ""), headers.get("content-encoding", ""), body,
    )  # fmt: skip
    return outcome(page, limits)


def _http(block: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status (0 without a header), headers in lower case, body."""
    first = re.match(rb"HTTP/\d(?:\.\d)? (\d{3})", block)
    end = re.search(rb"\r?\n\r?\n", block)
    if not first or not end:
        return 0, {}, block
    lines = block[: end.start()].decode("latin-1").splitlines()[1:]
    pairs = (line.partition(":") for line in lines)
    return int(first[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, block[end.end() :]


class _Buffered:
    """Lines and stretches of a stream of chunks, with the offset."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()
        self.offset = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes, less at the end."""
        while len(self._buffer) < size and (piece := next(self._pieces, b"")):
            self._buffer += piece
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.offset += len(taken)
        return taken

    def skip(self, size: int) -> None:
        """Go on by `size` bytes in bounded memory."""
        while size > 0 and (taken := len(self.take(min(size, _MAX_LINE)))):
            size -= taken

    def line(self) -> bytes | None:
        """The next line with its end, at most 64 KiB of it; None at the end."""
        while (at := self._buffer.find(b"\n")) < 0 and len(self._buffer) < _MAX_LINE:
            if not (piece := next(self._pieces, b"")):
                break
            self._buffer += piece
        at = self._buffer.find(b"\n")
        return self.take(min(at + 1 if at >= 0 else len(self._buffer), _MAX_LINE)) or None

    def skip_to_record(self) -> None:
        """Go on to the next line that is a record line."""
        while (line := self.line()) is not None:
            if _LINE.fullmatch(line):
                self._buffer[:0] = line
                self.offset -= len(line)
                return


READER = Reader(
    name="arc",
    endings=(".arc",),
    sniff=_sniff,
    read=_read,
    reads="web archives of the Internet Archive before WARC (ARC 1 and 2); plain, .gz",
    example="IAH-20080430204825-00000.arc.gz",
    fills=("title", "url", "fetched_at", "meta.encoding", "meta.encoding_by", "meta.author", "meta.published"),
)
