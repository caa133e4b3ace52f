"""A page's title, main text and stated facts."""

from __future__ import annotations

from typing import NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from mdfs.collect import blocks, encoding, facts, mojibake
from mdfs.collect.bounds import TooDeepError, bounded
from mdfs.collect.restate import formulas, tables

__all__ = ["Extracted", "TooDeepError", "extract"]

#: Characters of main text under which the page is gone through again, this time with what has the class or place of a
#: frame: some sites put the article there.
_TOO_LITTLE = 60


class Extracted(NamedTuple):
    """What a page says: `title`, main `text` (a line a paragraph, a row of a table or a line of code), and `meta`.

    `encoding` and `encoding_by` tell how it was read (see `encoding.decide`). `meta` may have `published`, `author`,
    `origin` (the paper that a text was taken from), `site_name`, `type`, `lang`, and `page_kind`: `list` for a page of
    links to others, `thread` for posts of many; and `repaired`: how it had been decoded wrongly before it was sent.
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
    source, raw = found.text, found.raw
    if "\0" in source:
        source, raw = source.replace("\0", ""), None
    read, (text, kind, around) = _read(source, raw, main_content)
    repair = ""
    if mojibake.suspicious(text):
        source, repair = mojibake.repaired(source)
        if repair:
            read, (text, kind, around) = _read(source, None, main_content)
    meta = facts.stated(source, linked_data=read.linked_data)
    title = facts.title(read.tree.title or "", read.markup, meta.pop("title", ""))
    for key, value in facts.byline(around).items():
        meta.setdefault(key, value)
    if kind:
        meta["page_kind"] = kind
    if repair:
        meta["repaired"] = repair
    return Extracted(title, text, found.encoding, found.by, meta)


class _Read(NamedTuple):
    """A page's tree, the thin markup it was built from, and whether the page has linked data."""

    tree: HTMLTree
    markup: str
    linked_data: bool


def _read(source: str, raw: bytes | None, main_content: bool) -> tuple[_Read, blocks.Found]:
    """A page read: `raw` is `source` in UTF-8, where it is at hand."""
    thin = bounded(raw if raw is not None else _utf8(source))
    if thin.formulas:
        thin = bounded(_utf8(formulas(source)))
    markup = thin.markup.decode("utf-8", "surrogatepass")
    tree = HTMLTree.parse(tables(markup))
    found = _main(tree) if main_content else blocks.Found(_everything(tree), "", [])
    return _Read(tree, markup, thin.linked_data), found


def _utf8(source: str) -> bytes:
    return source.encode("utf-8", "surrogatepass")


def _main(tree: HTMLTree) -> blocks.Found:
    """The main text: of what is no frame by its class and place, or if that is next to nothing, of all."""
    found = blocks.main_text(_markup(tree, main_content=True))
    if len(found.text) >= _TOO_LITTLE:
        return found
    return max(found, blocks.main_text(_markup(tree, main_content=False)), key=lambda one: len(one.text))


def _everything(tree: HTMLTree) -> str:
    return blocks.all_text(_markup(tree, main_content=False))


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
