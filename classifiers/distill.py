"""Distil a large classifier into a small one: the small one learns the large one's scores, on texts that need no
labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from mdfs.classifiers.datasets import read_rows
from mdfs.classifiers.train_bert import Settings, Trainer

from mdfs import classify
from mdfs.classify.tokens import Windows


def distill(
    teacher: classify.Classifier, student_dir: Path, out: Path, texts: list[str], windows: Windows, settings: Settings
) -> None:
    """Fine-tune the encoder in `student_dir` on the teacher's scores of `texts` and write and seal the classifier in
    `out`.

    Scores are soft labels already, so there is no label smoothing; the teacher's temperature is part of its scores.
    """
    scores = teacher.predict(pa.array(texts, pa.string()))
    trainer = Trainer(student_dir, windows, teacher.labels, replace(settings, smoothing=0.0))
    trainer.fit(texts, np.asarray(scores, np.float32))
    trainer.save(student_dir, out)
    classify.seal(
        out,
        kind="bert",
        labels=teacher.labels,
        fields={
            "created_by": "classifiers/distill.py",
            "teacher": {"digest": teacher.digest},
            "preprocessing": {"windows": windows.as_dict(), "pooling": settings.pooling},
        },
    )


@click.command(
    epilog="Example: python -m mdfs.classifiers.distill --teacher big --student small --texts docs.jsonl --out mine"
)
@click.option("--teacher", required=True, help="An artifact folder or a shipped name.")
@click.option(
    "--student", type=click.Path(exists=True, path_type=Path), required=True, help="A Hugging Face BERT folder."
)
@click.option(
    "--texts", type=click.Path(exists=True, path_type=Path), required=True, help="JSON lines with a text each."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The artifact folder to write.")
@click.option("--epochs", default=2, show_default=True)
@click.option("--learning-rate", default=1e-4, show_default=True)
@click.option(
    "--window",
    "window",
    type=int,
    nargs=3,
    default=(84, 44, 60),
    show_default=True,
    help="Tokens of head, middle and tail.",
)
def main(
    teacher: str, student: Path, texts: Path, out: Path, epochs: int, learning_rate: float, window: tuple[int, int, int]
) -> None:
    """Teach a small BERT the scores of a larger classifier on unlabelled texts."""
    rows = [row["text"] for row in read_rows(texts)]
    settings = Settings(epochs=epochs, learning_rate=learning_rate)
    distill(classify.load(teacher), student, out, rows, Windows(*window), settings)


if __name__ == "__main__":
    main()
