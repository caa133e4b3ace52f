"""Threads of a forum, questions with answers: pages on which many people write, each with the same box around it.

Every post has a line that says who wrote it and when, or what can be done with it (reply, quote, report). The same line
but for numbers, several times on a page, tells a thread; lines that come as often are its furniture (points, date of
registration, buttons) and no text of anyone.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

#: What the line of a post says. Each alternative begins with a letter: see `mdfs.collect.blocks`.
_POST = re.compile(
    r"发[表布](?:于|在|时间|日期)|發[表佈][於在]|回[答复覆帖](?:于|於|时间|数)|编辑于|編輯於|只看该作者|只看該作者|只看樓主|只看楼主"
    r"|楼主|樓主|沙发|板凳|引用|举报|舉報|檢舉|赞同|采纳|Posted|posted|Reply|answered|wrote"
)
#: Its place in the thread, and what else differs from post to post.
_PLACE = re.compile(
    r"\d+\s*(?:楼|樓|#|F\b)|#\s*\d+|楼主|樓主|沙发|沙發|板凳|地板|(?:[一二三四五六七八九十]|刚|几)?(?:分钟|小时|天|昨|前)前?"
    r"|[\d\s:：/.\-—年月日时分秒上下午#]+"
)
#: A line with more characters, or with a clause in it, is somebody's words.
_MAX_LINE = 60
#: Posts from which on a page is a thread.
_MIN_POSTS = 2
#: Lines that come with more than this share of the posts are furniture. A person who wrote every second post is none.
_FURNITURE = 0.6
#: Characters with clauses before the first post from which a page is rather an article with comments under it, unless
#: the posts have as many as the second number on average.
_ARTICLE, _LONG_POST = 300, 80


class Thread(NamedTuple):
    """Lines from the `first` post's begin to the `last` post's line, and the `furniture` on the whole page."""

    first: int
    last: int
    furniture: frozenset[int]


def find(lines: list[str], clauses: list[int]) -> Thread | None:
    """The thread on a page with these lines, each with so many clauses; None where there is none."""
    short = [index for index, words in enumerate(lines) if not clauses[index] and len(words) < _MAX_LINE]
    marks = [index for index in short if _POST.search(lines[index])]
    if len(marks) < _MIN_POSTS:
        return None
    keys = {index: _PLACE.sub("", lines[index]) for index in short}
    often = Counter(keys[index] for index in marks)
    key, posts = max(often.items(), key=lambda item: item[1])
    if posts < _MIN_POSTS:
        return None
    marks = [index for index in marks if keys[index] == key]
    said = [len(words) if clauses[index] else 0 for index, words in enumerate(lines)]
    if not _is_thread(said, marks):
        return None
    counts = Counter(keys.values())
    furniture = frozenset(index for index, key in keys.items() if counts[key] > _FURNITURE * posts and counts[key] > 1)
    first = _begin(marks[0], furniture, keys)
    return Thread(first, marks[-1], furniture)


def _is_thread(said: list[int], marks: list[int]) -> bool:
    """Whether people write between the marks, and not only comment on what is before them."""
    before, between = sum(said[: marks[0]]), sum(said[marks[0] : marks[-1]])
    if not between:
        return False
    return before < _ARTICLE or between >= _LONG_POST * (len(marks) - 1)


def _begin(mark: int, furniture: frozenset[int], keys: dict[int, str]) -> int:
    """The begin of the first post: its writer's box is above its mark."""
    first = mark
    while first and first - 1 in furniture:
        first -= 1
    return first - 1 if first < mark and first - 1 in keys and len(keys[first - 1]) <= 20 else first
