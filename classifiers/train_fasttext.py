"""Train a fastText classifier over characters or words, quantise and calibrate it."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from mdfs.classifiers.datasets import LABELS, Doc
from mdfs.classifiers.evaluate import fit_temperature, report, softmax

from mdfs.classify.artifact import Card, seal
from mdfs.classify.fasttext_model import FastText, prepare
from mdfs.classify.tokens import Windows
from mdfs.errors import RunError

ATTEMPTS = 8
"""Trainings that may end in NaN before giving up (see `zeroed_memory`)."""

_AT_ONCE = 1024  # texts made ready at a time

_M_PERTURB = -6  # malloc.h


@dataclass(frozen=True, slots=True)
class Settings:
    """fastText's own settings, all explicit: its automatic defaults (lr 0.1 with a large dim, or lr 1) can end in NaN.

    `word_ngrams` is the longest run of characters (of words, with a segmenter); `bucket` the hash slots for runs;
    `cutoff` how many rows of the matrix quantisation keeps (the size of the file: about 10 bytes a row at dim 16);
    `segmenter` cuts texts into words ("jieba"), empty for characters.
    """

    dim: int = 16
    learning_rate: float = 0.3
    epochs: int = 8
    word_ngrams: int = 3
    bucket: int = 400_000
    cutoff: int = 60_000
    seed: int = 1
    min_count: int = 3
    segmenter: str = ""


def train(docs: Sequence[Doc], out: Path, windows: Windows, settings: Settings) -> None:
    """Train on `docs` and write the quantised model to `out`.

    One thread, because fastText's threads race and two runs would differ.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        for start in range(0, len(docs), _AT_ONCE):
            some = docs[start : start + _AT_ONCE]
            lines = prepare([d.text for d in some], windows, settings.segmenter)
            file.writelines(f"__label__{doc.label} {line}\n" for doc, line in zip(some, lines, strict=True))
        file.flush()
        with zeroed_memory():
            model = next((m for _ in range(ATTEMPTS) if (m := _attempt(file.name, settings)) is not None), None)
    if model is None:
        raise RunError(f"fastText diverged (NaN) in {ATTEMPTS} trainings; lower --learning-rate")
    model.save_model(str(out))


@contextmanager
def zeroed_memory() -> Iterator[None]:
    """Let the C library fill memory with zeros as it is allocated (glibc; elsewhere nothing changes).

    fasttext-numpy2 0.10.4 reads memory that it never wrote: the same data, settings and seed ended in NaN in a third to
    two thirds of the runs and now and then in a useless model; with zeroed memory 12 runs of 12 gave the same model.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_PERTURB, 255)  # new memory is filled with the complement of this byte
    try:
        yield
    finally:
        if mallopt is not None:
            mallopt(_M_PERTURB, 0)


def _attempt(path: str, s: Settings) -> Any:
    """The quantised model of one training, None where fastText met a NaN."""
    import fasttext

    try:
        model: Any = fasttext.train_supervised(
            path,
            dim=s.dim,
            lr=s.learning_rate,
            epoch=s.epochs,
            wordNgrams=s.word_ngrams,
            bucket=s.bucket,
            minCount=s.min_count,
            minn=0,
            maxn=0,
            loss="softmax",
            thread=1,
            seed=s.seed,
            verbose=0,
        )
        model.quantize(path, cutoff=s.cutoff, retrain=True, epoch=3, lr=s.learning_rate / 4, thread=1, qnorm=True)
    except RuntimeError as error:
        if "NaN" not in str(error):
            raise
        click.echo("fastText met a NaN; trying again", err=True)
        return None
    return model


def train_artifact(
    train_docs: Sequence[Doc],
    held: Sequence[Doc],
    out: Path,
    windows: Windows,
    settings: Settings,
    fields: dict[str, Any],
    labels: Sequence[str] = LABELS,
) -> Card:
    """Train, calibrate on `held` and seal the artifact folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    train(train_docs, out / "model.ftz", windows, settings)
    preprocessing: dict[str, Any] = {"windows": windows.as_dict(), "unit": "characters"}
    if settings.segmenter:
        preprocessing["segmenter"] = settings.segmenter
    how = {"settings": asdict(settings), "preprocessing": preprocessing}
    card = seal(out, kind="fasttext", labels=labels, fields=fields | how)
    logits, wanted = FastText(card).logits([d.text for d in held]), [labels.index(d.label) for d in held]
    temperature = fit_temperature(logits, wanted)
    metrics = fields.get("metrics", {}) | {"held_out": report(wanted, softmax(logits / temperature), labels)}
    return seal(
        out,
        kind="fasttext",
        labels=labels,
        fields=fields | how | {"calibration": {"temperature": temperature}, "metrics": metrics},
    )
