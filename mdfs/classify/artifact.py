"""The artifact folder: model files and a `card.json` that says what they are, what made them and how to use them.

    my-classifier/
      card.json            the card; every other file that the model needs is named in it with its sha256
      model.ftz            kind "fasttext": one quantised fastText model
      config.json tokenizer.json model.safetensors [model.onnx]      kind "bert": a Hugging Face BERT folder
      fasttext/ bert/      kind "cascade": two members, artifact folders themselves

The card's fields (those without * may be left out):

    schema_version*  1
    kind*            "fasttext", "bert" or "cascade"
    labels*          the labels, in the order of the score columns
    files*           {name: {"sha256": hex digest, "bytes": size}}
    preprocessing    windows {head, middle, tail}; for fasttext also segmenter ("jieba": words instead of characters);
                     for bert also pooling ("mean", "cls" or "pooler") and prefix
    calibration      {"temperature": t}: scores are softmax(logits / t); or {"isotonic": {label: {"x": […], "y": […]}}}:
                     each label's softmax(logits) through its curve, then divided by their sum
    cascade          {"first": folder, "second": folder, "threshold": {label: score}}
    name task licence created_by training metrics floors agreement limits ...      for readers; kept as they are

Nothing here runs code from a folder: weights are safetensors, graphs are ONNX, cards are JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast, get_args

from mdfs.classify.encoders import Pooling
from mdfs.classify.tokens import Windows
from mdfs.errors import UsageError

SCHEMA_VERSION = 1
KINDS = ("fasttext", "bert", "cascade")
MODEL_FILES = {
    "fasttext": ("model.ftz", "model.bin"),
    "bert": (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "model.safetensors",
        "model.onnx",
    ),
    "cascade": (),
}
"""The files that `seal` names in a card, where they exist."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """The first member decides a document where its best score reaches `threshold` of that label, the second the rest;
    there the first's word still counts, `first_weight` times (0: not at all; `mdfs.classify.cascade.blended`)."""

    first: str
    second: str
    threshold: Mapping[str, float]
    first_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says, checked; `fields` is the whole table, for readers. `isotonic` are x and y of each label's
    curve; `layers` are those of the encoder whose pooled states make up a text's vector, empty for the last alone;
    `segmenter` names what cuts texts into words for fastText, empty for characters. `digest` covers the card
    and, through the digests that it holds, every file of the model: 64 hex digits."""

    folder: Path
    kind: Literal["fasttext", "bert", "cascade"]
    labels: tuple[str, ...]
    windows: Windows
    pooling: Pooling
    layers: tuple[int, ...]
    temperature: float
    isotonic: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] | None
    segmenter: str
    cascade: Cascade | None
    fields: Mapping[str, Any]
    digest: str


DEFAULT_WINDOWS = {"fasttext": Windows(400, 200, 300), "bert": Windows(112, 56, 84), "cascade": Windows(1, 0, 0)}
"""Characters for fastText, tokens for BERT (with 4 special tokens 256). A cascade's members have their own."""


