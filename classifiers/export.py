"""Export a BERT artifact with an ONNX graph, its weights in 32, 8 or 4 bits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mdfs.classifiers import export_onnx
from mdfs.classifiers.calibrate import fields_of
from mdfs.classifiers.quantise import Bits, quantise

from mdfs import classify
from mdfs.classify.artifact import MODEL_FILES
from mdfs.classify.bert import installed_backends
from mdfs.classify.weights import read_weights
from mdfs.errors import UsageError

NARROW: dict[str, Bits] = {"int8": 8, "int4": 4}
"""What `--onnx` calls weights of fewer bits."""

PROBES = (
    "今天的天气很好，我们去河边散步，看见许多人在放风筝，孩子们在草地上跑来跑去。",
    "厂家直销，欢迎来电咨询，价格优惠，免费送货上门！",
    "首页 新闻 论坛 登录 注册 返回顶部",
    "The committee met on Tuesday and agreed on the budget for the coming year.",
    "",
)
"""Texts on which the exported graph is compared with the weights that it was made of."""


def export(artifact: str, bits: str, output: Path) -> dict[str, Any]:
    """Write the artifact with `model.onnx` to `output`, `bits` being "fp32", "int8" or "int4"; returns what was found.

    Raises:
        UsageError: it is no BERT, `output` holds a classifier, or onnx is not installed.
    """
    from safetensors.numpy import save_file

    card = classify.read_card(classify.locate(artifact))
    if card.kind != "bert":
        raise UsageError(f"{artifact}: a {card.kind} artifact has no graph; name a BERT, or a cascade's member")
    if (output / "card.json").exists():
        raise UsageError(f"{output}: holds a classifier already; choose another --output")
    output.mkdir(parents=True, exist_ok=True)
    for name in set(MODEL_FILES["bert"]) & set(card.fields["files"]) - {"model.onnx", "model.safetensors"}:
        shutil.copyfile(card.folder / name, output / name)
    if bits == "fp32":
        save_file(read_weights(card.folder), output / "model.safetensors", metadata={"format": "pt"})
    else:
        quantise(card.folder, output, NARROW[bits])
    try:
        export_onnx.export(output, card.pooling, card.layers)
    except ImportError as error:
        raise UsageError(f"the graph is written with the package {error.name}; pip install 'mdfs[onnx]'") from None
    fields = fields_of(card) | {"exported": {"onnx": bits, "from": card.digest}}
    fields.pop("agreement", None)
    sealed = classify.seal(output, kind="bert", labels=card.labels, fields=fields)
    sizes = {name: said["bytes"] for name, said in sealed.fields["files"].items()}
    return {"output": str(output), "weights": bits, "bytes": sizes, "differences": _differences(artifact, output)}


def _differences(artifact: str, output: Path) -> dict[str, float | None]:
    """The largest difference of a score on `PROBES`: to the artifact as it was, and of torch to the graph; None where a
    backend is missing."""
    texts = pa.array(PROBES)
    graph = classify.load(str(output), backend="onnxruntime").predict(texts)
    before = classify.load(artifact).predict(texts)
    out: dict[str, float | None] = {"to_the_original": round(float(np.abs(graph - before).max()), 5)}
    torch = "torch" in installed_backends()
    again = classify.load(str(output), backend="torch").predict(texts) if torch else None
    out["of_torch_to_the_graph"] = None if again is None else round(float(np.abs(graph - again).max()), 5)
    return out
