"""The kernel gives the ids that `tokenizers` gives, one for one, or leaves the text to it."""

from __future__ import annotations

import copy
import json
import random
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.tokenize import fast, tokenizer

EOD = "<|endoftext|>"
STARTER = tokenizer.load("starter", EOD)
SPEC = json.loads((resources.files("mdfs.tokenize") / "starter" / "tokenizer.json").read_text("utf-8"))
NONE = np.array([], np.uint32)
PROSE = (
    "山高月小，水落石出。曾日月之幾何，而江山不可復識矣！２０２４年12月 GDP 增长5.25%，it's “fine”…\r\n\r\n  第一　段\t"
)


def slowly(texts: list[str]) -> list[list[int]]:
    return [ids.tolist() for ids in STARTER._slowly(pa.array(texts, pa.string()))]


def quickly(texts: list[str]) -> list[list[int]]:
    lists: list[list[int]] = STARTER.encode(pa.array(texts, pa.string())).to_pylist()
    return lists


def test_the_starter_goes_the_fast_way() -> None:
    assert STARTER._fast is not None
    assert not STARTER._fast._borders.all()
    _, lengths = STARTER._fast.encode(pa.array([PROSE]), 0)
    assert (lengths > 0).all()


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.text(
            st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("   \n\r\t　 ab1一二〇的，。<|é")),
            max_size=60,
        ),
        max_size=6,
    )
)
def test_equal_on_any_text(texts: list[str]) -> None:
    assert quickly(texts) == slowly(texts)


def test_equal_on_shuffled_prose() -> None:
    chance = random.Random(1)
    texts = ["".join(chance.choices(PROSE, k=chance.randrange(80))) for _ in range(500)]
    texts += ["".join(map(chr, chance.choices([*range(0x1F300, 0x1FAFF), *range(0x20000, 0x20100), 32, 49], k=9)))
              for _ in range(100)]  # fmt: skip
    texts += ["".join(map(chr, chance.choices(range(0x3400, 0x9FFF), k=40))) for _ in range(100)]
    assert quickly(texts) == slowly(texts)


def test_equal_where_tokens_join_parts_of_characters() -> None:
    """The starter has a few such tokens; pieces with such a border are begun from bytes."""
    before, behind = np.nonzero(STARTER._fast._borders)  # type: ignore[union-attr]
    assert len(before) > 0
    characters = [chr(c) for c in range(0x4E00, 0x9FA6)]
    texts = []
    for last, first in zip(before.tolist(), behind.tolist(), strict=True):
        ends = [c for c in characters if c.encode()[-1] == last][:12]
        begins = [c for c in characters if c.encode()[0] == first][:12]
        texts += [left + right for left in ends for right in begins]
    assert len(texts) > 100
    assert quickly(texts) == slowly(texts)


def test_what_the_kernel_does_not_know_is_left_to_tokenizers() -> None:
    texts = ["前", "长" * fast.LONGEST, "中", "\U00010000 rare", "a" * (fast.LONGEST + 1), "后", ""]
    _, lengths = STARTER._fast.encode(pa.array(texts), 0)  # type: ignore[union-attr]
    assert (lengths < 0).tolist() == [False, True, False, True, True, False, False]
    assert quickly(texts) == slowly(texts)
    assert quickly(texts[1:2]) == slowly(texts[1:2])
    assert STARTER.encode(pa.array(["x", *texts])[1:]).to_pylist() == slowly(texts)


def changed(change: str) -> dict[str, Any]:
    spec = copy.deepcopy(SPEC)
    if change == "normalizer":
        spec["normalizer"] = {"type": "NFC"}
    elif change == "split":
        spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] += "|x"
    elif change == "prefix":
        spec["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
    elif change == "no pre-tokenizer":
        spec["pre_tokenizer"] = None
    elif change == "dropout":
        spec["model"]["dropout"] = 0.1
    elif change == "ignore_merges":
        spec["model"]["ignore_merges"] = True
    elif change == "added":
        spec["added_tokens"].append({**spec["added_tokens"][0], "id": 24000, "content": "<x>", "special": False})
    elif change == "model":
        spec["model"]["type"] = "WordPiece"
    else:
        del spec["model"]["vocab"]["a"]
    return spec


@pytest.mark.parametrize(
    "change",
    ["normalizer", "split", "prefix", "no pre-tokenizer", "dropout", "ignore_merges", "added", "model", "byte missing"],
)
def test_another_make_goes_the_slow_way(change: str) -> None:
    assert fast.build(changed(change), NONE) is None


def test_merges_that_make_a_control_token_go_the_slow_way() -> None:
    made = SPEC["model"]["vocab"]["".join(SPEC["model"]["merges"][0])]
    assert fast.build(SPEC, np.array([made], np.uint32)) is None


def test_merges_out_of_order_are_begun_from_bytes() -> None:
    """A made-up vocabulary in which a later merge makes half of an earlier one."""
    spec = copy.deepcopy(SPEC)
    spec["model"]["vocab"] = {letter: i for i, letter in enumerate(fast._alphabet())} | {
        "ab": 256,
        "abc": 257,
        "bc": 258,
    }
    spec["model"]["merges"] = [["ab", "c"], ["b", "c"], ["a", "b"]]
    spec["added_tokens"] = []
    built = fast.build(spec, NONE)
    assert built is not None
    assert built._borders.all()
    engine = tokenizers.Tokenizer.from_str(json.dumps(spec))
    for text in ("abc", "bcab", "abcabc", "cab"):
        ids, _ = built.encode(pa.array([text]), 999)
        assert ids.tolist() == [*engine.encode(text).ids, 999]
