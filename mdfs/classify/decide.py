"""Decisions on scores: labels that stay, least probabilities, a Pareto draw, and the best share of a source.

Each is off unless the recipe says so, each gives a reason of its own, and a document goes for any of them. All are
functions of a document's id and stored scores, and `top_share` also of the histogram of all scores of its source, so
they do not depend on the engine, on the number of workers or on the order of anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mdfs.errors import UsageError
from mdfs.options import Classify
from mdfs.schema import SCORES
from mdfs.storage import glob_match

#: Labels of the `scores` struct, in its order.
LABELS = tuple(field.name for field in SCORES.type)

PARETO, TOP_SHARE = "pareto", "top_share"
"""Drop reasons of the draw and of the share."""

_HALF = int(np.float32(0.5).view(np.uint32))
_LEAST = int(np.float32(2.0**-24).view(np.uint32))  # float32 knows nothing between 1 and 1 - 2^-24
_SHIFT = 15
_SIDE = (_HALF - _LEAST) >> _SHIFT

BINS = 2 * (_SIDE + 1)
"""Bins of a histogram of scores: 256 for each halving of the score, or of its distance to 1, down to 2^-24. Classifiers
crowd their scores at both ends, where equal widths would put half a corpus into one bin."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one source's best share: documents of bins above `bin` stay, of those in it the share `inside`."""

    bin: int
    inside: float

    def plain(self) -> list[float]:
        """Plain data for a unit, from which `Bar(*…)` is made again."""
        return [self.bin, self.inside]


def check(options: Classify, where: str) -> None:
    """Refuse labels that are none and numbers that mean nothing; UsageError names the key after `where`."""
    labels = [("keep", name) for name in options.keep] + [("min_score", name) for name in options.min_score]
    for key, name in [*labels, ("rank_by", options.rank_by)]:
        if name not in LABELS:
            raise UsageError(f"{where}: classify.{key}: no label is called {name!r}; they are {', '.join(LABELS)}")
    if options.pareto_alpha < 0:
        raise UsageError(f"{where}: classify.pareto_alpha must not be negative; GPT-3 has 9, the Pile 3, 0 is off")
    for source, share in options.top_share.items():
        if not 0 < share <= 1:
            raise UsageError(f"{where}: classify.top_share.{source} must lie between 0 and 1, not {share}")


def drop_reasons(
    scores: npt.NDArray[np.float32],
    doc_ids: Sequence[str],
    options: Classify,
    sources: Sequence[str] = (),
    bars: Mapping[str, Bar] | None = None,
) -> list[list[str]]:
    """Why each document goes; empty where it stays.

    `scores` are float32[documents, 3] in the order of `LABELS`; `sources` (one a document) and `bars` are needed where
    the recipe keeps the best share of sources.
    """
    reasons: list[list[str]] = [[] for _ in doc_ids]
    best = scores.argmax(axis=1)
    _add(reasons, ~np.isin(best, [LABELS.index(name) for name in options.keep]), [f"label.{n}" for n in LABELS], best)
    for name, least in sorted(options.min_score.items()):
        _add(reasons, scores[:, LABELS.index(name)] < np.float32(least), [f"score.{name}.min"])
    rank = scores[:, LABELS.index(options.rank_by)]
    if options.pareto_alpha:
        _add(reasons, ~pareto_keeps(rank, doc_ids, options.pareto_alpha), [PARETO])
    if bars:
        _add(reasons, ~share_keeps(rank, doc_ids, sources, bars), [TOP_SHARE])
    return reasons


def _add(
    reasons: list[list[str]],
    goes: npt.NDArray[np.bool_],
    names: Sequence[str],
    which: npt.NDArray[np.intp] | None = None,
) -> None:
    for row in np.flatnonzero(goes).tolist():
        reasons[row].append(names[0 if which is None else int(which[row])])


def draws(doc_ids: Iterable[str], salt: str) -> npt.NDArray[np.float64]:
    """A number in (0, 1] for each document, float64[documents]: the leading 53 bits of BLAKE2b over salt and id."""
    hashed = (hashlib.blake2b(f"{salt}|{name}".encode(), digest_size=8).digest() for name in doc_ids)
    return np.array([((int.from_bytes(h, "big") >> 11) + 1) / 2**53 for h in hashed], np.float64)


def pareto_keeps(rank: npt.NDArray[np.float32], doc_ids: Iterable[str], alpha: float) -> npt.NDArray[np.bool_]:
    """Whether a Pareto number exceeds 1 - score: nearly all good documents stay, and a few of the others.

    GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix A) keeps a page where `np.random.pareto(9) > 1 - score`; the
    Pile and Megatron-Turing NLG have 3. numpy's pareto(a) is X = u^(-1/a) - 1 of a uniform u, and here u comes from the
    document's id, so a page is kept in every run or in none. A page of score 0 stays with probability 2^-alpha.
    """
    pareto = draws(doc_ids, PARETO) ** (-1 / alpha) - 1
    return pareto > 1 - rank.astype(np.float64)


def bins(rank: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The bin of each score, int64, 0 to `BINS` - 1, not falling as scores rise. From the bits of the number alone, so
    that every machine gives the same."""
    score = np.clip(rank.astype(np.float32), np.float32(0), np.float32(1))
    upper = score >= np.float32(0.5)
    near = np.where(upper, np.float32(1) - score, score)  # exact: Sterbenz
    place = (np.maximum(near.view(np.uint32).astype(np.int64), _LEAST) - _LEAST) >> _SHIFT
    return np.where(upper, BINS - 1 - place, place)


def bar_of(histogram: npt.NDArray[np.int64], share: float) -> Bar:
    """The bar over which `share` of the documents of a histogram, int64[BINS], lie: exact but for the draw of single
    documents within the one bin that the bar runs through."""
    wanted = share * int(histogram.sum())
    from_top = np.cumsum(histogram[::-1])
    place = int(np.searchsorted(from_top, wanted, side="left"))
    place = min(place, BINS - 1)
    inside = int(histogram[::-1][place])
    above = int(from_top[place]) - inside
    return Bar(BINS - 1 - place, min(1.0, (wanted - above) / inside) if inside else 1.0)


def share_of(source: str, options: Classify) -> float | None:
    """The share that a source keeps, by the first glob of `top_share` that fits its name; None where none does."""
    return next((share for glob, share in options.top_share.items() if glob_match(source, glob)), None)


def share_keeps(
    rank: npt.NDArray[np.float32], doc_ids: Sequence[str], sources: Sequence[str], bars: Mapping[str, Bar]
) -> npt.NDArray[np.bool_]:
    """Whether each document lies over the bar of its source; documents of sources without one do."""
    place, drawn = bins(rank), draws(doc_ids, TOP_SHARE)
    free = Bar(-1, 1.0)
    said = [bars.get(source, free) for source in sources]
    bar, inside = np.array([b.bin for b in said], np.int64), np.array([b.inside for b in said], np.float64)
    out: npt.NDArray[np.bool_] = (place > bar) | ((place == bar) & (drawn <= inside))
    return out
