"""What a page states of itself: title, author, time of publication, where it was taken from.

Heard in this order: JSON-LD (schema.org), `<meta>`, the line under the title (来源：… 作者：… 发布时间：…).
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

#: Characters of a page in which its head is looked for; some put 100 kB of style first.
_HEAD = 200_000
_META_TAG = re.compile(r"<[mM][eE][tT][aA]\b([^>]{1,2000})>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_LANG = re.compile(r"""<html\b[^>]{0,500}?\blang\s*=\s*["']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)""", re.IGNORECASE)
_LINKED_DATA = re.compile(r"<script\b[^>]{0,200}?application/ld\+json[^>]{0,200}>")
#: Characters in an element at most.
_MAX_INSIDE = 200_000
#: Objects of JSON-LD looked at; a page has a handful.
_MAX_OBJECTS = 200
_ARTICLES = (
    *("Article", "NewsArticle", "BlogPosting", "Report", "WebPage", "QAPage", "DiscussionForumPosting", "TechArticle"),
    *("Question", "Book", "ScholarlyArticle"),
)
#: Names in <meta name=…> or <meta property=…> → our key; the first that a page has counts.
_FACTS = {
    "article:published_time": "published", "og:release_date": "published", "pubdate": "published",
    "publishdate": "published", "datepublished": "published", "publish_date": "published",
    "date": "published", "dc.date": "published", "weibo: article:create_at": "published",
    "author": "author", "article:author": "author", "og:article:author": "author", "dc.creator": "author",
    "og:site_name": "site_name", "application-name": "site_name", "og:type": "type", "og:title": "title",
}  # fmt: skip
_DATE = (
    r"(?:19|20)\d\d\s?[-/.年]\s?[01]?\d\s?[-/.月]\s?[0-3]?\d(?:\s?日)?"
    r"(?:[\sT\u3000]{0,3}[0-2]?\d[:：时][0-5]\d(?:[:：分][0-5]\d)?)?"
)
_PUBLISHED = re.compile(rf"(?:发[表布](?:时间|日期|于)?|發[表佈](?:時間|日期|於)?|时间|時間|日期)\s*[：:]?\s*({_DATE})")
_ANY_DATE = re.compile(_DATE)
_ORIGIN = re.compile(r"(?:稿件|文章|信息)?(?:来源|來源|出处|摘自)\s*[：:]\s*([^\s|｜　]{2,30})")
_AUTHOR = re.compile(r"(?:作\s?者|文字?|撰文|记者|記者)\s*[：:]\s*([^\s|｜　]{2,20})")
#: A byline's next word, where nothing but a blank-less writer put it behind the name.
_NEXT = re.compile(
    r"(?:来源|來源|作者|编辑|責任|责任|发[表布]|發[表佈]|时间|時間|日期|浏览|点击|阅读|字[体号]|(?:19|20)\d\d[-年/]).*"
)
#: A heading's place in the title of its page: before the name of the site, rarely behind it.
_TITLE_END = re.compile(r"^\s*(?:[-_|｜—–·•»:：~～>]|<|\(|（|【|\Z)")
#: Characters of a heading's source at most.
_MAX_HEADING = 5_000
_TAG = re.compile(r"<[mM][eE][tT][aA]\b([^>]{1,2000})>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_LANG = re.compile(r"""<html\b[^>]{0,500}?\blang\s*=\s*["']?([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)""", re.IGNORECASE)
_LINKED_DATA = re.compile(r"<script\b[^>]{0,200}?application/ld\+json[^>]{0,200}>")
#: Characters in an element at most.
_MAX_INSIDE = 200_000
#: Objects of JSON-LD looked at; a page has a handful.
_MAX_OBJECTS = 200
_ARTICLES = (
    *("Article", "NewsArticle", "BlogPosting", "Report", "WebPage", "QAPage", "DiscussionForumPosting", "TechArticle"),
    *("Question", "Book", "ScholarlyArticle"),
)
#: Names in <meta name=…> or <meta property=…> → our key; the first that a page has counts.
_FACTS = {
    "article:published_time": "published", "og:release_date": "published", "pubdate": "published",
    "publishdate": "published", "datepublished": "published", "publish_date": "published",
    "date": "published", "dc.date": "published", "weibo: article:create_at": "published",
    "author": "author", "article:author": "author", "og:article:author": "author", "dc.creator": "author",
    "og:site_name": "site_name", "application-name": "site_name", "og:type": "type", "og:title": "title",
}  # fmt: skip
_DATE = (
    r"(?:19|20)\d\d\s?[-/.年]\s?[01]?\d\s?[-/.月]\s?[0-3]?\d(?:\s?日)?"
    r"(?:[\sT\u3000]{0,3}[0-2]?\d[:：时][0-5]\d(?:[:：分][0-5]\d)?)?"
)
_PUBLISHED = re.compile(rf"(?:发[表布](?:时间|日期|于)?|發[表佈](?:時間|日期|於)?|时间|時間|日期)\s*[：:]?\s*({_DATE})")
_ANY_DATE = re.compile(_DATE)
_ORIGIN = re.compile(r"(?:稿件|文章|信息)?(?:来源|來源|出处|摘自)\s*[：:]\s*([^\s|｜　]{2,30})")
_AUTHOR = re.compile(r"(?:作\s?者|文字?|撰文|记者|記者)\s*[：:]\s*([^\s|｜　]{2,20})")
#: A byline's next word, where nothing but a blank-less writer put it behind the name.
_NEXT = re.compile(
    r"(?:来源|來源|作者|编辑|責任|责任|发[表布]|發[表佈]|时间|時間|日期|浏览|点击|阅读|字[体号]|(?:19|20)\d\d[-年/]).*"
)
#: A heading's place in the title of its page: before the name of the site, rarely behind it.
_TITLE_END = re.compile(r"^\s*(?:[-_|｜—–·•»:：~～>]|<|\(|（|【|\Z)")
_H1 = re.compile(r"<[hH]1\b[^<>]{0,500}>")
_TAG = re.compile(r"<[^>]*>")


def stated(source: str, *, linked_data: bool = True) -> dict[str, str]:
    """What JSON-LD, meta tags and the root element say: `published`, `author`, `site_name`, `type`, `lang`, `title`.

    Args:
        source: the page. linked_data: whether it may have JSON-LD.
    """
    facts = _linked_data(source) if linked_data else {}
    head = source[: _head_end(source)]
    for tag in _META_TAG.findall(head):
        said = {name.lower(): a or b or c for name, a, b, c in _ATTRIBUTE.findall(tag)}
        key = _FACTS.get((said.get("property") or said.get("name") or said.get("itemprop") or "").lower())
        value = _line(html.unescape(said.get("content", "")))
        if key and value:
            facts.setdefault(key, value)
    if lang := _LANG.search(head[:4_000]):
        facts["lang"] = lang[1]
    return facts


def byline(lines: list[str]) -> dict[str, str]:
    """What the short lines around the begin of a text say: `published`, `author`, `origin`."""
    facts: dict[str, str] = {}
    for line in lines:
        date = _PUBLISHED.search(line) or (_ANY_DATE.search(line) if len(line) < 60 else None)
        for key, found in (("published", date), ("origin", _ORIGIN.search(line)), ("author", _AUTHOR.search(line))):
            if not found or key in facts:
                continue
            value = _NEXT.sub("", found[1]) if key != "published" else found[found.lastindex or 0]
            if value := value.strip("，。；,;()（）【】[]《》 \u3000"):
                facts[key] = value
    return facts


def title(page_title: str, markup: str, said: str) -> str:
    """A page's title without the name of its site, where a heading or the metadata show which part is which.

    Args:
        page_title: of the `<title>` element. markup: the page, thin or whole. said: in its metadata, "" for nothing.
    """
    whole = _line(page_title)
    for candidate in itertools.chain((said,), _headings(markup)):
        if len(candidate) >= 2 and whole.startswith(candidate) and _TITLE_END.match(whole[len(candidate) :]):
            return candidate
    return whole or said


def _headings(source: str) -> Iterator[str]:
    """The first headings of the first rank."""
    for name in ("h1", "H1"):
        at = source.find(f"<{name}")
        for _ in range(3):
            if at < 0:
                break
            end = source.find(f"</{name}", at, at + _MAX_HEADING)
            if end >= 0:
                yield _line(html.unescape(_TAG.sub("", source[source.find(">", at) + 1 : end])))
            at = source.find(f"<{name}", at + 1)


def _insides(source: str, opening: re.Pattern[str], ends: tuple[str, ...], most: int) -> Iterator[str]:
    """What is in the first elements that begin like this, up to the first of `ends`; of one without end nothing."""
    for found in itertools.islice(opening.finditer(source), most):
        closing = [at for end in ends if (at := source.find(end, found.end(), found.end() + _MAX_INSIDE)) >= 0]
        if closing:
            yield source[found.end() : min(closing)]


def _line(words: str) -> str:
    return " ".join(words.split())[:200]


def _head_end(source: str) -> int:
    end = source.find("</head", 0, _HEAD)
    return end if end >= 0 else 20_000


def _linked_data(source: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    for block in _insides(source, _LINKED_DATA, ("</script",), 10):
        try:
            said = json.loads(block, strict=False)
        except (ValueError, RecursionError):
            continue
        for thing in _objects(said):
            kinds = thing.get("@type")
            if not any(kind in _ARTICLES for kind in (kinds if isinstance(kinds, list) else [kinds])):
                continue
            for key, value in (("published", thing.get("datePublished")), ("author", _names(thing.get("author"))),
                               ("title", thing.get("headline"))):  # fmt: skip
                if isinstance(value, str) and value.strip():
                    facts.setdefault(key, _line(value))
    return facts


def _objects(said: Any) -> Iterator[dict[str, Any]]:
    """Objects in lists and @graph, in order."""
    waiting, seen = [said], 0
    while waiting and seen < _MAX_OBJECTS:
        thing, seen = waiting.pop(0), seen + 1
        if isinstance(thing, list):
            waiting += thing[:_MAX_OBJECTS]
        elif isinstance(thing, dict):
            yield thing
            waiting += [thing[key] for key in ("@graph", "mainEntity") if key in thing]


def _names(said: Any) -> str:
    people = said if isinstance(said, list) else [said]
    names = (person.get("name") if isinstance(person, dict) else person for person in people[:10])
    return ", ".join(name for name in names if isinstance(name, str))
