"""The commands under `mdfs classifier`; `mdfs.cli` loads this module when one of them is asked for."""

from __future__ import annotations

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from mdfs import classify
from mdfs.errors import UsageError

FILES = click.Path(exists=True, path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def _say(found: dict[str, Any], as_json: bool, text: str) -> None:
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else text)


@click.command("train")
@click.option("--kind", type=click.Choice(["fasttext", "bert"]), required=True, help="What to train.")
@click.option(
    "--data",
    type=FILES,
    multiple=True,
    required=True,
    help="Parquet or JSON lines with text and label; may be given again. A review export is one.",
)
@click.option("--output", "-o", type=FOLDER, required=True, help="The artifact folder to write.")
@click.option("--test", type=FILES, multiple=True, help="Labelled files to test on. [default: --test-share of --data]")
@click.option("--labels", help="Labels to train, with commas, in the order of the scores. [default: all, sorted]")
@click.option("--encoder", type=FOLDER, help="bert: folder of a Hugging Face encoder with model.safetensors.")
@click.option("--words", is_flag=True, help="fasttext: words of jieba instead of characters (pip install mdfs[words]).")
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Times that the texts are gone through. [default: 8, bert 3]"
)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="[default: 0.3, bert 5e-5]")
@click.option("--ngrams", type=click.IntRange(1, 6), help="fasttext: longest run. [default: 3 characters, 2 words]")
@click.option("--dim", type=click.IntRange(min=1), default=16, show_default=True, help="fasttext: size of a vector.")
@click.option(
    "--bucket", type=click.IntRange(min=1), default=400_000, show_default=True, help="fasttext: hash slots for runs."
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "pooler", "statistics"]),
    default="mean",
    show_default=True,
    help="bert: what stands for a text.",
)
@click.option(
    "--layers",
    help="bert: leave the encoder as it is and train a head on the states behind these layers, as in 2,4,6.",
)
@click.option(
    "--windows",
    type=click.IntRange(min=0),
    nargs=3,
    help="Head, middle and tail that are looked at. [default: 400 200 300 characters, bert 112 56 84 tokens]",
)
@click.option(
    "--pieces",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Pieces that the middle is looked at in, spread evenly.",
)
@click.option(
    "--freeze",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="bert: lowest layers, and embeddings, that stay as they are.",
)
@click.option(
    "--class-weights/--no-class-weights",
    "balanced",
    default=False,
    show_default=True,
    help="bert: rare labels weigh more.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="bert: epochs without a lower held-out loss before it ends; 0 never.",
)
@click.option(
    "--token-budget",
    type=click.IntRange(min=64),
    default=8192,
    show_default=True,
    help="bert: padded tokens of a batch.",
)
@click.option("--dropout", type=click.FloatRange(0, 0.9), default=0.0, show_default=True, help="bert: in the encoder.")
@click.option(
    "--precision",
    type=click.Choice(["bfloat16", "float32"]),
    default="bfloat16",
    show_default=True,
    help="bert: of the matrix products.",
)
@click.option("--minutes", type=click.FloatRange(min=0), default=0.0, help="bert: end after so long. [default: never]")
@click.option("--resume", is_flag=True, help="bert: go on from the checkpoint in --output.")
@click.option("--teacher", default="", help="Artifact whose scores of --unlabelled texts are learned too.")
@click.option("--unlabelled", type=FILES, multiple=True, help="A run's folder, Parquet or JSON lines with text.")
@click.option(
    "--most", type=click.IntRange(min=1), default=200_000, show_default=True, help="Unlabelled texts at most."
)
@click.option(
    "--test-share",
    type=click.FloatRange(0.01, 0.9),
    default=0.15,
    show_default=True,
    help="Share of the groups that is tested on.",
)
@click.option(
    "--held-share",
    type=click.FloatRange(0.01, 0.5),
    default=0.1,
    show_default=True,
    help="Share of the groups for calibration and early stopping.",
)
@click.option(
    "--calibration",
    type=click.Choice(["temperature", "isotonic"]),
    default="temperature",
    show_default=True,
    help="How scores are made to mean what they say.",
)
@click.option("--name", default="", help="Name in the card.")
@click.option("--licence", default="not stated", show_default=True, help="Licence in the card.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the split and the training.")
@as_json
def train_command(**options: Any) -> None:  # fmt: skip
    """Train a classifier on labelled documents: split by groups, train, calibrate, test, seal.

    Documents of one host, one group or with passages in common are on one side of every split.

    \b
    Example:
      mdfs classifier train --kind fasttext --data labels.parquet --output mine
      mdfs classifier train --kind bert --encoder chinese-roberta --data labels.jsonl --output mine-bert
      mdfs classifier train --kind fasttext --data labels.jsonl --teacher mine-bert --unlabelled out/ --output quick
    """
    from mdfs.classifiers import report, training

    asked, settings = _asked(**options)
    card = training.train(asked, settings)
    found = card.fields["metrics"]["test"]
    text = f"{asked.output}: {card.kind}, labels {', '.join(card.labels)}\n\n"
    _say({"output": str(asked.output), "digest": card.digest, "metrics": found}, options["as_json"],
         text + report.evaluation(found))  # fmt: skip


