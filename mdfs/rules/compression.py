"""How far texts can be compressed: measured only where a recipe asks for it.

It says little that duplicate n-grams and entropy do not say more exactly, and zlib, at 24 MB a second on one core,
takes longer than all other measurements together; it is here for recipes that follow papers with a limit on it.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from mdfs.recipe import Recipe

#: The measurement's name in a recipe.
NAME = "compression_ratio"
#: zlib's own default.
LEVEL = 6


def asked(recipe: Recipe) -> bool:
    """Whether a recipe limits the measurement or prefers copies by it."""
    return NAME in recipe.rules or NAME in recipe.dedup.prefer


def version() -> str:
    """zlib's version, which decides the sizes: zlib-ng and others that stand in for zlib have one of their own."""
    return zlib.ZLIB_RUNTIME_VERSION


def sizes(offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Bytes of each text as a zlib stream by itself, int64[n]; `offsets` int32[n + 1] and `data` are its buffers."""
    whole: Any = data.data
    places = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return np.array([len(zlib.compress(whole[begin:end], LEVEL)) for begin, end in places], np.int64)
