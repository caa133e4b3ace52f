"""Leave one source out: is a set's label found when nothing of that set was trained on?

A classifier that has learned sources instead of quality shows here: the recall of the set left out falls far below the
held-out figures. fastText is used, because a training takes seconds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from mdfs.classifiers.datasets import LABELS, Doc
from mdfs.classifiers.make_starter import assemble, evenly, written_split
from mdfs.classifiers.synthesize import RECIPES, derive
from mdfs.classifiers.train_fasttext import Settings, train

from mdfs.classify import seal
from mdfs.classify.artifact import DEFAULT_WINDOWS
from mdfs.classify.fasttext_model import FastText

SETTINGS = Settings(epochs=6, bucket=100_000, cutoff=30_000)
DERIVED = {"ad": 1500, "low": 1500, "high": 700}


def recall_without(left_out: str, real: Sequence[Doc], tested: Sequence[Doc]) -> float:
    """The share of `tested` that gets its label from a model trained without the source or recipe `left_out`."""
    rest = [d for d in real if d.source != left_out]
    made = [d for d in derive(rest, "train", DERIVED, seed=21) if d.source != left_out]
    with tempfile.TemporaryDirectory() as folder:
        windows = DEFAULT_WINDOWS["fasttext"]
        train([*rest, *made], Path(folder) / "model.ftz", windows, SETTINGS)
        card = seal(
            Path(folder), kind="fasttext", labels=LABELS, fields={"preprocessing": {"windows": windows.as_dict()}}
        )
        guess = FastText(card).logits([d.text for d in tested]).argmax(axis=1)
    return round(float(np.mean([LABELS[g] == d.label for g, d in zip(guess, tested, strict=True)])), 3)


def leave_one_out(shared: Path, recipes: bool, most: int = 200) -> dict[str, float]:
    """Recall of each real source, of the written texts and, where `recipes`, of each recipe of `ad` and `low`, left
    out."""
    train_docs, held = assemble(shared)
    written, held_written = written_split()
    real = [*evenly(train_docs, 1600, 2), *written * 6]
    made = derive(held, "held out", {"ad": 900, "low": 1500}, seed=22)
    everything = [*train_docs, *held, *written, *held_written, *made]
    names = sorted({d.source for d in real})
    names += [f"made:{n}" for n, r in RECIPES.items() if recipes and r.label != "high"]
    out = {}
    for name in names:
        tested = [d for d in everything if d.source == name][:most]
        out[name] = recall_without(name, real, tested)
        click.echo(f"{name} {out[name]} of {len(tested)}", err=True)
    return out


@click.command(epilog="Example: python -m mdfs.classifiers.leave_one_out --shared ../shared")
@click.option("--shared", type=click.Path(exists=True, path_type=Path), required=True, help="The folder with data/.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the figures to this JSON file.")
@click.option("--recipes/--no-recipes", default=True, show_default=True, help="Leave out the recipes too, one by one.")
def main(shared: Path, out: Path | None, recipes: bool) -> None:
    """Measure fastText on each source with that source left out of training; prints one JSON object."""
    text = json.dumps(leave_one_out(shared, recipes), ensure_ascii=False, indent=1)
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
