"""The kernel against a slow reference, on text of every sort, however it is cut into batches."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rules_reference as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rules_documents import PROSE

from mdfs.rules import characters as ch
from mdfs.rules import edits, jit, kernel, matching, measure, mojibake, phrases, repetition

# Pieces in which the kernel's states meet: line ends, blanks, marks, words, numbers, addresses, astral characters.
PIECES = [
    *"的之人，。！？…；：”」）】(.-/:'\"*·1２０aZｂé ä¸", *"\u00a0\u3000\t\n\r\v\f\x85\u2028",
    *"\u200d\u200b\ufeff\ufffd\ue000\u0301",
    "\r\n", "。。", "...", "a.", "www.", "://", "/www.", "http://www.a.cn/", "13812345678",
    "021-12345678", "400-", "800", "六合彩", "百家乐", "加微信", "QQ群", "pk10", "PK", "vx", "bet365",
    "哈哈哈哈", "锟斤拷", "鐨勬",
    "¥12", "9.9元", "3块", "<a href=1>", "</p>", "< b", '{"k": 1}', "【公告】", "【", "】", "#话题#", "the", "of", "臺灣", "台湾",
    "\n\n", "\r\n\r\n", "....", "ÖÐ¹ú", "😀", "👨‍👩", "𠀀",
    "カナ", "한글", "привет", "ไทย", "ﬁ", "e\u0301", "hello", "World", PROSE[:24], PROSE[:70],
]  # fmt: skip
TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    st.lists(st.sampled_from("天地人一二三，\n "), max_size=200).map("".join),
)


def counted(texts: list[str], titles: list[str] | None = None) -> list[dict[str, int]]:
    columns = measure.counters(pa.array(texts, pa.string()), pa.array(titles, pa.string()) if titles else None)
    return [{name: int(column[k]) for name, column in columns.items()} for k in range(len(texts))]


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
@example(["", "\n", " ", "。", "a.", "...", "\r\n\r\n", "中\u0301文"])
@example(["六 合 彩！六.合.彩", "QQ群 qq群 ＱＱ群 qqmusic", "加微信" * 3])
@example(["\xa0¼"])
@example(["the be to of and that have with " * 2])
def test_counts_what_the_reference_counts(texts: list[str]) -> None:
    """Every counter of every document, whatever stands before it in the batch."""
    for text, got in zip(texts, counted(texts), strict=True):
        assert got == reference.count(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), st.booleans())
@example([("标题", "标题\n正文。"), ("标 题", " 标题"), ("标题很长", "标题"), ("", "正文"), ("题", "")], False)
def test_titles(pairs: list[tuple[str, str]], head: bool) -> None:
    """What the title and the text have in common, whether or not the text begins with it."""
    titles = [title for title, _ in pairs]
    texts = [title + text if head else text for title, text in pairs]
    for title, text, got in zip(titles, texts, counted(texts, titles), strict=True):
        assert got == reference.count(text, title)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is measured in chunks of some bytes; a longer document is one by itself."""
    texts = ["", PROSE, "六合彩" * 9, "", PROSE * 20, "QQ群", ""]
    whole = counted(texts)
    monkeypatch.setattr(measure, "CHUNK", 100)
    assert counted(texts) == whole


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("天地人一二"), max_size=400).map("".join))
def test_repetition_of_few_units(text: str) -> None:
    """Where nearly every n-gram comes again, at all lengths."""
    assert counted([text])[0] == reference.count(text)


def test_windows_bound_repetition() -> None:
    """A run that comes back in another window is no repetition; inside a window it is."""
    run = [chr(0x4E00 + k) for k in range(5000)]
    spread = "".join(run) + "".join(chr(0x6500 + k % 5000) for k in range(repetition.WINDOW)) + "".join(run)
    near = "".join(run) * 2
    words = "w" + "一a" * repetition.WINDOW  # a word's end and a Han character at once, across the window's edge
    got = counted([spread, near, words])
    assert [row["units"] for row in got] == [5000 * 2 + repetition.WINDOW, 10_000, 2 * repetition.WINDOW + 1]
    assert got[1]["duplicate_8gram"] == 5000
    assert got == [reference.count(text) for text in (spread, near, words)]


def test_more_lines_than_the_set_of_lines_holds() -> None:
    """The set of lines starts afresh when it is full, so that memory stays bounded."""
    lines = [f"第{k}行" for k in range(kernel.REMEMBERED + 10)]
    text = "\n".join([*lines, lines[0], lines[-1]])
    assert counted([text])[0]["duplicate_lines"] == 1


