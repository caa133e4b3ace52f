"""Low, promotional and dressed-up documents made from good texts by declared, seeded recipes.

Real promotion and rubbish that may be trained on are scarce, so `derive` makes them: each recipe is one function from
a random generator and a `Pool` (good texts and phrases) to a text, and stands in `RECIPES` with its label. Recipes for
`high` are there too (web dressing, crops, traditional and full-width forms): without them length, a share bar or a
script would give the label away.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mdfs.classifiers.datasets import Doc

PHRASES = Path(__file__).parent / "data" / "phrases.toml"
_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?」』”]*\n?")
_CLAUSE = re.compile(r"[^，。！？；：、\n]+[，。！？；：、\n]?")
_DIGITS = "零一二三四五六七八九"


def sentences(text: str) -> list[str]:
    """Cut a text behind its sentence marks; nothing but blank pieces is lost."""
    return [s for s in _SENTENCE.findall(text) if s.strip()]


class Pool:
    """What recipes draw from: good documents (weighted by source, so that no set dominates) and one part of the
    phrases.

    `part` ("train" or "held out") picks which phrases are visible, so that a held-out text is not made of lines seen in
    training: a fifth of the lines of each list is kept for "held out".
    """

    def __init__(self, docs: Sequence[Doc], part: str, phrases: Path = PHRASES) -> None:
        self.docs = [d for d in docs if d.label == "high" and len(d.text) >= 120]
        self.part = part
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
        """A good document, each source equally likely."""
        return rng.choice(self.by_source[rng.choice(sorted(self.by_source))])

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


def _nav(fill: Filler, least: int, most: int) -> str:
    rng = fill.rng
    return rng.choice([" ", " | ", "\n", "  ", " · ", " - "]).join(fill.lines("nav", rng.randint(least, most)))


def _contact(fill: Filler, least: int = 2, most: int = 7) -> str:
    return fill.rng.choice(["\n", " ", "　", "\n"]).join(fill.lines("contact", fill.rng.randint(least, most)))


def _mix(rng: random.Random, *groups: Sequence[str]) -> list[str]:
    out = [line for group in groups for line in group]
    rng.shuffle(out)
    return out


# --- promotion ------------------------------------------------------------------------------------------------------


def ad_page(rng: random.Random, pool: Pool) -> str:
    """A product or service page: pitch, what the firm says of itself, calls to act, contacts, sometimes its menu."""
    fill = Filler(rng, pool)
    pitch = _mix(
        rng,
        fill.lines("lines", rng.randint(1, 5)),
        fill.lines("about", rng.randint(0, 3)),
        fill.lines("lure", rng.randint(0, 3)),
    )
    body = rng.choice(["", "\n"]).join(pitch)
    head = rng.choice(["", f"{fill.firm}\n", f"{fill.products[0]}-{fill.firm}\n", _nav(fill, 4, 14) + "\n"])
    tail = rng.choice(
        ["", "\n" + _contact(fill), "\n" + _contact(fill, 1, 3), "\n" + fill(rng.choice(pool.furniture["copyright"]))]
    )
    return head + body + tail


def ad_firm(rng: random.Random, pool: Pool) -> str:
    """A firm's page about itself."""
    fill = Filler(
        rng,
        pool,
        rng.choice(["machine", "chemical", "decoration", "local", "software", "shop", "travel", "school", "clinic"]),
    )
    body = fill.lines("about", rng.randint(4, 8)) + fill.lines("lines", rng.randint(1, 3))
    menu = _nav(fill, 5, 12) + "\n" if rng.random() < 0.4 else ""
    return menu + "".join(_mix(rng, body)) + "\n" + _contact(fill, 1, 8)


def ad_soft(rng: random.Random, pool: Pool) -> str:
    """An article that leads to a clinic, school or firm: general talk around promotional lines."""
    fill = Filler(rng, pool)
    body = fill.lines("spin", rng.randint(2, 5)) + fill.lines("lines", rng.randint(1, 4))
    good = [pool.good(rng, 40, 200)] if rng.random() < 0.3 else []
    return "\n".join(_mix(rng, body, good)) + ("\n" + _contact(fill, 1, 2) if rng.random() < 0.5 else "")