def _asked(**o: Any) -> Any:
    """What `train` is asked, as `training.Asked` and the settings of its kind."""
    from mdfs.classifiers import train_bert, train_fasttext, training

    from mdfs.classify.tokens import Windows

    try:
        windows = Windows(*o["windows"], o["pieces"]) if o["windows"] else None
    except ValueError as error:
        raise UsageError(f"--windows: {error}") from None
    labels = tuple(name.strip() for name in o["labels"].split(",") if name.strip()) if o["labels"] else ()
    about = {"licence": o["licence"]} | ({"name": o["name"]} if o["name"] else {})
    asked = training.Asked(
        o["kind"], o["output"], o["data"], o["test"], labels, o["encoder"], windows, o["test_share"], o["held_share"],
        o["seed"], o["teacher"], o["unlabelled"], o["most"], o["calibration"], o["resume"], about,
    )  # fmt: skip
    if o["kind"] == "fasttext":
        return asked, train_fasttext.Settings(
            dim=o["dim"],
            learning_rate=o["learning_rate"] or 0.3,
            epochs=o["epochs"] or 8,
            word_ngrams=o["ngrams"] or (2 if o["words"] else 3),
            bucket=o["bucket"],
            seed=o["seed"],
            segmenter="jieba" if o["words"] else "",
        )
    if o["words"]:
        raise UsageError("--words is for --kind fasttext; a BERT's tokenizer cuts texts itself")
    own = ("token_budget", "pooling", "dropout", "minutes", "seed", "freeze", "balanced", "patience", "precision")
    return asked, train_bert.Settings(
        epochs=o["epochs"] or 3,
        learning_rate=o["learning_rate"] or 5e-5,
        layers=_layers(o["layers"], o["resume"], o["pooling"]),
        **{name: o[name] for name in own},
    )


def _layers(said: str | None, resume: bool, pooling: str) -> tuple[int, ...]:
    if not said:
        return ()
    numbers = tuple(int(n) if n.strip().isdigit() else 0 for n in said.split(","))
    if not all(a < b for a, b in pairwise((0, *numbers))):
        raise UsageError(f"--layers {said!r}: give rising numbers from 1 on, with commas, as in 2,4,6")
    if resume:
        raise UsageError("--layers trains in minutes and keeps no checkpoints; leave --resume out")
    if pooling == "pooler":
        raise UsageError(
            "--pooling pooler stands behind the last layer alone; with --layers use mean, cls or statistics"
        )
    return numbers


