"""A page's title, main text and stated facts."""

from __future__ import annotations

import html as entities
import re
from typing import NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from mdfs.collect import blocks, encoding

#: Elements inside each other. Browsers build no deeper trees (Chromium: 512), and the time that the main content takes
#: grows with the square of the depth: 0.3 s at 4,000, 16 s at 20,000.
MAX_DEPTH = 512

_CLOSED_BY_ITSELF = (
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "param",
    "source",
    "track",
    "wbr",
)
#: Characters of main text under which the page is gone through again, this time with all that has the class or place of
#: a frame: some sites put the article there.
_TOO_LITTLE = 60

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_META_TAG = re.compile(r"<meta\b([^>]{1,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_LANG = re.compile(r"""<html\b[^>]{0,500}?\blang\s*=\s*["']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)""", re.IGNORECASE)
#: Names in <meta name=…> or <meta property=…> → our key; the first that a page has counts.
_FACTS = {
    "article:published_time": "published", "og:release_date": "published", "pubdate": "published", "publishdate": "published",
    "datepublished": "published", "publish_date": "published", "date": "published", "dc.date": "published",
    "author": "author", "article:author": "author", "og:article:author": "author", "dc.creator": "author",
    "og:site_name": "site_name", "application-name": "site_name", "og:type": "type",
}  # fmt: skip


class TooDeepError(ValueError):
    """A page whose elements stand inside each other more than MAX_DEPTH deep."""


class Extracted(NamedTuple):
    """What a page says: `title`, main `text` (paragraphs on lines), `meta` (`published`, `author`, `site_name`, `lang`).

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
    source = found.text.replace("\0", "")
    if (deep := _depth_bound(source)) > MAX_DEPTH:
        raise TooDeepError(f"up to {deep} elements inside each other")
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


def _depth_bound(source: str) -> int:
    """No fewer than the elements of `source` that stand inside each other, but for what is seldom closed (p, li …)."""
    if source.count("<") < MAX_DEPTH:
        return 0
    depth = deepest = 0
    for closing, name in _TAG.findall(source):
        if closing:
            depth = max(0, depth - 1)
        elif name.lower() not in _CLOSED_BY_ITSELF:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


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
