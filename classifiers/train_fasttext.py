"""Train a fastText classifier over characters, quantise and calibrate it."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from mdfs.classifiers.datasets import LABELS, Doc, read_labelled, split
from mdfs.classifiers.evaluate import fit_temperature, report, softmax

from mdfs.classify.artifact import DEFAULT_WINDOWS, Card, seal
from mdfs.classify.fasttext_model import FastText, prepare
from mdfs.classify.tokens import Windows
from mdfs.errors import RunError

ATTEMPTS = 8
"""Trainings that may end in NaN before giving up (see `zeroed_memory`)."""

_M_PERTURB = -6  # malloc.h


@dataclass(frozen=True, slots=True)
class Settings:
    """fastText's own settings, all explicit: its automatic defaults (lr 0.1 with a large dim, or lr 1) can end in NaN.

    `word_ngrams` is the longest run of characters; `bucket` the hash slots for runs; `cutoff` how many rows of the
    matrix quantisation keeps (the size of the file: about 10 bytes a row at dim 16).
    """

    dim: int = 16
    learning_rate: float = 0.3
    epochs: int = 8
    word_ngrams: int = 3
    bucket: int = 400_000
    cutoff: int = 60_000
    seed: int = 1


def train(docs: Sequence[Doc], out: Path, windows: Windows, settings: Settings) -> None:
    """Train on `docs` and write the quantised model to `out`.

    One thread, because fastText's threads race and two runs would differ.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        for doc, line in zip(docs, prepare([d.text for d in docs], windows), strict=True):
            file.write(f"__label__{doc.label} {line}\n")
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
            minCount=3,
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
) -> Card:
    """Train, calibrate on `held` and seal the artifact folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    train(train_docs, out / "model.ftz", windows, settings)
    how = {"settings": asdict(settings), "preprocessing": {"windows": windows.as_dict(), "unit": "characters"}}
    card = seal(out, kind="fasttext", labels=LABELS, fields=fields | how)
    logits, wanted = FastText(card).logits([d.text for d in held]), [LABELS.index(d.label) for d in held]
    temperature = fit_temperature(logits, wanted)
    metrics = fields.get("metrics", {}) | {"held_out": report(wanted, softmax(logits / temperature), LABELS)}
    return seal(
        out,
        kind="fasttext",
        labels=LABELS,
        fields=fields | how | {"calibration": {"temperature": temperature}, "metrics": metrics},
    )


@click.command(epilog="Example: python -m mdfs.classifiers.train_fasttext --data labelled.jsonl --out mine")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    multiple=True,
    help="JSON lines: text, label; may have group or url.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The artifact folder to write.")
@click.option("--dim", default=16, show_default=True)
@click.option("--epochs", default=8, show_default=True)
@click.option("--learning-rate", default=0.3, show_default=True)
@click.option("--bucket", default=400_000, show_default=True, help="Hash slots for runs of characters.")
@click.option("--held-out", default=0.1, show_default=True, help="Share of the groups kept for calibration.")
@click.option("--seed", default=1, show_default=True)
def main(
    data: tuple[Path, ...],
    out: Path,
    dim: int,
    epochs: int,
    learning_rate: float,
    bucket: int,
    held_out: float,
    seed: int,
) -> None:
    """Train a fastText classifier on labelled documents and write an artifact with its card."""
    rest, held = split([d for path in data for d in read_labelled(path)], held_out, f"train_fasttext {seed}")
    settings = Settings(dim=dim, epochs=epochs, learning_rate=learning_rate, bucket=bucket, seed=seed)
    train_artifact(
        rest, held, out, DEFAULT_WINDOWS["fasttext"], settings, {"created_by": "classifiers/train_fasttext.py"}
    )


if __name__ == "__main__":
    main()
