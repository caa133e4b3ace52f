"""`mdfs classifier export`: graphs in 32, 8 and 4 bits that say what torch says. Needs onnx, which is optional."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiny_bert
import tiny_encoders
from test_training import classifier, done, refused

from mdfs import classify
from mdfs.classify.bert import installed_backends

HAVE_ONNX = importlib.util.find_spec("onnx") is not None and "onnxruntime" in installed_backends()
needs_onnx = pytest.mark.skipif(not HAVE_ONNX, reason="onnx is not installed")
needs_torch = pytest.mark.skipif("torch" not in installed_backends(), reason="torch is not installed")
HOW = {"windows": {"head": 20, "middle": 10, "tail": 14}, "pooling": "mean"}
TEXTS = pa.array(["的一是不了在人有我他", "", "abc" * 30, "这个们中来上大为和国地" * 9])


@needs_onnx
@needs_torch
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(("bits", "tolerance"), [("fp32", 1e-4), ("int8", 0.2), ("int4", 0.5)])
def test_a_graph_says_what_torch_says(tmp_path: Path, kind: str, pooling: str, bits: str, tolerance: float) -> None:
    tiny_encoders.write(tmp_path / "m", kind, labels=3)
    how = HOW | {"pooling": pooling}
    classify.seal(tmp_path / "m", kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": how, "licence": "CC0"})
    found = done("export", tmp_path / "m", "--onnx", bits, "-o", tmp_path / "o")
    wanted = classify.load(str(tmp_path / "m"), backend="torch", device="cpu").predict(TEXTS)
    scores = classify.load(str(tmp_path / "o"), backend="onnxruntime").predict(TEXTS)
    np.testing.assert_allclose(scores, wanted, atol=tolerance)
    assert found["differences"]["to_the_original"] <= tolerance
    assert found["differences"]["of_torch_to_the_graph"] <= min(tolerance, 0.1), "both read the same weights"
    card = classify.read_card(tmp_path / "o").fields
    assert card["licence"] == "CC0"
    assert card["exported"]["onnx"] == bits


@needs_onnx
def test_four_bits_stay_and_are_widened(tmp_path: Path) -> None:
    done("export", "starter-bert", "--onnx", "fp32", "-o", tmp_path / "wide")
    done("export", "starter-bert", "--onnx", "int4", "-o", tmp_path / "same")
    files = [classify.read_card(folder).fields["files"]["model.safetensors"] for folder in
             (classify.locate("starter-bert"), tmp_path / "same", tmp_path / "wide")]  # fmt: skip
    assert files[0] == files[1], "what is 4 bits already stays"
    assert files[2]["bytes"] > 6 * files[0]["bytes"]
    wide, narrow = (classify.load(str(tmp_path / n), backend="onnxruntime").predict(TEXTS) for n in ("wide", "same"))
    assert np.abs(wide - narrow).max() < 0.1


@needs_onnx
@needs_torch
def test_an_encoder_without_a_graph_is_told(tmp_path: Path) -> None:
    tiny_encoders.write(tmp_path / "m", "electra", labels=3)
    classify.seal(tmp_path / "m", kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": HOW})
    assert "this is a electra" in refused("export", tmp_path / "m", "--onnx", "fp32", "-o", tmp_path / "o")


def test_what_is_no_bert_is_refused(tmp_path: Path) -> None:
    assert "has no graph" in refused("export", "starter", "--onnx", "fp32", "-o", tmp_path / "o")


@pytest.mark.skipif(HAVE_ONNX, reason="onnx is installed")
def test_without_onnx_it_is_told_what_to_install(tmp_path: Path) -> None:
    assert "pip install 'mdfs[onnx]'" in refused("export", "starter-bert", "--onnx", "fp32", "-o", tmp_path / "o")
    assert classifier("card", tmp_path / "o").exit_code != 0, "no half artifact"
