"""The rules of EvalWeb (Chen et al. 2023, arXiv:2311.01149) by their published definitions, beside `chinesewebtext`.

Written from what the paper and its program say is measured: characters with white space, Han characters from U+4E00 to
U+9FA5 among them, different words of the list a line, and the share of 13-grams of characters that come more than once
after lower-casing and removing blanks. The program also drops any text that zhconv would change, which is left out
here: it is no measurement but a comparison with a converted text. Our lists stand in for its own.
"""

from __future__ import annotations

import random
import re
from collections import Counter

import pyarrow.compute as pc
from agreement import HEAD, batch, breaks, compared, numbers, table

from mdfs import recipe, rules
from mdfs.recipe import Recipe
from mdfs.rules import phrases

LIMITS = {
    "chars": 201,
    "mean_line_chars": 10,
    "han_ratio": 0.3,
    "severe_words_per_line": 0.5,
    "duplicate_13gram_ratio": 0.5,
}
_HAN = re.compile("[\u4e00-\u9fa5]")


def severe() -> list[str]:
    """Our words of categories as severe as its sensitive ones."""
    names = [name for name in phrases.LISTS if phrases.CATEGORIES[name] >= phrases.SEVERE]
    return [word for name in names for word in phrases.read_list(name)]


def measured(text: str, words: list[str]) -> dict[str, float]:
    """EvalWeb's five figures of a text."""
    lines = text.split("\n")
    plain = re.sub("[ \n\t]", "", text.strip().lower())
    grams = Counter(plain[place : place + 13] for place in range(len(plain) - 13)) or Counter([plain])
    return {
        "chars": len(text),
        "mean_line_chars": len(text) / len(lines),
        "han_ratio": len(_HAN.findall(text)) / max(1, len(text)),
        "severe_words_per_line": sum(word in text for word in words) / len(lines),
        "duplicate_13gram_ratio": sum(n for n in grams.values() if n > 1) / grams.total(),
    }


def generated(each: int, seed: int) -> list[str]:
    """Texts near each limit, made of sentences of our own lists and of frequent characters."""
    rng, words = random.Random(f"{seed}:evalweb"), severe()
    common = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"

    def line(least: int, most: int) -> str:
        return "".join(rng.choice(common) for _ in range(rng.randint(least, most))) + "。"

    texts = []
    for _ in range(each):
        texts.append("\n".join(line(8, 40) for _ in range(rng.randint(4, 12))))  # about 200 characters
        texts.append("\n".join(line(5, 12) for _ in range(rng.randint(20, 40))))  # about 10 a line
        mixed = [line(3, 10) + " some words of English text here" * rng.randint(0, 2) for _ in range(12)]
        texts.append("\n".join(mixed))  # about 30% Han
        risky = [line(20, 40) + (rng.choice(words) if rng.random() < 0.5 else "") for _ in range(12)]
        texts.append("\n".join(risky))  # about half a word a line
        fresh, again = [line(20, 40) for _ in range(10)], line(20, 40)
        texts.append("\n".join(again if rng.random() < rng.choice([0.3, 0.5, 0.7]) else part for part in fresh))
    return texts


def tables(texts: list[str]) -> str:
    """Measurements and the decision of the whole."""
    said, chosen = [measured(text, severe()) for text in texts], recipe.load("chinesewebtext")
    struct = rules.annotate(batch(texts), Recipe("bare")).column("signals")
    rows = []
    for signal, bound in LIMITS.items():
        ours, original = (numbers(values) for values in (struct.field(signal).to_pylist(), [s[signal] for s in said]))
        rows.append([signal, f"{bound:g}", *compared(ours, original, chosen.rules[signal])])
    dropped = pc.list_value_length(rules.annotate(batch(texts), chosen).column("drop_reasons")).to_numpy() > 0
    original = sum(breaks(numbers([s[signal] for s in said]), chosen.rules[signal]) for signal in LIMITS) > 0
    agree = f"\n\nWhole recipe: {(dropped == original).mean():.1%} of the decisions agree; "
    only = f"only ours drops {int((dropped & ~original).sum())}, only theirs {int((~dropped & original).sum())}."
    return table(f"measurement | limit | {HEAD}", rows) + agree + only
