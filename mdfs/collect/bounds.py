"""Which pages are built so that no parser goes through them in bounded time.

Looks at the bytes with numpy: with a regular expression it took as long as all else together.
"""

from __future__ import annotations

import functools
import re

import numpy as np
from numpy.typing import NDArray

#: Elements inside each other. Browsers build no deeper trees (Chromium: 512), and the time that the main content takes
#: grows with the square of the depth: 0.3 s at 4,000, 16 s at 20,000.
MAX_DEPTH = 512
#: Names and quotes in one tag; the time to parse them grows with their square (16,000: 0.1 s, 64,000: 2 s). Tags under
#: _LONG_TAG bytes are not looked at.
_MAX_TAG_PARTS = 4_000
_LONG_TAG = 40_000

#: Start tags that open nothing that stays open, because there is no end tag or the next of the kind ends it.
_SHALLOW = (
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    *("p", "li", "td", "th", "tr", "dd", "dt", "option", "rp", "rt"),
)
#: Elements that change the look of words only. Old pages leave them open by the hundred.
_LOOK = re.compile(r"</?(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]*>", re.IGNORECASE)
_WHOLE_TAG = re.compile(r"""<[a-zA-Z](?:[^>"']++|"[^"]*+"|'[^']*+')*+""")
_TAG_BYTES = re.compile(rb"""<[a-zA-Z](?:[^>"']++|"[^"]*+"|'[^']*+')*+""")
#: What a parser does not look into: code is full of "<" and quotes. What is never closed goes on to the end.
_RAW = re.compile(r"<(script|style|textarea|xmp)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)


class TooDeepError(ValueError):
    """A page that no parser goes through in bounded time: elements too deep in each other, or a tag too full."""


def bounded(source: str) -> str:
    """The page, if need be without what changes only the look of words.

    Raises:
        TooDeepError: it would take unbounded time.
    """
    if source.count("<") - source.count("</") <= MAX_DEPTH and not _has_gap(source):
        return source
    deep, long_tag = shape(source)
    if long_tag and _fullest_tag(source) > _MAX_TAG_PARTS:
        raise TooDeepError(f"a tag with more than {_MAX_TAG_PARTS} names and quotes")
    if deep <= MAX_DEPTH:
        return source
    source = _LOOK.sub("", source)
    if (deep := shape(source)[0]) > MAX_DEPTH:
        raise TooDeepError(f"{deep} elements inside each other")
    return source


def _has_gap(source: str) -> bool:
    """Whether somewhere no tag begins for _LONG_TAG characters; a few steps for all of a page."""
    at = 0
    while len(source) - at > _LONG_TAG:
        if (at := source.rfind("<", at + 1, at + _LONG_TAG)) < 0:
            return True
    return False


def shape(source: str) -> tuple[int, bool]:
    """How many elements stand inside each other (no fewer, but for shallow ones), and whether a tag may be too long."""
    raw = source.encode("utf-8", "surrogatepass") + b"   "
    data = np.frombuffer(raw, dtype=np.uint8)
    tags = np.flatnonzero(data[:-3] == ord("<"))
    if not tags.size:
        return 0, False
    long_tag = _has_long_tag(raw, tags)
    name = tags + 1
    first = data[name]
    closing = first == ord("/")
    name += closing
    np.minimum(name, data.size - 3, out=name)
    first = data[name]
    codes = _codes()
    letters = codes[first].astype(np.uint16) << 10
    letters |= codes[data[name + 1]].astype(np.uint16) << 5
    letters |= codes[data[name + 2]]
    steps = _nests()[letters]
    np.negative(steps, where=closing, out=steps)
    level = np.cumsum(steps, dtype=np.int32)
    return int((level - np.minimum(np.minimum.accumulate(level), 0)).max()), long_tag


def _has_long_tag(raw: bytes, tags: NDArray[np.int64]) -> bool:
    """Whether what begins at one of `tags` may be a tag of _LONG_TAG bytes; such a one in a script counts too."""
    gaps = np.diff(tags, append=len(raw))
    if int(gaps.max()) > _LONG_TAG:
        for at in tags[gaps > _LONG_TAG]:
            found = _TAG_BYTES.match(raw, int(at))
            if found and found.end() - found.start() >= _LONG_TAG:
                return True
    return False


@functools.cache
def _codes() -> NDArray[np.uint8]:
    """1 to 26 for a letter, 0 for what ends a name."""
    table = np.zeros(256, dtype=np.uint8)
    for letter in range(26):
        table[[ord("a") + letter, ord("A") + letter]] = letter + 1
    return table


@functools.cache
def _nests() -> NDArray[np.int8]:
    """By the first three letters of a name, whether such elements nest: 0 for what begins with none."""
    table = np.ones(1 << 15, dtype=np.int8)
    table[: 1 << 10] = 0
    for name in _SHALLOW:
        a, b, c = ((ord(char) & 31) if char != " " else 0 for char in (name + "  ")[:3])
        table[a << 10 | b << 5 | c] = 0
        if not b:
            table[a << 10 : (a << 10) + 32] = 0
    return table


def _fullest_tag(source: str) -> int:
    """The names and quotes in the fullest long tag."""
    source = _RAW.sub("", source)
    tags = (found[0] for found in _WHOLE_TAG.finditer(source) if found.end() - found.start() >= _LONG_TAG)
    return max((len(tag.split()) + tag.count('"') + tag.count("'") for tag in tags), default=0)
