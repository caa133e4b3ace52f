"""Measure a classifier: figures with intervals, calibration, speed, by source and length; compare two of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from mdfs.classifiers import metrics
from mdfs.classifiers.datasets import Doc

from mdfs import classify
from mdfs.errors import UsageError

Matrix = npt.NDArray[np.floating[Any]]

LENGTHS = (0, 100, 300, 1000, 3000, 10_000)
"""Characters from which a bucket of lengths begins."""


def softmax(logits: Matrix) -> npt.NDArray[np.float64]:
    """Rows as distributions, in float64."""
    exp = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    out: npt.NDArray[np.float64] = exp / exp.sum(axis=1, keepdims=True)
    return out


def fit_temperature(logits: Matrix, wanted: Sequence[int]) -> float:
    """The temperature of 0.25 to 8 under which the wanted labels are likeliest (Guo et al. 2017), to two decimals."""
    rows = np.arange(len(wanted))
    grid = np.exp(np.linspace(np.log(0.25), np.log(8), 141))
    loss = [-np.log(np.clip(softmax(logits / t)[rows, list(wanted)], 1e-12, None)).mean() for t in grid]
    return round(float(grid[int(np.argmin(loss))]), 2)


def calibration_error(scores: Matrix, wanted: Sequence[int], bins: int = 10) -> float:
    """Expected calibration error: mean gap between best score and share right, over equal-width bins of the best
    score."""
    best, right = scores.max(axis=1), scores.argmax(axis=1) == np.asarray(wanted)
    bin_of = np.minimum((best * bins).astype(int), bins - 1)
    gaps = [
        abs(best[bin_of == b].mean() - right[bin_of == b].mean()) * (bin_of == b).mean()
        for b in range(bins)
        if (bin_of == b).any()
    ]
    return round(float(sum(gaps)), 4)


def report(wanted: Sequence[int], scores: Matrix, labels: Sequence[str]) -> dict[str, Any]:
    """Counts, accuracy, macro-F1, calibration error and precision, recall and F1 by label."""
    guess, want = scores.argmax(axis=1), np.asarray(wanted)
    by_label = {}
    for i, label in enumerate(labels):
        hit, said, real = int(((guess == i) & (want == i)).sum()), int((guess == i).sum()), int((want == i).sum())
        by_label[label] = {
            "precision": round(hit / max(1, said), 4),
            "recall": round(hit / max(1, real), 4),
            "f1": round(2 * hit / max(1, said + real), 4),
            "docs": real,
        }
    macro = float(np.mean([row["f1"] for row in by_label.values()]))
    return {
        "docs": len(want),
        "accuracy": round(float((guess == want).mean()), 4),
        "macro_f1": round(macro, 4),
        "calibration_error": calibration_error(scores, wanted),
        "by_label": by_label,
    }


def agreement(folder: Path, texts: Sequence[str]) -> float:
    """The largest difference of any score between torch and onnxruntime on `texts`."""
    array = pa.array(texts, pa.string())
    one, other = (classify.load(str(folder), backend=b).predict(array) for b in ("torch", "onnxruntime"))
    return float(np.abs(one - other).max())


@dataclass(frozen=True)
class Answers:
    """What a classifier said of labelled documents.

    Attributes:
        labels: the names of the score columns. `scores`: float32[documents, labels].
        wanted: the place of each document's own label among `labels`. `decided_by`: which model answered.
        seconds: of scoring, loading and a first call left out.
    """

    labels: tuple[str, ...]
    scores: classify.Scores
    wanted: npt.NDArray[np.int64]
    decided_by: list[str]
    seconds: float

    @property
    def guess(self) -> npt.NDArray[np.int64]:
        """The place of the most probable label of each document."""
        return np.asarray(self.scores.argmax(axis=1), np.int64)


def ask(model: classify.Classifier, docs: Sequence[Doc], name: str = "the classifier") -> Answers:
    """Score documents.

    Raises:
        UsageError: a document has a label that the classifier does not know.
    """
    unknown = sorted({doc.label for doc in docs} - set(model.labels))
    if unknown:
        raise UsageError(f"{name} knows {', '.join(model.labels)}, but documents are {unknown[0]!r}; use --labels")
    texts = pa.array([doc.text.encode("utf-8", "replace").decode() for doc in docs], pa.string())
    model.predict(texts.slice(0, 4))  # the first call loads and plans
    started = time.perf_counter()
    decisions = model.decide(texts)
    seconds = time.perf_counter() - started
    wanted = np.array([model.labels.index(doc.label) for doc in docs], np.int64)
    return Answers(model.labels, decisions.scores, wanted, list(decisions.decided_by), seconds)


def evaluation(answers: Answers, docs: Sequence[Doc], seed: int, resamples: int = metrics.RESAMPLES) -> dict[str, Any]:
    """All figures of a classifier on labelled documents, as plain data; intervals are of 95%, over groups."""
    labels, groups = answers.labels, [doc.group for doc in docs]
    tables = metrics.by_group(answers.wanted, answers.guess, groups, len(labels))
    return {
        "docs": len(docs),
        "groups": len(tables),
        "labels": list(labels),
        **metrics.with_intervals(tables, labels, seed, resamples),
        "confusion": tables.sum(0).tolist(),
        "calibration": {
            "expected_error": metrics.expected_calibration_error(answers.scores, answers.wanted),
            "reliability": metrics.reliability(answers.scores, answers.wanted),
        },
        "by_source": _slices(answers, [doc.source for doc in docs]),
        "by_length": _slices(answers, [_bucket(len(doc.text)) for doc in docs]),
        "decided_by": {name: answers.decided_by.count(name) for name in sorted(set(answers.decided_by))},
        "docs_per_second": round(len(docs) / max(answers.seconds, 1e-9), 1),
        "bootstrap": {"resamples": resamples, "seed": seed, "over": "groups"},
    }


def _bucket(chars: int) -> str:
    place = int(np.searchsorted(LENGTHS, chars, side="right")) - 1
    above = f"-{LENGTHS[place + 1] - 1}" if place + 1 < len(LENGTHS) else "+"
    return f"{LENGTHS[place]}{above}"


def _slices(answers: Answers, keys: Sequence[str]) -> dict[str, Any]:
    """Documents, accuracy and macro-F1 over the labels there, by key; buckets of lengths in their order."""
    out = {}
    for key in sorted(set(keys), key=lambda name: (_number(name), name)):
        here = np.array([other == key for other in keys])
        table = metrics.confusion(answers.wanted[here], answers.guess[here], len(answers.labels))
        found = metrics.figures(table)
        there = table.sum(1) > 0
        out[key] = {
            "docs": int(here.sum()),
            "accuracy": round(float(found["accuracy"]), 4),
            "macro_f1": round(float(found["f1"][there].mean()), 4),
        }
    return out


def _number(name: str) -> int:
    head = name.partition("-")[0].rstrip("+")
    return int(head) if head.isdigit() else 0


def compare(first: Answers, second: Answers, docs: Sequence[Doc], seed: int) -> dict[str, Any]:
    """Whether `second` is better than `first` on the same documents: McNemar's exact test of accuracy, a paired
    bootstrap of macro-F1, and how often the two agree.

    Raises:
        UsageError: the two have different labels.
    """
    if set(first.labels) != set(second.labels):
        raise UsageError(
            f"labels differ ({', '.join(first.labels)} and {', '.join(second.labels)}): nothing to compare"
        )
    order = np.array([first.labels.index(label) for label in second.labels])
    guesses = [first.guess, order[second.guess]]
    groups = [doc.group for doc in docs]
    tables = [metrics.by_group(first.wanted, guess, groups, len(first.labels)) for guess in guesses]
    right = [guess == first.wanted for guess in guesses]
    return {
        "agreement": round(float((guesses[0] == guesses[1]).mean()), 4),
        "mcnemar": metrics.mcnemar(right[0], right[1]),
        "bootstrap": metrics.paired_bootstrap(tables[0], tables[1], seed),
        "docs_per_second": [round(len(docs) / max(a.seconds, 1e-9), 1) for a in (first, second)],
    }


def below_floors(found: dict[str, Any], floors: dict[str, Any]) -> list[str]:
    """What of an evaluation is under an artifact's floors, one line each: `macro_f1`, and `precision` and `recall` by
    label."""
    off = []
    if found["macro_f1"]["value"] < floors.get("macro_f1", 0):
        off.append(f"macro F1 {found['macro_f1']['value']} is under the floor {floors['macro_f1']}")
    for figure in ("precision", "recall"):
        for label, least in floors.get(figure, {}).items():
            value = found["by_label"].get(label, {}).get(figure, {}).get("value", 0.0)
            if value < least:
                off.append(f"{figure} of {label} {value} is under the floor {least}")
    return off