def test_a_megabyte() -> None:
    """A text of 1 MB is counted like any other."""
    text = (PROSE + "\n") * (1_000_000 // len(PROSE.encode()))
    row = counted([text])[0]
    lines = len(text) // (len(PROSE) + 1)
    assert row["chars"] == lines * len(PROSE)
    assert row["duplicate_lines"] == lines - 1


def test_slices() -> None:
    """A slice of an array starts at its own offset and ends at its own end."""
    texts = ["前面的", PROSE, "😀 middle", "", "后面的"]
    array = pa.array(texts, pa.string())
    whole = measure.counters(array)
    for start in range(len(texts) + 1):
        for stop in range(start, len(texts) + 1):
            part = measure.counters(array.slice(start, stop - start))
            assert all(np.array_equal(part[name], whole[name][start:stop]) for name in whole)


@pytest.mark.parametrize("texts", [pa.array(["a"], pa.large_string()), pa.array(["a", None], pa.string())])
def test_other_types_are_refused(texts: pa.Array) -> None:
    """Offsets of 64 bits and nulls would be read as garbage, so they are an error."""
    with pytest.raises(TypeError, match="string without nulls"):
        measure.counters(texts)


def test_constants_agree() -> None:
    """The kernels hold the classes and flags as numbers of their own, since Numba freezes them."""
    assert kernel.COUNTERS[: len(ch.CLASSES)] == ch.CLASSES
    assert kernel.COUNTERS[kernel.CHARS] == "chars"
    assert kernel.COUNTERS[kernel.BEYOND_TITLE] == kernel.COUNTERS[-1] == "beyond_title"
    assert kernel.COUNTERS[kernel.PHONES] == "phones"
    assert (kernel._BRACKET, kernel._CURRENCY, kernel._HASH) == (ch.M_BRACKET, ch.M_CURRENCY, ch.M_HASH)
    assert int(matching._WORD) == phrases._WORD
    assert (kernel._WHITE, kernel._HAN, kernel._HANGUL, kernel._LATIN) == (ch.WHITESPACE, ch.HAN, ch.HANGUL, ch.LATIN)
    assert (kernel._DIGIT, kernel._OTHER, kernel._MARK, kernel._BROKEN) == (ch.DIGIT, ch.OTHER, ch.MARK, ch.BROKEN)
    assert (edits._HAN, edits._LATIN, edits._OTHER, edits._MARK) == (ch.HAN, ch.LATIN, ch.OTHER, ch.MARK)
    assert (edits._SYMBOL, edits._EMOJI) == (ch.SYMBOL, ch.EMOJI)
    flags = ("STOP", "CLASSICAL", "TRADITIONAL", "SIMPLIFIED", "END", "CLOSER", "SENTENCE", "CODE", "BULLET", "BROKEN_1",
             "BROKEN_2", "BREAK")  # fmt: skip
    assert all(getattr(kernel, f"_{name}") == getattr(ch, f"F_{name}") for name in flags)


def test_classes() -> None:
    """One well-known character of every class, and the ends of ranges."""
    named = {
        "whitespace": " \n\t\u00a0\u3000\u2028", "han": "中々〇㐀龥𠀀⼀", "kana": "あアーｱ", "hangul": "한ㄱ",
        "latin": "aZéａẮß",
        "digit": "09０９", "other": "аאไअαⅣ", "mark": "\u0301\u200d\ufe0f", "cjk_punctuation": "，。《》“”…—·！～",
        "ascii_punctuation": ".,;:!?'\"()[]{}-_/\\@#%&*", "symbol": "$+<=>^`|~©★→√￥①℃", "emoji": "😀🚀🇨",
        "broken": "\x00\x7f\x9f\ufffd\ufeff\u200b\ue000\U000f0000",
    }  # fmt: skip
    assert set(named) == set(ch.CLASSES)
    for name, characters in named.items():
        assert {c: ch.CLASSES[ch.classes()[ord(c)]] for c in characters} == dict.fromkeys(characters, name)


def test_classes_do_not_depend_on_the_python() -> None:
    """The table is the same whatever the interpreter's Unicode data; a change of it changes corpora, so say it here."""
    assert hashlib.sha256(ch.classes().tobytes()).hexdigest()[:16] == "1dadbe1c3b78841f"


def test_kernels_compile_where_nothing_can_be_cached() -> None:
    """A function without a file has no place for a cache: it is compiled all the same."""
    scope: dict[str, Any] = {}
    exec("def double(x):\n    return 2 * x", scope)
    assert jit.kernel(scope["double"])(21) == 42


def test_broken_pairs_are_computed() -> None:
    """The classic shapes of wrong decoding are among the pairs, and no pair of ordinary text is."""
    pairs = mojibake.pairs()
    for broken in ("锟斤", "斤拷", "鐨勬"[:2], "ä¸", "çš", "ÖÐ"):
        assert broken in pairs, broken
    assert not [PROSE[k : k + 2] for k in range(len(PROSE)) if PROSE[k : k + 2] in pairs]
    assert not {"é ", "né", "Ü", "über"[:2], "ça"} & pairs


def test_every_phrase_is_found_alone() -> None:
    """Each entry of each list counts once, in its own list."""
    for name in phrases.LISTS:
        for row in counted(phrases.read_list(name)):
            assert [row[other] for other in phrases.LISTS] == [int(other == name) for other in phrases.LISTS]


def test_logs_beyond_the_table() -> None:
    """A character that occurs more often than the table of logarithms goes is computed."""
    n = kernel.LOGS + 5
    row = counted(["一" * n])[0]
    assert row["entropy_sum"] == round(n * math.log2(n) * 1e6)
