"""What fastText sees of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdfs.classify.fasttext_model import prepare
from mdfs.classify.tokens import Windows

WINDOWS = Windows(8, 4, 6)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("你好", "你 好 "),
        ("Ａb１9", "a b 0 0 "),
        ("a\nb", "a ⏎ b "),
        ("a\x00\t　b", "a ␣ ␣ ␣ b "),
        ("🙂", "🙂 "),
        ("，。", ", 。 "),
    ],
)
def test_each_character_is_a_word(text: str, line: str) -> None:
    assert prepare([text], WINDOWS) == [line]


def test_a_long_text_is_its_windows() -> None:
    (line,) = prepare(["甲" * 8 + "乙" * 100 + "丙" * 6], WINDOWS)
    assert line.replace(" ", "") == "甲" * 8 + "⏎…⏎" + "乙" * 4 + "⏎…⏎" + "丙" * 6


@given(st.lists(st.text(max_size=40), max_size=6))
def test_a_line_depends_on_its_text_alone_and_is_one_line(texts: list[str]) -> None:
    lines = prepare(texts, WINDOWS)
    assert lines == [prepare([t], WINDOWS)[0] for t in texts]
    assert not any(c in line for line in lines for c in "\n\x00\t\r\v\f")
    assert all(line[1::2] == " " * (len(line) // 2) for line in lines)


def test_null_counts_as_empty() -> None:
    assert prepare([None, "一"], WINDOWS) == ["", "一 "]
    assert prepare([], WINDOWS) == []
