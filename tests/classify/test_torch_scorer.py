"""torch: batches by a budget of tokens, halving when memory is short, scores that hardly hang on their neighbours,
other encoders than BERT, hostile folders and texts. Skips without torch, which is optional."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiny_bert
import tiny_encoders

from mdfs import classify, devices
from mdfs.classify import bert, encoders
from mdfs.classify.torch_scorer import DTYPE_VARIABLE, TOLERANCE, TorchScorer, padded
from mdfs.errors import RunError, UsageError

needs_torch = pytest.mark.skipif("torch" not in bert.installed_backends(), reason="torch is not installed")
needs_onnx = pytest.mark.skipif("onnxruntime" not in bert.installed_backends(), reason="onnxruntime is not installed")

RNG = np.random.default_rng(5)
TEXTS = ["".join(RNG.choice(list(tiny_bert.CHARACTERS), int(n))) for n in RNG.integers(0, 90, 60)]
HOW = {"windows": {"head": 20, "middle": 10, "tail": 14}, "pooling": "mean"}


def make(folder: Path, pooling: str = "mean") -> classify.Card:
    tiny_bert.write(folder, pooling=pooling)
    how = HOW | {"pooling": pooling}
    return classify.seal(folder, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": how})


def rows_of(card: classify.Card, texts: list[str]) -> list[np.ndarray]:
    return bert.WindowTokenizer(card.folder / "tokenizer.json", card.windows).rows(texts)


def probabilities(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


@needs_torch
@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
def test_neighbours_move_a_score_within_the_stated_tolerance(tmp_path: Path, dtype: str) -> None:
    card = make(tmp_path / "m")
    scorer, rows = TorchScorer(card, device="cpu", dtype=dtype), rows_of(card, TEXTS)
    together = probabilities(scorer.logits(rows))
    assert scorer.stats.batches < len(rows) / 4, "they do share batches"
    alone = probabilities(np.concatenate([scorer.logits([row]) for row in rows]))
    assert np.abs(together - alone).max() <= TOLERANCE[dtype]
    assert np.abs(together - together[0]).max() > 10 * TOLERANCE[dtype], "texts do differ by more"


@needs_torch
@pytest.mark.parametrize("budget", [50, 300, 10_000])
def test_a_budget_changes_batches_and_no_score(tmp_path: Path, budget: int) -> None:
    card = make(tmp_path / "m")
    rows = rows_of(card, TEXTS)
    scorer = TorchScorer(card, device="cpu", budget=budget)
    wanted = np.concatenate([TorchScorer(card, device="cpu").logits([row]) for row in rows])
    np.testing.assert_allclose(scorer.logits(rows), wanted, atol=1e-4)
    stats = scorer.stats
    assert (stats.rows, stats.tokens) == (len(rows), sum(map(len, rows)))
    assert stats.padded_tokens <= stats.batches * max(budget, 48)


@needs_torch
@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_batch_too_large_for_the_memory_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    import torch

    card = make(tmp_path / "m")
    rows = rows_of(card, TEXTS)
    wanted = TorchScorer(card, device="cpu").logits(rows)
    scorer, whole = TorchScorer(card, device="cpu"), TorchScorer._run
    tried: list[int] = []

    def short(self: TorchScorer, ids, mask):
        tried.append(len(ids))
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(self, ids, mask)

    monkeypatch.setattr(TorchScorer, "_run", short)
    np.testing.assert_allclose(scorer.logits(rows), wanted, atol=1e-4)
    assert scorer.stats.halved > 0
    before, tried[:] = scorer.stats.halved, []
    np.testing.assert_allclose(scorer.logits(rows), wanted, atol=1e-4)
    assert scorer.stats.halved - before < before, "the budget has learned"


@needs_torch
def test_memory_short_for_one_document_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(self: TorchScorer, ids, mask):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")

    card = make(tmp_path / "m")
    monkeypatch.setattr(TorchScorer, "_run", short)
    with pytest.raises(RunError, match="memory is short for one document"):
        TorchScorer(card, device="cpu").logits(rows_of(card, TEXTS))


@needs_torch
def test_another_error_is_no_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: TorchScorer, ids, mask):
        raise RuntimeError("shapes do not fit")

    card = make(tmp_path / "m")
    monkeypatch.setattr(TorchScorer, "_run", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        TorchScorer(card, device="cpu").logits(rows_of(card, TEXTS))


@needs_torch
def test_callers_in_threads_get_their_own_scores(tmp_path: Path) -> None:
    card = make(tmp_path / "m")
    scorer, rows = TorchScorer(card, device="cpu"), rows_of(card, TEXTS)
    wanted = scorer.logits(rows)
    found: dict[int, np.ndarray] = {}

    def ask(start: int) -> None:
        found[start] = scorer.logits(rows[start : start + 20])

    threads = [threading.Thread(target=ask, args=(start,)) for start in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(np.concatenate([found[s] for s in (0, 20, 40)]), wanted, atol=1e-4)


@needs_torch
@pytest.mark.parametrize("kind", encoders.ENCODERS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_other_encoders_give_what_transformers_gives(tmp_path: Path, kind: str, pooling: str) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel

    folder = tmp_path / "m"
    tiny_encoders.write(folder, kind, labels=3)
    card = classify.seal(
        folder, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": HOW | {"pooling": pooling}}
    )
    model = classify.load(str(folder), backend="torch", device="cpu")
    reference = AutoModel.from_config(AutoConfig.from_pretrained(folder)).eval()
    state = load_file(folder / "model.safetensors")
    prefix = f"{reference.base_model_prefix}."
    reference.load_state_dict(
        {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}, strict=False
    )
    row = torch.tensor(rows_of(card, [TEXTS[0]])[0])[None]
    with torch.no_grad():
        states = reference(input_ids=row, attention_mask=torch.ones_like(row)).last_hidden_state
    vector = states.mean(1) if pooling == "mean" else states[:, 0]
    wanted = vector @ state["classifier.weight"].T + state["classifier.bias"]
    np.testing.assert_allclose(model.logits([TEXTS[0]]), wanted.numpy(), atol=1e-4)
    together, alone = model.logits(TEXTS[:20]), np.concatenate([model.logits([t]) for t in TEXTS[:20]])
    np.testing.assert_allclose(together, alone, atol=1e-3)


@needs_torch
def test_a_pooler_is_asked_of_those_that_have_one(tmp_path: Path) -> None:
    tiny_encoders.write(tmp_path, "electra", labels=3)
    classify.seal(tmp_path, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": HOW | {"pooling": "pooler"}})
    with pytest.raises(UsageError, match="has no pooler; use pooling mean or cls"):
        classify.load(str(tmp_path), backend="torch")


@needs_torch
def test_weights_that_do_not_fit_are_told_in_one_line(tmp_path: Path) -> None:
    make(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": 48, "intermediate_size": 96}))
    classify.seal(tmp_path, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": HOW})
    with pytest.raises(UsageError, match="does not fit its config") as caught:
        classify.load(str(tmp_path), backend="torch")
    assert "\n" not in str(caught.value)


@needs_torch
def test_a_folders_own_code_is_not_run(tmp_path: Path) -> None:
    make(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    code = "from pathlib import Path\nPath(__file__).with_name('ran').write_text('')\nclass A: pass\n"
    (tmp_path / "evil.py").write_text(code)
    auto = {"auto_map": {"AutoConfig": "evil.A", "AutoModel": "evil.A"}}
    (tmp_path / "config.json").write_text(json.dumps(config | auto))
    classify.seal(tmp_path, kind="bert", labels=tiny_bert.LABELS, fields={"preprocessing": HOW})
    classify.load(str(tmp_path), backend="torch").predict(pa.array(["的一"]))
    assert not (tmp_path / "ran").exists()


@needs_torch
@pytest.mark.parametrize(("name", "says"), [("abacus", "no name of a device"), ("cuda:0", "torch sees no GPU here")])
def test_a_device_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(devices.DEVICE_VARIABLE, name)
    with pytest.raises(UsageError, match=says):
        TorchScorer(make(tmp_path))


@needs_torch
def test_a_number_format_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DTYPE_VARIABLE, "float8")
    with pytest.raises(UsageError, match="use float32 or bfloat16"):
        TorchScorer(make(tmp_path), device="cpu")


def invalid_utf8() -> pa.Array:
    """Arrow strings as a careless writer may leave them: a lone surrogate in UTF-8's clothes, and a cut character."""
    pieces = [b"\xed\xa0\x80\xe7\x9a\x84", b"\xe7\x9a", "的一是".encode()]
    offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int32)
    return pa.StringArray.from_buffers(3, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(pieces)))


