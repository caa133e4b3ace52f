"""HTTP transfer and content encodings undone, within a limit: what a server sent is made what a browser would show."""

from __future__ import annotations

import io
import re
import zlib
from typing import NamedTuple

from fastwarc.stream_io import BrotliReader, ZstdReader


class Payload(NamedTuple):
    """A decoded body, or why there is none: `problem` is "" or a reason; `whole` is False where the end is missing."""

    body: bytes
    problem: str = ""
    whole: bool = True


def plain(body: bytes, transfer: str, content: str, limit: int) -> Payload:
    """A body without its encodings.

    Args:
        body: as it was sent. Archivers often undo the chunks and keep the header; what is not chunked stays as it is.
        transfer, content: the headers Transfer-Encoding and Content-Encoding.
        limit: bytes; a body that grows beyond is refused as `too_long` (a decompression bomb).
    """
    if "chunked" in transfer.lower():
        body = _unchunked(body)
    whole = True
    for coding in reversed([c.strip().lower() for c in content.split(",") if c.strip()][:4]):
        found = _uncompressed(body, coding, limit)
        if found.problem:
            return found
        body, whole = found.body, whole and found.whole
    return Payload(body, "too_long" if len(body) > limit else "", whole)


def _unchunked(body: bytes) -> bytes:
    """The chunks joined; the body itself where it does not begin with one; up to the first broken one otherwise."""
    pieces, at = [], 0
    while found := _SIZE.match(body, at):
        size = int(found[1], 16)
        if size == 0:
            break
        pieces.append(body[found.end() : found.end() + size])
        at = found.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
    return b"".join(pieces) if pieces or found else body


_SIZE = re.compile(rb"\s{0,2}([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,256})?\r?\n")


def _uncompressed(body: bytes, coding: str, limit: int) -> Payload:
    """One content encoding undone. An unknown one, and a body that is not compressed after all, stay as they are."""
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflated(body, coding, limit)
    reader = {"br": BrotliReader, "zstd": ZstdReader}.get(coding)
    if reader is None or not body:
        return Payload(body)
    pieces: list[bytes] = []
    got = 0
    try:
        stream = reader(io.BytesIO(body))
        while got <= limit and (piece := stream.read(1 << 16)):
            pieces.append(piece)
            got += len(piece)
    except OSError as error:
        if not pieces:
            return Payload(body) if _looks_plain(body) else Payload(b"", "broken_content_encoding: " + str(error))
        return Payload(b"".join(pieces), whole=False)
    return Payload(b"", "too_long") if got > limit else Payload(b"".join(pieces))


def _inflated(body: bytes, coding: str, limit: int) -> Payload:
    """gzip, zlib or raw deflate, whichever it is (servers confuse the last two)."""
    if coding != "deflate" and not body.startswith(b"\x1f\x8b"):
        return Payload(body)
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        machine = zlib.decompressobj(window)
        try:
            data = machine.decompress(body, limit + 1)
        except zlib.error:
            data = _partly(body, window, limit)
        if len(data) > limit:
            return Payload(b"", "too_long")
        if data:
            return Payload(data, whole=machine.eof)
    return Payload(body) if _looks_plain(body) else Payload(b"", "broken_content_encoding")


def _partly(body: bytes, window: int, limit: int) -> bytes:
    """What can be had of a broken stream: fed in small pieces up to the break."""
    machine, pieces, got = zlib.decompressobj(window), [], 0
    for at in range(0, len(body), 512):
        try:
            piece = machine.decompress(body[at : at + 512], limit + 1 - got)
        except zlib.error:
            break
        pieces.append(piece)
        got += len(piece)
        if got > limit or machine.eof:
            break
    return b"".join(pieces)


def _looks_plain(body: bytes) -> bool:
    """Whether it begins as markup or text does."""
    return body[:64].lstrip().startswith((b"<", b"{")) or body[:64].isascii() and b"\0" not in body[:64]
