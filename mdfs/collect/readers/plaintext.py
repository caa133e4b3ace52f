"""Plain text, above all books: a document a chapter where chapters are certain, else a document a file.

A record's place is the chapter's number in the file, from 1; 0 for what stands before the first one.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterator
from itertools import chain

from mdfs.collect import encoding
from mdfs.collect.documents import BrokenFileError, Document, Outcome, Pending, Quarantined, Skipped
from mdfs.collect.readers.base import Context, Reader, bare
from mdfs.collect.streams import Source, chunks, decompressed

#: Bytes by which encoding and chapters are decided.
_HEAD = 1 << 20
_NUMBER = "[0-9０-９零〇一二三四五六七八九十百千两兩廿卅壹贰叁肆伍陆柒捌玖拾]{1,9}"
#: 第十二回 …, with what is usual around it. A heading is a short line that ends without a full stop.
_HEADING = re.compile(
    r"[ \t\u3000]*(?:正文|[^\s第]{0,12}[ \t\u3000])?[ \t\u3000]*"
    rf"第({_NUMBER})([章回节節折话話])"
    r"(?:[ \t\u3000:：、.．]+\S.{0,60}|[^，。！？；,.!?;]{0,30})?"
)
_ENDS_SENTENCE = ("。", "！", "？", "；", "，", "”", "…", ".", ",", ";")
#: Headings from which on chapters are certain: fewer may be mentions in the text.
_MIN_CHAPTERS = 3
_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "两": 2, "兩": 2, "壹": 1, "贰": 2, "叁": 3, "肆": 4, "伍": 5, "陆": 6, "柒": 7, "捌": 8, "玖": 9
}  # fmt: skip
_UNITS = {"十": 10, "拾": 10, "百": 100, "千": 1000}
_TENS = {"廿": 20, "卅": 30}


def _sniff(head: bytes, path: str) -> bool:
    return path.endswith(".txt") and not head.startswith((b"%PDF", b"PK\x03\x04", b"\x89PNG"))


def _read(source: Source, context: Context) -> Iterator[Pending | Outcome]:
    pieces = chunks(decompressed(source, context.compression))
    head, error = _head(pieces)
    found = encoding.decide(head)
    meta = {"content_type": "text/plain", "encoding": found.encoding, "encoding_by": found.by}
    decoder = codecs.getincrementaldecoder("utf-8-sig" if found.encoding == "utf-8" else found.encoding)("replace")
    lines = _lines(_texts(decoder, head, pieces))
    title = _title(context.path)
    if not _has_chapters(found.text):
        yield from _one(lines, title, meta, context)
    else:
        yield from _chapters(lines, title, meta, context)
    if error:
        raise error


def _head(pieces: Iterator[bytes]) -> tuple[bytes, BrokenFileError | None]:
    """The file's first bytes, and the error that ended them, if one did."""
    got = bytearray()
    try:
        while len(got) < _HEAD and (piece := next(pieces, b"")):
            got += piece
    except BrokenFileError as error:
        return bytes(got), error
    return bytes(got), None


def _texts(decoder: codecs.IncrementalDecoder, head: bytes, pieces: Iterator[bytes]) -> Iterator[str]:
    for piece in chain((head,), pieces):
        yield decoder.decode(piece)
    yield decoder.decode(b"", True)


def _lines(texts: Iterator[str]) -> Iterator[str]:
    """Lines without their ends; a line without an end is cut every 1 Mi characters, so that it takes no more memory."""
    rest = ""
    for text in texts:
        *whole, rest = (rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n") if text else (rest,)
        yield from whole
        if len(rest) > _HEAD:
            yield rest
            rest = ""
    yield rest


def _one(lines: Iterator[str], title: str, meta: dict[str, str], context: Context) -> Iterator[Pending | Outcome]:
    kept: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size <= context.limits.max_record_bytes:
            kept.append(line)
        else:
            kept.clear()
    yield _record(0, title, kept, size, meta, context)


def _chapters(lines: Iterator[str], title: str, meta: dict[str, str], context: Context) -> Iterator[Pending | Outcome]:
    number, size = 0, 0
    heading, kept = title, list[str]()
    for line in lines:
        if _number(line) is not None:
            if number or any(kept):
                yield _record(number, heading, kept, size, meta, context)
            number, heading, kept, size = number + 1, " ".join(line.split()), [], 0
        size += len(line) + 1
        if size <= context.limits.max_record_bytes:
            kept.append(line)
        else:
            kept.clear()
    yield _record(number, heading, kept, size, meta | {"book": title}, context)


def _record(
    number: int, title: str, lines: list[str], size: int, meta: dict[str, str], context: Context
) -> Pending | Outcome:
    place = str(number)
    if size > context.limits.max_record_bytes:
        return Quarantined(place, "too_long", f"{size} characters")
    text = "\n".join(lines).strip("\n")
    if not text.strip() and number:
        return Skipped("empty_chapter")
    return Pending(place, size, functools.partial(Document, place, text, title, "", "", None, meta))


def _has_chapters(text: str) -> bool:
    """Whether headings count up: at least three, in order but for new volumes that begin at one again."""
    numbers = [number for line in text.split("\n") if len(line) <= 100 and (number := _number(line)) is not None]
    if len(numbers) < _MIN_CHAPTERS:
        return False
    steps = sum(after in (before + 1, 1) for before, after in zip(numbers, numbers[1:], strict=False))
    return steps >= 0.8 * (len(numbers) - 1)


def _number(line: str) -> int | None:
    """The number in a chapter's heading; None where the line is none."""
    if "第" not in line or len(line) > 100:
        return None
    line = line.rstrip()
    found = _HEADING.fullmatch(line)
    return None if not found or line.endswith(_ENDS_SENTENCE) else _value(found[1])


def _value(said: str) -> int:
    """The value of a Chinese or Arabic number: 一百零八, 一〇八 and 108 are the same."""
    if said.isdigit():
        return int(said)
    if not any(char in _UNITS or char in _TENS for char in said):
        return int("".join(str(_DIGITS.get(char, 0)) for char in said))
    total = current = 0
    for char in said:
        if char in _UNITS:
            total += max(1, current) * _UNITS[char]
            current = 0
        elif char in _TENS:
            total += _TENS[char]
        else:
            current = _DIGITS.get(char, 0)
    return total + current


def _title(path: str) -> str:
    name = bare(path).rpartition("/")[2]
    return path.rpartition("/")[2][: len(name)].removesuffix(".txt").removesuffix(".TXT")


READER = Reader(
    name="text",
    endings=(".txt",),
    sniff=_sniff,
    read=_read,
    reads="books and other plain text in any encoding, a document a chapter (第…章) or a file; plain or compressed",
    example="红楼梦.txt",
    fills=("title", "meta.book", "meta.encoding", "meta.encoding_by"),
)
