"""Small labelled files, made of three vocabularies that overlap: easy to learn, not trivially."""

from __future__ import annotations

import json
import random
from pathlib import Path

VOICES = {
    "ad": "厂家直销欢迎来电咨询价格优惠免费送货量大从优联系我们订购热线",
    "high": "河边的老人坐在树下谈论今年收成和雨水山里云慢走过田野与村庄",
    "low": "首页登录注册上一页下一页返回顶部关闭窗口评论分享收藏帮助中心",
}
EVERY = "的一是不了在人有我他"


def text(label: str, rng: random.Random, length: int | None = None) -> str:
    """A text of 30 to 90 characters (or so many) in the voice of a label, a fifth of it in all voices alike."""
    count = length or rng.randint(30, 90)
    return "".join(rng.choice(EVERY if rng.random() < 0.2 else VOICES[label]) for _ in range(count))


def rows(each: int, seed: int = 0, labels: tuple[str, ...] = ("ad", "high", "low")) -> list[dict[str, str]]:
    """So many rows for each label, each from a host of its own."""
    rng = random.Random(seed)
    return [
        {"text": text(label, rng), "label": label, "url": f"http://{label}{i}.example/{i}", "source": f"set{i % 2}"}
        for i in range(each)
        for label in labels
    ]


def write(path: Path, given: list[dict[str, str]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in given), encoding="utf-8")
    return path
