"""Text that was decoded wrongly once and saved that way: repaired where nothing was lost, told as garbled where it was.

Three ways are usual: UTF-8 read as Windows-1252 (ä¸­æ–‡), UTF-8 read as GBK (涓枃), GBK read as Windows-1252 (ÖÐÎÄ).
A line is repaired when its characters go back to the bytes they came from, those are valid throughout in the other
encoding, and what they say is Chinese where before it was none. One lost byte makes that impossible; then it stays.
"""

from __future__ import annotations

import re

from mdfs.collect.encoding import plausibility

#: Characters of Windows-1252 in 80 to 9F → the bytes they came from; bytes without one were kept as C1 controls.
_HOLES = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_BYTES = {ord(bytes([byte]).decode("cp1252")): byte for byte in range(0x80, 0xA0) if byte not in _HOLES}
_FOLLOWS = "\x80-\xbf" + re.escape("".join(map(chr, _BYTES)))
#: A three-byte sequence of UTF-8 as Windows-1252 shows it.
_LATIN = re.compile(f"[\xe3-\xef][{_FOLLOWS}]{{2}}")
#: What UTF-8's comma, full stop and most frequent words become in GBK; no text has these characters often.
_GBK = re.compile("[锛銆鐨鏄鍦锟]")
#: Letters that no language of Western Europe writes four of in a row.
_ACCENTS = re.compile("[\xa1-\xff]{4}")
#: One of these is in each of the above: a quick look.
_ANY = re.compile("[\xa1-\xff锛銆鐨鏄鍦锟]")
#: Of the characters of a text, the share of each from which it is garbled. In Chinese read as GBK 0.08 to 0.12 are of
#: _GBK; a page that quotes one line of mojibake stays.
_GARBLED, _GARBLED_GBK = 0.5, 0.04
#: Plausibility (see `encoding.plausibility`) that a repaired line has, and that it has more than before.
_PLAUSIBLE, _JUMP = 0.45, 0.3

#: By which encoding the text was read → what it was.
_WAYS = (("cp1252", "utf-8"), ("gb18030", "utf-8"), ("cp1252", "gb18030"))


def suspicious(text: str) -> bool:
    """Whether a look at the lines is worth it; one in a hundred thousand good texts is."""
    return bool(_ANY.search(text)) and bool(_LATIN.search(text) or _GBK.search(text) or _ACCENTS.search(text))


def repaired(text: str) -> tuple[str, str]:
    """The text with each line repaired that can be, and how, as `utf-8 as cp1252`; "" where nothing was changed."""
    if not suspicious(text):
        return text, ""
    ways: dict[str, None] = {}
    lines = []
    for line in text.split("\n"):
        found, way = _line(line)
        lines.append(found)
        if way:
            ways[way] = None
    if "utf-8 as cp1252" in ways:  # lines too short to prove it by themselves
        lines = [_as_utf8(line) for line in lines]
    return "\n".join(lines), ", ".join(ways)


def _as_utf8(line: str) -> str:
    try:
        return line if line.isascii() else _back(line, "cp1252").decode()
    except UnicodeError:
        return line


def is_garbled(text: str) -> bool:
    """Whether most of a text is damage."""
    size = len(text)
    return 3 * _count(_LATIN, text) > _GARBLED * size or _count(_GBK, text) > max(1, _GARBLED_GBK * size)


def _line(line: str) -> tuple[str, str]:
    if line.isascii() or not suspicious(line):
        return line, ""
    before = _plausible(line)
    for read_as, was in _WAYS:
        try:
            found = _back(line, read_as).decode(was)
        except UnicodeError:
            continue
        after = _plausible(found)
        if after >= _PLAUSIBLE and after >= before + _JUMP:
            return found, f"{was} as {read_as}"
    return line, ""


def _back(line: str, encoding: str) -> bytes:
    """The bytes that a line was read from.

    Raises:
        UnicodeError: it was not read from any in this encoding.
    """
    return line.translate(_BYTES).encode("latin-1") if encoding == "cp1252" else line.encode(encoding)


def _plausible(text: str) -> float:
    """Plausibility as Chinese: two bytes a character outside ASCII, as legacy encodings have it."""
    usual = sum("\u4e00" <= char <= "\u9fff" or char in "，。、！？；：“”《》（）　" for char in text)
    foreign = sum(char > "\x7f" for char in text)
    rare = len(_GBK.findall(text))
    return plausibility(text, 2 * foreign) * usual / max(1, foreign) - rare / max(1, foreign)


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(1 for _ in pattern.finditer(text))
