"""What a model sees of a document: its head, pieces of its middle and its tail; the same in training and in use."""

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
    """How many units (tokens or characters) are looked at from the head, between head and tail, and from the tail.

    The middle is looked at in `pieces` of equal length, spread evenly: what most of a long page is, several short looks
    tell better than a long one (a menu of 200 characters fills a whole window of a page whose text follows it).
    """

    head: int
    middle: int
    tail: int
    pieces: int = 1

    def __post_init__(self) -> None:
        if self.head < 1 or self.middle < 0 or self.tail < 0:
            raise ValueError(f"windows must be head >= 1, middle >= 0, tail >= 0, not {self}")
        if self.pieces < 1 or self.middle % self.pieces:
            raise ValueError(f"the middle must be a multiple of its pieces, not {self}")

    @property
    def total(self) -> int:
        """Units looked at in a document that is long enough."""
        return self.head + self.middle + self.tail

    @property
    def longest_row(self) -> int:
        """Tokens of a long document's row: those looked at, a start, and a separator behind each slice."""
        return self.total + len(self.lengths) + 1

    def scaled(self, factor: int) -> Windows:
        """Windows `factor` times as large."""
        return Windows(self.head * factor, self.middle * factor, self.tail * factor, self.pieces)

    @property
    def lengths(self) -> list[int]:
        """The length of each slice of a long document, none of them 0."""
        return [n for n in (self.head, *[self.middle // self.pieces] * self.pieces, self.tail) if n]

    def slices(self, length: int) -> list[slice]:
        """One slice over all of a sequence of `length` units that fits, else slices in order that do not overlap."""
        if length <= self.total:
            return [slice(0, length)]
        each, spare = self.middle // self.pieces, length - self.total
        starts = [self.head + i * each + spare * (2 * i + 1) // self.pieces // 2 for i in range(self.pieces)]
        cuts = [slice(0, self.head), *(slice(s, s + each) for s in starts), slice(length - self.tail, length)]
        return [c for c in cuts if c.stop > c.start]

    def as_dict(self) -> dict[str, int]:
        """The table that stands in a card."""
        return {name: n for name, n in asdict(self).items() if name != "pieces" or n > 1}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Windows:
        """The windows of a card's table; KeyError or ValueError where it is no such table."""
        return cls(int(table["head"]), int(table["middle"]), int(table["tail"]), int(table.get("pieces", 1)))


class WindowTokenizer:
    """Turns texts into rows of token ids of at most `max_tokens` = windows.longest_row.

    A row is CLS, the head, SEP, each piece of the middle, SEP, the tail, SEP; a short text is CLS, the text, SEP. CLS
    and SEP are what the tokenizer itself puts around a text (`<s>` `</s>`, or `[CLS]` `[SEP]`).
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
        self.path, self.windows = path, windows
        self.max_tokens = windows.longest_row

    def rows(self, texts: Sequence[str | None]) -> list[npt.NDArray[np.int64]]:
        """Token ids, int64[length], of each text; null counts as empty, a lone surrogate as U+FFFD."""
        chars = self.windows.scaled(CHARS_PER_TOKEN)
        pieces, counts = [], []
        for text in texts:
            cuts = chars.slices(len(text or ""))
            pieces += [(text or "")[c] for c in cuts]
            counts.append(len(cuts))
        try:
            encoded = self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        except (UnicodeEncodeError, TypeError):  # the tokenizer takes UTF-8 alone
            pieces = [piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for piece in pieces]
            encoded = self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        coded = [e.ids for e in encoded]
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
        out = []
        for index, (piece, want) in enumerate(zip(pieces, self.windows.lengths, strict=True)):
            spare = max(0, len(piece) - want)
            first = 0 if index == 0 else spare if index == len(pieces) - 1 and self.windows.tail else spare // 2
            out.append(piece[first : first + want])
        return out
