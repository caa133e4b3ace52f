"""Text that was decoded wrongly before it was saved: repaired where it is certain, else told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdfs.collect import html, mojibake
from tests.collect.kit import ARTICLE, documents, outcomes, page, reasons

TEXT = "\n".join([*ARTICLE, "短行", "Plain English."])
WAYS = [("utf-8", "latin-1", "utf-8 as cp1252"), ("gb18030", "latin-1", "gb18030 as cp1252")]


def wrong(text: str, was: str, read_as: str) -> str:
    return text.encode(was).decode(read_as, "replace")


@pytest.mark.parametrize(("was", "read_as", "way"), WAYS)
def test_what_lost_nothing_is_repaired(was: str, read_as: str, way: str) -> None:
    fixed, said = mojibake.repaired(wrong("\n".join(ARTICLE), was, read_as))
    assert (fixed, said) == ("\n".join(ARTICLE), way)


def test_short_lines_are_repaired_where_long_ones_prove_it() -> None:
    assert mojibake.repaired(wrong(TEXT, "utf-8", "latin-1"))[0] == TEXT


def test_windows_1252_without_its_holes() -> None:
    line = "如果没有这些，就不会有人来问我们为什么要这样做。"
    shown = "".join(
        bytes([b]).decode("cp1252") if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(b) for b in line.encode()
    )
    assert mojibake.repaired(shown) == (line, "utf-8 as cp1252")


def test_utf8_as_gbk_that_fits_is_repaired() -> None:
    line = "人民的生活水平有了很大提高，"  # every second byte fits where GBK wants one, which is rare
    assert mojibake.repaired(line.encode().decode("gbk")) == (line, "utf-8 as gb18030")


def test_pages_and_rows_are_repaired_and_say_so() -> None:
    found = html.extract(wrong(page(ARTICLE).decode(), "utf-8", "latin-1").encode())
    assert (found.text.split("\n"), found.title, found.meta["repaired"]) == (ARTICLE, "青禾桥", "utf-8 as cp1252")
    from mdfs.collect.stage import _checked
    from mdfs.recipe import Collect

    (row,) = documents(json.dumps({"text": wrong(TEXT, "utf-8", "latin-1")}).encode(), "a.jsonl")
    fixed = _checked(row, Collect())
    assert fixed.text == TEXT  # type: ignore[union-attr]
    assert fixed.meta == {"repaired": "utf-8 as cp1252"}  # type: ignore[union-attr]


def test_what_lost_bytes_is_garbled() -> None:
    from mdfs.collect.stage import _checked
    from mdfs.recipe import Collect

    for read_as in ("cp1252", "gbk"):
        (row,) = outcomes(json.dumps({"text": wrong(TEXT * 3, "utf-8", read_as)}).encode(), "a.jsonl")
        assert reasons([_checked(row, Collect())]) == ["garbled"], read_as


@pytest.mark.parametrize("text", [
    TEXT, "Les élèves étaient très fatigués après la fête.", "한국어로 쓰인 이 문장은", "Đây là một câu tiếng Việt.",
    "臺北市政府今天表示，這個問題已經引起重視。", "鐨鏄", "naïve “quotes” — dash", "ÀÈÌÒÙ",
])  # fmt: skip
def test_good_text_stays(text: str) -> None:
    assert mojibake.repaired(text) == (text, "")
    assert not mojibake.is_garbled(text * 3) or text == "鐨鏄"


@given(st.text(st.characters(codec="utf-8")) | st.text("锛銆鐨é\xe4\xb8\xad\x81，中a\n"))
def test_any_text_gives_text(text: str) -> None:
    mojibake.repaired(text)
    mojibake.is_garbled(text)