def ad_keywords(rng: random.Random, pool: Pool) -> str:
    """A page of promotional key words."""
    fill = Filler(rng, pool)
    words = [fill(rng.choice(pool.common["seo_shape"])) for _ in range(rng.randint(10, 60))]
    return rng.choice([" ", "，", "_", "|", "\n", "、"]).join(words) + rng.choice(
        ["", "\n" + fill.lines("lines", 1)[0]]
    )


def ad_spliced(rng: random.Random, pool: Pool) -> str:
    """Good text with promotional key words or lines spliced in."""
    fill = Filler(rng, pool)
    parts = (_CLAUSE if rng.random() < 0.5 else _SENTENCE).findall(pool.good(rng, 200, 900))
    share = rng.uniform(0.12, 0.5)

    def insert() -> str:
        return (
            fill(rng.choice(pool.common["seo_shape"]))
            if rng.random() < 0.6
            else rng.choice(fill.lines("lines", 1) + fill.lines("lure", 1))
        )

    out = [part + (insert() + rng.choice(["", "，", "。", " "]) if rng.random() < share else "") for part in parts]
    return fill.lines("lines", 1)[0] + "".join(out) + "".join(fill.lines("lines", rng.randint(0, 2)))


def ad_tail(rng: random.Random, pool: Pool) -> str:
    """A short good passage under a long promotional tail."""
    fill = Filler(rng, pool)
    tail = (
        fill.lines("lines", rng.randint(3, 6))
        + fill.lines("lure", rng.randint(1, 4))
        + fill.lines("about", rng.randint(0, 3))
    )
    return pool.good(rng, 60, 260) + "\n" + "\n".join(tail) + "\n" + _contact(fill, 3, 8)


def ad_listing(rng: random.Random, pool: Pool) -> str:
    """A list of offers with prices, as on shops, classifieds and download sites."""
    fill = Filler(
        rng, pool, rng.choice(["shop", "local", "software", "pirate", "property", "travel", "job", "beauty", "machine"])
    )
    rows = []
    for _ in range(rng.randint(4, 18)):
        name = fill(rng.choice(pool.common["seo_shape"] + ["{product}"]))
        rows.append(
            fill(
                rng.choice(
                    [
                        f"{name} ￥{{price}}",
                        f"{name} 立即购买",
                        f"{name} 已售{{n}}0件 ￥{{price}}",
                        f"[{fill.city}] {name} {{phone}}",
                        f"{name} 免费下载",
                        f"{name} 今天 {{n}}次浏览",
                    ]
                )
            )
        )
    return _nav(fill, 0, 10) + "\n" + "\n".join(rows) + "\n" + "\n".join(fill.lines("lines", rng.randint(1, 3)))


def ad_message(rng: random.Random, pool: Pool) -> str:
    """A text message or forum post that solicits."""
    fill = Filler(rng, pool)
    parts = (
        fill.lines("lines", rng.randint(1, 2))
        + fill.lines("lure", rng.randint(0, 2))
        + fill.lines("contact", rng.randint(0, 2))
    )
    return rng.choice(["", f"【{fill.firm}】", "您好！", "亲爱的会员，"]) + "".join(_mix(rng, parts))


# --- unfit, not promotional -----------------------------------------------------------------------------------------


def low_links(rng: random.Random, pool: Pool) -> str:
    """A list of titles."""
    fill = Filler(rng, pool)
    titles = rng.sample(pool.titles, min(len(pool.titles), rng.randint(6, 40)))
    mark = rng.choice(["", "· ", "• ", "[{nav}] ", "{year}-0{d}-1{d} ", "({d}-2{d}) ", "■ "])
    cut = rng.randint(8, 30)
    rows = [
        fill(mark) + (t if len(t) <= cut else t[:cut] + "...") + rng.choice(["", fill(" {year}-0{d}-0{d}"), " [详细]"])
        for t in titles
    ]
    return (
        rng.choice(["", _nav(fill, 4, 20) + "\n"])
        + rng.choice(["\n", "\n", " "]).join(rows)
        + rng.choice(["", "\n下一页 尾页 共" + fill("{n}") + "页"])
    )


