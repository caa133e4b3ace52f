"""Calibrate: scores that mean what they say, and thresholds under which a cascade agrees with its thorough member.

A temperature divides the logits of all labels alike (Guo et al. 2017); an isotonic curve maps each label's probability
by pooling adjacent violators (Zadrozny and Elkan 2002), which can follow any bend and needs more documents.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from mdfs.classifiers import metrics
from mdfs.classifiers.datasets import Doc
from mdfs.classifiers.evaluate import fit_temperature, softmax

from mdfs import classify
from mdfs.classify import Card, seal
from mdfs.classify.base import scores_of
from mdfs.errors import UsageError

ISOTONIC_LEAST = 200
"""Documents under which an isotonic curve would follow single ones."""

NEVER = 2.0
"""A threshold that no score reaches: the first member never decides that label."""

CONFIDENCE = 0.95

_KNOWN = ("schema_version", "kind", "labels", "files")


class HasLogits(Protocol):
    """fastText and BERT, which a cascade is not."""

    def logits(self, texts: Sequence[str | None]) -> npt.NDArray[Any]:
        """Uncalibrated logits."""
        ...


def fields_of(card: Card) -> dict[str, Any]:
    """A card's own fields, without those that sealing writes."""
    return {name: value for name, value in card.fields.items() if name not in _KNOWN}


def reseal(card: Card, fields: dict[str, Any]) -> Card:
    """Seal an artifact's folder anew with other fields, over the files that its card names."""
    return seal(card.folder, kind=card.kind, labels=card.labels, fields=fields, files=list(card.fields["files"]))


def calibrate(folder: Path, docs: Sequence[Doc], how: str = "temperature") -> dict[str, Any]:
    """Fit the scores of the artifact in `folder` to labelled documents and seal it; returns what was found.

    `how` is "temperature" or "isotonic". The errors before and after are those on the same documents: on others the
    second is a little larger.

    Raises:
        UsageError: the artifact is a cascade, or there are too few documents.
    """
    model = classify.load(str(folder))
    if model.card.cascade is not None:
        raise UsageError(f"{folder}: a cascade has its members' scores; calibrate them, or its thresholds: --agreement")
    if how == "isotonic" and len(docs) < ISOTONIC_LEAST:
        raise UsageError(f"{len(docs)} documents are too few for isotonic ({ISOTONIC_LEAST}); use temperature")
    logits = cast(HasLogits, model).logits([doc.text for doc in docs])
    wanted = [model.labels.index(doc.label) for doc in docs]
    said: dict[str, Any] = {"temperature": fit_temperature(logits, wanted)}
    if how == "isotonic":
        probabilities = softmax(logits)
        curves = [isotonic(probabilities[:, i], np.asarray(wanted) == i) for i in range(len(model.labels))]
        said = {"isotonic": dict(zip(model.labels, curves, strict=True))}
    before = metrics.expected_calibration_error(softmax(logits), wanted)
    card = reseal(model.card, fields_of(model.card) | {"calibration": said})
    after = metrics.expected_calibration_error(scores_of(logits, card), wanted)
    about = {"documents": len(docs), "expected_error_before": before, "expected_error_after": after}
    reseal(card, fields_of(card) | {"calibration": said | about})
    return {"method": how, **({"temperature": said["temperature"]} if how == "temperature" else {}), **about}


