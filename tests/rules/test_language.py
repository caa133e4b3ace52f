"""Languages: what scripts tell, and how a model is asked where they do not."""

from __future__ import annotations

from pathlib import Path

import fasttext
import pytest
from rules_documents import PROSE, batch

from mdfs import recipe, rules
from mdfs.errors import UsageError
from mdfs.recipe import Language, Recipe
from mdfs.rules import characters as ch

GERMAN = "Der Hund läuft durch den Wald und die Katze schläft im Haus."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows two languages from a few words."""
    folder = tmp_path_factory.mktemp("model")
    lines = [f"__label__de {GERMAN}", "__label__en The dog runs through the forest and the cat sleeps."] * 20
    (folder / "train.txt").write_text("\n".join(lines), "utf-8")
    trained = fasttext.train_supervised(str(folder / "train.txt"), epoch=50, lr=1.0, dim=8, verbose=0, thread=1)
    trained.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def measured(texts: list[str], path: Path) -> list[dict[str, float | None]]:
    given = Recipe(name="some", language=Language(model=str(path)))
    return [row["signals"] for row in rules.annotate(batch(texts), given).to_pylist()]


def test_a_model_is_asked_where_scripts_do_not_tell(model: Path) -> None:
    """Chinese stays Chinese whatever a model that does not know it says; between Latin languages it decides."""
    chinese, german, nothing = measured([PROSE, GERMAN + "\n" + GERMAN, "123"], model)
    assert (chinese["lang_zh"], chinese["lang_en"]) == (1.0, 0.0)
    assert german["lang_en"] == 0.0
    assert german["lang_confidence"] is not None
    assert german["lang_confidence"] > 0.5
    assert nothing["lang_zh"] is None


def test_the_model_is_part_of_the_digest(model: Path, tmp_path: Path) -> None:
    """Another model is another corpus; the same one elsewhere is the same."""
    copy = tmp_path / "copy.bin"
    copy.write_bytes(model.read_bytes())
    digests = []
    for path in (model, copy):
        (tmp_path / "r.toml").write_text(f'[language]\nmodel = "{path}"\n', "utf-8")
        digests.append(recipe.load(tmp_path / "r.toml").stage_digest("rules"))
    assert digests[0] == digests[1] != Recipe(name="r").stage_digest("rules")


def test_a_missing_model_is_told() -> None:
    """The error names the path and what is meant."""
    with pytest.raises(UsageError, match="no-such"):
        Recipe(name="some", language=Language(model="no-such.ftz")).stage_digest("rules")


def test_variants() -> None:
    """Characters of one form only are what they are known to be; common ones of both are in neither set."""
    traditional, simplified = ch.variants()
    assert set("臺灣國學為這們") <= set(traditional)
    assert set("湾国学为这们") <= set(simplified)
    assert not set("的是不了在人中文台") & {*traditional, *simplified}
