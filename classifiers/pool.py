"""What derived documents are made of: good and promotional texts, phrases with slots, frames of pages."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

from mdfs.classifiers.datasets import Doc
from mdfs.classifiers.frames import read_frames

PHRASES = Path(__file__).parent / "data" / "phrases.toml"
SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?」』”]*\n?")
CLAUSE = re.compile(r"[^，。！？；：、\n]+[，。！？；：、\n]?")
SOURCE_WEIGHTS = {"news": 6.0, "written": 5.0, "modelled": 5.0, "novels": 0.5, "classical": 0.5, "laws": 0.5}
"""How often a derived document is made of a set's text, 1 for those not named: pages of the web hold today's prose, and
where only old books stand between menus, a model learns that today's prose is what advertisements are written in."""

_DIGITS = "零一二三四五六七八九"


def sentences(text: str) -> list[str]:
    """Cut a text behind its sentence marks; nothing but blank pieces is lost."""
    return [s for s in SENTENCE.findall(text) if s.strip()]


class Pool:
    """What recipes draw from: good documents (weighted by source), advertising ones, one part of phrases and frames.

    `part` ("train" or "held out") picks which phrases and frames are visible, so that a held-out text is not made of
    lines seen in training: a fifth of each list is kept for "held out".
    """

    def __init__(self, docs: Sequence[Doc], part: str, phrases: Path = PHRASES) -> None:
        self.docs = [d for d in docs if d.label == "high" and len(d.text) >= 120]
        self.ads = [d for d in docs if d.label == "ad" and len(d.text) >= 120]
        self.part = part
        frames = [f for f in read_frames() if (crc32(f.id.encode()) % 5 == 0) == (part == "held out")]
        self.frames = [f for f in frames if not f.is_ad]
        self.ad_frames = [f for f in frames if f.is_ad]
        table: dict[str, Any] = tomllib.loads(phrases.read_text(encoding="utf-8"))
        self.trades = {
            name: {key: self._part(lines) for key, lines in trade.items()} for name, trade in table["trade"].items()
        }
        self.common = {key: self._part(lines) for key, lines in table["common"].items()}
        self.furniture = {key: self._part(lines) for key, lines in table["furniture"].items()}

    def _part(self, lines: list[str]) -> list[str]:
        if len(lines) < 10:  # too few to hold any out
            return lines
        held = lines[::5]
        return held if self.part == "held out" else [line for line in lines if line not in held]

    @cached_property
    def by_source(self) -> dict[str, list[Doc]]:
        """The good documents of each source."""
        out: dict[str, list[Doc]] = {}
        for doc in self.docs:
            out.setdefault(doc.source, []).append(doc)
        return out

    @cached_property
    def titles(self) -> list[str]:
        """First lines of 6 to 32 characters: the titles of news and articles."""
        firsts = (d.text.split("\n", 1)[0].strip("# 　") for d in self.docs)
        return [t for t in firsts if 6 <= len(t) <= 32] or ["今日要闻"]

    def doc(self, rng: random.Random) -> Doc:
        """A good document; its source drawn by `SOURCE_WEIGHTS`."""
        names = sorted(self.by_source)
        weights = [SOURCE_WEIGHTS.get(name, 1.0) for name in names]
        return rng.choice(self.by_source[rng.choices(names, weights)[0]])

    def whole(self, rng: random.Random, most: int) -> str:
        """A good document from its beginning on, whole sentences, about `most` characters of it."""
        out = ""
        for part in sentences(self.doc(rng).text):
            if out and len(out) + len(part) > most:
                break
            out += part
        return out.strip()[: most * 2]

    def ad(self, rng: random.Random, most: int) -> str:
        """The beginning of an advertising document, in whole lines; a derived text where none is given."""
        if not self.ads:
            return "\n".join(Filler(rng, self).lines("lines", 5))
        out: list[str] = []
        for line in rng.choice(self.ads).text.split("\n"):
            if out and sum(map(len, out)) + len(line) > most:
                break
            out.append(line)
        return "\n".join(out)[: most * 2]

    def good(self, rng: random.Random, least: int, most: int) -> str:
        """A run of whole sentences of a good text, about `least` to `most` characters long."""
        parts = sentences(self.doc(rng).text)
        start = 0 if rng.random() < 0.5 else rng.randrange(len(parts))
        while start and sum(map(len, parts[start:])) < least:
            start -= 1
        want, out = rng.randint(least, most), ""
        for part in parts[start:]:
            if out and len(out) + len(part) > want:
                break
            out += part
        return out.strip()[: most * 2]