def isotonic(x: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> dict[str, list[float]]:
    """The never falling curve nearest to `right` (in squares) as points {"x", "y"}, by pooling adjacent violators.

    Each block of equal value is one point at the mean of its x.
    """
    values, inverse = np.unique(x, return_inverse=True)
    weight = np.bincount(inverse).astype(np.float64)
    share = np.bincount(inverse, weights=right.astype(np.float64)) / weight
    blocks: list[tuple[float, float, float]] = []  # mean of y, weight, mean of x
    for y, w, at in zip(share.tolist(), weight.tolist(), values.tolist(), strict=True):
        block = (y, w, at)
        while blocks and blocks[-1][0] >= block[0]:
            other, total = blocks[-1], blocks[-1][1] + block[1]
            block = (
                (other[0] * other[1] + block[0] * block[1]) / total,
                total,
                (other[2] * other[1] + block[2] * block[1]) / total,
            )
            blocks.pop()
        blocks.append(block)
    points = {round(at, 6): round(y, 6) for y, _, at in blocks}
    return {"x": list(points), "y": list(points.values())}


def make_cascade(first: str, second: str, output: Path) -> Path:
    """Copy two artifacts into a cascade folder whose first member decides nothing yet; returns the folder.

    Raises:
        UsageError: they have different labels, or the folder holds a classifier already.
    """
    cards = [classify.read_card(classify.locate(name)) for name in (first, second)]
    if set(cards[0].labels) != set(cards[1].labels):
        said = " and ".join(", ".join(card.labels) for card in cards)
        raise UsageError(f"members of a cascade must have the same labels, not {said}")
    if (output / "card.json").exists():
        raise UsageError(f"{output}: holds a classifier already; choose another --output")
    names = [cards[0].kind, cards[1].kind if cards[1].kind != cards[0].kind else f"{cards[1].kind}-2"]
    for card, name in zip(cards, names, strict=True):
        shutil.copytree(card.folder, output / name, dirs_exist_ok=True)
    table = {"first": names[0], "second": names[1], "threshold": dict.fromkeys(cards[0].labels, NEVER)}
    fields = {
        "created_by": "mdfs classifier calibrate",
        "licence": cards[1].fields.get("licence", ""),
        "cascade": table,
    }
    files = [f"{name}/card.json" for name in names]
    seal(output, kind="cascade", labels=cards[0].labels, fields=fields, files=files)
    return output


def thresholds(
    scores: classify.Scores, same: npt.NDArray[np.bool_], level: float, confidence: float = CONFIDENCE
) -> list[float]:
    """For each label the lowest best score from which the first member may decide.

    `scores` are the first member's, float32[documents, labels], `same` whether both say the same label. Of the
    documents over a threshold the share of `same` is at least `level` with `confidence` (one-sided, exact binomial);
    `NEVER` where no threshold gives that.
    """
    best, guess = scores.max(axis=1), scores.argmax(axis=1)
    out = []
    for label in range(scores.shape[1]):
        mine = np.flatnonzero(guess == label)
        order = mine[np.argsort(-best[mine], kind="stable")]
        off = np.cumsum(~same[order])
        ends = [i for i in range(len(order)) if i + 1 == len(order) or best[order[i]] != best[order[i + 1]]]
        found = next((i for i in reversed(ends) if holds(int(off[i]), i + 1, level, confidence)), None)
        out.append(NEVER if found is None else float(best[order[found]]))
    return out


def holds(errors: int, trials: int, level: float, confidence: float) -> bool:
    """Whether so few errors in so many trials would have probability 1 - confidence or less, were the share of errors
    1 - level: then the share is lower, with that confidence."""
    if errors > trials * (1 - level):
        return False
    if level >= 1:
        return False  # nothing short of all documents shows that there is no error at all
    yes, no = math.log(1 - level), math.log(level)
    terms = (math.exp(metrics.log_binomial(trials, k) + k * yes + (trials - k) * no) for k in range(errors + 1))
    return math.fsum(terms) <= 1 - confidence


def calibrate_cascade(
    folder: Path, texts: Sequence[str], level: float, *, confidence: float = CONFIDENCE
) -> dict[str, Any]:
    """Set a cascade's thresholds so that what its first member decides is what would be said if the second were asked;
    seal it.

    The thresholds are found on every other text, and what is reported of them is measured on the rest, so that the
    bound holds although they were chosen. Both members score all texts, and their speeds are those measured meanwhile.

    Raises:
        UsageError: the artifact is no cascade, or there are too few texts to show such a level.
    """
    from mdfs.classify.cascade import CascadeClassifier

    model = classify.load(str(folder))
    if not isinstance(model, CascadeClassifier) or model.card.cascade is None:
        raise UsageError(f"{folder}: no cascade; make one with --bert ARTIFACT --output DIR")
    least = math.ceil(math.log(1 - confidence) / math.log(level)) if 0 < level < 1 else 0
    if not 0.5 <= level < 1 or len(texts) < 2 * least:
        raise UsageError(
            f"--agreement {level}: give a level from 0.5 to under 1, and {2 * max(least, 1)} texts or more "
            f"(there are {len(texts)}): fewer without a single difference do not show it"
        )
    (first, fast), (second, slow) = (_timed(member, texts, model.labels) for member in (model.first, model.second))
    same = first.argmax(axis=1) == model.blended(first, second).argmax(axis=1)
    found = thresholds(first[0::2], same[0::2], level, confidence)
    rest, rest_same = first[1::2], same[1::2]
    cheap = rest.max(axis=1) >= np.array(found, np.float32)[rest.argmax(axis=1)]
    decided, off = int(cheap.sum()), int((~rest_same[cheap]).sum())
    share = 1 - decided / len(rest)
    hours = {"bert_alone": 1e6 / slow / 3600, "cascade": (1e6 / fast + share * 1e6 / slow) / 3600}
    said = {
        "agreement_wanted": level,
        "confidence": confidence,
        "texts": len(texts),
        "threshold": dict(zip(model.labels, found, strict=True)),
        "agreement": round(1 - off / decided, 4) if decided else None,
        "agreement_at_least": round(1 - metrics.upper_bound(off, decided, confidence), 4) if decided else None,
        "share_second": round(share, 4),
        "docs_per_second": {"first": round(fast, 1), "second": round(slow, 1)},
        "hours_per_million": {name: round(value, 3) for name, value in hours.items()},
        "hours_saved_per_million": round(hours["bert_alone"] - hours["cascade"], 3),
    }
    card = model.card
    table = dict(card.fields["cascade"]) | {"threshold": said["threshold"]}
    reseal(card, fields_of(card) | {"cascade": table, "calibration": {"cascade": said}})
    return said


def _timed(model: classify.Classifier, texts: Sequence[str], labels: Sequence[str]) -> tuple[classify.Scores, float]:
    """A member's scores in the order of `labels`, and its documents a second."""
    array = pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string())
    model.predict(array.slice(0, 4))  # the first call loads and plans
    started = time.perf_counter()
    scores = model.predict(array)
    seconds = time.perf_counter() - started
    order = [model.labels.index(label) for label in labels]
    return np.ascontiguousarray(scores[:, order]), len(texts) / max(seconds, 1e-9)
