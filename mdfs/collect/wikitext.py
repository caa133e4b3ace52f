"""Wikitext to prose: what a reader of the article reads in its paragraphs, without tables, templates and notes.

Formulas stay as the LaTeX that they are written in.

One pass over the marks, with a stack of what is open, so that the time is linear in the length and nothing nests too
deep. What is never closed counts as text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from mdfs.collect import mathml

#: What opens and closes. Longest first where one begins like another.
_MARKS = re.compile(r"\{\{|\}\}|\{\||\|\}(?!\})|\[\[|\]\]|-\{|\}-")
#: Things open inside each other; deeper marks are text (MediaWiki itself stops at 40 for templates).
_MAX_OPEN = 200

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
#: Elements that go with what is in them.
_GONE = (
    *("ref", "references", "chem", "gallery", "timeline", "score", "syntaxhighlight", "source", "code", "pre"),
    *("imagemap", "graph", "templatedata", "templatestyles", "includeonly", "noinclude", "mapframe", "maplink"),
    *("hiero", "section", "inputbox", "categorytree", "style", "script"),
)
_ELEMENT = re.compile(rf"<(/?)({'|'.join(_GONE)}|nowiki|math)\b([^<>]*)>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*\b[^<>]{0,1000}>")
_BREAK = re.compile(r"<(?:br|hr|p|/p|/div|/li|/blockquote|/tr)\b[^<>]{0,200}>", re.IGNORECASE)
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:|//)[^\s\]\[]{0,2000}(?:[ \t]+([^\]\n\[]{0,2000}))?\]")
_QUOTES = re.compile(r"'{2,5}")
_HEADING = re.compile(r"^(={1,6})[ \t]*([^\n]{0,500}?)[ \t]*\1[ \t]*$", re.MULTILINE)
_BULLET = re.compile(r"^[*#:;]+[ \t]*", re.MULTILINE)
_SWITCH = re.compile(r"__[A-Z_]{3,30}__|__[^\W_a-z0-9]{2,12}__")
_RULER = re.compile(r"^-{4,}", re.MULTILINE)
#: Brackets left empty where a template or a note stood in them.
_EMPTY = re.compile(r"[（(][\s，,、；;：:]*[）)]|「」|『』|《》|“”")
_LEADING = re.compile(r"([（(])[\s，,、；;]+")
#: A language's name and colon in brackets, of which the words were a template: （英語：）.
_NAKED = re.compile(r"[（(](?:[\u4e00-\u9fff]{1,6}(?:语|語|文)[：:][\s，,、；;]*)+[）)]")

_REDIRECT = re.compile(r"\s*#\s*(?:redirect|重定向|重新導向|重新导向)\s*:?\s*\[\[([^\]\n|]{1,300})", re.IGNORECASE)
_DISAMBIGUATION = re.compile(
    r"\{\{\s*(?:disambig\w*|dab|消歧义|消歧義|消歧义页|消歧義頁|hndis|geodis|人名消歧[义義]|地名消歧[义義])\s*[|}]",
    re.IGNORECASE,
)

#: Links to these are no words of a sentence (before the colon, in lower case).
_FILES = (
    "file",
    "image",
    "文件",
    "档案",
    "檔案",
    "图像",
    "圖像",
    "图片",
    "圖片",
    "category",
    "分类",
    "分類",
    "media",
    "媒体",
    "媒體",
)
#: Templates of which an argument is words of the sentence → its number; of several the last that is given.
_INLINE = {
    **dict.fromkeys(
        ("nobr", "nowrap", "ruby", "small", "big", "quote", "cquote", "blockquote", "unicode", "ipa"), (1,)
    ),
    **dict.fromkeys(
        ("jpn", "zy", "zh-hans", "專名", "专名", "僻字", "缺字", "linktext", "proper name", "ill", "illm"), (1,)
    ),
    **dict.fromkeys(("lang-en", "lang-ja", "lang-de", "lang-fr", "lang-la", "lang-ru", "lang-ko", "lang-es"), (1,)),
    **dict.fromkeys(("le", "link-en", "link-ja", "link-de", "link-fr", "internal link helper"), (1, 3)),
    "lang": (2,),
    "tsl": (3, 4),
}
#: Variants in the order in which -{…}- is resolved; a text in one variant keeps its own words elsewhere.
_VARIANTS = ("zh-hans", "zh-cn", "zh", "zh-hant", "zh-tw", "zh-hk", "zh-sg", "zh-my", "zh-mo")
#: Headings of sections that hold lists of sources and links.
_APPENDIX = re.compile(
    r"参考(?:文献|资料|来源|书目)?|參考(?:文獻|資料|來源|書目)?|注释|註釋|注釋|注解|註解|外部(?:链接|連結|鏈接)|参见|參見|参看|參看"
    r"|相关条目|相關條目|延伸阅读|延伸閱讀|脚注|腳註|资料来源|資料來源|来源|來源|引用|备注|備註|相关链接|相關連結|扩展阅读|參考資料與註釋"
    r"|references|external links|see also|notes|further reading|bibliography|sources|footnotes",
    re.IGNORECASE,
)


@dataclass
class _Open:
    """Something open: the mark, and the words in it so far."""

    mark: str
    words: list[str] = field(default_factory=list)


def prose(source: str) -> str:
    """The paragraphs, headings and list items of an article, a line each. Never raises; linear in the length."""
    text = _structured(_without_elements(_COMMENT.sub("", source)))
    text = _EXTERNAL.sub(lambda found: found[1] or "", text)
    text = _TAG.sub("", _BREAK.sub("\n", text))
    text = _QUOTES.sub("", _SWITCH.sub("", text))
    text = html.unescape(text).replace("\xa0", " ")
    text = _without_appendix(_RULER.sub("", text))
    text = _LEADING.sub(r"\1", _EMPTY.sub("", _NAKED.sub("", _BULLET.sub("", text))))
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line and not _is_debris(line))


def redirect(source: str) -> str:
    """The page that this one leads to, or ""."""
    found = _REDIRECT.match(source[:1000])
    return found[1].strip() if found else ""


def is_disambiguation(source: str, title: str) -> bool:
    """Whether a page only tells apart what has the same name."""
    return bool(_DISAMBIGUATION.search(source)) or title.endswith(
        ("(消歧义)", "(消歧義)", "（消歧义）", "（消歧義）", "(disambiguation)")
    )


def _without_elements(text: str) -> str:
    """Cuts out notes and the like; formulas and what stands in <nowiki> stay, with their marks made harmless."""
    kept: list[str] = []
    at, inside, depth, attributes = 0, "", 0, ""
    for found in _ELEMENT.finditer(text):
        name, closing, alone = found[2].lower(), bool(found[1]), found[3].endswith("/")
        if inside:
            if name == inside and not alone:
                depth += -1 if closing else 1
            if depth == 0:
                if inside == "nowiki":
                    kept.append(_harmless(text[at : found.start()]))
                elif inside == "math":
                    kept.append(_harmless(mathml.written(text[at : found.start()], attributes)))
                at, inside = found.end(), ""
        else:
            kept.append(text[at : found.start()])
            at = found.end()
            if not closing and not alone:
                inside, depth, attributes = name, 1, found[3]
    if not inside:
        kept.append(text[at:])
    return "".join(kept)


def _harmless(text: str) -> str:
    return re.sub(r"[\[\]{}'|=<>*#:;&_-]", lambda found: f"&#{ord(found[0])};", text)


def _structured(text: str) -> str:
    """Templates, tables, links and variants resolved."""
    stack = [_Open("")]
    at = 0
    for found in _MARKS.finditer(text):
        if found.start() < at:
            continue
        mark = found[0]
        stack[-1].words.append(text[at : found.start()])
        at = found.end()
        if mark in _CLOSES:
            _close(stack, mark)
        elif len(stack) < _MAX_OPEN and _opens(text, found.start(), mark):
            stack.append(_Open(mark))
        else:
            stack[-1].words.append(mark)
    stack[-1].words.append(text[at:])
    while len(stack) > 1:
        _fall_open(stack)
    return "".join(stack[0].words)


_CLOSES = {"}}": "{{", "|}": "{|", "]]": "[[", "}-": "-{"}


def _opens(text: str, at: int, mark: str) -> bool:
    """A table opens at the begin of a line only."""
    return mark != "{|" or not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t:*")


def _close(stack: list[_Open], mark: str) -> None:
    """End what `mark` ends; what stands open inside it was text. A mark that ends nothing is text."""
    wanted = _CLOSES[mark]
    depth = next((d for d in range(len(stack) - 1, max(0, len(stack) - 8), -1) if stack[d].mark == wanted), 0)
    if not depth:
        stack[-1].words.append(mark)
        return
    while len(stack) - 1 > depth:
        _fall_open(stack)
    inner = "".join(stack.pop().words)
    stack[-1].words.append(_RESOLVE[wanted](inner))


def _fall_open(stack: list[_Open]) -> None:
    """The last open thing is never closed: a table goes, anything else was text."""
    last = stack.pop()
    if last.mark != "{|":
        stack[-1].words.append(last.mark)
        stack[-1].words.extend(last.words)


def _template(inner: str) -> str:
    name, *arguments = inner.split("|")
    name = " ".join(name.lower().replace("_", " ").split())
    if name not in _INLINE:
        return ""
    positional = [value for value in arguments if not re.match(r"\s*[a-zA-Z_\u4e00-\u9fff-]{1,20}\s*=", value)]
    explicit = {
        number.strip(): value for number, _, value in (a.partition("=") for a in arguments) if number.strip().isdigit()
    }
    for number in reversed(_INLINE[name]):
        value = explicit.get(str(number)) or (positional[number - 1] if number <= len(positional) else "")
        if value.strip():
            return value.strip()
    return ""


def _link(inner: str) -> str:
    target, bar, rest = inner.partition("|")
    prefix, colon, _ = target.strip().lower().partition(":")
    if colon and prefix.strip() in _FILES:
        return ""
    if colon and not bar and re.fullmatch(r"[a-z]{2,3}(?:-[a-z]{2,8})?", prefix):
        return ""
    if not bar:
        return target.strip().lstrip(":")
    return rest.rpartition("|")[2] if rest else re.sub(r"\s*[（(][^()（）]*[)）]$|^[^:]*:", "", target)


def _variant(inner: str) -> str:
    flags, bar, rest = inner.partition("|")
    if bar and re.fullmatch(r"[\sA-Za-z;-]{0,40}", flags):
        if {flag.strip().upper() for flag in flags.split(";")} & {"H", "T", "D", "-"}:
            return ""
        inner = rest
    words: dict[str, str] = {}
    for rule in inner.split(";"):
        code, colon, word = rule.rpartition("=>")[2].partition(":")
        if colon and code.strip().lower() in _VARIANTS:
            words.setdefault(code.strip().lower(), word.strip())
    return next((words[code] for code in _VARIANTS if words.get(code)), "" if words else inner)


_RESOLVE = {"{{": _template, "{|": lambda inner: "", "[[": _link, "-{": _variant}


def _without_appendix(text: str) -> str:
    """Headings become lines; sections of sources and links go, up to the next heading of their level or above."""
    kept: list[str] = []
    at, gone_below = 0, 0
    for found in _HEADING.finditer(text):
        level, words = len(found[1]), found[2].strip()
        if not gone_below:
            kept.append(text[at : found.start()])
        at = found.end()
        if gone_below and level > gone_below:
            continue
        gone_below = level if _APPENDIX.fullmatch(words) else 0
        if not gone_below:
            kept.append(words)
    if not gone_below:
        kept.append(text[at:])
    return "".join(kept)


def _is_debris(line: str) -> bool:
    """What is left of tables and templates that are broken, and lines of marks alone."""
    return line.startswith(("|", "{|", "!", "}}")) or not any(char.isalnum() for char in line)