class Filler:
    """Fills the slots of phrases with invented firms, cities, products and numbers; one per document."""

    def __init__(self, rng: random.Random, pool: Pool, trade: str | None = None) -> None:
        self.rng, self.pool = rng, pool
        self.trade = pool.trades[trade or rng.choice(sorted(pool.trades))]
        common = pool.common
        self.city = rng.choice(common["city_a"]) + rng.choice(common["city_b"])
        name = rng.choice(common["firm_a"]) + rng.choice(common["firm_b"]) + rng.choice(common["firm_c"])
        self.firm = (self.city if rng.random() < 0.5 else "") + name
        self.phone = self._phone()
        self.products = rng.sample(self.trade["products"], min(len(self.trade["products"]), rng.randint(1, 4)))

    def _phone(self) -> str:
        rng = self.rng
        digits = "".join(str(rng.randrange(10)) for _ in range(8))
        return rng.choice(
            [
                f"1{rng.choice('3578')}{digits}{rng.randrange(10)}",
                f"0{rng.randint(10, 999)}-{digits}",
                f"400-{digits[:3]}-{digits[3:7]}",
                "xxxxxxxx",
                f"1{digits[:2]}xxxx{digits[:4]}",
            ]
        )

    def __call__(self, phrase: str) -> str:
        """`phrase` with its slots filled."""
        rng = self.rng
        slots = {
            "firm": self.firm,
            "city": self.city,
            "phone": self.phone,
            "person": rng.choice(self.pool.common["person"]),
            "year": str(rng.randint(1996, 2023)),
            "n": str(rng.randint(2, 98)),
            "d": str(rng.randint(1, 9)),
            "price": str(rng.choice([9.9, 19, 68, 99, 128, 299, 1980, 3999])),
            "qq": str(rng.randint(10**7, 10**10)),
            "nav": rng.choice(self.pool.furniture["nav"]),
            "site": "www."
            + "".join(rng.choice("abcdefghkmxyz168") for _ in range(rng.randint(4, 9)))
            + rng.choice([".com", ".cn", ".net", ".cc"]),
        }
        return re.sub(r"\{product\}", lambda _: rng.choice(self.products), phrase).format(**slots)

    def lines(self, where: str, count: int) -> list[str]:
        """`count` filled phrases of `where`: a list of the trade, of `common` or of `furniture`; repeats only past
        its end."""
        table = self.trade.get(where) or self.pool.common.get(where) or self.pool.furniture[where]
        picked = [p for _ in range(count // len(table)) for p in table] + self.rng.sample(table, count % len(table))
        return [self(p) for p in picked]


def nav(fill: Filler, least: int, most: int) -> str:
    """A menu of `least` to `most` items in one of the usual separators."""
    rng = fill.rng
    return rng.choice([" ", " | ", "\n", "  ", " · ", " - "]).join(fill.lines("nav", rng.randint(least, most)))


def contact(fill: Filler, least: int = 2, most: int = 7) -> str:
    """Contact lines."""
    return fill.rng.choice(["\n", " ", "　", "\n"]).join(fill.lines("contact", fill.rng.randint(least, most)))


def mix(rng: random.Random, *groups: Sequence[str]) -> list[str]:
    """The lines of all groups in random order."""
    out = [line for group in groups for line in group]
    rng.shuffle(out)
    return out
