"""The language of a document: scripts first, a fastText model where they do not tell and the recipe names one.

Scripts decide for Chinese, Japanese and Korean: identification models take classical sentences and short
advertisements for other languages, while their characters leave no doubt. Between languages in Latin letters the
eight commonest words of English tell English, and a model the others.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mdfs.errors import UsageError

#: What scripts tell: languages, `und-Latn` for another one in Latin letters, `und` for other scripts and mixtures.
TOLD = ("zh", "ja", "ko", "en", "und-Latn", "und")
ZH, JA, KO, EN, LATIN, UNKNOWN = range(6)
#: Kana among Han and kana from which a text is Japanese: its prose has about one half, Chinese that quotes it little.
KANA = 0.1
#: Share of Gopher's eight stop words among words in Latin letters from which a text is English: its prose has 0.15.
ENGLISH = 0.07
#: Characters of a text that a model is shown.
SHOWN = 2000

_Counts = dict[str, npt.NDArray[np.int64]]


def told(counts: _Counts) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """What scripts tell, as places in `TOLD`, and where there are no letters and so nothing to tell."""
    letters = counts["units"] - counts["digit_words"]
    han, kana, latin = counts["han"], counts["kana"], counts["latin_words"]
    english = counts["stop_words"] >= ENGLISH * np.maximum(latin, 1)
    code = np.select(
        [
            (kana > 0) & (kana >= KANA * (han + kana)) & (2 * (han + kana) >= letters),
            2 * counts["hangul"] >= letters,
            2 * han >= letters,
            2 * latin >= letters,
        ],
        [JA, KO, ZH, np.where(english, EN, LATIN)],
        UNKNOWN,
    )
    return code.astype(np.int8), letters == 0


def identified(texts: pa.StringArray, path: str) -> tuple[list[str], npt.NDArray[np.float64]]:
    """The model's label for each text, without `__label__`, and its probability, rounded to 4 decimals."""
    shown = pc.replace_substring_regex(pc.utf8_slice_codeunits(texts, 0, SHOWN), r"\s+", " ").to_pylist()
    if not shown:
        return [], np.zeros(0)
    labels, scores = _model(path).predict(shown)
    names = [str(label[0]).removeprefix("__label__") if len(label) else "" for label in labels]
    return names, np.array([round(float(min(score[0], 1.0)), 4) if len(score) else 0.0 for score in scores])


def digest(path: str) -> str:
    """64 hex digits over the model's file.

    Raises:
        UsageError: there is none.
    """
    if not Path(path).is_file():
        raise UsageError(
            f"[language] model: {path!r} is no file; give the path of lid.176.ftz or another fastText model"
        )
    return _sha256(path, Path(path).stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _sha256(path: str, changed: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@functools.lru_cache(maxsize=2)
def _model(path: str) -> Any:
    import fasttext

    digest(path)
    return fasttext.load_model(path)


def sureness(
    counts: _Counts, guesses: tuple[list[str], npt.NDArray[np.float64]] | None, language: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """How surely texts are in a language, 0 to 1, and where there are no letters and so nothing to tell."""
    code, null = told(counts)
    by_script = (code == TOLD.index(language)).astype(np.float64)
    if guesses is None:
        return by_script, null
    by_model = np.where(np.array(guesses[0], object) == language, guesses[1], 0.0)
    return np.where(code < EN, by_script, by_model), null


def named(
    counts: _Counts, guesses: tuple[list[str], npt.NDArray[np.float64]] | None
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
    """The language of each text as a code (str), and where there are no letters and so nothing to tell.

    A model's guess counts where scripts do not tell Chinese, Japanese or Korean, and where it has one.
    """
    code, null = told(counts)
    by_script = np.array(TOLD, object)[code]
    if guesses is None:
        return by_script, null
    by_model = np.array(guesses[0], object)
    return np.where((code < EN) | (by_model == ""), by_script, by_model), null
