"""Two texts side by side, with what they share marked: the stretches whose shingles both have.

Texts are strangers': so many characters of each are compared, so many pieces are shown, long ones with their middle
left out, and nothing in them is obeyed by a terminal.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mdfs.dedup.minhash import shingle_hashes
from mdfs.dedup.words import WORD
from mdfs.funnel import width
from mdfs.report.terminal import fold, line

#: Characters of either text that are compared.
COMPARED = 20_000
#: Characters shown at both ends of a stretch: of one that both have, and of one that is a text's own.
SHARED_ENDS, OWN_ENDS = 30, 100
#: Stretches of either text that are shown.
PIECES = 40
#: Columns of either side on a terminal.
COLUMNS = 56

Spans = list[tuple[int, int]]


def shared(left: str, right: str, ngram: int) -> tuple[Spans, Spans]:
    """The stretches (start, end) of either text, in characters, in which every shingle is one of the other's too."""
    hashes = [shingle_hashes(text, ngram=ngram) for text in (left, right)]
    return _spans(left, np.isin(hashes[0], hashes[1]), ngram), _spans(right, np.isin(hashes[1], hashes[0]), ngram)


def _spans(text: str, common: np.ndarray, ngram: int) -> Spans:
    """From which shingles are common to stretches of the text."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    places = np.flatnonzero(WORD[codes])
    spans: Spans = []
    for shingle in np.flatnonzero(common).tolist():
        start, end = int(places[shingle]), int(places[min(shingle + ngram, len(places)) - 1]) + 1
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], end
        else:
            spans.append((start, end))
    return spans


def compare(left: str, right: str, ngram: int) -> dict[str, Any]:
    """The pair as plain data: `left` and `right`, each with its `chars`, how many of them are `compared` and `shared`,
    and `pieces`, pairs of "shared" or "own" and the text; `more` counts stretches that are not shown.
    """
    texts = left[:COMPARED], right[:COMPARED]
    spans = shared(*texts, ngram)
    sides = (_side(*args) for args in zip((left, right), texts, spans, strict=True))
    return dict(zip(("left", "right"), sides, strict=True))


def _side(whole: str, text: str, spans: Spans) -> dict[str, Any]:
    pieces = list(_pieces(text, spans))
    return {
        "chars": len(whole),
        "compared": len(text),
        "shared": sum(end - start for start, end in spans),
        "pieces": [[kind, _elided(piece, kind)] for kind, piece in pieces[:PIECES]],
        "more": max(0, len(pieces) - PIECES),
    }


def _pieces(text: str, spans: Spans) -> Iterator[tuple[str, str]]:
    at = 0
    for start, end in [*spans, (len(text), len(text))]:
        if start > at:
            yield "own", text[at:start]
        if end > start:
            yield "shared", text[start:end]
        at = end


def _elided(piece: str, kind: str) -> str:
    ends = SHARED_ENDS if kind == "shared" else OWN_ENDS
    left_out = len(piece) - 2 * ends
    return piece if left_out < ends else f"{piece[:ends]} …{left_out:,}… {piece[-ends:]}"


def render(pair: dict[str, Any], heads: Sequence[str]) -> Iterator[str]:
    """Two columns under their heads; what both texts have stands in [= =]."""
    columns = [[heads[i], _counted(pair[side]), "", *_folded(pair[side])] for i, side in enumerate(("left", "right"))]
    for left, right in itertools.zip_longest(*columns, fillvalue=""):
        yield f"{left}{' ' * (COLUMNS - width(left))} | {right}".rstrip()


def _counted(side: dict[str, Any]) -> str:
    part = "" if side["compared"] == side["chars"] else f" of the first {side['compared']:,}"
    return f"{side['chars']:,} characters, {side['shared']:,}{part} shared"


def _folded(side: dict[str, Any]) -> Iterator[str]:
    shown = (line(text) for _, text in side["pieces"])
    marked = (
        f"[={text}=]" if kind == "shared" else text for (kind, _), text in zip(side["pieces"], shown, strict=True)
    )
    more = f" … and {side['more']:,} more stretches" if side["more"] else ""
    yield from fold(" ".join(part for part in marked if part) + more, COLUMNS)
