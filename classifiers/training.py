"""`mdfs classifier train`: from labelled files to a sealed artifact with its card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from mdfs.classifiers import (
    calibrate,
    checkpoints,
    distill,
    evaluate,
    labelled,
    probe,
    train_bert,
    train_fasttext,
    unlabelled,
)
from mdfs.classifiers.datasets import Doc

from mdfs import __version__, classify
from mdfs.classify.artifact import DEFAULT_WINDOWS, Card, sha256_of
from mdfs.classify.bert import installed_backends
from mdfs.classify.tokens import Windows
from mdfs.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """What is to be trained.

    Attributes:
        kind: "fasttext" or "bert". `output`: the artifact's folder.
        data: labelled files. `test`: labelled files to test on; where there are none, a share of `data` is held out.
        labels: those to train, in the order of the score columns; all that occur, sorted, where empty.
        encoder: folder of a Hugging Face encoder, for bert. `windows`: what is looked at of a text.
        test_share, held_share: shares of the groups that are tested on, and calibrated (and stopped early) on.
        teacher: artifact whose scores of `unlabelled` texts, at most `most`, are learned, with the labelled ones.
        calibration: "temperature" or "isotonic". `resume`: go on from the checkpoint.
        about: further fields of the card (name, licence).
    """

    kind: str
    output: Path
    data: tuple[Path, ...]
    test: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()
    encoder: Path | None = None
    windows: Windows | None = None
    test_share: float = 0.15
    held_share: float = 0.1
    seed: int = 1
    teacher: str = ""
    unlabelled: tuple[Path, ...] = ()
    most: int = 200_000
    calibration: str = "temperature"
    resume: bool = False
    about: dict[str, Any] = field(default_factory=dict)


@dataclass
class Parts:
    """Documents by what they are for; `train` may have a teacher's texts with their scores beside it."""

    labels: tuple[str, ...]
    train: list[Doc]
    held: list[Doc]
    test: list[Doc]
    files: list[dict[str, Any]]
    skipped: dict[str, int]
    withheld: int = 0


def train(asked: Asked, settings: train_bert.Settings | train_fasttext.Settings) -> Card:
    """Train, calibrate, test and seal; returns the card.

    Raises:
        UsageError: what is asked for does not fit together, or the data is too little for it.
        RunError: training diverged.
    """
    _check(asked)
    parts = divide(asked)
    texts, soft = _taught(asked, parts)
    windows = asked.windows or DEFAULT_WINDOWS[asked.kind]
    fields = _fields(asked, parts, settings, windows, len(texts))
    if asked.kind == "fasttext":
        assert isinstance(settings, train_fasttext.Settings)
        asked.output.mkdir(parents=True, exist_ok=True)
        docs = [*parts.train * (distill.COPIES if texts else 1), *distill.dealt(texts, soft, parts.labels)]
        train_fasttext.train(docs, asked.output / "model.ftz", windows, settings)
    else:
        assert isinstance(settings, train_bert.Settings)
        if settings.layers:
            _probe(asked, parts, settings, windows, texts, soft)
        else:
            fields["run"] = _fine_tune(asked, parts, settings, windows, texts, soft)
    classify.seal(asked.output, kind=asked.kind, labels=parts.labels, fields=fields)
    calibrate.calibrate(asked.output, parts.held, asked.calibration)
    return _tested(asked, parts)


def _check(asked: Asked) -> None:
    if (asked.output / "card.json").exists():
        raise UsageError(f"{asked.output}: holds a classifier already; choose another --output")
    if bool(asked.teacher) != bool(asked.unlabelled):
        raise UsageError("--teacher and --unlabelled go together: the teacher's scores of those texts are learned")
    if asked.kind == "bert":
        if asked.encoder is None:
            raise UsageError("--kind bert needs --encoder, the folder of a Hugging Face encoder with safetensors")
        if "torch" not in installed_backends():
            raise UsageError("--kind bert needs torch and transformers; pip install 'mdfs[torch]'")


def divide(asked: Asked) -> Parts:
    """Read the files and divide their documents by groups.

    With `test` files, groups that have a document in them are not trained on: what is tested was then never seen, nor a
    copy of it.
    """
    given = labelled.read([*asked.data, *asked.test], asked.labels)
    for label in {doc.label for doc in given.docs}:
        if asked.kind == "fasttext" and len(label.split()) != 1:
            raise UsageError(f"label {label!r} has blanks, which fastText's labels cannot have; rename it")
    labels = asked.labels or tuple(sorted({doc.label for doc in given.docs}))
    if len(labels) < 2:
        raise UsageError(f"the data has the label {labels[0]!r} alone; a classifier needs two or more")
    about = {"files": given.files, "skipped": dict(given.skipped)}
    if not asked.test:
        test, held, train_docs = labelled.split(given.docs, (asked.test_share, asked.held_share), asked.seed)
        return Parts(labels, train_docs, held, test, **about)
    own = sum(file["used"] for file in given.files[: len(asked.data)])
    tested = {doc.group for doc in given.docs[own:]}
    free = [doc for doc in given.docs[:own] if doc.group not in tested]
    held, train_docs = labelled.split(free, (asked.held_share,), asked.seed)
    return Parts(labels, train_docs, held, given.docs[own:], **about, withheld=own - len(free))


