"""The recipes that follow papers: what each keeps and what it is known to drop."""

from __future__ import annotations

import pytest
from rules_documents import PROSE, batch

from mdfs import recipe, rules
from mdfs.rules import characters as ch

CHINESE = ("pangu-alpha", "chinesewebtext", "cluecorpus2020", "map-cc")
ENGLISH = ("c4", "gopher", "fineweb", "mt-nlg", "pile-cc")
STORY = (
    "The old man had lived with the river for so long that he could tell the hour from its sound. Every morning he "
    "walked down to the bank, sat on a flat stone, and waited for the first boat. People from the town said that he "
    "would be happier in a house on the hill, but he only smiled and went back to mending his nets.\n"
    "When the bridge was built, the boats stopped coming. He still sat there, and children brought him bread and asked "
    "for stories. He gave them one for each loaf, and none of them was ever told twice."
)
CHINESE_TEXT = PROSE + "\n" + "他后来把这些事写成一本小书，送给了当年住在巷子里的人。"
JUNK = {
    "pangu-alpha": ("severe_words.max", CHINESE_TEXT + "六合彩，成人网站，出售枪支，百家乐。"),
    "chinesewebtext": ("mean_line_chars.min", "\n".join(CHINESE_TEXT[k : k + 9] for k in range(0, len(CHINESE_TEXT), 9))),
    "cluecorpus2020": ("curly_brackets.max", CHINESE_TEXT + "\nif (a) { return b; }."),
    "map-cc": ("lenticular_ratio.max", "【" + PROSE[:60] + "】" + PROSE),
    "c4": ("lang_en.min", CHINESE_TEXT),
    "mc4": ("long_lines.min", STORY),
    "mc4-zh": ("long_lines.min", CHINESE_TEXT),
    "gopher": ("stop_word_kinds.min", " ".join(word for word in STORY.split() if word.lower() not in ch.STOP_WORDS)),
    "fineweb": ("line_under_30_ratio.max", "\n".join(STORY.split())),
    "mt-nlg": ("chars.min", STORY.split("\n")[0]),
    "pile-cc": ("lang_en.min", CHINESE_TEXT),
}  # fmt: skip


def reasons(name: str, text: str) -> list[str]:
    found: list[str] = rules.annotate(batch([text]), recipe.load(name)).column("drop_reasons")[0].as_py()
    return found


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_prose_stays(name: str) -> None:
    """Two paragraphs of plain prose."""
    assert reasons(name, CHINESE_TEXT) == []


@pytest.mark.parametrize("name", ENGLISH)
def test_english_prose_stays(name: str) -> None:
    """Two paragraphs of plain prose."""
    assert reasons(name, STORY) == []


def test_long_lines_stay_in_mc4() -> None:
    """It asks for three lines of 200 characters, and for Chinese."""
    long = "\n".join([(PROSE + PROSE[::-1])[k : k + 210] for k in (0, 40, 80)])
    assert reasons("mc4-zh", long) == reasons("mc4", long) == []


@pytest.mark.parametrize("name", JUNK)
def test_junk_goes(name: str) -> None:
    """For the reason that the recipe is known for."""
    reason, text = JUNK[name]
    assert reason in reasons(name, text)


def test_recipes_without_rules() -> None:
    """GPT-3 has none of characters and lines."""
    assert recipe.load("gpt3").rules == {}