def low_navigation(rng: random.Random, pool: Pool) -> str:
    """Menus, share bars, copyright lines and system messages with no text between them."""
    fill = Filler(rng, pool)
    parts = [_nav(fill, 5, 40)]
    for name in ("share", "copyright", "crumbs", "system", "forum"):
        parts += fill.lines(name, rng.randint(0, 3))
    return rng.choice(["\n", " "]).join(_mix(rng, parts))


def low_error(rng: random.Random, pool: Pool) -> str:
    """A login, error or empty template page."""
    fill = Filler(rng, pool)
    parts = fill.lines("system", rng.randint(1, 3)) + fill.lines("copyright", rng.randint(0, 2))
    return rng.choice(["", _nav(fill, 2, 8) + "\n"]) + "\n".join(parts)


def low_drowned(rng: random.Random, pool: Pool) -> str:
    """A short passage of good text drowned in page furniture (more than about half)."""
    fill = Filler(rng, pool)
    text = pool.good(rng, 30, 160)
    around: list[str] = []
    while sum(map(len, around)) < len(text) * rng.uniform(1.6, 4):
        around.append(
            rng.choice(
                [
                    _nav(fill, 5, 20),
                    *fill.lines("share", 2),
                    *fill.lines("copyright", 1),
                    *fill.lines("crumbs", 1),
                    *fill.lines("forum", 2),
                    *rng.sample(pool.titles, min(3, len(pool.titles))),
                ]
            )
        )
    where = rng.randrange(len(around) + 1)
    return "\n".join([*around[:where], text, *around[where:]])


def low_forum(rng: random.Random, pool: Pool) -> str:
    """Forum furniture: floors, points and one-word answers."""
    fill = Filler(rng, pool)
    return rng.choice(["\n", " "]).join(
        [rng.choice(pool.titles), *(fill(rng.choice(pool.furniture["forum"])) for _ in range(rng.randint(8, 40)))]
    )


def low_code(rng: random.Random, pool: Pool) -> str:
    """Script and style left in a page."""
    fill = Filler(rng, pool)
    parts = [fill(rng.choice(pool.furniture["code"])) for _ in range(rng.randint(6, 24))]
    return rng.choice(["\n", " "]).join(
        _mix(rng, parts, fill.lines("nav", rng.randint(0, 8)), [pool.good(rng, 20, 60)])
    )


def low_mojibake(rng: random.Random, pool: Pool) -> str:
    """Text read in the wrong encoding."""
    raw = pool.good(rng, 80, 600)
    wrong: list[Callable[[], str]] = [
        lambda: raw.encode("utf-8").decode("gb18030", "replace"),
        lambda: raw.encode("utf-8").decode("latin-1"),
        lambda: raw.encode("gb18030", "replace").decode("latin-1"),
        lambda: raw.encode("gb18030", "replace").decode("big5", "replace"),
        lambda: raw.encode("gb18030", "replace").decode("utf-8", "replace"),
        lambda: raw.encode("utf-8").decode("cp1252", "replace"),
    ]
    text = rng.choice(wrong)()
    return text if rng.random() < 0.7 else pool.good(rng, 20, 80) + text


def low_broken(rng: random.Random, pool: Pool) -> str:
    """Text in which many characters were lost or replaced."""
    share, bad = rng.uniform(0.12, 0.4), rng.choice(["?", "\ufffd", "□", "", "■", "??"])
    return "".join(bad if rng.random() < share else c for c in pool.good(rng, 80, 500))


def low_salad(rng: random.Random, pool: Pool) -> str:
    """Clauses of several texts shuffled together."""
    parts = [c for _ in range(rng.randint(2, 6)) for c in _CLAUSE.findall(pool.good(rng, 80, 300))]
    rng.shuffle(parts)
    return "".join(parts)


