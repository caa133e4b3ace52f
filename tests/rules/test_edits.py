"""The edits of the text: golden cases, and what holds for every text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_documents import PROSE, batch

from mdfs import rules
from mdfs.errors import UsageError
from mdfs.recipe import Edits, Recipe, from_dict
from mdfs.rules import characters as ch
from mdfs.rules import phrases, simplify

KINDS = ("unicode", "whitespace", "boilerplate", "line", "paragraph")
CASES = json.loads((Path(__file__).parent / "golden_edits.json").read_text("utf-8"))
ALL = Edits(unicode=True, whitespace=True, boilerplate=True)
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(
        st.sampled_from(
            [*"中文，。Ａ１a \u3000\u00a0\t\n\r\u200b\u200d\ufeff\u00ad\u2028", "\r\n", "返回顶部", "版权所有", "😀"]
        ),
        max_size=40,
    ).map("".join),
)


def edited(texts: list[str], edits: Edits) -> list[dict[str, Any]]:
    return rules.annotate(batch(texts), Recipe(name="edits", edits=edits)).to_pylist()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_golden(case: dict[str, Any]) -> None:
    """Each case says what an edit does."""
    settings = dict.fromkeys(case.get("edits", ()), True) | case.get("settings", {})
    edits = from_dict({"name": "edits", "edits": settings}).edits
    assert edited([case["text"]], edits)[0]["text"] == case["edited"]


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), *[st.booleans()] * 5)
def test_edits_in_general(
    texts: list[str], unicode: bool, whitespace: bool, boilerplate: bool, end_marks: bool, paragraphs: bool
) -> None:
    """Editing twice changes nothing more, only removes or replaces, and accounts for each character."""
    edits = Edits(unicode=unicode, whitespace=whitespace, boilerplate=boilerplate, end_marks=end_marks,
                  paragraphs=paragraphs)  # fmt: skip
    once = edited(texts, edits)
    assert [row["text"] for row in edited([row["text"] for row in once], edits)] == [row["text"] for row in once]
    for text, row in zip(texts, once, strict=True):
        counts = [row["signals"][f"edited_{name}_chars"] for name in KINDS]
        assert len(text) - len(row["text"]) <= sum(counts)
        assert (sum(counts) == 0) <= (row["text"] == text)
        if whitespace and unicode:
            assert all(line == line.strip(ch.BLANKS) != "" for line in row["text"].split("\n") if row["text"])


def test_good_text_stays() -> None:
    """Running text is not touched at all."""
    row = edited([PROSE + "\n" + PROSE[:40]], ALL)[0]
    assert row["text"] == PROSE + "\n" + PROSE[:40]


def test_every_line_of_the_list_goes() -> None:
    """Each entry of the boilerplate list is a line that goes when it stands alone."""
    lines = [entry.rstrip("*") for entry in phrases.read_list("boilerplate")]
    rows = edited([f"正文。\n{line}\n正文。" for line in lines], ALL)
    assert [line for line, row in zip(lines, rows, strict=True) if row["text"] != "正文。\n正文。"] == []


def test_traditional_becomes_simplified() -> None:
    """Where a text has a character of traditional Chinese; others, such as 乾隆 in simplified text, stay as they are."""
    pytest.importorskip("opencc")
    rows = edited(["臺灣的鐵路與髮型", "乾隆年间", "", "English"], Edits(simplify=True))
    assert [row["text"] for row in rows] == ["台湾的铁路与发型", "乾隆年间", "", "English"]
    assert rows[0]["signals"]["traditional_ratio"] == 0.0


def test_simplify_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenCC the recipe is refused before anything is done."""
    simplify._opencc.cache_clear()
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(UsageError, match="pip install"):
        Recipe(name="r", edits=Edits(simplify=True)).stage_digest("rules")
    simplify._opencc.cache_clear()
