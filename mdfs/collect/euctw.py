"""EUC-TW, which Python has no codec for: CNS 11643 planes 1 and 2, which is what was ever written on the web in it.

Both planes list the characters of Big5 in Big5's order but for a few that were put right, so the table is short: runs
of places whose Big5 place is a fixed distance away. The runs were computed from glibc's table of EUC-TW, and a test
compares every code with it where `iconv` is at hand. Four symbols are those that Big5 shows in browsers, not glibc's.
Planes 3 to 15 become U+FFFD, one a character.

Importing this module registers the codec `euc_tw` (decoding only).
"""

from __future__ import annotations

import codecs
import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

#: Places in a plane: 94 rows of 94. Big5's places: rows of 157.
_ROW, _BIG5_ROW = 94, 157

# fmt: off
#: Runs of each plane: first place, distance to the place in Big5 (as Python's cp950 has it), number of places.
_RUNS = {
    1: (
        (0, 0, 21), (21, 2, 2), (24, -2, 1), (29, 0, 44), (73, 1, 1), (74, -1, 1), (75, 0, 73), (148, 1, 1),
        (149, -1, 1), (150, 0, 4), (155, -134, 1), (156, 0, 78), (282, -48, 174), (470, 5631, 20),
        (3290, -2819, 1412), (4702, -2818, 424), (5126, -3243, 1), (5127, -2819, 1876), (7003, -2432, 1),
        (7004, -2820, 387), (7391, -2819, 525), (7916, -2630, 1), (7917, -2820, 189), (8106, -2819, 84),
        (8190, -2673, 1), (8191, -2820, 54), (8245, -2819, 1), (8246, -2821, 1), (8247, -2820, 90),
        (8337, -2819, 354),
    ),
    2: (
        (0, 6280, 10), (10, 6281, 33), (43, 6329, 1), (44, 6280, 48), (92, 6281, 46), (138, 6448, 1),
        (139, 6280, 167), (306, 6281, 1840), (2146, 6928, 1), (2147, 6281, 108), (2255, 6282, 537), (2792, 5635, 1),
        (2793, 6282, 100), (2893, 5643, 1), (2894, 6281, 399), (3293, 6282, 1637), (4930, 6831, 1),
        (4931, 6281, 146), (5077, 6822, 1), (5078, 6280, 287), (5365, 7143, 1), (5366, 6279, 116),
        (5482, 6280, 137), (5619, 6281, 104), (5723, 6702, 1), (5724, 6280, 222), (5946, 6281, 198),
        (6144, 6282, 82), (6226, 6283, 86), (6312, 5914, 1), (6313, 6282, 8), (6321, 6283, 153), (6474, 6284, 56),
        (6530, 6584, 1), (6531, 6283, 113), (6644, 5959, 1), (6645, 6282, 142), (6787, 5970, 1), (6788, 6281, 45),
        (6833, 6282, 71), (6904, 6476, 1), (6905, 6281, 194), (7099, 6282, 490), (7589, 6325, 1), (7590, 6281, 43),
        (7633, 6282, 1), (7634, 6283, 11), (7645, 6271, 1), (7646, 6282, 4),
    ),
}
#: Characters that cp950 does not have, or has elsewhere: plane, first place, characters.
_OTHERS = (
    (1, 5, "・"), (1, 23, "︲"), (1, 127, "﹦﹥"), (1, 154, "‖"), (1, 490, "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹ"), (1, 571, "亠"),
    (1, 578, "冫"), (1, 583, "勹"), (1, 3102, "␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡"), (1, 8022, "彞"),
)
# fmt: on

#: Bytes of a character that names its plane.
LONG = 4

_CHARACTER = re.compile(rb"[\x00-\x7f]+|(?:\x8e[\xa1-\xb0])?[\xa1-\xfe]{2}")


@functools.cache
def _table() -> dict[bytes, str]:
    """Each two-byte code of plane 1 and each four-byte code of planes 1 and 2, with its character."""
    table: dict[bytes, str] = {}
    for plane, runs in _RUNS.items():
        for first, distance, count in runs:
            for place in range(first, first + count):
                table[_code(plane, place)] = _big5(place + distance)
    for plane, first, characters in _OTHERS:
        for place, character in enumerate(characters, first):
            table[_code(plane, place)] = character
    table |= {b"\x8e\xa1" + code: character for code, character in table.items() if len(code) == 2}
    return table


def _code(plane: int, place: int) -> bytes:
    row, column = divmod(place, _ROW)
    prefix = b"" if plane == 1 else bytes([0x8E, 0xA0 + plane])
    return prefix + bytes([0xA1 + row, 0xA1 + column])


def _big5(place: int) -> str:
    """The character at a place of Big5, or U+FFFD where Big5 has none."""
    row, column = divmod(place, _BIG5_ROW)
    return bytes([0xA1 + row, column + (0x40 if column < 63 else 0xA1 - 63)]).decode("cp950", "replace")[:1]


def decode(raw: Buffer, errors: str = "strict") -> tuple[str, int]:
    """Text in `raw` and the number of its bytes, as codecs' decoders return them.

    Raises:
        UnicodeDecodeError: a broken or unknown character, under `errors` = "strict".
    """
    table, view, out, at = _table(), bytes(raw), [], 0
    while at < len(view):
        found = _CHARACTER.match(view, at)
        token = found[0] if found else view[at : at + 1]
        if found and (text := token.decode() if token[0] < 0x80 else table.get(token, "")):
            out.append(text)
            at += len(token)
            continue
        reason = "illegal or unknown character"
        broken = UnicodeDecodeError("euc_tw", view, at, at + len(token), reason)
        text, at = codecs.lookup_error(errors)(broken)  # type: ignore[assignment]  # of a decoder it is a str
        out.append(text)
    return "".join(out), len(view)


def _refuse(text: str, errors: str = "strict") -> tuple[bytes, int]:
    raise UnicodeEncodeError("euc_tw", text, 0, len(text), "this codec decodes only")


def _find(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(_refuse, decode, name="euc_tw") if name == "euc_tw" else None


codecs.register(_find)
