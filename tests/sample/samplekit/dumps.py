"""The files that are not web archives: the Sogou news dump, the wiki export, the book and the JSON lines."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from samplekit.page import Page

FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
SOGOU_BREAK = "\ue40c"  # SogouCA separates paragraphs with this private-use character
BROKEN_AT = 15  # the Sogou record of this number, counted from 0, lacks its </doc>

WIKI_NAMESPACES = {"0": "", "1": "讨论", "10": "模板", "14": "分类"}


def plain_text(page: Page) -> str:
    """The body without the source format's marks for headings, code fences and forum posts."""
    lines = [line for line in page.body.split("\n") if not line.startswith(("```", "|--"))]
    return "\n".join(re.sub(r"^(?:#+ |@@ )", "", line) for line in lines)


def docno(page: Page) -> str:
    """A Sogou document number: 16 hex digits, a hyphen, 16 hex digits."""
    digest = hashlib.md5(page.url.encode()).hexdigest()
    return f"{digest[:16]}-{digest[16:]}"


def pack_sogou(pages: list[Page], path: Path) -> None:
    """Write the pages in SogouCA's form, GB18030, digits and Latin letters at full width, one record broken."""
    records = [_sogou_record(page) for page in pages]
    if len(records) > BROKEN_AT:
        records[BROKEN_AT] = records[BROKEN_AT].replace("</doc>\n", "")
    path.write_bytes("".join(records).encode("gb18030"))


def _sogou_record(page: Page) -> str:
    content = SOGOU_BREAK.join(line for line in plain_text(page).split("\n") if line.strip())
    fields = {
        "url": page.url,
        "docno": docno(page),
        "contenttitle": page.title.translate(FULL_WIDTH),
        "content": content.translate(FULL_WIDTH),
    }
    inner = "".join(f"<{name}>{value}</{name}>\n" for name, value in fields.items())
    return f"<doc>\n{inner}</doc>\n"


def wiki_id(page: Page) -> int:
    """The MediaWiki page id: from the key, so that adding a page renumbers no other."""
    return 1000 + page.number(8_000_000, "wiki")


def pack_wiki(pages: list[Page], path: Path) -> None:
    """Write the pages as a MediaWiki export, schema 0.11; their bodies are wikitext already."""
    spaces = "".join(
        f'      <namespace key="{key}" case="first-letter"{f">{name}</namespace>" if name else " />"}\n'
        for key, name in WIKI_NAMESPACES.items()
    )
    head = (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://www.mediawiki.org/xml/export-0.11/ '
        'http://www.mediawiki.org/xml/export-0.11.xsd" version="0.11" xml:lang="zh">\n'
        "  <siteinfo>\n    <sitename>样本百科</sitename>\n    <dbname>samplewiki</dbname>\n"
        "    <base>http://wiki.example.org/wiki/首页</base>\n    <generator>MediaWiki 1.39.0</generator>\n"
        f"    <case>first-letter</case>\n    <namespaces>\n{spaces}    </namespaces>\n  </siteinfo>\n"
    )
    path.write_text(head + "".join(_wiki_page(page) for page in pages) + "</mediawiki>\n", "utf-8", newline="\n")


def _wiki_page(page: Page) -> str:
    text = page.body
    size = len(text.encode())
    sha1 = _base36(int(hashlib.sha1(text.encode()).hexdigest(), 16))
    target = re.match(r"#(?:REDIRECT|重定向) *\[\[(.+?)\]\]", text, re.IGNORECASE)
    redirect = f"    <redirect title={quoteattr(target[1])} />\n" if target else ""
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.ns}</ns>\n    <id>{wiki_id(page)}</id>\n"
        f"{redirect}    <revision>\n      <id>{wiki_id(page) * 3 + 1}</id>\n"
        f"      <timestamp>{page.date}T08:00:00Z</timestamp>\n"
        f"      <contributor>\n        <username>样本编者</username>\n        <id>7</id>\n      </contributor>\n"
        f"      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{size}" sha1="{sha1}" xml:space="preserve">{escape(text)}</text>\n'
        f"      <sha1>{sha1}</sha1>\n    </revision>\n  </page>\n"
    )


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits.rjust(31, "0")


def pack_book(folder: Path, path: Path) -> None:
    """Join the chapters of `folder`, in the order of their names, into one GB18030 text as old book sites had it."""
    chapters = [_chapter(file.read_text("utf-8")) for file in sorted(folder.glob("*.txt"))]
    path.write_bytes("\r\n\r\n".join(chapters).encode("gb18030") + b"\r\n")


def _chapter(text: str) -> str:
    heading, *paragraphs = [line for line in text.split("\n") if line.strip()]
    return "\r\n".join([heading, "", *(f"\u3000\u3000{line}" for line in paragraphs)])


def jsonl_id(page: Page) -> str:
    """The "id" of a page in articles.jsonl."""
    return f"a{page.number(10**8, 'jsonl'):08d}"


def pack_jsonl(pages: list[Page], path: Path) -> None:
    """Write {"id", "url", "title", "text", "date"}, one page a line."""
    rows = [{"id": jsonl_id(p), "url": p.url, "title": p.title, "text": plain_text(p), "date": p.date} for p in pages]
    write_rows(rows, path)


def write_rows(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write JSON lines, Chinese unescaped."""
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8", newline="\n")
