"""Decisions on scores: labels, least probabilities, the Pareto draw, the best share; from stored scores alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdfs import recipe
from mdfs.classify import decide
from mdfs.classify.decide import BINS, Bar, bar_of, bins, draws, drop_reasons, pareto_keeps, share_keeps, share_of
from mdfs.errors import UsageError
from mdfs.options import Classify

IDS = [f"{i:032x}" for i in range(20_000)]


def scores(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_labels_and_least_probabilities_each_give_their_reason() -> None:
    said = Classify(keep=("high", "low"), min_score={"high": 0.4, "low": 0.1})
    rows = scores((0.5, 0.3, 0.2), (0.2, 0.1, 0.7), (0.35, 0.6, 0.05), (0.96, 0.04, 0.0))
    found = drop_reasons(rows, IDS[:4], said)
    assert found == [[], ["label.ad", "score.high.min"], ["score.high.min"], ["score.low.min"]]


def test_a_least_probability_is_inclusive_in_float32() -> None:
    assert drop_reasons(scores((0.1, 0.8, 0.1)), IDS[:1], Classify(keep=("low",), min_score={"high": 0.1})) == [[]]


def test_draws_are_uniform_and_of_the_id_and_salt_alone() -> None:
    drawn = draws(IDS, "a")
    assert 0 < drawn.min() < 1e-3
    assert 1 - 1e-3 < drawn.max() <= 1
    for share in (0.1, 0.5, 0.9):
        assert (drawn <= share).mean() == pytest.approx(share, abs=0.015)
    np.testing.assert_array_equal(draws(IDS[::-1], "a")[::-1], drawn)
    assert abs(np.corrcoef(drawn, draws(IDS, "b"))[0, 1]) < 0.03, "the draw and the share do not go together"


@pytest.mark.parametrize("alpha", [3.0, 9.0])
@pytest.mark.parametrize("score", [0.0, 0.3, 0.9, 1.0])
def test_a_pareto_number_lets_pass_what_numpys_would(alpha: float, score: float) -> None:
    """GPT-3 and the Pile write np.random.pareto(alpha) > 1 - score."""
    kept = pareto_keeps(np.full(len(IDS), score, np.float32), IDS, alpha).mean()
    numpys = (np.random.default_rng(1).pareto(alpha, 200_000) > 1 - score).mean()
    assert kept == pytest.approx(numpys, abs=0.012)
    assert kept == pytest.approx((2 - score) ** -alpha, abs=0.012)


def test_a_document_that_stays_stays_with_a_better_score() -> None:
    before = pareto_keeps(np.full(len(IDS), 0.5, np.float32), IDS, 9)
    after = pareto_keeps(np.full(len(IDS), 0.8, np.float32), IDS, 9)
    assert (after | ~before).all()
    assert after.sum() > before.sum() > 0


def test_the_draw_is_a_reason_beside_the_others() -> None:
    said = Classify(keep=("high", "low", "ad"), pareto_alpha=9)
    found = drop_reasons(np.tile(scores((0.0, 1.0, 0.0)), (2000, 1)), IDS[:2000], said)
    assert {tuple(reasons) for reasons in found} == {(), ("pareto",)}
    assert sum(not reasons for reasons in found) == pytest.approx(2000 / 2**9, abs=8)
    ranked = Classify(keep=("high", "low", "ad"), pareto_alpha=9, rank_by="low")
    assert not any(drop_reasons(np.tile(scores((0.0, 1.0, 0.0)), (50, 1)), IDS[:50], ranked))


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50))
def test_bins_do_not_fall_as_scores_rise(values: list[float]) -> None:
    ordered = np.sort(np.array(values, np.float32))
    place = bins(ordered)
    assert (np.diff(place) >= 0).all()
    assert place.min() >= 0
    assert place.max() < BINS


def test_bins_are_fine_at_both_ends() -> None:
    near = np.array([0, 1e-7, 1e-3, 1.01e-3, 0.5, 0.999, 0.9991, 0.99999, 0.9999901, 1], np.float32)
    assert len(set(bins(near).tolist())) == len(near)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("crowded", [False, True])
def test_the_best_share_stays(share: float, crowded: bool) -> None:
    rng = np.random.default_rng(3)
    rank = rng.uniform(0, 1, len(IDS)).astype(np.float32)
    if crowded:  # two scores in all: the bar runs through one of them, within which ids draw
        rank = np.where(rank < 0.5, np.float32(0.2), np.float32(1.0))
    bar = bar_of(np.bincount(bins(rank), minlength=BINS), share)
    keeps = share_keeps(rank, IDS, ["web"] * len(IDS), {"web": bar})
    assert keeps.mean() == pytest.approx(share, abs=0.006)
    if not crowded:
        assert rank[keeps].min() >= rank[~keeps].max(initial=0) - 0.01, "no worse document stays in place of a better"


def test_shares_are_of_the_source_whose_glob_fits_first() -> None:
    said = Classify(top_share={"web-*": 0.1, "*": 0.5})
    assert [share_of(name, said) for name in ("web-a", "news")] == [0.1, 0.5]
    assert share_of("news", Classify(top_share={"web-*": 0.1})) is None
    rank = np.array([0.1, 0.1], np.float32)
    assert share_keeps(rank, IDS[:2], ["web", "free"], {"web": Bar(BINS - 1, 1.0)}).tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('keep = ["hihg"]', "classify.keep: no label is called 'hihg'"),
        ("min_score = { good = 0.5 }", "classify.min_score: no label"),
        ('rank_by = "quality"', "classify.rank_by: no label"),
        ("pareto_alpha = -1", "pareto_alpha must not be negative"),
        ('top_share = { "*" = 0 }', "must lie between 0 and 1"),
        ('top_share = { "*" = 1.1 }', "must lie between 0 and 1"),
    ],
)
def test_mistakes_in_a_recipe_are_told_in_one_line(tmp_path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[classify]\n{text}\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        recipe.load(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_are_those_of_the_scores_column() -> None:
    assert decide.LABELS == ("high", "low", "ad")
