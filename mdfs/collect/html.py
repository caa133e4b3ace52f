"""A page's title, main text and stated facts."""

from __future__ import annotations

import functools
import html as entities
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from mdfs.collect import blocks, encoding

#: Elements inside each other. Browsers build no deeper trees (Chromium: 512), and the time that the main content takes
#: grows with the square of the depth: 0.3 s at 4,000, 16 s at 20,000.
MAX_DEPTH = 512

#: Start tags that open nothing that stays open, because there is no end tag or the next of the kind ends it.
_SHALLOW = (
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    *("p", "li", "td", "th", "tr", "dd", "dt", "option", "rp", "rt"),
)
#: Elements that change the look of words only. Old pages leave them open by the hundred.
_LOOK = re.compile(r"</?(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])[^<>]*>", re.IGNORECASE)
#: Names and quotes in one tag; the time to parse them grows with their square (16,000: 0.1 s, 64,000: 2 s). Tags under
#: _LONG_TAG bytes are not looked at.
_MAX_TAG_PARTS = 4_000
_LONG_TAG = 40_000

#: Characters of main text under which the page is gone through again, this time with what has the class or place of a
#: frame: some sites put the article there.
_TOO_LITTLE = 60

_WHOLE_TAG = re.compile(r"""<[a-zA-Z](?:[^>"']++|"[^"]*+"|'[^']*+')*+""")
#: What a parser does not look into: code is full of "<" and quotes. What is never closed goes on to the end.
_RAW = re.compile(r"<(script|style|textarea|xmp)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_META_TAG = re.compile(r"<meta\b([^>]{1,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_LANG = re.compile(r"""<html\b[^>]{0,500}?\blang\s*=\s*["']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)""", re.IGNORECASE)
#: Names in <meta name=…> or <meta property=…> → our key; the first that a page has counts.
_FACTS = {
    "article:published_time": "published", "og:release_date": "published", "pubdate": "published",
    "publishdate": "published", "datepublished": "published", "publish_date": "published",
    "date": "published", "dc.date": "published",
    "author": "author", "article:author": "author", "og:article:author": "author", "dc.creator": "author",
    "og:site_name": "site_name", "application-name": "site_name", "og:type": "type",
}  # fmt: skip


class TooDeepError(ValueError):
    """A page that no parser goes through in bounded time: elements too deep in each other, or a tag too full."""


class Extracted(NamedTuple):
    """What a page says: `title`, main `text` (a line a paragraph), `meta` (`published`, `author`, `site_name`, `lang`).

    `encoding` and `encoding_by` tell how it was read (see `encoding.decide`).
    """

    title: str
    text: str
    encoding: str
    encoding_by: str
    meta: dict[str, str]


def extract(page: bytes, *, url: str = "", declared: str | None = None, main_content: bool = True) -> Extracted:
    """Title, main text and facts of a page.

    Args:
        page: the bytes of an HTML document, without transfer encodings.
        url: where it comes from.
        declared: the charset of its HTTP header.
        main_content: leave out navigation and the like; a book's chapter has none.

    Raises:
        TooDeepError: no tree can be built within bounds.
    """
    found = encoding.decide(page, declared, encoding.meta_charset(page))
    source = _bounded(found.text.replace("\0", ""))
    tree = HTMLTree.parse(source)
    text = blocks.main_text(_markup(tree, main_content=True)) if main_content else ""
    if len(text) < _TOO_LITTLE:
        everything = _markup(tree, main_content=False)
        text = max(text, blocks.main_text(everything) if main_content else blocks.all_text(everything), key=len)
    return Extracted(_title(tree), text, found.encoding, found.by, _facts(source))


def _markup(tree: HTMLTree, *, main_content: bool) -> str:
    """The page's words, with paragraphs, list items, headings and links marked, and nothing else."""
    markup: str = extract_plain_text(
        tree,
        preserve_formatting="minimal_html",
        main_content=main_content,
        alt_texts=False,
        links=True,
        form_fields=False,
        noscript=False,
        comments=True,
        list_bullets=False,
    )
    return markup


def _title(tree: HTMLTree) -> str:
    return " ".join((tree.title or "").split())


def _bounded(source: str) -> str:
    """The page, if need be without what changes only the look of words.

    Raises:
        TooDeepError: it would take unbounded time.
    """
    deep, gap = _shape(source)
    if gap > _LONG_TAG and _fullest_tag(source) > _MAX_TAG_PARTS:
        raise TooDeepError(f"a tag with more than {_MAX_TAG_PARTS} names and quotes")
    if deep <= MAX_DEPTH:
        return source
    source = _LOOK.sub("", source)
    if (deep := _shape(source)[0]) > MAX_DEPTH:
        raise TooDeepError(f"{deep} elements inside each other")
    return source


def _shape(source: str) -> tuple[int, int]:
    """How many elements stand inside each other (no fewer, but for shallow ones), and the most bytes between two tags.

    Goes through the bytes with numpy: with a regular expression it took as long as all else together.
    """
    data = np.frombuffer(source.encode("utf-8", "surrogatepass") + b"   ", dtype=np.uint8)
    tags = np.flatnonzero(data[:-3] == ord("<"))
    if not tags.size:
        return 0, len(source)
    gap = int(np.diff(tags, append=data.size).max())
    closing = data[tags + 1] == ord("/")
    name = tags + 1 + closing
    name = np.minimum(name, data.size - 3)
    letters = [data[name + i] for i in range(3)]
    steps = (
        np.where(closing, -1, 1)
        * _nests()[(letters[0] & 31).astype(np.uint16) << 10 | _five(letters[1]) << 5 | _five(letters[2])]
    )
    steps[~(((letters[0] | 32) >= ord("a")) & ((letters[0] | 32) <= ord("z")))] = 0
    level = np.cumsum(steps)
    return int((level - np.minimum(np.minimum.accumulate(level), 0)).max()), gap


def _five(letters: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """1 to 26 for a letter, 0 for what ends a name."""
    return np.where((letters | 32) - ord("a") < 26, letters & 31, 0).astype(np.uint16)


@functools.cache
def _nests() -> NDArray[np.int8]:
    """By the first three letters of a name, whether such elements nest."""
    table = np.ones(1 << 15, dtype=np.int8)
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


def _facts(source: str) -> dict[str, str]:
    head = source[:20_000]
    facts: dict[str, str] = {}
    for tag in _META_TAG.findall(head):
        said = {name.lower(): a or b or c for name, a, b, c in _ATTRIBUTE.findall(tag)}
        key = _FACTS.get((said.get("property") or said.get("name") or said.get("itemprop") or "").lower())
        value = " ".join(entities.unescape(said.get("content", "")).split())[:200]
        if key and value:
            facts.setdefault(key, value)
    if lang := _LANG.search(head[:4_000]):
        facts["lang"] = lang[1]
    return facts
