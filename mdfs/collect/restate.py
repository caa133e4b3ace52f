"""What a parser would lose is said in words before it looks: formulas become LaTeX, rows of data become lines.

Formulas are looked for in the source of pages that have some, tables in thin markup. Every pass is linear.
"""

from __future__ import annotations

import html
import re

from mdfs.collect import mathml

#: Between the cells of a row: a control character that no page shows (U+001F, unit separator).
_CELL = "\x1f"
_TABLE = re.compile("<(/?)(?:table|TABLE)")
_ROW = re.compile(r"<tr\b[^<>]*>|</tr\s*>", re.IGNORECASE)
_DATUM = re.compile(r"<t[dh]\b[^<>]*>", re.IGNORECASE)
#: What a table that lays out a page has in its cells, and one of data has not.
_LAYOUT = re.compile(
    r"<(?:p|div|form|input|select|textarea|img|script|style|iframe|ul|ol|dl|h[1-6]|center|object|embed|pre|br)\b",
    re.IGNORECASE,
)
#: Characters of a table of data at most; longer ones stay as they are.
_MAX_TABLE = 500_000
#: Links per row from which on a table is a menu.
_MAX_LINKS = 1
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"<a[\s>]", re.IGNORECASE)

_MATH = re.compile(r"<(/?)math\b[^<>]*>", re.IGNORECASE)
_TEX_SCRIPT = re.compile(
    r"<script\b[^<>]{0,200}?\btype\s*=\s*[\"']?math/tex(;\s*mode=display)?[^<>]{0,200}>", re.IGNORECASE
)
#: What MathJax and KaTeX draw beside the formula itself; Wikipedia hides the formula from who can see its picture.
_DRAWN = re.compile(r"<span\b[^<>]{0,300}?\bclass\s*=\s*[\"'](?:katex-html|MathJax_Preview|MathJax)[\"'][^<>]{0,300}>")
_HIDDEN = re.compile(r"<span\b[^<>]{0,100}\bmwe-math-mathml[^<>]{0,300}>")
_SPAN = re.compile(r"<(/?)span\b", re.IGNORECASE)


def formulas(source: str) -> str:
    """The page with its formulas in words. Anything else is as it was."""
    source = _without(source, _DRAWN)
    source = _HIDDEN.sub("<span>", source)
    return _elements(_scripts(source))


def _scripts(source: str) -> str:
    """MathJax keeps formulas in scripts."""
    kept, at = [], 0
    for found in _TEX_SCRIPT.finditer(source):
        end = source.find("</script", found.end())
        if end < 0:
            break
        kept += [source[at : found.start()], _dollars(html.unescape(source[found.end() : end]), display=bool(found[1]))]
        at = source.find(">", end) + 1 or len(source)
    return "".join([*kept, source[at:]]) if kept else source


def _elements(source: str) -> str:
    """MathML, from a start tag to the next end tag."""
    kept, at, begin = [], 0, -1
    for found in _MATH.finditer(source):
        if not found[1]:
            begin = found.start()
        elif begin >= 0:
            kept += [source[at:begin], _dollars(*mathml.latex(source[begin : found.end()]))]
            at, begin = found.end(), -1
    return "".join([*kept, source[at:]]) if kept else source


def _dollars(latex: str, display: bool) -> str:
    """A formula between dollar signs, as words of a page."""
    return html.escape(mathml.in_dollars(latex, display), quote=False)


def _without(source: str, opening: re.Pattern[str]) -> str:
    """The page without the spans that begin like this, with all that is in them."""
    kept, at = [], 0
    for found in opening.finditer(source):
        if found.start() < at:
            continue
        end = _span_end(source, found.end())
        if end < 0:
            break
        kept.append(source[at : found.start()])
        at = end
    return "".join([*kept, source[at:]]) if kept else source


def _span_end(source: str, at: int) -> int:
    """Where the span ends whose content begins at `at`; -1 where it never does."""
    depth = 1
    for found in _SPAN.finditer(source, at):
        depth += -1 if found[1] else 1
        if not depth:
            return source.find(">", found.end()) + 1 or len(source)
    return -1


def tables(source: str) -> str:
    """The page with its innermost tables, those that hold no other, in words where they are data."""
    if "<table" not in source and "<TABLE" not in source:
        return source
    kept, at, begin = [], 0, -1
    for found in _TABLE.finditer(source):
        if not found[1]:
            begin = found.start()
            continue
        end = found.start()
        if begin >= 0 and end - begin <= _MAX_TABLE and (words := _rows(source[source.find(">", begin) + 1 : end])):
            kept += [source[at:begin], words]
            at = source.find(">", end) + 1 or len(source)
        begin = -1
    return "".join([*kept, source[at:]]) if kept else source


def _rows(table: str) -> str:
    """The rows as paragraphs; "" where the table holds something else than data: parts of the page, or a menu."""
    if _LAYOUT.search(table):
        return ""
    rows = [_DATUM.split(row)[1:] for row in _ROW.split(table)]
    rows = [row for row in rows if row]
    if len(rows) < 2 or sum(len(row) > 1 for row in rows) < 0.6 * len(rows):
        return ""
    if len(_LINK.findall(table)) > _MAX_LINKS * len(rows):
        return ""
    lines = (_CELL.join(" ".join(_TAG.sub("", cell).split()) for cell in row) for row in rows)
    return "<div>" + "".join(f"<p>{line}</p>" for line in lines) + "</div>"
