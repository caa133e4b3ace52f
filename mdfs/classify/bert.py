"""The BERT backends: transformers + torch where both are installed, else onnxruntime on the CPU.

Both read the same folder: `config.json`, `tokenizer.json` and `model.safetensors` under the key names of Hugging Face's
`BertForSequenceClassification` (`bert.*`, `classifier.*`), and see the same tokens of a document
(`mdfs.classify.tokens`). onnxruntime also needs `model.onnx` (`classifiers/export_onnx.py` writes it).

A matrix may be stored in 8 bits: key `X` as int8 and key `X.scale` as float32, one scale for each row (each output
channel, or each piece of the vocabulary). torch gets `X * X.scale`; the ONNX graph reads the very same bytes.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mdfs.classify.artifact import Card
from mdfs.classify.base import Decisions, Scores, Texts, calibrated, chunks
from mdfs.classify.tokens import WindowTokenizer
from mdfs.errors import UsageError

Row: TypeAlias = npt.NDArray[np.int64]
Backend = Literal["torch", "onnxruntime"]

TOKEN_BUDGET = 16_384
"""Padded tokens of a torch batch: 64 documents of 256 tokens, about 100 MB of activations for 12 layers of 384."""

BACKEND_VARIABLE = "MDFS_BERT_BACKEND"
"""Environment variable that forces a backend: torch or onnxruntime."""

THREADS_VARIABLE = "MDFS_ONNX_THREADS"
"""Environment variable with the number of onnxruntime's threads inside one operator; 1 where it is not set, since
workers are processes, one a core."""


def installed_backends() -> tuple[Backend, ...]:
    """The backends whose packages can be imported, the preferred one first."""
    have = {name: importlib.util.find_spec(name) is not None for name in ("torch", "transformers", "onnxruntime")}
    out: list[Backend] = ["torch"] if have["torch"] and have["transformers"] else []
    return (*out, "onnxruntime") if have["onnxruntime"] else tuple(out)


def choose_backend(folder: Path, wanted: str | None = None) -> Backend:
    """The backend for a BERT folder: `wanted` (or the environment variable), else torch, else onnxruntime.

    Raises UsageError where none can serve the folder, saying what to install or to export.
    """
    wanted = wanted or os.environ.get(BACKEND_VARIABLE) or None
    usable = [b for b in installed_backends() if b == "torch" or (folder / "model.onnx").exists()]
    if wanted is None and usable:
        return usable[0]
    for backend in usable:
        if backend == wanted:
            return backend
    need = "onnxruntime, or torch and transformers" if (folder / "model.onnx").exists() else "torch and transformers"
    asked = f" ({wanted} was asked for)" if wanted else ""
    raise UsageError(
        f"{folder}: no backend for this BERT{asked}; install {need}, or add model.onnx with classifiers/export_onnx.py"
    )


def read_weights(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of `model.safetensors` in float32, 8-bit matrices widened, under Hugging Face's names."""
    from safetensors.numpy import load_file

    raw = load_file(folder / "model.safetensors")
    out = {}
    for name, value in raw.items():
        if name.endswith(".scale"):
            continue
        scale = raw.get(f"{name}.scale")
        out[name] = value.astype(np.float32) if scale is None else value.astype(np.float32) * scale[:, None]
    return out


def token_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of like length, whose padded size is within `budget` tokens (a longer row stands alone).

    Made of the lengths alone and in their order, so that the same documents always make the same batches.
    """
    out: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if not out or (len(out[-1]) + 1) * lengths[i] > budget:
            out.append([])
        out[-1].append(i)
    return out


def _padded(rows: Sequence[Row], pad_id: int) -> tuple[Row, Row]:
    ids = np.full((len(rows), max(map(len, rows))), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


class OnnxScorer:
    """Logits by onnxruntime on the CPU, one document at a time.

    One at a time because 8-bit activations are scaled by the largest value of the whole input: in a batch, a document's
    scores would depend on its neighbours. Without padding it is no slower on a CPU (measured: 89 documents of 256
    tokens a second alone, 93 in batches of 8, on two cores).
    """

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Logits of token rows, float32[rows, labels], in their order."""
        out = [
            self._session.run(["logits"], {"input_ids": r[None], "attention_mask": np.ones((1, len(r)), np.int64)})[0]
            for r in rows
        ]
        return np.concatenate(out).astype(np.float32)


