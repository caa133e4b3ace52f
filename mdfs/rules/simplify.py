"""Traditional Chinese to simplified, by OpenCC, where a recipe asks for it."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mdfs.errors import UsageError
from mdfs.rules import characters as ch
from mdfs.rules.jit import kernel

#: OpenCC's configuration: characters and words of traditional Chinese to those of the mainland's standard.
CONFIG = "t2s"


@functools.cache
def _opencc() -> Any:
    try:
        return importlib.import_module("opencc")
    except ImportError:
        raise UsageError("[edits] simplify needs OpenCC: pip install 'mdfs[opencc]'") from None


@functools.cache
def _converter() -> Any:
    return _opencc().OpenCC(CONFIG)


def version() -> str:
    """OpenCC's version, which decides the dictionaries and so the texts.

    Raises:
        UsageError: OpenCC is not installed.
    """
    return str(_opencc().__version__)


def simplified(texts: pa.StringArray, worth: npt.NDArray[np.bool_]) -> tuple[pa.StringArray, npt.NDArray[np.int64]]:
    """Convert the texts that are `worth` it, and count the characters that changed.

    A text whose length changes (a few words do that) counts the characters up to the shorter length that differ, and
    the rest.
    """
    changed = np.zeros(len(texts), np.int64)
    if not worth.any():
        return texts, changed
    converted: list[str] = texts.to_pylist()
    for k in np.nonzero(worth)[0]:
        before = converted[k]
        converted[k] = after = _converter().convert(before)
        if after != before:
            differ = sum(a != b for a, b in zip(before, after, strict=False))
            changed[k] = differ + abs(len(after) - len(before))
    return pa.array(converted, pa.string()), changed


@functools.cache
def _traditional() -> npt.NDArray[np.bool_]:
    table = np.zeros(0x10000, np.bool_)
    table[[ord(c) for c in ch.variants()[0]]] = True
    table.flags.writeable = False
    return table


def worth(offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which texts hold a character that only traditional Chinese has: the others are left alone, and cost nothing."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    _worth(offsets, data, _traditional(), out)
    return out


@kernel
def _worth(offsets: Any, data: Any, table: Any, out: Any) -> None:
    for d in range(offsets.size - 1):
        for i in range(offsets[d], offsets[d + 1]):
            if 0xE0 <= data[i] < 0xF0:
                c = (np.int64(data[i]) & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6 | np.int64(data[i + 2]) & 63
                if table[c]:
                    out[d] = True
                    break
