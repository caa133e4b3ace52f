"""Statistics of a classifier's answers: counts, intervals, calibration, and whether one is better than another.

Everything works on small integer tables (who was said to be what, by group), so that a thousand resamples of a hundred
thousand documents take seconds. Documents of one group (a host, copies of a page) stand or fall together: resampling
single documents would make intervals too narrow, so whole groups are resampled (cluster bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]

RESAMPLES = 1000
"""Resamples of a bootstrap: the ends of a 95% interval then move by about a tenth of its width from seed to seed."""

BINS = 10
"""Bins of equal width of a reliability table."""

_AT_ONCE = 4_000_000  # weights held at once: 32 MB


def confusion(wanted: Sequence[int], guess: Sequence[int], labels: int) -> Counts:
    """int64[labels, labels]: rows are what documents are, columns what they were said to be."""
    flat = np.asarray(wanted, np.int64) * labels + np.asarray(guess, np.int64)
    return np.bincount(flat, minlength=labels * labels).reshape(labels, labels)


def by_group(wanted: Sequence[int], guess: Sequence[int], groups: Sequence[str], labels: int) -> Counts:
    """A confusion table for each group, int64[groups, labels, labels], groups in the order of their names."""
    _, place = np.unique(np.asarray(groups, object).astype(str), return_inverse=True)
    flat = (place * labels + np.asarray(wanted, np.int64)) * labels + np.asarray(guess, np.int64)
    count = int(place.max(initial=-1)) + 1
    return np.bincount(flat, minlength=count * labels * labels).reshape(count, labels, labels)


def figures(tables: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """Figures of confusion tables [..., labels, labels]: `precision`, `recall`, `f1` [..., labels], `macro_f1` and
    `accuracy` [...]. What would divide by 0 is 0."""
    tables = np.asarray(tables, np.float64)
    hit = np.diagonal(tables, axis1=-2, axis2=-1)
    real, said, all_ = tables.sum(-1), tables.sum(-2), tables.sum((-2, -1))
    f1 = 2 * hit / np.maximum(real + said, 1e-12)
    return {
        "precision": hit / np.maximum(said, 1e-12),
        "recall": hit / np.maximum(real, 1e-12),
        "f1": f1,
        "macro_f1": f1.mean(-1),
        "accuracy": hit.sum(-1) / np.maximum(all_, 1e-12),
    }


def resampled(tables: Counts, seed: int, resamples: int = RESAMPLES) -> npt.NDArray[np.int64]:
    """Sums of group tables drawn with replacement, int64[resamples, ...]; `tables` is [groups, ...]."""
    groups = len(tables)
    flat = tables.reshape(groups, -1)
    rng, out = np.random.default_rng(seed), []
    step = max(1, _AT_ONCE // max(1, groups))
    for start in range(0, resamples, step):
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=min(step, resamples - start))
        out.append(weights @ flat)
    return np.concatenate(out).reshape(resamples, *tables.shape[1:])


def interval(values: npt.NDArray[np.float64], level: float = 0.95) -> list[float]:
    """The middle `level` of resampled values (percentile interval), to four decimals."""
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return [round(float(low), 4), round(float(high), 4)]


def with_intervals(tables: Counts, labels: Sequence[str], seed: int, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Accuracy, macro-F1 and precision, recall and F1 by label, each with its 95% interval over groups."""
    whole, drawn = figures(tables.sum(0)), figures(resampled(tables, seed, resamples))
    out: dict[str, Any] = {
        name: {"value": round(float(whole[name]), 4), "interval": interval(drawn[name])}
        for name in ("accuracy", "macro_f1")
    }
    real = tables.sum((0, 2))
    out["by_label"] = {
        label: {"docs": int(real[i])}
        | {
            name: {"value": round(float(whole[name][i]), 4), "interval": interval(drawn[name][:, i])}
            for name in ("precision", "recall", "f1")
        }
        for i, label in enumerate(labels)
    }
    return out


def reliability(scores: Matrix, wanted: Sequence[int], bins: int = BINS) -> list[dict[str, Any]]:
    """Rows of a reliability table: documents by their best score in bins of equal width, with the mean of that score
    and the share that is right; bins without documents are left out."""
    best, right = scores.max(axis=1), scores.argmax(axis=1) == np.asarray(wanted)
    place = np.minimum((best * bins).astype(int), bins - 1)
    rows = []
    for number in range(bins):
        here = place == number
        if here.any():
            rows.append(
                {
                    "from": round(number / bins, 4),
                    "to": round((number + 1) / bins, 4),
                    "docs": int(here.sum()),
                    "confidence": round(float(best[here].mean()), 4),
                    "accuracy": round(float(right[here].mean()), 4),
                }
            )
    return rows


def expected_calibration_error(scores: Matrix, wanted: Sequence[int], bins: int = BINS) -> float:
    """Mean gap between best score and share right over the bins of `reliability`, weighted by documents."""
    rows = reliability(scores, wanted, bins)
    docs = sum(row["docs"] for row in rows)
    return round(sum(abs(row["confidence"] - row["accuracy"]) * row["docs"] for row in rows) / max(1, docs), 4)


def mcnemar(first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """McNemar's exact test: of the documents that just one of two classifiers gets right, is each as often the one?

    The p value is two-sided, from the binomial distribution.
    """
    only_first = int((first_right & ~second_right).sum())
    only_second = int((second_right & ~first_right).sum())
    few, count = min(only_first, only_second), only_first + only_second
    tail = math.fsum(math.exp(log_binomial(count, k) - count * math.log(2)) for k in range(few + 1))
    return {"only_first": only_first, "only_second": only_second, "p": round(min(1.0, 2 * tail), 6)}


def log_binomial(n: int, k: int) -> float:
    """The logarithm of n over k."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def paired_bootstrap(first: Counts, second: Counts, seed: int, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The difference of two macro-F1 (second less first) on the same groups, with its 95% interval and the share of
    resamples in which it is not above 0."""
    both = resampled(np.stack([first, second], axis=1), seed, resamples)
    drawn = figures(both)["macro_f1"]
    gain = drawn[:, 1] - drawn[:, 0]
    whole = [float(figures(tables.sum(0))["macro_f1"]) for tables in (first, second)]
    return {
        "macro_f1_difference": round(whole[1] - whole[0], 4),
        "interval": interval(gain),
        "share_not_better": round(float((gain <= 0).mean()), 4),
    }


def upper_bound(errors: int, trials: int, confidence: float = 0.95) -> float:
    """The one-sided Clopper-Pearson bound: with this confidence the true share of errors is not above it.

    1 where nothing was tried. It is the p at which so few errors in so many trials have probability 1 - confidence.
    """
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(60):  # halvings: far below float64's precision
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(errors, trials, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(errors: int, trials: int, p: float) -> float:
    """Probability of at most `errors` in `trials`, each of probability p, 0 < p < 1."""
    yes, no = math.log(p) if p > 0 else -math.inf, math.log1p(-p) if p < 1 else -math.inf
    if p <= 0:
        return 1.0
    return math.fsum(math.exp(log_binomial(trials, k) + k * yes + (trials - k) * no) for k in range(errors + 1))