class TorchScorer:
    """Logits by transformers and torch in float32, on the GPU where there is one, in batches of like length.

    Padding is masked; what a document's neighbours change is float32 rounding, under 1e-4 in a score.
    """

    def __init__(self, card: Card) -> None:
        import torch
        from transformers import BertConfig, BertModel

        config = BertConfig.from_pretrained(card.folder)
        self._torch, self._mean = torch, card.pooling == "mean"
        self._pad = config.pad_token_id or 0
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        weights = {k: torch.from_numpy(v.copy()) for k, v in read_weights(card.folder).items()}
        self._bert: Any = BertModel(config, add_pooling_layer=not self._mean)
        missing, _ = self._bert.load_state_dict(
            {k.removeprefix("bert."): v for k, v in weights.items() if k.startswith("bert.")}, strict=False
        )
        lost = [name for name in missing if "position_ids" not in name and "token_type_ids" not in name]
        if lost or "classifier.weight" not in weights:
            raise UsageError(
                f"{card.folder}: model.safetensors lacks {(lost or ['classifier.weight'])[0]}; "
                "a BertForSequenceClassification folder is needed"
            )
        self._weight, self._bias = (weights[f"classifier.{n}"].to(self._device) for n in ("weight", "bias"))
        self._bert = self._bert.eval().to(self._device)

    def logits(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Logits of token rows, float32[rows, labels], in their order."""
        out = np.zeros((len(rows), len(self._bias)), np.float32)
        with self._torch.inference_mode():
            for batch in token_batches([len(r) for r in rows], TOKEN_BUDGET):
                ids, mask = (
                    self._torch.from_numpy(a).to(self._device) for a in _padded([rows[i] for i in batch], self._pad)
                )
                out[batch] = (self._pooled(ids, mask) @ self._weight.T + self._bias).cpu().numpy()
        return out

    def _pooled(self, ids: Any, mask: Any) -> Any:
        result = self._bert(input_ids=ids, attention_mask=mask)
        if not self._mean:
            return result.pooler_output
        weight = mask.unsqueeze(-1).to(result.last_hidden_state.dtype)
        return (result.last_hidden_state * weight).sum(1) / weight.sum(1)


class Bert:
    """A BERT classifier behind the classifier interface; `backend` says which of the two runs it."""

    def __init__(self, card: Card, *, backend: str | None = None, threads: int | None = None) -> None:
        self.card = card
        self._check_config()
        threads = threads if threads is not None else _threads()
        self._tokenizer = WindowTokenizer(card.folder / "tokenizer.json", card.windows, threads)
        self.backend = choose_backend(card.folder, backend)
        self._scorer = TorchScorer(card) if self.backend == "torch" else OnnxScorer(card.folder, threads)

    def _check_config(self) -> None:
        config = json.loads((self.card.folder / "config.json").read_text(encoding="utf-8"))
        longest = self.card.windows.longest_row
        if config.get("model_type") != "bert":
            raise UsageError(
                f"{self.card.folder}: config.json says model_type {config.get('model_type')!r}; only bert is supported"
            )
        if longest > config["max_position_embeddings"]:
            raise UsageError(
                f"{self.card.folder}: the card's windows make rows of {longest} tokens, "
                f"the model takes {config['max_position_embeddings']}; make the windows smaller"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the score columns."""
        return self.card.labels

    @property
    def digest(self) -> str:
        """Of the card and, through it, all model files: 64 hex digits."""
        return self.card.digest

    def logits(self, texts: Sequence[str | None]) -> npt.NDArray[np.float32]:
        """Uncalibrated logits, float32[texts, labels]."""
        return self._scorer.logits(self._tokenizer.rows(texts))

    def predict(self, texts: Texts) -> Scores:
        """Calibrated scores, float32[documents, labels]."""
        parts = [calibrated(self.logits(chunk), self.card.temperature) for chunk in chunks(texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)

    def decide(self, texts: Texts) -> Decisions:
        """Scores, all decided by "bert"."""
        scores = self.predict(texts)
        return Decisions(scores, ["bert"] * len(scores))


def _threads() -> int:
    raw = os.environ.get(THREADS_VARIABLE, "1")
    if not raw.isdigit() or not 1 <= int(raw) <= 1024:
        raise UsageError(f"{THREADS_VARIABLE}={raw!r}: give a whole number from 1 to 1024")
    return int(raw)
