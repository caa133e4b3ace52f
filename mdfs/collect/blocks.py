"""Which lines of a page are its text, and which are what stands around it.

Every line gets a score: the characters in it, times how likely a line with such punctuation, links and words is prose.
The text is the stretch of lines with the greatest sum (Pasternack and Roth, "Extracting article text from the web with
maximum subsequence segmentation", WWW 2009). So a heading or a caption between paragraphs stays, and menus and lists of
links before and after are left out. A thread keeps all its posts: see `mdfs.collect.threads`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from mdfs.collect import threads

#: Marks of a clause or sentence. The colon is not among them: it is in every line of facts.
_MARKS = re.compile("[，。！？；…]")
_LATIN_CLAUSE = re.compile(r"[,.!?;](?=\s|$)")
_SENTENCE_END = re.compile(r"[。！？…；!?][\"'”’』」）)]*$|[a-z]\.['\")]*$")
#: Marks between the entries of a menu, and the characters without which there is none (a quick look).
_SEPARATOR = re.compile(r"[|｜│┊»›·•┆◆■□▲▼]|>{1,2}|【|\]\s*\[|\s-\s|(?<=\S)\u3000{2,}(?=\S)|(?<=\S)[ \xa0]{2,}(?=\S)")
_MAY_SEPARATE = re.compile("[|｜│┊»›·•┆◆■□▲▼>【\\]\u3000 \xa0]")


def _all(firsts: str, seconds: str) -> str:
    """Every word of the one list with every word of the other, as alternatives."""
    return "|".join(first + second for first in firsts.split() for second in seconds.split())


#: Words of the frame around a text, in lower case. In a line with little else they settle what it is. Each alternative
#: begins with a letter of its own and not with a set of them: so the search skips all other letters, ten times as fast.
_FRAME = re.compile(
    r"copyright|©|all rights reserved|powered by|icp[备備证證]|ｉｃｐ[备備证證]|网安备|备案号|许可证|标识码"
    r"|版权(?:所有|声明|归)|版權(?:所有|聲明)"
    r"|上一[篇页頁条]|下一[篇页頁条]|侵权|违法和不良信息|主办|承办|责任编辑|責任編輯|关闭窗口|转载|免责声明|联系我们|關於我們|关于我们"
    r"|相[关關](?:新闻|报道|文章|阅读|链接|内容|推荐|专题|主题|新聞|報導|閱讀|連結)"
    r"|网站地图|友情链接|登[录錄入]|注[册冊]|註冊|用户名|密码|验证码|分享[到至]|扫一扫|扫码|微信公众号|下载(?:app|客户端)"
    r"|排行榜|trackback|位置[：:]|返回(?:顶部|首页|列表)|意见反馈|投诉|加入收藏|设为首页|举报电话"
    r"|发[表布](?:[于：:]|时间[：:]?)?\s*\d{4}[-年/]|更新(?:[于：:]|时间[：:]?)?\s*\d{4}[-年/]|时间[于：:]?\s*\d{4}[-年/]|"
    + _all("热门 猜你 精彩 热点 为您 编辑", "推荐 文章 标签 喜欢")
    + "|"
    + _all("点击 阅读 浏览 访问 引用", "(?:数|量|次数|统计)?[(（：:]")
    + "|"
    + "|".join(rf"{verb[0]}(?<=[【\[|\s]{verb[0]}){verb[1:]}[】\]|\s]" for verb in
               ("打印", "列印", "收藏", "关闭", "關閉", "推荐", "转发", "纠错", "举报"))
)  # fmt: skip
#: What stands above the comments of readers, and the letters without one of which nothing does.
_COMMENTS = re.compile(
    r"(?:发表|查看|最新|网友|全部|热门|我要|文章|更多|發表|網友)(?:评论|回复|留言|評論|回覆|回應)|我[来要]说两?句|\d+\s*[条件个篇則则]?\s*(?:评论|留言|評論|回應)"
    r"|(?:评论|留言|評論)\s*[(（]?\d"
)
_MAY_COMMENT = re.compile("[评論言复覆應说]")
_DATE_ONLY = re.compile(r"[\d\s:：/\-年月日时分秒()（）.,|]*")
_ANCHOR = re.compile(r"(?:<a\b[^>]*>)+(.*?)(?:</a>|$)")
_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<(?:br|/?(?:p|h[1-6]|li|ul|ol|pre))>|\n")
_CODE = re.compile(r"<pre>(.*?)(?:</pre>|\Z)", re.DOTALL)
_NUMBER = re.compile(r"\d+")
#: Between the cells of a row: resiliparse writes tabs, `restate` a mark of its own. Both become one tab.
_CELLS = re.compile("[ ]*(?:\t[ \t]*|\x1f)[ ]*")

#: How likely a line is text, by what it looks like. Estimated by hand on what such lines are in general.
_PROSE, _CLAUSES, _LONG, _PLAIN, _SHORT, _MENU, _NOISE, _END = 0.98, 0.9, 0.65, 0.42, 0.3, 0.08, 0.02, 0.01
#: A line that is part of the frame weighs at least as much as so many characters: it separates.
_FRAME_WEIGHT = 25
#: And the head of the comments as so many: what readers say of an article is not the article.
_COMMENTS_WEIGHT = 200
#: Comments are cut off where a stretch of at least this score is before their head.
_ARTICLE = 300
#: No line weighs more than this many characters: one long disclaimer outweighs no article.
_MAX_WEIGHT = 400
#: A text of fewer characters, which is less than a fifth of what is no link, is no find.
_MIN_TEXT, _MIN_SHARE = 80, 0.2
#: Plain lines after the text are part of it from this many characters on; fewer are buttons and counters.
_MIN_TAIL = 60
#: A page with so many lines that are links, and less prose than so much of all its characters, is a list of pages.
#: With a date or a number of readers beside it, a line is a link from this share on.
_LIST_LINES, _LIST_PROSE, _LIST_LINK = 10, 0.2, 0.4


class Line(NamedTuple):
    """A line of a page: its words, how many characters they are, and how many of these are in links.

    `kind`: "" or `code` (words keep their indentation) or `row` (of a table, with a tab between its cells).
    """

    words: str
    size: int
    linked: int
    kind: str = ""


class Found(NamedTuple):
    """A page's text, its `kind` ("" for an article, `thread` or `list`), and the lines around the text's begin."""

    text: str
    kind: str
    around: list[str]


def main_text(markup: str) -> Found:
    """The text of a page, of resiliparse's minimal HTML with links. Linear in its length."""
    lines = _lines(markup)
    clauses = [len(_MARKS.findall(line.words)) for line in lines]
    likely = [_likelihood(line, marks) for line, marks in zip(lines, clauses, strict=True)]
    thread = threads.find([line.words for line in lines], clauses)
    if thread:
        first, last = _posts(lines, likely, thread)
        chosen = [line for index, line in enumerate(lines[first:last], first) if index not in thread.furniture]
    else:
        first, last = _article(lines, likely)
        chosen = lines[first:last]
    kind = "thread" if thread else "list" if _is_list(lines, likely) else ""
    size = sum(line.size - line.linked for line in chosen)
    if not thread and size < _MIN_TEXT and size < _MIN_SHARE * sum(line.size - line.linked for line in lines):
        chosen = lines
    around = [line.words for line in lines[max(0, first - 8) : first + 3] if line.size < 100]
    return Found("\n".join(line.words for line in chosen), kind, around)