def low_sentence_salad(rng: random.Random, pool: Pool) -> str:
    """Whole sentences of unrelated texts in turn."""
    parts = [s for _ in range(rng.randint(5, 12)) for s in sentences(pool.good(rng, 30, 120))[:2]]
    rng.shuffle(parts)
    return "".join(p.strip() for p in parts)


def low_scrambled(rng: random.Random, pool: Pool) -> str:
    """Pieces of one to four characters moved about within each clause."""

    def scramble(clause: str) -> str:
        pieces, i = [], 0
        while i < len(clause) - 1:
            step = rng.randint(1, 4)
            pieces.append(clause[i : i + step])
            i += step
        rng.shuffle(pieces)
        return "".join(pieces) + clause[-1:]

    return "".join(scramble(c) for c in _CLAUSE.findall(pool.good(rng, 80, 600)))


def low_spun(rng: random.Random, pool: Pool) -> str:
    """Text in which pieces of two characters are replaced by pieces of another text, as word spinners do."""
    text, other = pool.good(rng, 120, 600), pool.good(rng, 300, 900)
    share = rng.uniform(0.2, 0.5)
    out, i = [], 0
    while i < len(text):
        if rng.random() < share and text[i : i + 2].isalnum() and len(other) > 4:
            at = rng.randrange(len(other) - 2)
            out.append(other[at : at + 2].strip("，。\n") or text[i : i + 2])
        else:
            out.append(text[i : i + 2])
        i += 2
    return "".join(out)


def low_fragments(rng: random.Random, pool: Pool) -> str:
    """Pieces that break off before they say anything."""

    def piece() -> str:
        text = pool.good(rng, 60, 200)
        start = rng.randrange(max(1, len(text) - 20))
        return text[start : start + rng.randint(4, 18)]

    return rng.choice(["\n", " ", "...", "…\n"]).join(piece() for _ in range(rng.randint(1, 8)))


def low_repeated(rng: random.Random, pool: Pool) -> str:
    """A line or two, over and over."""
    lines = sentences(pool.good(rng, 30, 160))[: rng.randint(1, 3)]
    return rng.choice(["", "\n"]).join(lines * rng.randint(5, 20))[:1500]


def low_stuffed(rng: random.Random, pool: Pool) -> str:
    """Words of one text repeated as tags, with nothing to sell."""
    text = "".join(c for c in pool.good(rng, 100, 400) if c.isalnum())
    words = [text[i : i + rng.randint(2, 5)] for i in range(0, max(1, len(text) - 5), 9)]
    return rng.choice([" ", ",", "、", "\n", "|"]).join(
        rng.choice(words or ["标签"]) for _ in range(rng.randint(20, 90))
    )


def low_numbers(rng: random.Random, pool: Pool) -> str:
    """A table of numbers, dates or codes without its meaning."""
    fill = Filler(rng, pool)
    cells = [
        fill(
            rng.choice(
                ["{n}", "0.{n}", "{year}-0{d}-1{d}", "{n}.{d}{d}%", "{n}00", "-", "+{d}.{n}", "{nav}", "A{n}{d}"]
            )
        )
        for _ in range(rng.randint(20, 120))
    ]
    width = rng.randint(3, 9)
    return "\n".join(" ".join(cells[i : i + width]) for i in range(0, len(cells), width))


def low_bait(rng: random.Random, pool: Pool) -> str:
    """Empty-headed click-bait."""
    fill = Filler(rng, pool)
    topic = rng.choice(pool.titles)
    parts = [
        line if rng.random() < 0.6 else f"关于“{topic[:12]}”，{line}" for line in fill.lines("bait", rng.randint(4, 11))
    ]
    return topic + rng.choice(["！", "？", "\n"]) + rng.choice(["。", "\n", "！", "，"]).join(parts)


# --- good -----------------------------------------------------------------------------------------------------------


def high_crop(rng: random.Random, pool: Pool) -> str:
    """A run of whole sentences."""
    return pool.good(rng, 60, 1400)


