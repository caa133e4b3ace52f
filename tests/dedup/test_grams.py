"""N-grams of test sets in documents: what counts as the same, where they stand, against a slow reference."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.dedup import grams

HAN20 = "使用位填充方法求问传送时要添加几个比特位"
ENGLISH = "the quick brown fox jumps over the lazy dog and then it sleeps"


def places(text, *test_sets, words=13, chars=18):
    """(start, end) of the whole stretch of hits, or None."""
    found = grams.find(pa.array([text]), grams.index(test_sets, words=words, chars=chars))
    return (int(found.start.min()), int(found.end.max())) if len(found.gram) else None


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (HAN20, (0, 20)),
        (f"前言。{HAN20}。后话", (3, 23)),
        (f"{HAN20[:10]}，\n　{HAN20[10:]}", (0, 23)),
        (HAN20[:18], (0, 18)),
        (HAN20[2:], (0, 18)),
        (HAN20[:17], None),
        (HAN20[:10] + "啊" + HAN20[10:], None),
        (HAN20.replace("传", "傳"), None),
        (ENGLISH, (0, len(ENGLISH))),
        (f"So: {ENGLISH.upper()}!", (4, 4 + len(ENGLISH))),
        (ENGLISH.replace(" ", ",\n"), (0, len(ENGLISH) + 12)),
        ("".join(chr(ord(c) + 0xFEE0) if c.isalpha() else "　" for c in ENGLISH), (0, len(ENGLISH))),
        (ENGLISH.replace("lazy dog", "lazydog"), None),
        (ENGLISH.rpartition(" ")[0], None),
        (ENGLISH + "x", None),
        ("𠀀" + HAN20, (1, 21)),
        ("", None),
    ],
)
def test_what_counts_as_the_same(text, where):
    assert places(text, [HAN20, ENGLISH]) == where


def test_scripts_mix_by_their_shares():
    """9 of 18 characters and 7 of 13 words are more than one n-gram; 6 words are not."""
    nine, seven = "使用位填充方法求问", "the quick brown fox jumps over lazy"
    assert places(nine + seven, [nine + seven]) == (0, len(nine + seven))
    assert places(nine + seven.rpartition(" ")[0], [nine + seven.rpartition(" ")[0]]) is None


def test_owners_and_short_texts():
    index = grams.index([[HAN20, "短"], [HAN20[:18], ENGLISH], []], words=13, chars=18)
    assert (index.keys, index.short) == ((2, 2, 0), (1, 0, 0))
    assert index.owners.tolist() == [3, 1, 1, 2]


def test_equal_hashes_are_no_hit():
    """A collision: the table sends the document's n-gram to another's units."""
    index = grams.index([[HAN20[:18]]], words=13, chars=18)
    index.codes[5] += 1
    assert len(grams.find(pa.array([HAN20]), index).gram) == 0


def test_slices_and_wide_strings():
    texts = pa.array(["无", HAN20, None, HAN20[1:]], pa.large_string())
    index = grams.index([[HAN20]], words=13, chars=18)
    found = grams.find(pa.concat_arrays([texts.slice(0, 2), texts.slice(3)]).slice(1), index)
    assert found.document.tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="nulls"):
        grams.find(texts, index)


UNIT = re.compile(r"[㐀-鿿]|[^\W_㐀-鿿]+")


def windows(text, words, chars):
    """The reference: (units, start, end) of each n-gram."""
    folded = "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else c for c in text)
    folded = "".join(c.lower() if c.isascii() else c for c in folded)
    units = [(m[0], m.start(), m.end(), words if "㐀" <= m[0] <= "鿿" else chars) for m in UNIT.finditer(folded)]
    for first in range(len(units)):
        for last in range(first, len(units)):
            if sum(unit[3] for unit in units[first : last + 1]) >= words * chars:
                yield tuple(unit[0] for unit in units[first : last + 1]), units[first][1], units[last][2]
                break


TEXT = st.text(st.sampled_from("一二三ab AＢ，\n1"), max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, max_size=4), st.lists(TEXT, min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 5))
def test_as_the_reference_says(keys, docs, words, chars):
    wanted = {units for key in keys for units, _, _ in windows(key, words, chars)}
    found = grams.find(pa.array(docs), grams.index([keys], words=words, chars=chars))
    assert list(zip(found.document.tolist(), found.start.tolist(), found.end.tolist(), strict=True)) == [
        (row, start, end)
        for row, doc in enumerate(docs)
        for units, start, end in windows(doc, words, chars)
        if units in wanted
    ]
