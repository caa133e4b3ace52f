"""Statistics, against values worked out by other means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mdfs.classifiers import metrics


def test_figures_of_a_confusion_table() -> None:
    table = metrics.confusion([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2], 3)
    assert table.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    found = metrics.figures(table)
    np.testing.assert_allclose(found["precision"], [1, 0.5, 0.5])
    np.testing.assert_allclose(found["recall"], [2 / 3, 0.5, 1])
    np.testing.assert_allclose(found["f1"], [0.8, 0.5, 2 / 3])
    assert found["accuracy"] == pytest.approx(4 / 6)


def test_a_label_without_documents_is_zero_not_an_error() -> None:
    found = metrics.figures(metrics.confusion([0, 0], [0, 0], 2))
    assert found["f1"].tolist() == [1.0, 0.0]


def simulated(documents: int, right: float, seed: int, group_size: int = 1) -> tuple[list[int], list[int], list[str]]:
    rng = np.random.default_rng(seed)
    wanted = rng.integers(0, 2, documents)
    hits = np.repeat(rng.random(documents // group_size) < right, group_size)
    return (
        wanted.tolist(),
        np.where(hits, wanted, 1 - wanted).tolist(),
        [f"g{i // group_size}" for i in range(documents)],
    )


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(200):
        tables = metrics.by_group(*simulated(200, 0.8, seed), 2)
        low, high = metrics.with_intervals(tables, ("a", "b"), seed, 300)["accuracy"]["interval"]
        covered += low <= 0.8 <= high
    assert 180 <= covered <= 199


def test_documents_that_fall_together_give_wider_intervals() -> None:
    width = []
    for size in (1, 20):
        tables = metrics.by_group(*simulated(2000, 0.8, 4, size), 2)
        low, high = metrics.with_intervals(tables, ("a", "b"), 1)["accuracy"]["interval"]
        width.append(high - low)
    assert width[1] > 3 * width[0], "about the square root of 20"


def test_resamples_are_seeded_and_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = metrics.by_group(*simulated(100, 0.8, 1), 2)
    one = metrics.resampled(tables, 7, 50)
    assert one.sum(axis=(1, 2)).tolist() == [100] * 50
    np.testing.assert_array_equal(one, metrics.resampled(tables, 7, 50))
    assert (one != metrics.resampled(tables, 8, 50)).any()
    monkeypatch.setattr(metrics, "_AT_ONCE", 300)
    np.testing.assert_array_equal(one, metrics.resampled(tables, 7, 50))


def test_reliability_and_its_error() -> None:
    scores = np.array([[0.95, 0.05], [0.95, 0.05], [0.65, 0.35], [0.0, 1.0]])
    rows = metrics.reliability(scores, [0, 1, 0, 1])
    assert [(row["from"], row["docs"], row["accuracy"]) for row in rows] == [(0.6, 1, 1.0), (0.9, 3, 0.6667)]
    wanted = (1 * 0.35 + 3 * (2.9 / 3 - 2 / 3)) / 4
    assert metrics.expected_calibration_error(scores, [0, 1, 0, 1]) == pytest.approx(wanted, abs=1e-3)


def test_mcnemar_is_the_exact_binomial() -> None:
    first = np.array([True] * 10 + [False] * 2 + [True] * 50)
    second = np.array([False] * 10 + [True] * 2 + [True] * 50)
    found = metrics.mcnemar(first, second)
    assert (found["only_first"], found["only_second"]) == (10, 2)
    assert found["p"] == pytest.approx(2 * sum(math.comb(12, k) for k in range(3)) / 2**12, abs=1e-6)
    assert metrics.mcnemar(first, first)["p"] == 1.0


def test_a_paired_comparison_sees_what_two_intervals_would_not() -> None:
    """Both err on the same hard documents; the second errs on a few less."""
    rng = np.random.default_rng(2)
    wanted = rng.integers(0, 2, 1000)
    hard = rng.random(1000) < 0.3
    saved = hard & (rng.random(1000) < 0.15)
    groups = [str(i) for i in range(1000)]
    first = metrics.by_group(wanted, np.where(hard, 1 - wanted, wanted), groups, 2)
    second = metrics.by_group(wanted, np.where(hard & ~saved, 1 - wanted, wanted), groups, 2)
    found = metrics.paired_bootstrap(first, second, 1)
    assert found["macro_f1_difference"] > 0
    assert found["interval"][0] > 0
    assert found["share_not_better"] == 0
    back = metrics.paired_bootstrap(second, first, 1)
    assert back["macro_f1_difference"] == -found["macro_f1_difference"]
    apart = [metrics.with_intervals(t, ("a", "b"), 1)["macro_f1"]["interval"] for t in (first, second)]
    assert apart[0][1] > apart[1][0], "their own intervals overlap"


@pytest.mark.parametrize(
    ("errors", "trials", "bound"), [(0, 299, 0.00997), (0, 10, 0.2589), (5, 100, 0.1023), (3, 3, 1.0)]
)
def test_the_upper_bound_is_clopper_and_pearsons(errors: int, trials: int, bound: float) -> None:
    assert metrics.upper_bound(errors, trials) == pytest.approx(bound, abs=2e-4)


def test_the_upper_bound_of_nothing_is_one() -> None:
    assert metrics.upper_bound(0, 0) == 1.0
