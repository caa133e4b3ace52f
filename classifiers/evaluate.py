"""Measure a classifier: precision, recall and F1 by label, calibration, speed, and agreement of two backends."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from mdfs.classifiers.datasets import Doc, read_labelled

from mdfs import classify

Matrix = npt.NDArray[np.floating[Any]]


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


def measure(model: classify.Classifier, docs: Sequence[Doc]) -> dict[str, Any]:
    """`report` of a loaded classifier on labelled documents, with documents a second and who decided them."""
    texts = pa.array([d.text for d in docs], pa.string())
    model.predict(texts.slice(0, 4))  # the first call loads and plans
    started = time.perf_counter()
    decisions = model.decide(texts)
    seconds = time.perf_counter() - started
    out = report([model.labels.index(d.label) for d in docs], decisions.scores, model.labels)
    by = {name: decisions.decided_by.count(name) for name in sorted(set(decisions.decided_by))}
    return out | {"docs_s": round(len(docs) / seconds, 1), "decided_by": by}


def agreement(folder: Path, texts: Sequence[str]) -> float:
    """The largest difference of any score between torch and onnxruntime on `texts`."""
    array = pa.array(texts, pa.string())
    one, other = (classify.load(str(folder), backend=b).predict(array) for b in ("torch", "onnxruntime"))
    return float(np.abs(one - other).max())


@click.command(epilog="Example: python -m mdfs.classifiers.evaluate starter --data labelled.jsonl")
@click.argument("artifact")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    multiple=True,
    help="JSON lines: text, label.",
)
@click.option("--backend", type=click.Choice(["torch", "onnxruntime"]), help="Which backend runs a BERT.")
@click.option("--threads", default=1, show_default=True, help="Threads of onnxruntime.")
def main(artifact: str, data: tuple[Path, ...], backend: str | None, threads: int) -> None:
    """Measure a classifier (a folder or a shipped name) on labelled documents; prints one JSON object."""
    model = classify.load(artifact, backend=backend, threads=threads)
    click.echo(json.dumps(measure(model, [d for path in data for d in read_labelled(path)]), ensure_ascii=False))


if __name__ == "__main__":
    main()