def sha256_of(path: Path) -> str:
    """The sha256 of a file, read in pieces: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(folder: Path) -> Card:
    """Read and check `folder/card.json` and the digests of all files it names.

    Raises UsageError, in one line, where the folder or card is missing or malformed, a file is missing, or a file's
    bytes are not those that the card names.
    """
    path = folder / "card.json"
    try:
        raw = path.read_bytes()
    except OSError:
        raise UsageError(
            f"{folder}: no classifier here (no readable card.json); name an artifact folder or a shipped one"
        ) from None
    try:
        fields = json.loads(raw)
        card = _parse(folder, fields, hashlib.sha256(raw).hexdigest())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: not a valid card ({type(error).__name__}: {error}); see mdfs.classify.artifact for its fields"
        ) from None
    _verify(folder, fields["files"])
    return card


def _parse(folder: Path, fields: dict[str, Any], digest: str) -> Card:
    if fields["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {fields['schema_version']!r}, this version reads {SCHEMA_VERSION}")
    kind = fields["kind"]
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    labels = tuple(fields["labels"])
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"labels {labels!r} are not two or more different strings")
    how = fields.get("preprocessing", {})
    pooling = how.get("pooling", "pooler")
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling {pooling!r} is none of {', '.join(get_args(Pooling))}")
    layers = tuple(how.get("layers", ()))
    rising = all(isinstance(n, int) for n in layers) and all(a < b for a, b in pairwise((0, *layers)))
    if not rising or (layers and pooling == "pooler"):
        raise ValueError(f"layers {layers!r} must rise from 1 on, and no pooler stand behind them")
    segmenter = how.get("segmenter", "")
    if segmenter not in ("", "jieba"):
        raise ValueError(f"segmenter {segmenter!r} is not known; there is jieba")
    temperature = float(fields.get("calibration", {}).get("temperature", 1.0))
    if not 0.01 <= temperature <= 100:
        raise ValueError(f"temperature {temperature} is outside 0.01 to 100")
    windows = Windows.from_dict(how["windows"]) if "windows" in how else DEFAULT_WINDOWS[kind]
    cascade = _cascade(fields["cascade"], labels) if kind == "cascade" else None
    isotonic = _isotonic(fields.get("calibration", {}).get("isotonic"), labels)
    about = (labels, windows, cast(Any, pooling), layers, temperature, isotonic, segmenter, cascade)
    return Card(folder, cast(Any, kind), *about, fields, digest)


def _isotonic(table: Any, labels: tuple[str, ...]) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] | None:
    """The curves of a card: for each label points of rising x and never falling y, all within 0 and 1."""
    if table is None:
        return None
    curves = []
    for label in labels:
        x, y = (tuple(float(number) for number in table[label][axis]) for axis in ("x", "y"))
        rises = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
        if not x or len(x) != len(y) or not rises or min(*x, *y) < 0 or max(*x, *y) > 1:
            raise ValueError(f"the isotonic curve of {label} is not one of rising points within 0 and 1")
        curves.append((x, y))
    return tuple(curves)


def _cascade(table: Mapping[str, Any], labels: tuple[str, ...]) -> Cascade:
    threshold = {label: float(table["threshold"][label]) for label in labels}
    weight = float(table.get("first_weight", 0))
    if not 0 <= weight <= 10:
        raise ValueError(f"first_weight {weight} is outside 0 to 10")
    return Cascade(_inside(table["first"]), _inside(table["second"]), threshold, weight)


def _inside(name: str) -> str:
    """A relative path that stays inside its folder, unchanged; another raises ValueError."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ".." in parts:
        raise ValueError(f"file name {name!r} leads out of the folder")
    return name


def _verify(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for name, about in sorted(files.items()):
        try:
            found = sha256_of(folder / _inside(name))
        except (OSError, ValueError):
            raise UsageError(
                f"{folder}: card.json names {name!r}, which cannot be read; restore the folder from its source"
            ) from None
        if found != about.get("sha256"):
            raise UsageError(
                f"{folder / name}: sha256 is {found}, card.json says {about.get('sha256')}; "
                "the file was changed or damaged, restore it or seal the folder anew"
            )


def seal(
    folder: Path, *, kind: str, labels: Sequence[str], fields: Mapping[str, Any], files: Sequence[str] | None = None
) -> Card:
    """Write `folder/card.json` with the digests of the model's files and return the card as read back.

    `files` names them (default: those of `MODEL_FILES` that exist); `fields` are the card's further fields.
    """
    names = files if files is not None else [n for n in MODEL_FILES[kind] if (folder / n).exists()]
    table = {name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in names}
    card = {"schema_version": SCHEMA_VERSION, "kind": kind, "labels": list(labels), **fields, "files": table}
    text = json.dumps(card, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    (folder / "card.json").write_text(text, encoding="utf-8")
    return read_card(folder)
