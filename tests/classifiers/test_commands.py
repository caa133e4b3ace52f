"""Every training command has help with an example; what can be run without torch is run."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from mdfs import classify
from mdfs.classify.bert import read_weights

COMMANDS = [
    "distill",
    "evaluate",
    "export_onnx",
    "leave_one_out",
    "make_starter",
    "prune",
    "train_bert",
    "train_fasttext",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_an_example(name: str) -> None:
    module = importlib.import_module(f"mdfs.classifiers.{name}")
    done = CliRunner().invoke(module.main, ["--help"])
    assert done.exit_code == 0
    assert "Example:" in done.output
    assert f"mdfs.classifiers.{name}" in done.output.replace("\n", "")


def test_fasttext_trains_from_a_file(tmp_path: Path) -> None:
    from mdfs.classifiers.train_fasttext import main

    texts = {
        "ad": "厂家直销欢迎来电咨询价格优惠",
        "high": "河边的老人坐在树下谈论收成和雨水",
        "low": "首页登录注册上一页下一页返回顶部",
    }
    rows = [
        {"text": text[i % 5 :] * 3, "label": label, "group": f"{label}{i}"}
        for i in range(40)
        for label, text in texts.items()
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = CliRunner().invoke(
        main, ["--data", str(tmp_path / "x.jsonl"), "--out", str(tmp_path / "m"), "--epochs", "20", "--bucket", "2000"]
    )
    assert done.exit_code == 0, done.output
    model = classify.load(str(tmp_path / "m"))
    guess = model.predict(pa.array([t * 3 for t in texts.values()])).argmax(axis=1)
    assert [model.labels[i] for i in guess] == list(texts)


def test_eight_bit_weights_widen_to_nearly_the_same(tmp_path: Path) -> None:
    from mdfs.classifiers.export_onnx import quantise

    rng = np.random.default_rng(0)
    name = "bert.encoder.layer.0.output.dense.weight"
    state = {name: rng.normal(0, 0.1, (64, 128)).astype(np.float32), "classifier.weight": np.ones((3, 64), np.float32)}
    save_file(state, tmp_path / "model.safetensors")
    quantise(tmp_path, tmp_path / "small")
    stored = load_file(tmp_path / "small" / "model.safetensors")
    assert stored[name].dtype == np.int8
    assert stored["classifier.weight"].dtype == np.float32, "small matrices stay as they are"
    wide = read_weights(tmp_path / "small")
    step = np.abs(state[name]).max(axis=1, keepdims=True) / 127
    assert (np.abs(wide[name] - state[name]) <= step / 2 + 1e-7).all()
