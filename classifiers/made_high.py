"""Recipes for good texts as pages show them."""

from __future__ import annotations

import random
import re

from mdfs.classifiers.frames import wrap
from mdfs.classifiers.pool import Filler, Pool, mix, nav, sentences


def high_crop(rng: random.Random, pool: Pool) -> str:
    """A run of whole sentences."""
    return pool.good(rng, 60, 1400)


def high_dressed(rng: random.Random, pool: Pool) -> str:
    """Good text with the usual furniture of its page: a share bar, a copyright line, breadcrumbs, a few related
    links."""
    fill = Filler(rng, pool)
    text = pool.good(rng, 250, 1600)
    head = [fill(rng.choice(pool.furniture["crumbs"]))] if rng.random() < 0.5 else []
    head += [nav(fill, 3, 9)] if rng.random() < 0.3 else []
    head += [rng.choice(pool.titles)] if rng.random() < 0.3 else []
    tail = fill.lines("share", rng.randint(0, 3)) + fill.lines("copyright", rng.randint(0, 2))
    tail += rng.sample(pool.titles, min(len(pool.titles), rng.randint(0, 4)))
    budget, kept = len(text) * 0.35, []
    for line in mix(rng, tail):
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


def high_framed(rng: random.Random, pool: Pool) -> str:
    """A good document as an extractor leaves it that takes too much: with up to two fifths of its page around it."""
    text = pool.whole(rng, rng.choice([400, 900, 1600, 2600, 6000]))
    return wrap(rng, rng.choice(pool.frames), pool.titles, text, len(text) * rng.uniform(0.1, 0.65))
