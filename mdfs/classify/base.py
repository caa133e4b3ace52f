"""What every classifier does, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mdfs.classify.artifact import Card

Scores: TypeAlias = npt.NDArray[np.float32]
"""float32[documents, labels]; a row is a distribution: not negative, sum 1 (to 1e-5)."""

Texts: TypeAlias = "pa.Array[pa.StringScalar] | pa.ChunkedArray[pa.StringScalar]"
"""Arrow strings (string or large_string); null counts as the empty text."""

CHUNK = 1024
"""Documents turned into Python strings at a time, so that memory does not grow with the array."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The scores of documents, and which kind of model gave each ("fasttext" or "bert"), in the order of the texts."""

    scores: Scores
    decided_by: list[str]


class Classifier(Protocol):
    """A classifier of documents.

    `labels` are the names of the score columns; `digest` (64 hex digits) covers the card and all model files, so that
    it can stand in a recipe's digest; `card` is the checked card.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the score columns."""
        ...

    @property
    def digest(self) -> str:
        """Of the card and all model files: 64 hex digits."""
        ...

    @property
    def card(self) -> Card:
        """The checked card."""
        ...

    @property
    def ahead(self) -> int:
        """How many batches of documents a caller should have under way at once, in threads: 1 but for a GPU, which
        would wait while the next batch is read and tokenised."""
        ...

    def predict(self, texts: Texts) -> Scores:
        """Scores, float32[documents, labels]. A document's scores do not depend on the documents around it (exactly, or
        within what the backend's docstring states)."""
        ...

    def decide(self, texts: Texts) -> Decisions:
        """Scores as `predict` gives them, and who decided each document."""
        ...


def chunks(texts: Texts) -> Iterator[list[str | None]]:
    """The texts as Python strings, `CHUNK` at a time, in order.

    Bytes that are no UTF-8, which a file from elsewhere may hold in a column of strings, count as U+FFFD.
    """
    for start in range(0, len(texts), CHUNK):
        chunk = texts.slice(start, CHUNK)
        try:
            yield chunk.to_pylist()
        except UnicodeDecodeError:
            raw = chunk.cast(pa.large_binary() if pa.types.is_large_string(chunk.type) else pa.binary())
            yield [None if text is None else text.decode("utf-8", "replace") for text in raw.to_pylist()]


def calibrated(logits: npt.NDArray[np.floating], temperature: float) -> Scores:
    """softmax(logits / temperature) along the rows, computed in float64."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True, initial=-np.inf)
    exp = np.exp(scaled)
    out: Scores = (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32)
    return out


def scores_of(logits: npt.NDArray[np.floating], card: Card) -> Scores:
    """Logits as the card's scores: by its temperature, or by its isotonic curves where it has some.

    A curve is a line through its points; beyond the first and last it is level. Rows are then divided by their sums; a
    row that is 0 in every column is taken as it was before.
    """
    if card.isotonic is None:
        return calibrated(logits, card.temperature)
    before = calibrated(logits, 1.0).astype(np.float64)
    after = np.stack([np.interp(before[:, i], *card.isotonic[i]) for i in range(before.shape[1])], axis=1)
    empty = after.sum(axis=1) <= 0
    after[empty] = before[empty]
    out: Scores = (after / after.sum(axis=1, keepdims=True)).astype(np.float32)
    return out
