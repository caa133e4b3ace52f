"""Low, promotional and dressed-up documents made from good texts by declared, seeded recipes.

Real promotion and rubbish that may be trained on are scarce, so `derive` makes them: each recipe is one function from
a random generator and a `Pool` (good texts and phrases) to a text, and stands in `RECIPES` with its label. Recipes for
`high` are there too (web dressing, crops, traditional and full-width forms): without them length, a share bar or a
script would give the label away.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mdfs.classifiers import made_ads, made_high, made_low
from mdfs.classifiers.datasets import Doc
from mdfs.classifiers.pool import Pool


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe, the label of what it makes and its share among the recipes of that label."""

    label: str
    make: Callable[[random.Random, Pool], str]
    weight: float = 1.0


RECIPES = {
    function.__name__: Recipe(function.__name__.split("_", 1)[0], function, weight)
    for function, weight in [
        (made_ads.ad_page, 2.0),
        (made_ads.ad_firm, 1.2),
        (made_ads.ad_soft, 1.5),
        (made_ads.ad_keywords, 0.6),
        (made_ads.ad_spliced, 1.5),
        (made_ads.ad_tail, 1.0),
        (made_ads.ad_listing, 1.0),
        (made_ads.ad_message, 1.0),
        (made_ads.ad_framed, 2.5),
        (made_ads.ad_interleaved, 1.2),
        (made_ads.ad_frame, 0.8),
        (made_low.low_links, 1.6),
        (made_low.low_navigation, 1.0),
        (made_low.low_error, 0.5),
        (made_low.low_drowned, 1.4),
        (made_low.low_forum, 0.7),
        (made_low.low_code, 0.5),
        (made_low.low_mojibake, 0.9),
        (made_low.low_broken, 0.7),
        (made_low.low_salad, 0.8),
        (made_low.low_sentence_salad, 0.5),
        (made_low.low_scrambled, 0.8),
        (made_low.low_spun, 0.8),
        (made_low.low_fragments, 0.7),
        (made_low.low_repeated, 0.5),
        (made_low.low_stuffed, 0.7),
        (made_low.low_numbers, 0.5),
        (made_low.low_bait, 0.9),
        (made_low.low_framed, 1.4),
        (made_low.low_frames, 0.8),
        (made_high.high_framed, 5.0),
        (made_high.high_crop, 3.0),
        (made_high.high_dressed, 2.5),
        (made_high.high_small_promotion, 0.6),
        (made_high.high_one_line, 1.5),
        (made_high.high_full_width, 0.6),
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