def all_text(markup: str) -> str:
    """All lines of a page."""
    return "\n".join(line.words for line in _lines(markup))


def _article(lines: list[Line], likely: list[float]) -> tuple[int, int]:
    """First and one past the last line of the text."""
    heads = [index for index, chance in enumerate(likely) if chance == _END]
    if len(heads) > 1 and len({_NUMBER.sub("", lines[head].words) for head in heads}) < len(heads):
        # The same head twice, but for numbers in it: every post of a thread has its own, and what follows is more text.
        likely = [_NOISE if chance == _END else chance for chance in likely]
        heads = []
    scores = [_score(line, chance) for line, chance in zip(lines, likely, strict=True)]
    first, last, end = _best_stretch(scores, set(heads))
    return first, _extended(lines[:end], likely, last)


def _posts(lines: list[Line], likely: list[float], thread: threads.Thread) -> tuple[int, int]:
    """The same of a thread: whatever is between its posts holds them together."""
    scores = [_score(line, chance) for line, chance in zip(lines, likely, strict=True)]
    for index in thread.furniture:
        scores[index] = 0.0
    for index in range(thread.first, thread.last + 1):
        scores[index] = max(scores[index], 0.0)
    first, last, _ = _best_stretch(scores, set())
    last = max(last, thread.last + 1)
    while last < len(lines) and not lines[last].linked and likely[last] > _MENU:
        last += 1
    return min(first, thread.first), last


