"""The weights of a BERT folder: safetensors alone, 8-bit matrices widened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt


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
