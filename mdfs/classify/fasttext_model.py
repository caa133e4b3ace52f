"""The fastText backend: characters and runs of characters, hashed; thousands of documents a second on one core."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mdfs.classify.artifact import Card
from mdfs.classify.base import Decisions, Scores, Texts, chunks, scores_of
from mdfs.classify.tokens import Windows
from mdfs.errors import UsageError

_LEAST = 1e-6
"""Probabilities are kept above this before the logarithm; fastText's own table of logarithms ends at 1e-5."""


def _character_table() -> npt.NDArray[np.uint32]:
    """What stands for each code point, uint32[0x110000]: letters in lower case, full-width forms in half width,
    digits as 0.

    Line feed becomes the return symbol (U+23CE), so that lists of lines are seen; other control, space and separator
    characters become U+2423, which fastText does not split at. Characters of plane 1 and above stand for themselves.
    """
    table = np.arange(0x110000, dtype=np.uint32)
    table[0xFF01:0xFF5F] -= 0xFEE0
    table[:0x21] = table[0x7F:0xA1] = 0x2423
    table[[0x1680, *range(0x2000, 0x2010), *range(0x2028, 0x2030), 0x202F, 0x205F, 0x3000, 0xFEFF]] = 0x2423
    lower = {**{c: c + 32 for c in range(0x41, 0x5B)}, **{c: c + 32 for c in range(0xFF21, 0xFF3B)}}
    for upper in lower:
        table[upper] = (upper - 0xFEE0 if upper > 0xFF00 else upper) + 32
    table[0x30:0x3A] = table[0xFF10:0xFF1A] = 0x30
    table[0x0A] = 0x23CE
    return table


_TABLE = _character_table()


def prepare(texts: Sequence[str | None], windows: Windows, segmenter: str = "") -> list[str]:
    """One line a text, each character a word of its own: what the model is trained on and asked about.

    Only `windows` (characters of head, middle and tail) of a text are looked at; null counts as empty, a lone surrogate
    as U+FFFD. The line holds no line feed and no NUL, whatever the text holds. With a segmenter ("jieba") the same
    characters stand in words instead.
    """
    spaced = _characters(texts, windows)
    if not segmenter:
        return spaced
    cut = _segmenter(segmenter)
    return ["".join(f"{word} " for word in cut(line[0::2])) for line in spaced]


@functools.lru_cache(maxsize=1)
def _segmenter(name: str) -> Callable[[str], list[str]]:
    """A function from a text to its words; ImportError names the package where it is not installed."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)  # it tells of its dictionary on standard error
    jieba.initialize()
    # Without its hidden Markov model: words that are not in the dictionary stay characters, at three times the speed.
    return functools.partial(jieba.lcut, HMM=False)


def _characters(texts: Sequence[str | None], windows: Windows) -> list[str]:
    cut = ["\n…\n".join((t or "")[c] for c in windows.slices(len(t or ""))) for t in texts]
    lengths = np.fromiter(map(len, cut), np.int64, len(cut))
    points = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), np.uint32)
    spaced = np.full(2 * len(points), 0x20, np.uint32)
    spaced[0::2] = _TABLE[points]
    line = spaced.tobytes().decode("utf-32-le", "replace")
    ends = np.cumsum(2 * lengths)
    return [line[end - 2 * length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


class FastText:
    """A fastText model behind the classifier interface. Each document is scored on its own: scores are exactly
    independent of the documents around it, and the same in any process."""

    def __init__(self, card: Card) -> None:
        import fasttext

        path = next((card.folder / n for n in ("model.ftz", "model.bin") if n in card.fields["files"]), None)
        if path is None:
            raise UsageError(f"{card.folder}: card.json names no model.ftz; a fasttext artifact needs one")
        if card.segmenter:
            _segmenter(card.segmenter)  # said now, not in the middle of a run, where it is not installed
        self.card = card
        self._model: Any = fasttext.FastText._FastText(model_path=str(path))
        self._columns = {f"__label__{label}": i for i, label in enumerate(card.labels)}
        if set(self._model.get_labels()) != set(self._columns):
            raise UsageError(
                f"{card.folder}: the model's labels {sorted(self._model.get_labels())} are not those of its card"
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
        """Nothing waits here: one batch at a time."""
        return 1

    def logits(self, texts: Sequence[str | None]) -> npt.NDArray[np.float64]:
        """Logarithms of the model's uncalibrated probabilities, float64[texts, labels]."""
        lines = prepare(texts, self.card.windows, self.card.segmenter)
        out = np.full((len(lines), len(self._columns)), _LEAST)
        names, probabilities = self._model.f.multilinePredict(
            [line + "\n" for line in lines], len(self._columns), -1.0, "strict"
        )
        for row, (values, row_names) in enumerate(zip(probabilities, names, strict=True)):
            for value, name in zip(values, row_names, strict=True):
                out[row, self._columns[name]] = value
        logits: npt.NDArray[np.float64] = np.log(np.clip(out, _LEAST, None))
        return logits

    def predict(self, texts: Texts) -> Scores:
        """Calibrated scores, float32[documents, labels]."""
        parts = [scores_of(self.logits(chunk), self.card) for chunk in chunks(texts)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)), np.float32)

    def decide(self, texts: Texts) -> Decisions:
        """Scores, all decided by "fasttext"."""
        scores = self.predict(texts)
        return Decisions(scores, ["fasttext"] * len(scores))


def as_strings(texts: Sequence[str]) -> pa.StringArray:
    """Python strings as the Arrow array that classifiers take."""
    return pa.array(texts, pa.string())
