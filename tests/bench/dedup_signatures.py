"""MinHash signatures on one core: ours beside datasketch's and rensa's, over the same texts in the same run.

Usage: python tests/bench/dedup_signatures.py [TEXTS.jsonl ...]; made texts where none are given. rensa is measured
where it is installed. Each figure is the best of three, in MB of UTF-8 text a second.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import pyarrow as pa  # noqa: E402
from datasketch import MinHash  # noqa: E402

from mdfs.dedup.minhash import signatures  # noqa: E402

NGRAM, NUM_PERM, SEED = 5, 128, 1
#: Texts given to the slower ones.
FEW = 200


def texts(paths: list[str]) -> list[str]:
    """The `text` of each line of JSONL files, or 2,000 made texts of 300 to 3,000 characters."""
    if paths:
        return [json.loads(line)["text"] for path in paths for line in Path(path).read_text("utf-8").splitlines()]
    rng = random.Random(1)
    han = [chr(code) for code in range(0x4E00, 0x4E00 + 3_000)]
    return ["".join(rng.choices(han, k=rng.randrange(300, 3_000))) for _ in range(2_000)]


def speed(function: Callable[[list[str]], object], docs: list[str]) -> float:
    """MB of text a second."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        function(docs)
        best = min(best, time.perf_counter() - start)
    return sum(len(doc.encode()) for doc in docs) / 1e6 / best


def ours(docs: list[str]) -> None:
    """One call over an Arrow column."""
    signatures(pa.array(docs), ngram=NGRAM, num_perm=NUM_PERM, seed=SEED)


def datasketch(docs: list[str]) -> None:
    """Character n-grams in one batch a text, with its default hash."""
    for doc in docs:
        MinHash(num_perm=NUM_PERM, seed=SEED).update_batch([g.encode() for g in grams(doc)])


def rensa(docs: list[str]) -> None:
    """Character n-grams as strings, digests taken."""
    from rensa import RMinHash

    for doc in docs:
        sketch = RMinHash(num_perm=NUM_PERM, seed=SEED)
        sketch.update(grams(doc))
        sketch.digest()


def grams(text: str) -> list[str]:
    """Character n-grams."""
    return [text[i : i + NGRAM] for i in range(len(text) - NGRAM + 1)]


def main() -> None:
    """Print the speeds and ratios as JSON."""
    docs = texts(sys.argv[1:])
    ours(docs[:2])
    figures = {"mdfs": speed(ours, docs), "datasketch": speed(datasketch, docs[:FEW])}
    if importlib.util.find_spec("rensa"):
        figures["rensa"] = speed(rensa, docs[:FEW])
    ratios = {f"x_{name}": round(figures["mdfs"] / mb_s, 1) for name, mb_s in figures.items() if name != "mdfs"}
    print(json.dumps({name: round(mb_s, 2) for name, mb_s in figures.items()} | ratios))


if __name__ == "__main__":
    main()
