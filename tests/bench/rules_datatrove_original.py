"""datatrove's side of `rules_datatrove.py`; runs in an environment of its own, without mdfs.

Reads one text a line as JSON, writes one object a line: its measurements, taken by its own functions and regardless of
which filter would stop first, and the decisions of its filters as they are.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters import gopher_repetition_filter as repetition
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.utils.text import PUNCTUATION_SET, split_into_sentences, split_into_words

GOPHER = (GopherRepetitionFilter(), GopherQualityFilter())
C4_CODE = C4QualityFilter()
C4_PAPER = C4QualityFilter(min_words_per_line=5, min_num_sentences=3)
FINEWEB = (*GOPHER, C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter())


def shares(text: str, words: list[str]) -> dict[str, float]:
    """Gopher's repetition, and FineWeb's three."""
    filter_ = GOPHER[0]
    found: dict[str, float] = {}
    paragraphs, lines = filter_.paragraph_exp.split(text.strip()), filter_._line_splitter.split(text)
    for name, parts in (("paragraph", paragraphs), ("line", lines)):
        elements, chars = repetition.find_duplicates(parts)
        found |= {f"duplicate_{name}_ratio": elements / len(parts), f"duplicate_{name}_char_ratio": chars / len(text)}
    for n in (2, 3, 4):
        grams = repetition.get_n_grams(words, n)
        found[f"top_{n}gram_ratio"] = repetition.find_top_duplicate(grams) / len(text) if grams else 0.0
    for n in range(5, 11):
        found[f"duplicate_{n}gram_ratio"] = repetition.find_all_duplicate(words, n) / len(text)
    full = [line for line in text.split("\n") if line.strip()]
    stops = FINEWEB[-1].stop_chars
    return found | {
        "end_mark_line_ratio": sum(line.endswith(stops) for line in full) / len(full),
        "line_under_30_ratio": sum(len(line) <= 30 for line in full) / len(full),
        "line_ends_per_word": text.count("\n") / len(words),
    }


def counts(text: str, words: list[str]) -> dict[str, float]:
    """Gopher's quality, and C4's sentences and brackets."""
    real = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
    lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    return {
        "units": len(real),
        "mean_word_chars": sum(map(len, real)) / len(real),
        "hash_ratio": text.count("#") / len(words),
        "ellipsis_ratio": (text.count("...") + text.count("…")) / len(words),
        "bullet_line_ratio": bullets / len(lines),
        "ellipsis_line_ratio": sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines),
        "number_ratio": 1 - sum(any(char.isalpha() for char in word) for word in words) / len(words),
        "stop_word_kinds": len(set(STOP_WORDS) & set(words)),
        "sentences": sum(len(split_into_sentences(line)) for line in lines if line.strip()),
        "curly_brackets": text.count("{") + text.count("}"),
    }


def decision(filters: tuple[Any, ...], text: str) -> str:
    """The first filter's reason, or nothing where all keep it."""
    document = Document(text=text, id="")
    for filter_ in filters:
        kept = filter_.filter(document)
        if kept is not True:
            return str(kept[1])
    return ""


def told(text: str) -> dict[str, Any]:
    """All about one text."""
    words = split_into_words(text)
    lines = Document(text=text, id="")
    kept = C4_PAPER.filter(lines) is True
    return {
        "measured": shares(text, words) | counts(text, words),
        "decided": {"gopher": decision(GOPHER, text), "c4": decision((C4_PAPER,), text),
                    "c4 (code)": decision((C4_CODE,), text), "fineweb": decision(FINEWEB, text)},
        "c4_text": lines.text if kept else None,
    }  # fmt: skip


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(told(json.loads(line))))
