"""Store a BERT's matrices in 8 or in 4 bits; `mdfs.classify.weights` says how they lie on disk and reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from mdfs.classify.weights import BLOCK, pack, read_weights
from mdfs.errors import UsageError

Array: TypeAlias = np.ndarray[Any, Any]
Bits = Literal[8, 4]

LEAST = 4096
"""Matrices with fewer numbers stay float32: they save nothing and cost precision."""

EXEMPT = ("position_embeddings", "token_type", "classifier.")
"""Parts of names that stay float32."""


def quantise(folder: Path, out: Path, bits: Bits = 8) -> None:
    """Write `out/model.safetensors` with the matrices of `folder` in so many bits, symmetric.

    Position and type embeddings, biases, norms, small matrices and the head stay float32. In 4 bits a matrix that was
    in 4 bits before (Q4_0, as llama.cpp's kin ship them) comes out as it was; another one loses a few percent of each
    weight, so measure the artifact again.

    Raises:
        UsageError: in 4 bits, where the rows of a matrix are no multiple of `BLOCK` long.
    """
    from safetensors.numpy import save_file

    tensors: dict[str, Array] = {}
    for name, value in read_weights(folder).items():
        exempt = any(part in name for part in EXEMPT) or value.size < LEAST
        if value.ndim != 2 or exempt:
            tensors[name] = np.ascontiguousarray(value)
        elif bits == 8:
            tensors[name], tensors[f"{name}.scale"] = eight(value)
        elif value.shape[1] % BLOCK:
            raise UsageError(
                f"{folder}: the rows of {name} are {value.shape[1]} long, 4 bits want a multiple of {BLOCK}"
            )
        else:
            tensors[name], tensors[f"{name}.scale"] = four(value)
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def eight(matrix: Array) -> tuple[Array, Array]:
    """int8[rows, columns] and float32[rows] of a float32 matrix."""
    scale = np.maximum(np.abs(matrix).max(axis=1), 1e-12) / 127
    return np.clip(np.round(matrix / scale[:, None]), -127, 127).astype(np.int8), scale.astype(np.float32)


def four(matrix: Array) -> tuple[Array, Array]:
    """uint8[rows, blocks, BLOCK / 2] and float16[rows, blocks] of a float32 matrix.

    The number of a block that is farthest from 0 becomes -8, so that the other side of it reaches to 7.
    """
    blocks = matrix.reshape(len(matrix), -1, BLOCK)
    farthest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)
    scale = (farthest / -8).astype(np.float16)
    wide = scale.astype(np.float32)
    numbers = np.divide(blocks, wide, out=np.zeros_like(blocks), where=wide != 0)
    return pack(np.clip(np.round(numbers), -8, 7).astype(np.int8)), scale[..., 0]
