"""Commands that make the starter have help with an example; 8-bit weights widen. (`mdfs classifier`: test_training.)"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from mdfs.classify.bert import read_weights

COMMANDS = ["leave_one_out", "make_starter", "prune"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_and_an_example(name: str) -> None:
    module = importlib.import_module(f"mdfs.classifiers.{name}")
    done = CliRunner().invoke(module.main, ["--help"])
    assert done.exit_code == 0
    assert "Example:" in done.output
    assert f"mdfs.classifiers.{name}" in done.output.replace("\n", "")


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