def high_dressed(rng: random.Random, pool: Pool) -> str:
    """Good text with the usual furniture of its page: a share bar, a copyright line, breadcrumbs, a few related
    links."""
    fill = Filler(rng, pool)
    text = pool.good(rng, 250, 1600)
    head = [fill(rng.choice(pool.furniture["crumbs"]))] if rng.random() < 0.5 else []
    head += [_nav(fill, 3, 9)] if rng.random() < 0.3 else []
    head += [rng.choice(pool.titles)] if rng.random() < 0.3 else []
    tail = fill.lines("share", rng.randint(0, 3)) + fill.lines("copyright", rng.randint(0, 2))
    tail += rng.sample(pool.titles, min(len(pool.titles), rng.randint(0, 4)))
    budget, kept = len(text) * 0.35, []
    for line in _mix(rng, tail):
        budget -= len(line)
        if budget < 0:
            break
        kept.append(line)
    return "\n".join([*(h for h in head if len(h) < len(text) * 0.2), text, *kept])


def high_small_promotion(rng: random.Random, pool: Pool) -> str:
    """A long good text under which stands one contact or promotional line."""
    fill = Filler(rng, pool)
    return pool.good(rng, 500, 1600) + "\n" + fill.lines(rng.choice(["contact", "lure", "copyright"]), 1)[0]


def high_one_line(rng: random.Random, pool: Pool) -> str:
    """Good text whose line breaks were lost, or whose sentences stand one a line."""
    text = pool.good(rng, 150, 1200)
    return (
        re.sub(r"\s*\n\s*", rng.choice(["", " "]), text)
        if rng.random() < 0.6
        else "\n".join(s.strip() for s in sentences(text))
    )


def high_full_width(rng: random.Random, pool: Pool) -> str:
    """Good text with digits and Latin letters in full width, or its punctuation in half width."""
    text = pool.good(rng, 100, 900)
    if rng.random() < 0.5:
        return text.translate({c: c + 0xFEE0 for c in range(0x21, 0x7F)})
    return text.translate(str.maketrans("，。！？：；（）“”", ',.!?:;()""'))


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe, the label of what it makes and its share among the recipes of that label."""

    label: str
    make: Callable[[random.Random, Pool], str]
    weight: float = 1.0


RECIPES = {
    function.__name__: Recipe(function.__name__.split("_", 1)[0], function, weight)
    for function, weight in [
        (ad_page, 2.0),
        (ad_firm, 1.2),
        (ad_soft, 1.5),
        (ad_keywords, 0.6),
        (ad_spliced, 1.5),
        (ad_tail, 1.0),
        (ad_listing, 1.0),
        (ad_message, 1.0),
        (low_links, 1.6),
        (low_navigation, 1.0),
        (low_error, 0.5),
        (low_drowned, 1.4),
        (low_forum, 0.7),
        (low_code, 0.5),
        (low_mojibake, 0.9),
        (low_broken, 0.7),
        (low_salad, 0.8),
        (low_sentence_salad, 0.5),
        (low_scrambled, 0.8),
        (low_spun, 0.8),
        (low_fragments, 0.7),
        (low_repeated, 0.5),
        (low_stuffed, 0.7),
        (low_numbers, 0.5),
        (low_bait, 0.9),
        (high_crop, 3.0),
        (high_dressed, 2.5),
        (high_small_promotion, 0.6),
        (high_one_line, 1.5),
        (high_full_width, 0.6),
    ]
}
"""All recipes by name; a name starts with its label."""


def derive(docs: Sequence[Doc], part: str, wanted: dict[str, int], seed: int) -> list[Doc]:
    """Make `wanted[label]` documents of each label from the good ones among `docs`; the same seed makes the same
    texts."""
    pool, out = Pool(docs, part), []
    for label, count in sorted(wanted.items()):
        names = [n for n, r in RECIPES.items() if r.label == label]
        for number in range(count):
            rng = random.Random(f"{seed}|{part}|{label}|{number}")  # noqa: S311 (no secret)
            name = rng.choices(names, [RECIPES[n].weight for n in names])[0]
            text = RECIPES[name].make(rng, pool)
            out.append(
                Doc(f"{part}:{label}:{number}", text, label, f"made:{name}", f"made:{part}:{label}:{number}", name)
            )
    return out
