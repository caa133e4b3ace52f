"""Which lines of a page are its text, and which are what stands around it.

Every line gets a score: the characters in it, times how likely a line with such punctuation, links and words is prose.
The text is the stretch of lines with the greatest sum (Pasternack and Roth, "Extracting article text from the web with
maximum subsequence segmentation", WWW 2009). So a heading or a caption between paragraphs stays, several long posts
of a thread stay together with what is between them, and menus and lists of links before and after are left out.
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

#: Marks of a clause or sentence. The colon is not among them: it is in every line of facts.
_MARKS = "，。！？；…"
_LATIN_CLAUSE = re.compile(r"[,.!?;](?=\s|$)")
_SENTENCE_END = re.compile(r"[。！？…；!?]['\"”’』」）)]*$|[a-z]\.['\")]*$")
#: Marks between the entries of a menu.
_SEPARATOR = re.compile(r"[|｜│┊»›·•┆◆■□▲▼]|>{1,2}|【|\]\s*\[|\s-\s|(?<=\S)\u3000{2,}(?=\S)|(?<=\S)[ \t\xa0]{2,}(?=\S)")
#: Words of the frame around a text, in lower case. In a line with little else they settle what it is.
_FRAME = re.compile(
    r"copyright|©|all rights reserved|powered by|[ｉi][ｃc][ｐp][备備证證]|网安备|备案号|许可证|标识码"
    r"|版权(?:所有|声明|归)|版權(?:所有|聲明)"
    r"|[上下]一[篇页頁条]|相[关關](?:新闻|报道|文章|阅读|链接|内容|推荐|专题|主题|新聞|報導|閱讀|連結)|侵权|违法和不良信息|主办|承办"
    r"|责任编辑|責任編輯|[【\[|\s](?:打印|列印|收藏|关闭|關閉|推荐|转发|纠错|举报)[】\]|\s]|关闭窗口|转载|免责声明|联系我们|關於我們|关于我们"
    r"|网站地图|友情链接|登[录錄入]|注[册冊]|註冊|用户名|密码|验证码|分享[到至]|扫一扫|扫码|微信公众号|下载(?:app|客户端)"
    r"|(?:热门|猜你|精彩|热点|为您|编辑)(?:推荐|文章|标签|喜欢)|排行榜|(?:点击|阅读|浏览|访问|引用)(?:数|量|次数|统计)?[(（：:]|trackback"
    r"|(?:发[表布]|更新|时间)[于：:]?\s*\d{4}[-年/]|(?:当前|您的)?位置[：:]|返回(?:顶部|首页|列表)|意见反馈|投诉|加入收藏|设为首页|举报电话",
)
#: What stands above the comments of readers.
_COMMENTS = re.compile(
    r"(?:发表|查看|最新|网友|全部|热门|我要|文章|更多|發表|網友)(?:评论|回复|留言|評論|回覆|回應)|我[来要]说两?句|\d+\s*[条件个篇則则]?\s*(?:评论|留言|評論|回應)"
    r"|(?:评论|留言|評論)\s*[(（]?\d"
)
_DATE_ONLY = re.compile(r"[\d\s:：/\-年月日时分秒()（）.,|]*")
_ANCHOR = re.compile(r"(?:<a\b[^>]*>)+(.*?)(?:</a>|$)")
_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<br>|</?(?:p|h[1-6]|li|ul|ol|pre)>|\n")
_NUMBER = re.compile(r"\d+")

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


def _extended(lines: list[Line], likely: list[float], last: int) -> int:
    """The end moved on over plain lines without links, if they are many: a table, a list or verses at the end."""
    end = last
    while end < len(lines) and not lines[end].linked and likely[end] > _NOISE:
        end += 1
    return end if sum(line.size for line in lines[last:end]) >= _MIN_TAIL else last


class Line(NamedTuple):
    """A line of a page: its words, how many characters they are, and how many of these are in links."""

    words: str
    size: int
    linked: int


def main_text(markup: str) -> str:
    """The lines of a page's text, of resiliparse's minimal HTML with links. Linear in its length."""
    lines = _lines(markup)
    likely = [_likelihood(line) for line in lines]
    heads = [index for index, chance in enumerate(likely) if chance == _END]
    if len({_NUMBER.sub("", lines[head].words) for head in heads}) < len(heads):
        # The same head twice, but for numbers in it: every post of a thread has its own, and what follows is more text.
        likely = [_NOISE if chance == _END else chance for chance in likely]
        heads = []
    scores = [_score(line, chance) for line, chance in zip(lines, likely, strict=True)]
    end = next((head for head in heads if _best_stretch(scores[:head])[2] >= _ARTICLE), len(lines))
    first, last, _ = _best_stretch(scores[:end])
    last = _extended(lines[:end], likely, last)
    chosen = lines[first:last]
    size = sum(line.size - line.linked for line in chosen)
    if size < _MIN_TEXT and size < _MIN_SHARE * sum(line.size - line.linked for line in lines):
        chosen = lines
    return "\n".join(line.words for line in chosen)


def all_text(markup: str) -> str:
    """All lines of a page."""
    return "\n".join(line.words for line in _lines(markup))


def _lines(markup: str) -> list[Line]:
    found = []
    for raw in _BREAK.split(markup):
        if not raw or raw.isspace():
            continue
        linked = 0
        if "<a" in raw:
            linked = sum(_size(_TAG.sub("", inner)) for inner in _ANCHOR.findall(raw))
        words = _TAG.sub("", raw) if "<" in raw else raw
        words = html.unescape(words) if "&" in words else words
        words = words.strip(" \t\r\n\xa0\u200b\ufeff")
        if size := _size(words):
            found.append(Line(words, size, min(size, linked)))
    return found


def _size(words: str) -> int:
    """Characters without white space."""
    return len("".join(words.split()))


def _score(line: Line, likely: float) -> float:
    """Above 0: rather text. The unit is characters."""
    size = min(line.size, _MAX_WEIGHT)
    if likely <= _NOISE:
        size = max(size, _FRAME_WEIGHT if likely == _NOISE else _COMMENTS_WEIGHT)
    return size * (2 * likely - 1)


def _likelihood(line: Line) -> float:
    words, size, linked = line
    clauses = sum(map(words.count, _MARKS)) or len(_LATIN_CLAUSE.findall(words))
    if size < 60 and clauses <= 1 and _COMMENTS.search(words):
        return _END
    if linked > 0.6 * size or _DATE_ONLY.fullmatch(words) or words.startswith(("http://", "https://")):
        return _MENU
    if _is_frame(words.lower(), size, clauses):
        return _NOISE
    if clauses <= size // 50 + 2 and (separators := len(_SEPARATOR.findall(words))) >= 3 and separators > clauses:
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
        return bool(_FRAME.search(words))
    return size < 400 and bool(_FRAME.search(words[:20]))


def _best_stretch(scores: list[float]) -> tuple[int, int, float]:
    """First and one past the last index of the greatest sum, and the sum; of equals the first."""
    best, first, last = 0.0, 0, 0
    running, start = 0.0, 0
    for index, score in enumerate(scores):
        if running <= 0:
            running, start = 0.0, index
        running += score
        if running > best:
            best, first, last = running, start, index + 1
    return first, last, best
