"""Distil a classifier into a smaller one: the small one learns the large one's scores, on texts that need no labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from mdfs.classifiers.datasets import Doc

from mdfs import classify

COPIES = 4
"""Lines that a text has in fastText's training, dealt out by the teacher's scores: fastText learns labels and no
distributions, so a text that the teacher calls 3/4 high and 1/4 low stands there three times as one and once as the
other."""


def scores(teacher: classify.Classifier, texts: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """The teacher's scores, float32[texts, labels], in the order of `labels`; its calibration is part of them."""
    found = teacher.predict(pa.array(texts, pa.string()))
    return np.ascontiguousarray(found[:, [teacher.labels.index(label) for label in labels]])


def dealt(texts: Sequence[str], soft: npt.NDArray[np.float32], labels: Sequence[str]) -> list[Doc]:
    """`COPIES` documents for each text, their labels as near to its scores as so many can be (largest remainders)."""
    docs = []
    for number, (text, row) in enumerate(zip(texts, soft.astype(np.float64) * COPIES, strict=True)):
        counts = np.floor(row).astype(int)
        for place in np.argsort(counts - row, kind="stable")[: COPIES - counts.sum()]:
            counts[place] += 1
        name = f"text#{number}"
        docs += [
            Doc(name, text, label, "teacher", name) for label, n in zip(labels, counts, strict=True) for _ in range(n)
        ]
    return docs
