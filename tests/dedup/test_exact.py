"""Exact keys: what counts as the same text."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.dedup.exact import keys, string_keys


def key(text):
    return tuple(keys(pa.array([text]))[0].tolist())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("你好，世界！", " 你好\n世界"),
        ("ＡＢＣ１２３", "abc 123"),
        ("Hello, World", "hello world"),
        ("a_b", "ab"),
        ("……", "……"),
        ("", ""),
    ],
)
def test_the_same_text(one, other):
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("你好", "您好"), ("É", "é"), ("……", "!!"), ("", " "), ("ab", "ba"), ("a", "aa"), ("漢", "汉"), ("1.5", "16")],
)
def test_another_text(one, other):
    assert key(one) != key(other)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6), st.integers(0, 6))
def test_slices_change_nothing_and_equal_texts_have_equal_keys(texts, start):
    found = keys(pa.array(texts, pa.string()).slice(start))
    assert found.shape == (len(texts[start:]), 2)
    for text, row in zip(texts[start:], found, strict=True):
        assert key(text) == tuple(row.tolist())


def test_strings_have_keys_of_their_own():
    found = string_keys(["a", "b", "a", "\ud800"]).tolist()
    assert found[0] == found[2]
    assert len({tuple(row) for row in found}) == 3
    assert string_keys([]).shape == (0, 2)


def test_nulls_are_refused():
    with pytest.raises(ValueError, match="nulls"):
        keys(pa.array([None], pa.string()))
