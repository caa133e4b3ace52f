"""Rows of tables and JSON objects become documents: which column is what.

The recipe's field map says so: document column, or a name for `meta`, → the row's own column. `html` in place of `text`
names a column with a page's source, whose main text is taken; `fragment` one with a part of a page, all of which is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from mdfs.collect import html
from mdfs.collect.documents import Document, Dropped, Outcome, Quarantined, moment

#: Where the recipe says nothing: document column → names that are usual, in this order.
USUAL = {
    "text": ("text", "content", "body", "article", "raw_content", "正文", "内容"),
    "title": ("title", "标题", "headline"),
    "url": ("url", "link", "source_url", "网址"),
    "source_key": ("id", "doc_id", "docid", "uuid", "_id", "key"),
    "fetched_at": ("fetched_at", "crawl_date", "date_download", "timestamp", "added"),
    "published": ("published", "publish_date", "pub_time", "date", "time"),
    "author": ("author", "writer", "作者"),
    "lang": ("lang", "language"),
}
#: Names in a field map for columns with markup.
_MARKUP = ("html", "fragment")
_COLUMNS = ("text", "title", "url", "source_key", "fetched_at")
#: What a reader of rows fills (`Reader.fills`).
FILLS = (
    *("title", "url", "source_key", "fetched_at"),
    *("meta.author", "meta.published", "meta.lang", "what `fields` names"),
)


def columns(names: list[str], fields: Mapping[str, str]) -> dict[str, str]:
    """Our name → the row's own name, for those that a row with these names has. The recipe's `fields` come first."""
    found = {ours: theirs for ours, theirs in fields.items() if theirs.partition(".")[0] in names}
    for ours, usual in USUAL.items():
        if ours not in fields and (theirs := next((name for name in usual if name in names), None)):
            found[ours] = theirs
    return found


def document(place: str, row: Mapping[str, Any], fields: Mapping[str, str]) -> Outcome:
    """The document in a row; a row without a text column is quarantined with the names that it has."""
    found = columns(list(row), fields)
    for kind in _MARKUP:
        if kind in found:
            return _from_markup(place, row, found, kind)
    if "text" not in found:
        wanted = fields.get("text", "text")
        return Quarantined(
            place, "no_text_field", f"no {wanted!r} among {', '.join(map(str, row))}; set `fields` of the source"
        )
    return _document(place, {ours: _value(row, theirs) for ours, theirs in found.items()})


def _document(place: str, said: Mapping[str, str]) -> Document:
    meta = {name: value[:200] for name, value in said.items() if name not in _COLUMNS and value}
    return Document(
        place,
        said.get("text", ""),
        said.get("title", ""),
        said.get("url", ""),
        said.get("source_key", ""),
        moment(said.get("fetched_at", "")),
        meta,
    )


def _from_markup(place: str, row: Mapping[str, Any], found: Mapping[str, str], kind: str) -> Outcome:
    """The document in a row that holds markup. What the row says of it goes before what the page says."""
    said = {ours: _value(row, theirs) for ours, theirs in found.items() if ours not in ("text", *_MARKUP)}
    url, key = said.get("url", ""), said.get("source_key", "")
    source = _value(row, found[kind])
    if not source.strip():
        return Dropped(place, "no_text", f"{found[kind]} is empty", url, key)
    try:
        page = html.extract(b"\xef\xbb\xbf" + source.encode("utf-8", "replace"), url=url, main_content=kind == "html")
    except html.TooDeepError as error:
        return Quarantined(place, "too_deep", str(error), url, key)
    stated = page.meta | {"title": page.title, "text": page.text}
    return _document(place, stated | {ours: value for ours, value in said.items() if value})


def _value(row: Mapping[str, Any], path: str) -> str:
    """A value as text: of `a.b`, b in a; of a list, its strings on lines."""
    value: Any = row.get(path)
    if value is None and "." in path:
        value = row
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    return _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Mapping | bytes):
        return ""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "\n".join(item for item in value if isinstance(item, str))
    return str(value)
