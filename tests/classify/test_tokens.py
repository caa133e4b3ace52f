"""Windows over tokens and characters."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_bert
from hypothesis import given
from hypothesis import strategies as st

from mdfs.classify.tokens import Windows, WindowTokenizer


@given(st.integers(1, 50), st.integers(0, 12), st.integers(1, 6), st.integers(0, 50), st.integers(0, 400))
def test_slices_are_in_order_disjoint_and_within(head: int, piece: int, pieces: int, tail: int, length: int) -> None:
    windows = Windows(head, piece * pieces, tail, pieces)
    cuts = windows.slices(length)
    places = [i for cut in cuts for i in range(length)[cut]]
    assert places == sorted(set(places)), "no unit is seen twice"
    assert len(places) == min(length, windows.total), "as much is seen as there is room for"
    if length > windows.total:
        assert [c.stop - c.start for c in cuts] == windows.lengths
        assert len(places) + len(cuts) + 1 == windows.longest_row


def test_pieces_of_the_middle_are_spread_evenly() -> None:
    cuts = Windows(10, 30, 10, 3).slices(1010)
    assert [(c.start, c.stop) for c in cuts] == [(0, 10), (170, 180), (500, 510), (830, 840), (1000, 1010)]


def test_windows_of_one_piece_are_what_cards_already_say() -> None:
    assert Windows.from_dict({"head": 4, "middle": 2, "tail": 3}) == Windows(4, 2, 3)
    assert Windows(4, 2, 3).as_dict() == {"head": 4, "middle": 2, "tail": 3}
    assert Windows.from_dict(Windows(4, 6, 3, 2).as_dict()) == Windows(4, 6, 3, 2)


@pytest.mark.parametrize("pieces", [0, 4])
def test_a_middle_that_does_not_divide_is_refused(pieces: int) -> None:
    with pytest.raises(ValueError, match="multiple of its pieces"):
        Windows(1, 6, 1, pieces)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, -1, 0), (1, 0, -1)])
def test_windows_without_a_head_or_of_negative_size_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="windows must be"):
        Windows(*sizes)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> WindowTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_bert.write(folder)
    return WindowTokenizer(folder / "tokenizer.json", Windows(6, 3, 4))


def test_a_short_text_is_one_piece(tokenizer: WindowTokenizer) -> None:
    (row,) = tokenizer.rows(["的一是"])
    assert row.tolist() == [2, 4, 5, 6, 3]


def test_empty_and_null_are_the_two_special_tokens(tokenizer: WindowTokenizer) -> None:
    assert [row.tolist() for row in tokenizer.rows(["", None])] == [[2, 3], [2, 3]]


@pytest.mark.parametrize("length", [14, 50, 53, 200, 10_000])
def test_a_long_text_is_head_middle_and_tail(tokenizer: WindowTokenizer, length: int) -> None:
    text = "的" * 10 + "a" * (length - 14 if length > 14 else 0) + "0123"
    (row,) = tokenizer.rows([text])
    assert len(row) == tokenizer.max_tokens
    assert row[:7].tolist() == [2] + [4] * 6, "the head comes first"
    assert row[-5:-1].tolist() == [tokenizer.rows([c])[0][1] for c in "0123"], "the tail keeps its end"
    assert (row == 3).sum() == 3


def test_pieces_are_set_apart(tokenizer: WindowTokenizer) -> None:
    several = WindowTokenizer(tokenizer.path, Windows(6, 4, 4, 2))
    (row,) = several.rows(["的" * 10 + "a" * 40 + "0123"])
    assert len(row) == several.max_tokens == 19
    assert (row == 3).sum() == 4


def test_a_row_depends_on_its_text_alone(tokenizer: WindowTokenizer) -> None:
    texts = ["的一" * 40, "", "abc", "人" * 9]
    together, alone = tokenizer.rows(texts), [tokenizer.rows([t])[0] for t in texts]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
