"""Frames: what stands before and after an article when an extractor leaves too much of its page."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FRAMES = Path(__file__).parent / "data" / "frames.jsonl"
"""Written for this project: one object a line with `id`, `site`, `before` and `after`, lines with slots in braces."""

SLOTS = frozenset(
    ["title", "date", "time", "source", "author", "column", "site", "number"]
    + ["next_title", "previous_title", *(f"title_{n}" for n in range(2, 6))]
)
"""What may stand in braces."""

_SLOT = re.compile(r"\{(\w+)\}")
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "文明华军平丽静敏强磊洋艳勇杰娟涛超秀霞刚桂英建国志远晓雨子涵"
_PLACES = ["江城", "海东", "云州", "南湖", "北辰", "西岭", "金水", "平川", "长宁", "青石"]
_PAPERS = ["日报", "晚报", "晨报", "在线", "新闻网", "电视台", "周刊", "信息网", "论坛", "快讯"]
_COLUMNS = [
    "国内新闻",
    "国际",
    "社会",
    "财经",
    "教育",
    "健康",
    "文化",
    "历史",
    "科技",
    "体育",
    "生活",
    "读书",
    "旅游",
    "美食",
    "育儿",
    "情感",
    "公告",
    "随笔",
    "技术文章",
    "专题",
]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `is_ad` where its lines promote something, so that an article inside becomes an advertising page."""

    id: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    is_ad: bool


def read_frames(path: Path = FRAMES) -> list[Frame]:
    """All frames of a file; a slot that nobody fills raises ValueError naming the frame."""
    frames = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if unknown := set(_SLOT.findall(" ".join([*row["before"], *row["after"]]))) - SLOTS:
            raise ValueError(f"{path}: {row['id']}: unknown slots {sorted(unknown)}; known are {sorted(SLOTS)}")
        frames.append(Frame(row["id"], tuple(row["before"]), tuple(row["after"]), row["site"].startswith("ad")))
    return frames


def fill(rng: random.Random, frame: Frame, titles: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines before and after, slots filled; one site, author and date a frame, as on a real page."""
    same = {
        "title": rng.choice(titles),
        "date": _date(rng),
        "time": f"{rng.randrange(24):02}:{rng.randrange(60):02}",
        "source": rng.choice(_PLACES) + rng.choice(_PAPERS),
        "author": rng.choice(_SURNAMES) + "".join(rng.choices(_GIVEN, k=rng.randint(1, 2))),
        "column": rng.choice(_COLUMNS),
        "site": rng.choice(_PLACES) + rng.choice(_PAPERS),
    }

    def value(slot: re.Match[str]) -> str:
        name = slot[1]
        if name == "number":
            return str(rng.choice([rng.randrange(10), rng.randrange(500), rng.randrange(100_000)]))
        return same.get(name) or rng.choice(titles)

    return [_SLOT.sub(value, line) for line in frame.before], [_SLOT.sub(value, line) for line in frame.after]


def _date(rng: random.Random) -> str:
    year, month, day = rng.randint(2003, 2023), rng.randint(1, 12), rng.randint(1, 28)
    shape = rng.choice(["{}-{:02}-{:02}", "{}年{}月{}日", "{}/{}/{}", "{}.{}.{}", "{}-{}-{}"])
    return shape.format(year, month, day)


def wrap(rng: random.Random, frame: Frame, titles: Sequence[str], body: str, room: float) -> str:
    """`body` in a frame of at most `room` characters; lines farthest from the body go first."""
    before, after = fill(rng, frame, titles)
    budget, lines = room, [body]
    while before or after:
        first = bool(before) and (not after or rng.random() < 0.5)
        line = before.pop() if first else after.pop(0)
        budget -= len(line)
        if budget < 0:
            break
        lines = [line, *lines] if first else [*lines, line]
    return "\n".join(lines)
