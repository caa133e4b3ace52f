"""Logits by transformers and torch: on a GPU where there is one, in batches of like length within a budget of tokens.

On a GPU weights and matrix products are bfloat16 and attention is fused (SDPA); batches are padded in the caller's
thread, copied from pinned memory while the device works, and the result is fetched once, at the end. With two callers
(`Classifier.ahead`) the device gets the next batch's work before it is done with the last.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mdfs.classify import encoders
from mdfs.classify.artifact import Card
from mdfs.classify.weights import read_weights
from mdfs.devices import DEVICE_VARIABLE
from mdfs.errors import RunError, UsageError

Row: TypeAlias = npt.NDArray[np.int64]

TOKEN_BUDGET = {"cpu": 16_384, "cuda": 131_072}
"""Padded tokens of a batch: on a CPU 64 documents of 256 tokens (100 MB of activations for 12 layers of 384), on a GPU
512 of them (under 4 GB for BERT-base in bfloat16)."""

PAD_TO = {"cpu": 1, "cuda": 8}
"""Rows are padded to a multiple of this many tokens: tensor cores want multiples of 8."""

DTYPE_VARIABLE = "MDFS_BERT_DTYPE"
"""Environment variable that says in what torch computes: float32 or bfloat16. Not set: bfloat16 on a GPU that has it,
else float32."""

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.03}
"""How far a document's score may move with the documents that share its batch: padding is masked, and what stays is
rounding, which depends on the shapes of the matrix products."""


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


def padded(rows: Sequence[Row], pad_id: int, multiple: int = 1) -> tuple[Row, Row]:
    """(ids, mask), int64[rows, longest rounded up to `multiple`]."""
    longest = -(-max(map(len, rows)) // multiple) * multiple
    ids = np.full((len(rows), longest), pad_id, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


@dataclass
class Stats:
    """What a scorer has done: rows, their tokens, tokens with padding, batches, and batches halved for want of memory.

    `device_seconds` is filled on a GPU where `TorchScorer.timed` is set: the time in which it worked on batches.
    """

    rows: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    batches: int = 0
    halved: int = 0
    device_seconds: float = 0.0


@dataclass(slots=True)
class _Batch:
    """Rows on their way: which they are, and ids and mask as tensors of the host."""

    members: list[int]
    ids: Any
    mask: Any


@dataclass
class TorchScorer:
    """An encoder with its head on one device.

    A document's neighbours in a batch change its score by rounding alone, within `TOLERANCE`. A batch for which memory
    is short is halved, and the budget with it from then on. Any number of threads may call `logits`.
    """

    card: Card
    device: str | None = None
    budget: int | None = None
    dtype: str | None = None
    timed: bool = False
    stats: Stats = field(default_factory=Stats)

    def __post_init__(self) -> None:
        import torch

        self._torch = torch
        self._device = choose_device(self.device)
        kind = self._device.type
        self.dtype = self.dtype or _dtype(self._device)
        self.budget = self.budget or TOKEN_BUDGET.get(kind, TOKEN_BUDGET["cpu"])
        self._multiple = PAD_TO.get(kind, 1)
        self._lock = threading.Lock()
        folder = self.card.folder
        weights = {name: torch.from_numpy(value.copy()) for name, value in read_weights(folder).items()}
        self._head = encoders.head(weights, folder).to(self._device)
        self._encoder = encoders.build(folder, self.card.pooling)
        encoders.load_weights(self._encoder, weights, folder)
        self._encoder = self._encoder.eval().to(self._device, getattr(torch, self.dtype))
        self._pad = self._encoder.config.pad_token_id or 0

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU does the work."""
        return bool(self._device.type != "cpu")

    def logits(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Logits of token rows, float32[rows, labels], in their order.

        Raises:
            RunError: memory is short for a single row.
        """
        out = np.zeros((len(rows), self._head[-1].out_features), np.float32)
        # The longest first: if memory is short, it is so at once, and what it took serves all the others.
        plan = token_batches([len(row) for row in rows], self.budget or 1)[::-1]
        ready = [self._prepared(rows, members) for members in plan]
        with self._lock, self._torch.inference_mode():
            done = [part for batch in ready for part in self._forward(batch)]
            over = self._torch.cuda.Event() if self._device.type == "cuda" else None
            if over is not None:
                over.record()
        if over is not None:
            over.synchronize()
        for members, values, times in done:
            out[members] = values.numpy()
            if times is not None:
                self.stats.device_seconds += times[0].elapsed_time(times[1]) / 1000
        return out

    def _prepared(self, rows: Sequence[Row], members: list[int]) -> _Batch:
        ids, mask = padded([rows[i] for i in members], self._pad, self._multiple)
        self.stats.rows += len(members)
        self.stats.tokens += int(mask.sum())
        self.stats.padded_tokens += mask.size
        self.stats.batches += 1
        tensors = [self._torch.from_numpy(array) for array in (ids, mask)]
        if self._device.type == "cuda":
            tensors = [tensor.pin_memory() for tensor in tensors]
        return _Batch(members, *tensors)

    def _forward(self, batch: _Batch) -> Iterator[tuple[list[int], Any, Any]]:
        """(members, logits on the host, start and end) of a batch, in halves where memory is short."""
        try:
            yield batch.members, *self._run(batch.ids, batch.mask)
            return
        except (self._torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error, self._torch):
                raise
            if len(batch.members) == 1:
                raise RunError(
                    f"{self._device}: memory is short for one document of {batch.ids.shape[1]} tokens; "
                    "use smaller windows or another device"
                ) from None
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()
        self.stats.halved += 1
        self.budget = max(1, min(self.budget or 1, batch.ids.numel() // 2))
        middle = len(batch.members) // 2
        for part in (slice(0, middle), slice(middle, None)):
            yield from self._forward(_Batch(batch.members[part], batch.ids[part], batch.mask[part]))

    def _run(self, ids: Any, mask: Any) -> tuple[Any, Any]:
        """Logits on the host (pinned; there once the device is done) and, where timed, two events."""
        torch, cuda = self._torch, self._device.type == "cuda"
        times = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if cuda and self.timed else None
        if times:
            times[0].record()
        ids, mask = ids.to(self._device, non_blocking=True), mask.to(self._device, non_blocking=True)
        layers = self.card.layers
        result = self._encoder(input_ids=ids, attention_mask=mask, output_hidden_states=bool(layers))
        logits = self._head(encoders.pooled(result, mask, self.card.pooling, layers))
        if not cuda:
            return logits.cpu(), None
        host = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
        host.copy_(logits, non_blocking=True)
        if times:
            times[1].record()
        return host, times


def choose_device(wanted: str | None = None) -> Any:
    """The torch device by `wanted`, else `MDFS_DEVICE`, else the first GPU, else the CPU.

    Spark names a GPU by its number on the machine; where the container shows fewer, the number is taken modulo those.

    Raises:
        UsageError: no such device here.
    """
    import torch

    name = wanted or os.environ.get(DEVICE_VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"{DEVICE_VARIABLE}={name!r}: no name of a device; use cpu, cuda or cuda:1") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UsageError(f"{DEVICE_VARIABLE}={name!r}: torch sees no GPU here; use cpu, or install torch for CUDA")
        return torch.device("cuda", (device.index or 0) % torch.cuda.device_count())
    return device


def _dtype(device: Any) -> str:
    import torch

    said = os.environ.get(DTYPE_VARIABLE)
    if said is None:
        return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    if said not in TOLERANCE:
        raise UsageError(f"{DTYPE_VARIABLE}={said!r}: use {' or '.join(TOLERANCE)}")
    return said


def _is_out_of_memory(error: BaseException, torch: Any) -> bool:
    """torch raises its own kind for a GPU; for the CPU's allocator a RuntimeError that says so."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
