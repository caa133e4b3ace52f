"""The BERT backends: transformers + torch where both are installed, else onnxruntime on the CPU.

Both read the same folder: `config.json`, `tokenizer.json` and `model.safetensors` under Hugging Face's key names (of
`BertForSequenceClassification`: `bert.*`, `classifier.*`; other encoders of `mdfs.classify.encoders` have their own
prefix; `classifier.hidden.*` where the head has a layer in between), and see the same tokens of a document
(`mdfs.classify.tokens`). onnxruntime also needs `model.onnx` (`mdfs classifier export` writes it).

A matrix may be stored in 8 or in 4 bits (`mdfs.classify.weights` says how). torch gets it widened; the ONNX graph
reads the very same bytes.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from mdfs.classify import encoders
from mdfs.classify.ahead import ahead
from mdfs.classify.artifact import Card
from mdfs.classify.base import Decisions, Scores, Texts, chunks, scores_of
from mdfs.classify.tokens import WindowTokenizer
from mdfs.classify.torch_scorer import TorchScorer, token_batches
from mdfs.classify.weights import read_weights
from mdfs.errors import UsageError

__all__ = ["Bert", "OnnxScorer", "TorchScorer", "choose_backend", "installed_backends", "read_weights", "token_batches"]

Row: TypeAlias = npt.NDArray[np.int64]
Backend = Literal["torch", "onnxruntime"]

GROUP = 8192
"""Documents whose rows are sorted by length together: 17 MB of token ids, and batches that hold little padding."""

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
        f"{folder}: no backend for this BERT{asked}; install {need}, or add model.onnx with `mdfs classifier export`"
    )


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
        takes = [one.name for one in self._session.get_inputs()]
        if takes != ["input_ids"]:
            raise UsageError(
                f"{folder}: model.onnx takes {', '.join(takes)} and not input_ids alone; write it anew with "
                "`mdfs classifier export`"
            )

    def logits(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Logits of token rows, float32[rows, labels], in their order."""
        out = [self._session.run(["logits"], {"input_ids": row[None]})[0] for row in rows]
        return np.concatenate(out).astype(np.float32)


class Bert:
    """A BERT classifier behind the classifier interface; `backend` says which of the two runs it, `device` where torch
    does."""

    def __init__(
        self, card: Card, *, backend: str | None = None, threads: int | None = None, device: str | None = None
    ) -> None:
        self.card = card
        self._check_config()
        threads = threads if threads is not None else _threads()
        self.backend = choose_backend(card.folder, backend)
        self.scorer = TorchScorer(card, device=device) if self.backend == "torch" else OnnxScorer(card.folder, threads)
        # A process that has a GPU to itself lets the tokenizer have the machine's other cores.
        cores = threads if self.ahead == 1 else 0
        self.tokenizer = WindowTokenizer(card.folder / "tokenizer.json", card.windows, cores)

    def _check_config(self) -> None:
        config = encoders.read_config(self.card.folder)
        depth = int(config.get("num_hidden_layers", 0))
        if self.card.layers and self.card.layers[-1] > depth:
            raise UsageError(f"{self.card.folder}: the card names layer {self.card.layers[-1]}, the model has {depth}")
        longest, takes = self.card.windows.longest_row, encoders.positions(config)
        if longest > takes:
            raise UsageError(
                f"{self.card.folder}: the card's windows make rows of {longest} tokens, "
                f"the model takes {takes}; make the windows smaller"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the score columns."""
        return self.card.labels

    @property
    def digest(self) -> str:
        """Of the card and, through it, all model files: 64 hex digits."""
        return self.card.digest

    @property
    def ahead(self) -> int:
        """2 on a GPU: while it scores one batch, the next is read and tokenised."""
        return 2 if isinstance(self.scorer, TorchScorer) and self.scorer.on_gpu else 1

    def logits(self, texts: Sequence[str | None]) -> npt.NDArray[np.float32]:
        """Uncalibrated logits, float32[texts, labels]."""
        return self.scorer.logits(self.tokenizer.rows(texts))

    def predict(self, texts: Texts) -> Scores:
        """Calibrated scores, float32[documents, labels]."""
        parts = [scores_of(self.scorer.logits(rows), self.card) for rows in self._groups(texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)

    def _groups(self, texts: Texts) -> Iterator[list[Row]]:
        """Token rows, `GROUP` documents at a time; those to come are tokenised in threads meanwhile, on a GPU."""
        group: list[Row] = []
        for rows in ahead(self.tokenizer.rows, chunks(texts), self.ahead):
            group += rows
            if len(group) >= GROUP:
                yield group
                group = []
        if group:
            yield group

    def decide(self, texts: Texts) -> Decisions:
        """Scores, all decided by "bert"."""
        scores = self.predict(texts)
        return Decisions(scores, ["bert"] * len(scores))


def _threads() -> int:
    raw = os.environ.get(THREADS_VARIABLE, "1")
    if not raw.isdigit() or not 1 <= int(raw) <= 1024:
        raise UsageError(f"{THREADS_VARIABLE}={raw!r}: give a whole number from 1 to 1024")
    return int(raw)