@click.command("evaluate")
@click.argument("artifact")
@click.option(
    "--data",
    type=FILES,
    multiple=True,
    required=True,
    help="Parquet or JSON lines with text and label; may be given again.",
)
@click.option("--against", help="Another artifact to compare with, on the same documents.")
@click.option("--labels", help="Labels that count, with commas; documents with others are left out.")
@click.option("--report", "folder", type=FOLDER, help="Write evaluation.md and reliability.svg to this folder.")
@click.option("--floors", is_flag=True, help="Status 1 where a figure is under the card's floors.")
@click.option("--backend", type=click.Choice(["torch", "onnxruntime"]), help="Which backend runs a BERT.")
@click.option("--resamples", type=click.IntRange(min=100), default=1000, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the bootstrap.")
@as_json
def evaluate_command(artifact: str, data: tuple[Path, ...], against: str | None, labels: str | None,
                     folder: Path | None, floors: bool, backend: str | None, resamples: int, seed: int,
                     as_json: bool) -> None:  # fmt: skip
    """Measure a classifier, a folder or a shipped name, on labelled documents.

    \b
    Example:
      mdfs classifier evaluate mine --data labels.jsonl --against starter --report figures/
    """
    from mdfs.classifiers import evaluate, labelled, report

    model = classify.load(artifact, backend=backend)
    given = labelled.read(data, tuple(labels.split(",")) if labels else ())
    answers = evaluate.ask(model, given.docs, artifact)
    found = {"artifact": artifact, "digest": model.digest, "files": given.files, "skipped": dict(given.skipped)}
    found |= evaluate.evaluation(answers, given.docs, seed, resamples)
    if against:
        other = evaluate.ask(classify.load(against, backend=backend), given.docs, against)
        found["against"] = {"artifact": against} | evaluate.compare(answers, other, given.docs, seed)
    off = evaluate.below_floors(found, dict(model.card.fields.get("floors", {}))) if floors else []
    written = report.write(found, folder) if folder else []
    found |= {"written": written, "under_floors": off}
    _say(found, as_json, "\n".join([report.evaluation(found), *written, *off]))
    if off:
        sys.exit(1)


@click.command("calibrate")
@click.argument("artifact")
@click.option("--data", type=FILES, multiple=True, help="Labelled files; for a cascade, any texts.")
@click.option(
    "--unlabelled", type=FILES, multiple=True, help="For a cascade: a run's folder, Parquet or JSON lines with text."
)
@click.option(
    "--method",
    type=click.Choice(["temperature", "isotonic"]),
    default="temperature",
    show_default=True,
    help="How scores are made to mean what they say.",
)
@click.option(
    "--agreement",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.99,
    show_default=True,
    help="For a cascade: share of what its first member decides that its second would decide alike.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Of the bound on that share.",
)
@click.option("--bert", help="Make a cascade of ARTIFACT and this one, in --output.")
@click.option("--output", "-o", type=FOLDER, help="Write a calibrated copy there. [default: ARTIFACT itself]")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="For a cascade: texts scored by both members at most.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the choice of texts.")
@as_json
def calibrate_command(artifact: str, data: tuple[Path, ...], unlabelled: tuple[Path, ...], method: str,
                      agreement: float, confidence: float, bert: str | None, output: Path | None, most: int,
                      seed: int, as_json: bool) -> None:  # fmt: skip
    """Make scores mean what they say, or find a cascade's thresholds.

    A single model's scores are fitted to labelled documents. A cascade gets the lowest thresholds at which what its
    first member decides agrees with the second at the stated level, and is told the hours that this saves.

    \b
    Example:
      mdfs classifier calibrate mine --data held-out.jsonl --method isotonic
      mdfs classifier calibrate quick --bert mine-bert --output cascade --unlabelled out/ --agreement 0.99
    """
    from mdfs.classifiers import calibrate, labelled
    from mdfs.classifiers import unlabelled as texts

    if bert and not output:
        raise UsageError("--bert makes a cascade; say where with --output DIR")
    if not data and not unlabelled:
        raise UsageError("nothing to calibrate on: give --data, or for a cascade --unlabelled")
    folder = calibrate.make_cascade(artifact, bert, _new(output)) if bert else _target(artifact, output)
    if classify.read_card(folder).cascade is None:
        if not data:
            raise UsageError("a single model is calibrated on labelled documents: give --data")
        model = classify.read_card(folder)
        found = calibrate.calibrate(folder, labelled.read(data, model.labels).docs, method)
    else:
        given = texts.sample([*data, *unlabelled], most, seed)
        found = calibrate.calibrate_cascade(folder, given, agreement, confidence=confidence)
    found = {"output": str(folder)} | found
    _say(found, as_json, "\n".join(f"{name.replace('_', ' ')}: {_line(value)}" for name, value in found.items()))


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)


def _new(output: Path | None) -> Path:
    assert output is not None
    return output


def _target(artifact: str, output: Path | None) -> Path:
    """The folder to seal anew: a copy in `output`, else the artifact's own, which no shipped one may be."""
    folder = classify.locate(artifact)
    if output is None:
        if artifact in classify.SHIPPED:
            raise UsageError(f"{artifact} is shipped and stays as it is; write a calibrated copy with --output DIR")
        return folder
    if (output / "card.json").exists():
        raise UsageError(f"{output}: holds a classifier already; choose another --output")
    classify.read_card(folder)
    shutil.copytree(folder, output, dirs_exist_ok=True, ignore=shutil.ignore_patterns("checkpoint.pt*"))
    return output


@click.command("export")
@click.argument("artifact")
@click.option("--onnx", "bits", type=click.Choice(["fp32", "int8", "int4"]), required=True, help="Weights.")
@click.option("--output", "-o", type=FOLDER, required=True, help="The artifact folder to write.")
@as_json
def export_command(artifact: str, bits: str, output: Path, as_json: bool) -> None:
    """Write a BERT artifact with an ONNX graph, which runs without torch.

    int4 is for encoders that were published in 4 bits (Q4_0): of those nothing is lost, others lose accuracy.

    \b
    Example:
      mdfs classifier export mine-bert --onnx int8 --output mine-bert-int8
    """
    from mdfs.classifiers import export

    found = export.export(artifact, bits, output)
    _say(found, as_json, "\n".join(f"{name.replace('_', ' ')}: {_line(value)}" for name, value in found.items()))


@click.command("card")
@click.argument("artifact")
@as_json
def card_command(artifact: str, as_json: bool) -> None:
    """Show an artifact's card as Markdown: what it is, what it was trained on, how good it is.

    \b
    Example:
      mdfs classifier card starter
    """
    from mdfs.classifiers import report

    card = classify.read_card(classify.locate(artifact))
    _say(dict(card.fields), as_json, report.card(card.fields, card.digest))


COMMANDS = {
    command.name: command
    for command in (train_command, evaluate_command, calibrate_command, export_command, card_command)
}
