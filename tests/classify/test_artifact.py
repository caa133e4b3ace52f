"""Cards and folders: what is refused, and how."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_bert

from mdfs import classify
from mdfs.classify.artifact import read_card, seal
from mdfs.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_bert.write(tmp_path / "bert")
    how = {"windows": {"head": 20, "middle": 10, "tail": 10}, "pooling": "pooler"}
    seal(tmp_path / "bert", kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": how})
    return tmp_path / "bert"


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        classify.load(str(folder))
    message = str(caught.value)
    assert "\n" not in message, "an error is one line"
    return message


def change(folder: Path, **fields: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | fields))


def test_a_sealed_card_reads_back(folder: Path) -> None:
    card = read_card(folder)
    assert card.labels == tiny_bert.LABELS
    assert card.windows.total == 40
    assert set(card.fields["files"]) == {"config.json", "tokenizer.json", "model.safetensors"}


def test_a_flipped_byte_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert "model.safetensors: sha256 is" in refusal(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "'tokenizer.json', which cannot be read" in refusal(folder)


def test_no_card_is_refused(tmp_path: Path) -> None:
    assert "no readable card.json" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schema_version": 2}, "schema_version 2"),
        ({"kind": "pickle"}, "kind 'pickle'"),
        ({"labels": ["one"]}, "two or more different strings"),
        ({"labels": ["a", "a"]}, "two or more different strings"),
        ({"calibration": {"temperature": 0}}, "temperature 0.0"),
        ({"preprocessing": {"pooling": "max"}}, "pooling 'max'"),
        ({"preprocessing": {"windows": {"head": 0, "middle": 0, "tail": 0}}}, "head >= 1"),
    ],
)
def test_a_malformed_card_is_refused(folder: Path, fields: dict[str, object], said: str) -> None:
    change(folder, **fields)
    assert said in refusal(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"schema_version": 1}', "\xff"])
def test_a_card_that_is_no_card_is_refused(folder: Path, text: str) -> None:
    (folder / "card.json").write_bytes(text.encode("latin-1"))
    assert "not a valid card" in refusal(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../b", "..\\b"])
def test_a_card_that_names_files_outside_its_folder_is_refused(folder: Path, name: str) -> None:
    change(folder, files={name: {"sha256": "0" * 64, "bytes": 1}})
    assert "cannot be read" in refusal(folder)


def test_a_cascade_member_outside_its_folder_is_refused(folder: Path) -> None:
    table = {"first": "../x", "second": "y", "threshold": dict.fromkeys(tiny_bert.LABELS, 0.5)}
    change(folder, kind="cascade", cascade=table)
    assert "leads out of the folder" in refusal(folder)


@pytest.mark.parametrize("weight", [-1, 11, "much"])
def test_a_weight_of_the_first_member_that_cannot_be_is_refused(folder: Path, weight: object) -> None:
    table = {"first": "x", "second": "y", "threshold": dict.fromkeys(tiny_bert.LABELS, 0.5), "first_weight": weight}
    change(folder, kind="cascade", cascade=table)
    assert "not a valid card" in refusal(folder)


def test_windows_longer_than_the_model_are_refused(folder: Path) -> None:
    how = {"windows": {"head": 60, "middle": 10, "tail": 10}, "pooling": "pooler"}
    seal(folder, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": how})
    assert "make the windows smaller" in refusal(folder)


def test_a_model_that_is_no_bert_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    seal(folder, kind="bert", labels=tiny_bert.LABELS, fields={})
    assert "supported are bert, roberta" in refusal(folder)


def test_the_digest_changes_with_card_and_files(folder: Path, tmp_path: Path) -> None:
    first = read_card(folder).digest
    shutil.copytree(folder, tmp_path / "copy")
    assert read_card(tmp_path / "copy").digest == first, "the place does not count"
    tiny_bert.write(folder, seed=1)
    other = seal(folder, kind="bert", labels=tiny_bert.LABELS, fields={})
    assert other.digest != first
    warmer = seal(folder, kind="bert", labels=tiny_bert.LABELS, fields={"calibration": {"temperature": 2.0}})
    assert warmer.digest != other.digest
