"""Languages: what scripts tell, and how a model is asked where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rules_documents import PROSE, batch

from mdfs import recipe, rules
from mdfs.errors import UsageError
from mdfs.recipe import Language, Recipe
from mdfs.rules import characters as ch
from mdfs.rules import language

GERMAN = "Der Hund läuft durch den Wald und die Katze schläft im Haus."


class German:
    """A model as fastText gives one, which takes everything for German."""

    def predict(self, texts: list[str]) -> tuple[list[tuple[str, ...]], list[np.ndarray]]:
        assert not any("\n" in text or len(text) > language.SHOWN for text in texts)
        return [("__label__de",)] * len(texts), [np.array([1.00001 if "Hund" in text else 0.6]) for text in texts]


def measured(texts: list[str]) -> list[dict[str, Any]]:
    given = Recipe(name="some", language=Language(model="some.ftz"))
    return [row["signals"] for row in rules.annotate(batch(texts), given).to_pylist()]


def test_a_model_is_asked_where_scripts_do_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chinese stays Chinese whatever a model that does not know it says; between Latin languages it decides."""
    monkeypatch.setattr(language, "_model", lambda path: German())
    english = "The cat and the dog have to be with us."
    chinese, german, odd, nothing, empty = measured([PROSE * 20, GERMAN + "\n" + GERMAN, english, "123", ""])
    assert (chinese["lang_zh"], chinese["lang_en"], chinese["lang_confidence"]) == (1.0, 0.0, 0.6)
    assert (german["lang_zh"], german["lang_en"], german["lang_confidence"]) == (0.0, 0.0, 1.0)
    assert odd["lang_en"] == 0.0
    assert [row["lang"] for row in (chinese, german, nothing, empty)] == ["zh", "de", None, None]
    assert nothing["lang_zh"] is empty["lang_zh"] is None
    assert measured([]) == []


def test_the_model_is_part_of_the_digest(tmp_path: Path) -> None:
    """Another model is another corpus; the same one elsewhere is the same."""
    model, copy = tmp_path / "model.bin", tmp_path / "copy.bin"
    model.write_bytes(b"model")
    copy.write_bytes(b"model")
    digests = []
    for path in (model, copy):
        (tmp_path / "r.toml").write_text(f'[language]\nmodel = "{path}"\n', "utf-8")
        digests.append(recipe.load(tmp_path / "r.toml").stage_digest("rules"))
    assert digests[0] == digests[1] != Recipe(name="r").stage_digest("rules")


def test_a_missing_model_is_told() -> None:
    """The error names the path and what is meant."""
    with pytest.raises(UsageError, match="no-such"):
        Recipe(name="some", language=Language(model="no-such.ftz")).stage_digest("rules")


def test_which_guess_counts() -> None:
    """Scripts outweigh a model's guess; where they do not tell, the guess is believed as far as it goes."""
    counts = {"han": np.array([4, 0]), "units": np.array([4, 4]), "latin_words": np.array([0, 4])}
    counts |= {name: np.zeros(2, np.int64) for name in ("digit_words", "kana", "hangul", "stop_words")}
    guesses = (["en", "en"], np.array([0.9, 0.8]))
    assert language.sureness(counts, guesses, "zh")[0].tolist() == [1.0, 0.0]
    assert language.sureness(counts, guesses, "en")[0].tolist() == [0.0, 0.8]
    assert language.sureness(counts, None, "en")[0].tolist() == [0.0, 0.0]


def test_a_model_without_a_guess_says_nothing() -> None:
    """An empty label leaves what scripts tell, and a model's other codes are taken as they are."""
    counts = {name: np.array([4, 4, 4]) for name in ("units", "latin_words")}
    counts |= {name: np.zeros(3, np.int64) for name in ("digit_words", "kana", "hangul", "stop_words", "han")}
    guesses = (["", "de", "sr"], np.array([0.0, 0.8, 0.9]))
    assert language.named(counts, guesses)[0].tolist() == ["und-Latn", "de", "sr"]


def test_a_recipe_may_name_languages() -> None:
    """Other languages go; texts in which there is nothing to tell break no limit."""
    given = recipe.from_dict({"name": "r", "rules": {"lang": {"any_of": ["zh"]}}})
    out = rules.annotate(batch([PROSE, GERMAN, "123"]), given)
    assert out.column("drop_reasons").to_pylist() == [[], ["lang.any_of"], []]


def test_a_word_is_not_preferred() -> None:
    """Which copy stays is a matter of more and less."""
    with pytest.raises(UsageError, match="lang is a word"):
        recipe.from_dict({"name": "r", "dedup": {"prefer": ["lang"]}})


def test_variants() -> None:
    """Characters of one form only are what they are known to be; common ones of both are in neither set."""
    traditional, simplified = ch.variants()
    assert set("臺灣國學為這們") <= set(traditional)
    assert set("湾国学为这们") <= set(simplified)
    assert not set("的是不了在人中文台") & {*traditional, *simplified}