@pytest.fixture(params=["starter-fasttext", "starter-bert", "torch"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> classify.Classifier:
    if request.param != "torch":
        return classify.load(request.param, backend="onnxruntime")
    if "torch" not in bert.installed_backends():
        pytest.skip("torch is not installed")
    make(tmp_path / "m")
    return classify.load(str(tmp_path / "m"), backend="torch", device="cpu")


def test_hostile_texts_are_scored(model: classify.Classifier) -> None:
    texts = pa.array(["", None, "\x00", "字" * 1_000_000, "a" * 1_000_000, "\u2028" * 5000, "的" * 10], pa.string())
    scores = model.predict(texts)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_bytes_that_are_no_utf8_count_as_replacement_characters(model: classify.Classifier) -> None:
    scores = model.predict(invalid_utf8())
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, model.predict(pa.array(["\ufffd\ufffd\ufffd的", "\ufffd", "的一是"])), atol=1e-4)


def test_lone_surrogates_in_python_strings_are_replacement_characters(model: classify.Classifier) -> None:
    np.testing.assert_allclose(
        model.logits(["\ud800的", "的\udfff一"]), model.logits(["\ufffd的", "的\ufffd一"]), atol=1e-4
    )


def test_rows_are_padded_to_a_multiple() -> None:
    ids, mask = padded([np.arange(5), np.arange(11)], 9, 8)
    assert ids.shape == mask.shape == (2, 16)
    assert mask.sum(axis=1).tolist() == [5, 11]
    assert (ids[mask == 0] == 9).all()
