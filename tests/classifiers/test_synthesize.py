"""Recipes: seeded, labelled by their names, never empty, and held-out phrases stay out of training."""

from __future__ import annotations

import random

import pytest
from mdfs.classifiers.datasets import Doc
from mdfs.classifiers.pool import Pool, sentences
from mdfs.classifiers.synthesize import RECIPES, derive

TEXT = "".join(
    f"第{i}天，村里的人沿着河岸修路，石头从山上一块一块抬下来。到了傍晚，大家坐在树下喝茶，谈论今年的收成和雨水。\n"
    for i in range(20)
)
DOCS = [Doc(f"{s}{i}", f"修路记{i}\n{TEXT[i * 10 :]}", "high", s, f"{s}{i}") for s in ("a", "b") for i in range(6)]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_makes_text_and_the_same_again(name: str) -> None:
    pool = Pool(DOCS, "train")
    for seed in range(20):
        text = RECIPES[name].make(random.Random(seed), pool)
        assert text.strip(), "a derived text is not blank"
        assert text == RECIPES[name].make(random.Random(seed), pool), "the same seed makes the same text"
        assert "{" not in text or name == "low_code", "no slot is left unfilled"
        text.encode()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_has_the_label_that_its_name_starts_with(name: str) -> None:
    assert RECIPES[name].label == name.split("_")[0]
    assert RECIPES[name].make.__doc__


def test_derived_documents_are_counted_and_seeded() -> None:
    wanted = {"ad": 12, "low": 9, "high": 5}
    docs = derive(DOCS, "train", wanted, seed=3)
    assert {label: sum(d.label == label for d in docs) for label in wanted} == wanted
    assert docs == derive(DOCS, "train", wanted, seed=3)
    assert docs != derive(DOCS, "train", wanted, seed=4)


def test_held_out_phrases_are_not_seen_in_training() -> None:
    train, held = Pool(DOCS, "train"), Pool(DOCS, "held out")
    for name, lines in train.common.items():
        if len(lines) + len(held.common[name]) >= 10 and lines != held.common[name]:
            assert not set(lines) & set(held.common[name])
    assert not set(train.furniture["nav"]) & set(held.furniture["nav"])


def test_sentences_lose_nothing() -> None:
    assert "".join(sentences(TEXT)) == TEXT
