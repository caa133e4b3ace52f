"""English texts by seed, good and bad in the ways that rules for English look at, many of them close to a limit."""

from __future__ import annotations

import random
from collections.abc import Callable

_COMMON = "the of and to a in that is was for it with as his on be at by had not are but from or have an they which"
_WORDS = """
water light garden market harbour river winter summer morning evening teacher student letter window kitchen
table bread butter basket village street bridge station engine wheel paper pencil picture music dance story song
doctor farmer sailor soldier captain brother sister mother father friend neighbour number answer question reason
season weather mountain valley forest island ocean machine metal wooden heavy gentle quiet sudden narrow ancient
bright early late small large simple difficult careful walked carried opened closed remembered answered followed built
painted planted gathered measured finished believed travelled listened repaired discovered slowly quickly together
perhaps almost always never again beyond between against during without information government development
environment communication responsibility understanding international considerable
"""
_NAMED, _FUNCTION = _WORDS.split(), _COMMON.split()
_ODD = [
    "don't",
    "it's",
    "well-known",
    "e-mail",
    "3.5%",
    "1,200",
    "U.S.",
    "No. 7",
    "(see above)",
    "and/or",
    "$20",
    "90s",
]

Text = Callable[[random.Random], str]


def sentence(rng: random.Random, least: int = 5, most: int = 22, end: str = ".") -> str:
    """Words as frequent as in English: two in five are function words, one in twenty is written oddly."""
    words = []
    for _ in range(rng.randint(least, most)):
        drawn = rng.random()
        words.append(rng.choice(_FUNCTION) if drawn < 0.4 else rng.choice(_ODD) if drawn > 0.95 else rng.choice(_NAMED))
        if rng.random() < 0.06:
            words[-1] += ","
    return " ".join(words).capitalize().rstrip(",") + end


def paragraph(rng: random.Random, sentences: int) -> str:
    """Sentences in one line; some are questions or quotations."""
    return " ".join(sentence(rng, end=rng.choice([".", ".", ".", ".", "?", "!", '."'])) for _ in range(sentences))


def prose(rng: random.Random) -> str:
    """Paragraphs, with one line break or two between them."""
    gap = rng.choice(["\n", "\n\n"])
    return gap.join(paragraph(rng, rng.randint(2, 6)) for _ in range(rng.randint(1, 9)))


def wrapped(rng: random.Random) -> str:
    """Prose wrapped at 72 columns, as in mail."""
    lines, words = [""], prose(rng).split()
    for word in words:
        if len(lines[-1]) + len(word) > 72:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def short(rng: random.Random) -> str:
    """Around 50 words."""
    return paragraph(rng, rng.randint(2, 6))


def bullets(rng: random.Random) -> str:
    """A list, nearly all of it or half of it under bullets."""
    share = rng.choice([0.5, 0.85, 0.95, 1.0])
    marks = rng.choice(["- ", "• ", "* "])
    return "\n".join((marks if rng.random() < share else "") + sentence(rng) for _ in range(rng.randint(10, 25)))


def ellipses(rng: random.Random) -> str:
    """Teasers: lines that end in dots."""
    share, dots = rng.choice([0.2, 0.3, 0.4]), rng.choice(["...", "…", " ..."])
    return "\n".join(sentence(rng, end=dots if rng.random() < share else ".") for _ in range(rng.randint(8, 25)))


def hashes(rng: random.Random) -> str:
    """Tags behind sentences."""
    share = rng.uniform(0.03, 0.25)
    words = prose(rng).split(" ")
    return " ".join(f"#{word}" if rng.random() < share else word for word in words)


def repeated_lines(rng: random.Random) -> str:
    """Lines that come again."""
    fresh = [sentence(rng) for _ in range(rng.randint(6, 20))]
    again = [rng.choice(fresh) for _ in range(int(len(fresh) * rng.uniform(0.02, 0.8)))]
    return "\n".join([*fresh, *again])


def repeated_paragraphs(rng: random.Random) -> str:
    """Paragraphs that come again."""
    fresh = [paragraph(rng, rng.randint(1, 4)) for _ in range(rng.randint(3, 9))]
    again = [rng.choice(fresh) for _ in range(rng.randint(1, 4))]
    return "\n\n".join([*fresh, *again])


def stuffed(rng: random.Random) -> str:
    """A phrase over and over in prose."""
    phrase = " ".join(rng.choice(_NAMED) for _ in range(rng.randint(2, 9)))
    share, words = rng.uniform(0.01, 0.12), prose(rng).split(" ")
    return " ".join(f"{word} {phrase}" if rng.random() < share else word for word in words)


def menu(rng: random.Random) -> str:
    """Navigation around some prose: short lines without an end mark."""
    lines = [" ".join(rng.choice(_NAMED) for _ in range(rng.randint(1, 4))).title() for _ in range(rng.randint(3, 40))]
    return "\n".join([*lines, paragraph(rng, rng.randint(1, 8)), *lines[: rng.randint(0, 4)]])


def figures(rng: random.Random) -> str:
    """Numbers among words."""
    share = rng.uniform(0.05, 0.4)
    return " ".join(str(rng.randint(1, 9999)) if rng.random() < share else word for word in prose(rng).split(" "))


def keywords(rng: random.Random) -> str:
    """Words without function words."""
    return ", ".join(rng.choice(_NAMED) for _ in range(rng.randint(40, 200)))


def page(rng: random.Random) -> str:
    """Prose with lines that C4's rules are about."""
    more = ["Please enable JavaScript to view this page.", "By using this site you agree to the terms of use.",
            "Read more", "Home | About | Contact", "Copyright 2021 All rights reserved",
            "function open() { return 1; }" if rng.random() < 0.3 else "Click here to go on reading this story.",
            "Very short.", "This one is short.", "Four words are here."]  # fmt: skip
    lines = [paragraph(rng, rng.randint(1, 3)) for _ in range(rng.randint(1, 6))]
    for extra in rng.sample(more, rng.randint(1, 5)):
        lines.insert(rng.randint(0, len(lines)), extra)
    return "\n".join(lines)


KINDS: tuple[Text, ...] = (prose, wrapped, short, bullets, ellipses, hashes, repeated_lines, repeated_paragraphs, stuffed,
                           menu, figures, keywords, page)  # fmt: skip


def texts(each: int, seed: int) -> list[str]:
    """So many texts of each kind."""
    return [kind(random.Random(f"{seed}:{kind.__name__}:{k}")) for kind in KINDS for k in range(each)]
