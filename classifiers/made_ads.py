"""Recipes for promotion."""

from __future__ import annotations

import random

from mdfs.classifiers.frames import wrap
from mdfs.classifiers.pool import CLAUSE, SENTENCE, Filler, Pool, contact, mix, nav, sentences


def ad_page(rng: random.Random, pool: Pool) -> str:
    """A product or service page: pitch, what the firm says of itself, calls to act, contacts, sometimes its menu."""
    fill = Filler(rng, pool)
    pitch = mix(
        rng,
        fill.lines("lines", rng.randint(1, 5)),
        fill.lines("about", rng.randint(0, 3)),
        fill.lines("lure", rng.randint(0, 3)),
    )
    body = rng.choice(["", "\n"]).join(pitch)
    head = rng.choice(["", f"{fill.firm}\n", f"{fill.products[0]}-{fill.firm}\n", nav(fill, 4, 14) + "\n"])
    tail = rng.choice(
        ["", "\n" + contact(fill), "\n" + contact(fill, 1, 3), "\n" + fill(rng.choice(pool.furniture["copyright"]))]
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
    menu = nav(fill, 5, 12) + "\n" if rng.random() < 0.4 else ""
    return menu + "".join(mix(rng, body)) + "\n" + contact(fill, 1, 8)


def ad_soft(rng: random.Random, pool: Pool) -> str:
    """An article that leads to a clinic, school or firm: general talk around promotional lines."""
    fill = Filler(rng, pool)
    body = fill.lines("spin", rng.randint(2, 5)) + fill.lines("lines", rng.randint(1, 4))
    good = [pool.good(rng, 40, 200)] if rng.random() < 0.3 else []
    return "\n".join(mix(rng, body, good)) + ("\n" + contact(fill, 1, 2) if rng.random() < 0.5 else "")


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
    parts = (CLAUSE if rng.random() < 0.5 else SENTENCE).findall(pool.good(rng, 200, 900))
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
    return pool.good(rng, 60, 260) + "\n" + "\n".join(tail) + "\n" + contact(fill, 3, 8)


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
    return nav(fill, 0, 10) + "\n" + "\n".join(rows) + "\n" + "\n".join(fill.lines("lines", rng.randint(1, 3)))


def ad_message(rng: random.Random, pool: Pool) -> str:
    """A text message or forum post that solicits."""
    fill = Filler(rng, pool)
    parts = (
        fill.lines("lines", rng.randint(1, 2))
        + fill.lines("lure", rng.randint(0, 2))
        + fill.lines("contact", rng.randint(0, 2))
    )
    return rng.choice(["", f"【{fill.firm}】", "您好！", "亲爱的会员，"]) + "".join(mix(rng, parts))


def ad_framed(rng: random.Random, pool: Pool) -> str:
    """An advertising document in the frame of an ordinary page."""
    text = pool.ad(rng, rng.choice([400, 900, 1600, 2600]))
    return wrap(rng, rng.choice(pool.frames), pool.titles, text, len(text) * rng.uniform(0.1, 0.65))


def ad_interleaved(rng: random.Random, pool: Pool) -> str:
    """The paragraphs of an advertising document among those of a good one, half and half."""
    promotion = [line for line in pool.ad(rng, rng.choice([400, 900])).split("\n") if line.strip()]
    size = sum(map(len, promotion))
    good = [s.strip() for s in sentences(pool.good(rng, size // 2, size))]
    order = rng.sample(range(len(promotion) + len(good)), len(promotion))
    out, lines, others = [], iter(promotion), iter(good)
    for place in range(len(promotion) + len(good)):
        out.append(next(lines) if place in order else next(others))
    return "\n".join(out)


def ad_frame(rng: random.Random, pool: Pool) -> str:
    """A passage of a good text between lines of promotion."""
    text = pool.good(rng, 60, 300)
    if not pool.ad_frames:
        return ad_tail(rng, pool)
    return wrap(rng, rng.choice(pool.ad_frames), pool.titles, text, 5000)
