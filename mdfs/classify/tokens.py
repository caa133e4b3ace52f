"""What a BERT sees of a document: the head, the middle and the tail, in tokens; the same in training and in use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHARS_PER_TOKEN = 4
"""Characters cut out for each token wanted, before tokenising, so that a document of 1,000,000 characters costs what
one of 1,000 does. Chinese takes 1.3 characters a token and English 3.5 (measured with e5-small-zh), so 4 fills the
window."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How many units (tokens or characters) are looked at from the head, around the middle and from the tail."""

    head: int
    middle: int
    tail: int

    def __post_init__(self) -> None:
        if self.head < 1 or self.middle < 0 or self.tail < 0:
            raise ValueError(f"windows must be head >= 1, middle >= 0, tail >= 0, not {self}")

    @property
    def total(self) -> int:
        """Units looked at in a document that is long enough."""
        return self.head + self.middle + self.tail

    def scaled(self, factor: int) -> Windows:
        """Windows `factor` times as large."""
        return Windows(self.head * factor, self.middle * factor, self.tail * factor)

    def slices(self, length: int) -> list[slice]:
        """One slice over all of a sequence of `length` units that fits, else up to three slices that do not overlap."""
        if length <= self.total:
            return [slice(0, length)]
        start = self.head + (length - self.total) // 2
        cuts = [slice(0, self.head), slice(start, start + self.middle), slice(length - self.tail, length)]
        return [c for c in cuts if c.stop > c.start]

    def as_dict(self) -> dict[str, int]:
        """The table that stands in a card."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Windows:
        """The windows of a card's table; KeyError or ValueError where it is no such table."""
        return cls(int(table["head"]), int(table["middle"]), int(table["tail"]))


class WindowTokenizer:
    """Turns texts into rows of token ids of at most `max_tokens` = windows.total + 4.

    A row is CLS, the head, SEP, the middle, SEP, the tail, SEP; a short text is CLS, the text, SEP. CLS and SEP are
    what the tokenizer itself puts around a text (`<s>` `</s>`, or `[CLS]` `[SEP]`).
    """

    def __init__(self, path: Path, windows: Windows, threads: int = 1) -> None:
        from tokenizers import Tokenizer

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false" if threads == 1 else "true")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        around = self._tokenizer.encode("", add_special_tokens=True).ids
        if len(around) < 2:
            raise ValueError(f"{path}: the tokenizer puts no start and end token around a text")
        self._cls, self._sep = around[0], around[-1]
        self.windows = windows
        self.max_tokens = windows.total + 4

    def rows(self, texts: Sequence[str | None]) -> list[npt.NDArray[np.int64]]:
        """Token ids, int64[length], of each text; null counts as empty."""
        chars = self.windows.scaled(CHARS_PER_TOKEN)
        pieces, counts = [], []
        for text in texts:
            cuts = chars.slices(len(text or ""))
            pieces += [(text or "")[c] for c in cuts]
            counts.append(len(cuts))
        coded = [e.ids for e in self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)]
        rows, at = [], 0
        for count in counts:
            rows.append(self._row(coded[at : at + count]))
            at += count
        return rows

    def _row(self, pieces: Sequence[list[int]]) -> npt.NDArray[np.int64]:
        whole = len(pieces) == 1
        parts = [pieces[0][c] for c in self.windows.slices(len(pieces[0]))] if whole else self._trim(pieces)
        row = [self._cls]
        for part in parts:
            row += [*part, self._sep]
        return np.asarray(row, np.int64)

    def _trim(self, pieces: Sequence[list[int]]) -> list[list[int]]:
        """Cut the pieces of a long text to their windows: the head keeps its start, the tail its end."""
        w = self.windows
        wanted = [n for n in (w.head, w.middle, w.tail) if n]
        out = []
        for index, (piece, want) in enumerate(zip(pieces, wanted, strict=True)):
            spare = max(0, len(piece) - want)
            first = 0 if index == 0 else spare if index == len(pieces) - 1 and w.tail else spare // 2
            out.append(piece[first : first + want])
        return out
