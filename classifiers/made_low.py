"""Recipes for what is unfit and promotes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

from mdfs.classifiers.frames import fill as fill_frame
from mdfs.classifiers.frames import wrap
from mdfs.classifiers.pool import CLAUSE, Filler, Pool, mix, nav, sentences


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
        rng.choice(["", nav(fill, 4, 20) + "\n"])
        + rng.choice(["\n", "\n", " "]).join(rows)
        + rng.choice(["", "\n下一页 尾页 共" + fill("{n}") + "页"])
    )


def low_navigation(rng: random.Random, pool: Pool) -> str:
    """Menus, share bars, copyright lines and system messages with no text between them."""
    fill = Filler(rng, pool)
    parts = [nav(fill, 5, 40)]
    for name in ("share", "copyright", "crumbs", "system", "forum"):
        parts += fill.lines(name, rng.randint(0, 3))
    return rng.choice(["\n", " "]).join(mix(rng, parts))


def low_error(rng: random.Random, pool: Pool) -> str:
    """A login, error or empty template page."""
    fill = Filler(rng, pool)
    parts = fill.lines("system", rng.randint(1, 3)) + fill.lines("copyright", rng.randint(0, 2))
    return rng.choice(["", nav(fill, 2, 8) + "\n"]) + "\n".join(parts)


def low_drowned(rng: random.Random, pool: Pool) -> str:
    """A short passage of good text drowned in page furniture (more than about half)."""
    fill = Filler(rng, pool)
    text = pool.good(rng, 30, 160)
    around: list[str] = []
    while sum(map(len, around)) < len(text) * rng.uniform(1.6, 4):
        around.append(
            rng.choice(
                [
                    nav(fill, 5, 20),
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
    return rng.choice(["\n", " "]).join(mix(rng, parts, fill.lines("nav", rng.randint(0, 8)), [pool.good(rng, 20, 60)]))


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
    parts = [c for _ in range(rng.randint(2, 6)) for c in CLAUSE.findall(pool.good(rng, 80, 300))]
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

    return "".join(scramble(c) for c in CLAUSE.findall(pool.good(rng, 80, 600)))


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


def low_framed(rng: random.Random, pool: Pool) -> str:
    """A page of which only frame is left, or frame and the beginning of a text."""
    text = rng.choice(["", rng.choice(pool.titles), pool.good(rng, 20, 60)])
    frames = sorted(rng.sample(pool.frames, min(3, len(pool.frames))), key=lambda f: len("".join(f.before + f.after)))
    page = wrap(rng, frames[-1], pool.titles, text, 5000)
    if len(page) > 3 * len(text) + 40:
        return page
    return page + "\n" + "\n".join(rng.choices(pool.titles, k=rng.randint(8, 24)))


def low_frames(rng: random.Random, pool: Pool) -> str:
    """Menus, lists of titles and footers of a page, one after the other."""
    lines: list[str] = []
    for frame in rng.sample(pool.frames, min(len(pool.frames), rng.randint(2, 3))):
        before, after = fill_frame(rng, frame, pool.titles)
        lines += before + after
    return "\n".join(lines)
