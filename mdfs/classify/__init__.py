"""The fine filter: classifiers that tell high-quality, low-quality and advertising text apart.

    >>> from mdfs import classify
    >>> model = classify.load("starter")            # or a folder with a card.json
    >>> model.labels
    ('ad', 'high', 'low')

fastText and BERT stand behind the same interface (`Classifier`); importing this module loads neither of their
libraries.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdfs import shipped
from mdfs.classify.artifact import Card, read_card, seal
from mdfs.classify.base import Classifier, Decisions, Scores, Texts
from mdfs.devices import DEVICE_VARIABLE
from mdfs.errors import UsageError

if TYPE_CHECKING:
    from mdfs.recipe import Recipe

__all__ = [
    "DEVICE_VARIABLE",
    "SHIPPED",
    "Card",
    "Classifier",
    "Decisions",
    "Scores",
    "Texts",
    "load",
    "locate",
    "read_card",
    "seal",
    "uses_bert",
]

SHIPPED = {"starter": "starter", "starter-fasttext": "starter/fasttext", "starter-bert": "starter/bert"}
"""The artifacts that come with mdfs, by name; paths under `mdfs/classify/artifacts`."""

_DEEPEST = 4  # a cascade of cascades deeper than this is a mistake


def locate(artifact: str) -> Path:
    """The folder of a shipped artifact's name, else the path given, unchanged."""
    if artifact not in SHIPPED:
        return Path(artifact)
    found = shipped.folder(f"classify/artifacts/{SHIPPED[artifact]}")
    if found is None:
        raise UsageError(f"this installation of mdfs lacks the classifier {artifact!r}; install it again")
    return found


def uses_bert(recipe: Recipe) -> bool:
    """Whether a recipe's model has a BERT in it, which a GPU would speed up."""
    return bool(recipe.classify.model) and _has_bert(locate(recipe.path(recipe.classify.model)), 0)


def _has_bert(folder: Path, depth: int) -> bool:
    card = read_card(folder)
    if card.cascade is None or depth >= _DEEPEST:
        return card.kind == "bert"
    return any(_has_bert(folder / name, depth + 1) for name in (card.cascade.first, card.cascade.second))


def load(
    artifact_dir: str, *, backend: str | None = None, threads: int | None = None, device: str | None = None
) -> Classifier:
    """Load a classifier from an artifact folder, or a shipped one by its name ("starter", "starter-fasttext",
    "starter-bert").

    `backend` ("torch" or "onnxruntime"), `threads` (of onnxruntime, inside one operator) and `device` (torch's: "cpu",
    "cuda", "cuda:1") concern BERT models; left out, the environment variables of `mdfs.classify.bert` and
    `mdfs.devices` and then their defaults hold. All files are checked against the
    digests in the card first. Raises UsageError, in one line, where the folder does not hold a sound artifact or a
    package that it needs is missing.
    """
    return _load(locate(str(artifact_dir)), backend, threads, device, 0)


def _load(folder: Path, backend: str | None, threads: int | None, device: str | None, depth: int) -> Classifier:
    card = read_card(folder)
    if card.cascade is not None:
        from mdfs.classify.cascade import CascadeClassifier

        if depth >= _DEEPEST:
            raise UsageError(f"{folder}: cascades nested more than {_DEEPEST} deep; name the members directly")
        first, second = (
            _load(folder / name, backend, threads, device, depth + 1)
            for name in (card.cascade.first, card.cascade.second)
        )
        return CascadeClassifier(card, first, second)
    try:
        if card.kind == "fasttext":
            from mdfs.classify.fasttext_model import FastText

            return FastText(card)
        from mdfs.classify.bert import Bert

        return Bert(card, backend=backend, threads=threads, device=device)
    except ImportError as error:
        raise UsageError(f"{folder}: a {card.kind} classifier needs the package {error.name}; install it") from error
