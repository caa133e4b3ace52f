"""Two classifiers in a row: the quick one decides what it is sure of, the thorough one the rest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mdfs.classify.artifact import Card
from mdfs.classify.base import Classifier, Decisions, Scores, Texts, calibrated
from mdfs.errors import UsageError

LEAST_SCORE = 1e-6
"""What a score counts as at least where scores are multiplied: no model is sure that a label cannot be."""


def blended(first: Scores, second: Scores, weight: float) -> Scores:
    """The product of the second's scores and the first's to the power of `weight`, float32[documents, labels].

    A product of experts (Hinton 2002): models that see different things of a text, letters here and meaning there, err
    on different texts. Rows sum to 1. With weight 0 the second's scores as they are.
    """
    if not weight:
        return second
    logs = np.log(np.maximum(second, LEAST_SCORE)) + weight * np.log(np.maximum(first, LEAST_SCORE))
    return calibrated(logs, 1.0)


class CascadeClassifier:
    """Asks `first`; where its best score does not reach the card's threshold for that label, asks `second` too."""

    def __init__(self, card: Card, first: Classifier, second: Classifier) -> None:
        if card.cascade is None or not set(first.labels) == set(second.labels) == set(card.labels):
            raise UsageError(
                f"{card.folder}: the members of a cascade must have the labels of its card, {', '.join(card.labels)}"
            )
        self.card, self.first, self.second = card, first, second
        self._limits = np.array([card.cascade.threshold[label] for label in card.labels], np.float32)
        self._columns = [[member.labels.index(label) for label in card.labels] for member in (first, second)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the score columns."""
        return self.card.labels

    @property
    def digest(self) -> str:
        """Of the cascade's card, which names the members' cards and, through them, all their files."""
        return self.card.digest

    @property
    def ahead(self) -> int:
        """What the member that asks for more wants under way at once."""
        return max(self.first.ahead, self.second.ahead)

    def blended(self, first: Scores, second: Scores) -> Scores:
        """The scores of documents that the first does not decide, from both members' in the order of `labels`."""
        assert self.card.cascade is not None
        return blended(first, second, self.card.cascade.first_weight)

    def predict(self, texts: Texts) -> Scores:
        """Scores, float32[documents, labels], of the first member, or of both where it is not sure."""
        return self.decide(texts).scores

    def decide(self, texts: Texts) -> Decisions:
        """Scores and, for each document, the member that was asked last."""
        first = self.first.decide(texts)
        scores, by = first.scores[:, self._columns[0]], list(first.decided_by)
        unsure = (
            np.flatnonzero(scores.max(axis=1, initial=0) < self._limits[scores.argmax(axis=1)])
            if len(scores)
            else np.zeros(0, np.int64)
        )
        if len(unsure):
            rest = self.second.decide(texts.take(pa.array(unsure)))
            scores[unsure] = self.blended(scores[unsure], rest.scores[:, self._columns[1]])
            for row, name in zip(unsure.tolist(), rest.decided_by, strict=True):
                by[row] = name
        return Decisions(scores, by)