def _taught(asked: Asked, parts: Parts) -> tuple[list[str], Any]:
    """Unlabelled texts, less those that are tested or calibrated on, and the teacher's scores of them."""
    if not asked.teacher:
        return [], np.zeros((0, len(parts.labels)), np.float32)
    teacher = classify.load(asked.teacher)
    if set(teacher.labels) != set(parts.labels):
        raise UsageError(
            f"teacher {asked.teacher} knows {', '.join(teacher.labels)}, the data has {', '.join(parts.labels)}"
        )
    found = unlabelled.sample(asked.unlabelled, asked.most, asked.seed)
    seen = {int(h) for doc in [*parts.held, *parts.test] for h in labelled.shingles(doc.text)}
    texts = [text for text in found if sum(h in seen for h in labelled.shingles(text).tolist()) < labelled.SHARED]
    click.echo(f"the teacher scores {len(texts)} texts ({len(found) - len(texts)} are tested on)", err=True)
    return texts, distill.scores(teacher, texts, parts.labels)


def _fine_tune(
    asked: Asked, parts: Parts, settings: train_bert.Settings, windows: Windows, texts: list[str], soft: Any
) -> dict[str, Any]:
    assert asked.encoder is not None
    docs = parts.train
    said = json.dumps([asdict(settings), windows.as_dict(), labelled.describe(docs)["sha256"], asked.teacher, texts])
    keep = checkpoints.Keeper(asked.output, hashlib.sha256(said.encode("utf-8", "replace")).hexdigest())
    if not asked.resume:
        keep.remove()
    trainer = train_bert.Trainer(asked.encoder, windows, parts.labels, settings)
    targets = np.concatenate([train_bert.one_hot(docs, parts.labels), soft])
    held = ([doc.text for doc in parts.held], train_bert.one_hot(parts.held, parts.labels))
    trainer.fit([*(doc.text for doc in docs), *texts], targets, held, keep)
    trainer.save(asked.encoder, asked.output)
    keep.remove()
    return trainer.run


def _probe(
    asked: Asked, parts: Parts, settings: train_bert.Settings, windows: Windows, texts: list[str], soft: Any
) -> None:
    assert asked.encoder is not None
    targets = np.concatenate([train_bert.one_hot(parts.train, parts.labels), soft]).astype(np.float32)
    weights = targets @ train_bert.label_weights(targets) if settings.balanced else np.ones(len(targets), np.float32)
    probe.train(
        asked.encoder,
        asked.output,
        [*(doc.text for doc in parts.train), *texts],
        targets,
        weights,
        windows=windows,
        layers=settings.layers,
        pooling=settings.pooling,
        labels=parts.labels,
        settings=probe.Settings(seed=settings.seed),
    )


def _fields(asked: Asked, parts: Parts, settings: Any, windows: Windows, taught: int) -> dict[str, Any]:
    preprocessing: dict[str, Any] = {"windows": windows.as_dict(), "unit": "characters"}
    if asked.kind == "bert":
        preprocessing |= {"unit": "tokens", "pooling": settings.pooling}
        preprocessing |= {"layers": settings.layers} if settings.layers else {}
    elif settings.segmenter:
        preprocessing["segmenter"] = settings.segmenter
    training: dict[str, Any] = {
        "files": parts.files,
        "skipped": parts.skipped,
        "train": labelled.describe(parts.train),
        "held_out": labelled.describe(parts.held),
        "test": labelled.describe(parts.test),
    }
    if parts.withheld:
        training["withheld_as_near_the_test"] = parts.withheld
    fields = {
        "licence": "not stated",
        **asked.about,
        "created_by": "mdfs classifier train",
        "mdfs_version": __version__,
        "training": training,
        "settings": asdict(settings) | {"seed": asked.seed},
        "preprocessing": preprocessing,
    }
    if asked.encoder is not None:
        weights = asked.encoder / "model.safetensors"
        if not weights.exists():
            raise UsageError(f"{asked.encoder}: no model.safetensors; pickled weights are not read, convert them first")
        fields["initialised_from"] = {"name": asked.encoder.name, "sha256": sha256_of(weights)}
    if asked.teacher:
        fields["teacher"] = {"digest": classify.load(asked.teacher).digest, "texts": taught}
    return fields


def _tested(asked: Asked, parts: Parts) -> Card:
    """Seal with the figures on the test part, and with floors: the lower ends of their intervals."""
    model = classify.load(str(asked.output))
    found = evaluate.evaluation(evaluate.ask(model, parts.test), parts.test, asked.seed)
    fields = calibrate.fields_of(model.card)
    fields["metrics"] = {"test": {key: value for key, value in found.items() if key != "docs_per_second"}}
    fields["floors"] = {
        "macro_f1": found["macro_f1"]["interval"][0],
        "precision": {label: said["precision"]["interval"][0] for label, said in found["by_label"].items()},
    }
    return classify.seal(asked.output, kind=asked.kind, labels=model.labels, fields=fields)
