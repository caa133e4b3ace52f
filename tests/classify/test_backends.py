"""A user's own BERT folder on both backends; what needs torch or onnx, which are optional, skips without them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiny_bert

from mdfs import classify
from mdfs.classify import bert
from mdfs.errors import UsageError

needs_torch = pytest.mark.skipif("torch" not in bert.installed_backends(), reason="torch is not installed")
needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed")

TEXTS = pa.array(
    ["的一是不了在人有我他", "", "abc", "这个们中来上大为和国地到以说时要就出会可也" * 9, "人", "不0123" * 4]
)


def make(folder: Path, pooling: str, layers: tuple[int, ...] = ()) -> Path:
    tiny_bert.write(folder, pooling=pooling, layers=len(layers))
    how = {"windows": {"head": 20, "middle": 10, "tail": 14}, "pooling": pooling}
    how |= {"layers": layers} if layers else {}
    classify.seal(folder, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": how})
    return folder


@needs_torch
@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_torch_runs_a_hugging_face_folder(tmp_path: Path, pooling: str) -> None:
    model = classify.load(str(make(tmp_path / "m", pooling)), backend="torch")
    scores = model.predict(TEXTS)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([model.predict(TEXTS.slice(i, 1)) for i in range(len(TEXTS))])
    np.testing.assert_allclose(scores, alone, atol=1e-4, err_msg="padding changes rounding only")


@needs_torch
def test_torch_gives_what_transformers_itself_gives(tmp_path: Path) -> None:
    import torch
    from transformers import BertForSequenceClassification

    folder = make(tmp_path / "m", "pooler")
    ids = torch.tensor([[2, 4, 5, 6, 7, 3]])
    logits = BertForSequenceClassification.from_pretrained(folder).eval()(input_ids=ids).logits
    mine = bert.Bert(classify.read_card(folder), backend="torch").logits(["的一是不"])
    np.testing.assert_allclose(mine, logits.detach().numpy(), atol=1e-5)


@needs_torch
def test_a_head_over_several_layers_is_what_its_weights_say(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import BertModel

    folder = make(tmp_path / "m", "statistics", (1, 2))
    card, weights = classify.read_card(folder), load_file(folder / "model.safetensors")
    ids = torch.tensor([[2, 4, 5, 6, 7, 3]])
    states = BertModel.from_pretrained(folder).eval()(input_ids=ids, output_hidden_states=True).hidden_states
    vector = torch.cat([part for n in (1, 2) for part in (states[n].mean(1), states[n].std(1, correction=0))], 1)
    inside = torch.nn.functional.gelu(
        vector @ weights["classifier.hidden.weight"].T + weights["classifier.hidden.bias"]
    )
    wanted = inside @ weights["classifier.weight"].T + weights["classifier.bias"]
    mine = bert.Bert(card, backend="torch").logits(["的一是不"])
    np.testing.assert_allclose(mine, wanted.detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("layers", [(0, 1), (2, 1), (1, 1), ("1",)])
def test_layers_that_are_none_are_refused(tmp_path: Path, layers: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="must rise from 1 on"):
        make(tmp_path / "m", "mean", layers)  # type: ignore[arg-type]


def test_a_layer_beyond_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names layer 3, the model has 2"):
        classify.load(str(make(tmp_path / "m", "mean", (1, 3))))


@needs_torch
@needs_onnx
@pytest.mark.parametrize(
    ("pooling", "layers"), [("mean", ()), ("pooler", ()), ("cls", (1,)), ("mean", (1, 2)), ("statistics", (1, 2))]
)
def test_both_backends_agree_on_float_weights(tmp_path: Path, pooling: str, layers: tuple[int, ...]) -> None:
    from mdfs.classifiers.export_onnx import export

    folder = make(tmp_path / "m", pooling, layers)
    export(folder, pooling, layers)
    classify.seal(folder, kind="bert", labels=tiny_bert.LABELS, fields=_kept(folder))
    one, other = (classify.load(str(folder), backend=b).predict(TEXTS) for b in ("torch", "onnxruntime"))
    np.testing.assert_allclose(one, other, atol=1e-4)


@needs_torch
def test_both_backends_agree_on_the_starter_within_its_stated_tolerance() -> None:
    one, other = (classify.load("starter-bert", backend=b) for b in ("torch", "onnxruntime"))
    texts = pa.array(
        ["今天的天气很好，我们去河边散步，看见许多人在放风筝。" * 4, "欢迎来电咨询，价格优惠，免费送货", "首页 登录"]
    )
    assert np.abs(one.predict(texts) - other.predict(texts)).max() <= one.card.fields["agreement"]["tolerance"]


def _kept(folder: Path) -> dict[str, object]:
    fields = classify.read_card(folder).fields
    return {k: fields[k] for k in ("preprocessing",)}


def test_without_a_graph_onnxruntime_is_no_choice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"add model\.onnx|install torch"):
        classify.load(str(make(tmp_path / "m", "pooler")), backend="onnxruntime")


def test_the_environment_picks_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = classify.locate("starter-bert")
    monkeypatch.setenv(bert.BACKEND_VARIABLE, "onnxruntime")
    assert bert.choose_backend(folder) == "onnxruntime"
    monkeypatch.setenv(bert.BACKEND_VARIABLE, "abacus")
    with pytest.raises(UsageError, match="abacus was asked for"):
        bert.choose_backend(folder)


@pytest.mark.parametrize("value", ["", "0", "many", "-1", "9999"])
def test_a_thread_count_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(bert.THREADS_VARIABLE, value)
    with pytest.raises(UsageError, match="whole number"):
        classify.load("starter-bert", backend="onnxruntime")


def test_batches_hold_the_budget_and_every_row() -> None:
    lengths = [5, 200, 7, 7, 64, 1, 300]
    batches = bert.token_batches(lengths, 256)
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 256 for b in batches)
    assert batches == bert.token_batches(lengths, 256), "the same rows make the same batches"
