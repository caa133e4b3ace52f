"""The differences that edits make to a text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdfs.report import textdiff


def ops(old: str, new: str) -> list[str]:
    return [entry["op"] for entry in textdiff.diff(old, new)]


def test_equal_texts() -> None:
    """No difference, no entries."""
    assert textdiff.diff("一\n二", "一\n二") == []


def test_lines_that_went() -> None:
    """A run of removed lines is one entry with its first lines; long unchanged stretches are a count."""
    old = ["首页", *[f"第{k}行文字" for k in range(30)], *[f"推荐{k}" for k in range(9)]]
    first, same, last = textdiff.diff("\n".join(old), "\n".join(old[1:31]))
    assert first == {"op": "removed", "lines": 1, "text": ["首页"]}
    assert same == {"op": "same", "lines": 30}
    assert (last["lines"], last["text"]) == (9, [f"推荐{k}" for k in range(5)])
    shown = list(textdiff.render([first, same, last]))
    assert shown[:2] == ["- 首页", "  … 30 lines unchanged"]
    assert shown[-1] == "- … and 4 lines more"


def test_blanks_and_widths() -> None:
    """Lines that look the same are counted, not shown."""
    old = "　　ＡＢＣ１２３　文字\r\n\ufeff第二行 \n第三行"
    assert textdiff.diff(old, "ABC123 文字\n第二行\n第三行") == [
        {"op": "blanks", "lines": 2},
        {"op": "same", "lines": 1},
    ]


def test_pieces_of_a_changed_line() -> None:
    """A number that became a token stands alone; what is the same is cut around it."""
    old = (
        "这是一段很长的没有改变的文字，在它的后面写着电话13800138000，另加QQ 10001。后面又是一段很长的没有改变的文字。"
    )
    (entry,) = textdiff.diff(old, old.replace("13800138000", "<PHONE>").replace("10001", "<IM>"))
    assert [kind for kind, _ in entry["pieces"]] == ["same", "removed", "added", "same", "removed", "added", "same"]
    assert list(textdiff.render([entry])) == [
        "~ …，在它的后面写着电话[-13800138000-]{+<PHONE>+}，另加QQ [-10001-]{+<IM>+}。后面又是一段很长的…"
    ]


def test_traditional_to_simplified() -> None:
    """Every line has changed; each stands beside its own."""
    assert ops("開門見山\n漢語詞典\n廣播電視", "开门见山\n汉语词典\n广播电视") == ["changed"] * 3


def test_a_terminal_is_not_attacked() -> None:
    """Escape sequences and direction marks are spelt out in every kind of entry."""
    evil = "\x1b[31m\u202e"
    shown = "\n".join(textdiff.render(textdiff.diff(f"{evil}一\n二{evil}三\n四", f"二{evil}叁\n四\n五{evil}")))
    assert not set(shown) & set("\x1b\u202e")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ab\n" * 1000 + "c\n" + "b\na\n" * 400, "a\nb\n" * 900),
        ("a" * 2_000_000, "a" * 1_999_000 + "b" * 1000),
        ("x y " * 50_000, "x  y" * 50_000),
        ("\n".join(map(str, range(20_000))), "\n".join(map(str, range(0, 40_000, 2)))),
    ],
)
def test_hostile_texts_take_no_time(old: str, new: str) -> None:
    """Long lines, many lines and lines that repeat are bounded in time and in what is shown."""
    start = time.process_time()
    entries = textdiff.diff(old, new)
    assert len(list(textdiff.render(entries))) < 500
    assert time.process_time() - start < 5
    assert len(entries) <= textdiff.ENTRIES + 1


_LINES = st.lists(st.text("ab中文 。\u3000", max_size=6), max_size=12).map("\n".join)


@given(_LINES, _LINES)
def test_every_line_is_accounted_for(old: str, new: str) -> None:
    """The lines of the old text are those that stayed, changed or went, whatever the texts."""
    entries = textdiff.diff(old, new)
    count = {
        op: sum(e["lines"] for e in entries if e["op"] == op)
        for op in ("same", "blanks", "changed", "removed", "added")
    }
    if old != new:
        both = count["same"] + count["blanks"] + count["changed"]
        assert both + count["removed"] == len(old.splitlines())
        assert both + count["added"] == len(new.splitlines())