def _is_list(lines: list[Line], likely: list[float]) -> bool:
    """Whether the page is mostly links to others."""
    links = sum(line.linked > _LIST_LINK * line.size for line in lines)
    if links < max(_LIST_LINES, len(lines) // 2):
        return False
    prose = sum(line.size - line.linked for line, chance in zip(lines, likely, strict=True) if chance >= _CLAUSES)
    return prose < _LIST_PROSE * sum(line.size for line in lines)


def _extended(lines: list[Line], likely: list[float], last: int) -> int:
    """The end moved on over plain lines without links, if they are many: a table, a list or verses at the end."""
    end = last
    while end < len(lines) and not lines[end].linked and likely[end] > _NOISE:
        end += 1
    return end if sum(line.size for line in lines[last:end]) >= _MIN_TAIL else last


def _lines(markup: str) -> list[Line]:
    if "<pre>" not in markup:
        return list(_flowing(markup))
    found: list[Line] = []
    at = 0
    for code in _CODE.finditer(markup):
        found += _flowing(markup[at : code.start()])
        found += _verbatim(code[1])
        at = code.end()
    found += _flowing(markup[at:])
    return found


def _flowing(markup: str) -> Iterator[Line]:
    for raw in _BREAK.split(markup):
        if not raw or raw.isspace():
            continue
        linked = 0
        words = raw
        if "<" in raw:
            if "<a" in raw:
                linked = sum(_size(_words(inner)) for inner in _ANCHOR.findall(raw))
            words = _TAG.sub("", raw)
        if "&" in words:
            words = html.unescape(words)
        words = words.strip(" \t\r\n\xa0\u200b\ufeff")
        if size := _size(words):
            if "\t" in words or "\x1f" in words:
                yield Line(_CELLS.sub("\t", words), size, min(size, linked), "row")
            else:
                yield Line(words, size, min(size, linked))


def _verbatim(code: str) -> Iterator[Line]:
    """Lines of preformatted text, indented as they are; a blank one stays with the line before it."""
    kept = ""
    for raw in html.unescape(_TAG.sub("", code)).strip("\n").split("\n"):
        words = raw.rstrip()
        if words and kept.strip():
            yield Line(kept, _size(kept), 0, "code")
            kept = words
        else:
            kept = f"{kept}\n{words}" if kept else words
    if kept.strip():
        yield Line(kept.rstrip(), _size(kept), 0, "code")


def _words(inner: str) -> str:
    return _TAG.sub("", inner) if "<" in inner else inner


def _size(words: str) -> int:
    """Characters without white space."""
    return len("".join(words.split()))


def _score(line: Line, likely: float) -> float:
    """Above 0: rather text. The unit is characters."""
    size = min(line.size, _MAX_WEIGHT)
    if likely <= _NOISE:
        size = max(size, _FRAME_WEIGHT if likely == _NOISE else _COMMENTS_WEIGHT)
    return size * (2 * likely - 1)


def _likelihood(line: Line, marks: int) -> float:
    words, size, linked, kind = line
    if kind == "code":
        return _PROSE if marks and _SENTENCE_END.search(words[-8:]) else _LONG
    clauses = marks or len(_LATIN_CLAUSE.findall(words))
    if size < 60 and clauses <= 1 and _MAY_COMMENT.search(words) and _COMMENTS.search(words):
        return _END
    if linked > 0.6 * size or _DATE_ONLY.fullmatch(words) or words.startswith(("http://", "https://")):
        return _MENU
    if _is_frame(words, size, clauses):
        return _NOISE
    if kind != "row" and clauses <= size // 50 + 2 and _MAY_SEPARATE.search(words):
        separators = len(_SEPARATOR.findall(words))
        if separators >= 3 and separators > clauses:
            return _MENU
    if clauses and _SENTENCE_END.search(words[-8:]):
        return _PROSE if size >= 10 else _CLAUSES
    if clauses >= 2 or (clauses and size >= 20):
        return _CLAUSES
    if size >= 50:
        return _LONG
    return _PLAIN if size >= 12 and not linked else _SHORT


def _is_frame(words: str, size: int, clauses: int) -> bool:
    """Whether a line has words of the frame: anywhere in a short one, at the begin of a longer one."""
    if not clauses or (size < 60 and clauses <= 2):
        return bool(_FRAME.search(words.lower()))
    return size < 400 and bool(_FRAME.search(words[:20].lower()))


def _best_stretch(scores: list[float], heads: set[int]) -> tuple[int, int, int]:
    """First and one past the last index of the greatest sum, and where the search ended; of equals the first.

    It ends at the first of `heads` that has an article before it, else behind the last score.
    """
    best, first, last = 0.0, 0, 0
    running, start = 0.0, 0
    for index, score in enumerate(scores):
        if best >= _ARTICLE and index in heads:
            return first, last, index
        if running <= 0:
            running, start = 0.0, index
        running += score
        if running > best:
            best, first, last = running, start, index + 1
    return first, last, len(scores)
