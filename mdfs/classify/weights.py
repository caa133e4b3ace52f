"""The weights of a BERT folder: safetensors alone, matrices of 8 and of 4 bits widened.

A matrix X of float32 may be stored as two tensors, `X` and `X.scale`:

| bits | X | X.scale | a weight is |
| --- | --- | --- | --- |
| 8 | int8[rows, columns] | float32[rows] | number × scale of its row |
| 4 | uint8[rows, blocks, 16] | float16[rows, blocks] | (number - 8) × scale of its block |

A block is 32 numbers of a row; a byte holds two, the first of them in its lower half. These are the numbers of Q4_0,
the 4-bit form in which many small encoders are published, so that such a one is stored without loss in 4.5 bits a
weight.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

BLOCK = 32
"""Numbers of 4 bits that share a scale, as in Q4_0."""


def pack(numbers: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
    """uint8[..., n / 2] of int8[..., n] between -8 and 7."""
    raised = (numbers + 8).astype(np.uint8)
    return raised[..., 0::2] | raised[..., 1::2] << np.uint8(4)


def unpack(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """What `pack` took."""
    halves = np.stack([data & np.uint8(15), data >> np.uint8(4)], axis=-1)
    return halves.reshape(*data.shape[:-1], -1).astype(np.int8) - np.int8(8)


def widen(matrix: npt.NDArray[np.generic], scale: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """float32[rows, columns] of a matrix of 8 or of 4 bits."""
    numbers = unpack(matrix) if matrix.dtype == np.uint8 else matrix  # type: ignore[arg-type]
    wide = numbers.astype(np.float32) * scale.astype(np.float32)[..., None]
    return np.ascontiguousarray(wide.reshape(len(matrix), -1))


def read_weights(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of `model.safetensors` in float32 under Hugging Face's names, matrices of 8 and 4 bits widened."""
    from safetensors.numpy import load_file

    raw = load_file(folder / "model.safetensors")
    return {
        name: widen(value, raw[f"{name}.scale"]) if f"{name}.scale" in raw else value.astype(np.float32)
        for name, value in raw.items()
        if not name.endswith(".scale")
    }
