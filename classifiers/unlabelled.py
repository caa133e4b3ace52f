"""Texts without labels: from run folders, Parquet and JSON lines; a sample that is the same in whatever order."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
from mdfs.classifiers.labelled import rows

from mdfs.errors import UsageError

STAGES = ("rules/kept", "collect")
"""Folders of a run whose texts are taken, the first that is there: what the fine filter is asked about."""


def files(path: Path) -> list[Path]:
    """The files that a path means: itself, the part files of a run's folder, or all Parquet and JSON lines in another.

    Raises:
        UsageError: there is none.
    """
    if path.is_file():
        return [path]
    for stage in STAGES:
        found = sorted((path / stage).glob("*.parquet"))
        if found:
            return found
    found = sorted(p for p in path.rglob("*") if ".jsonl" in p.suffixes or p.suffix == ".parquet")
    if not found:
        raise UsageError(f"{path}: no texts here; give a run's folder, Parquet or JSON lines with `text`")
    return found


def texts(paths: Iterable[Path]) -> Iterator[str]:
    """All texts, a batch at a time in memory; rows without one are left out."""
    for path in (file for given in paths for file in files(given)):
        if path.suffix == ".parquet" and "text" not in pq.read_schema(path).names:
            raise UsageError(f"{path}: has no column `text`")
        for row in rows(path, ("text",)):
            if isinstance(row.get("text"), str) and row["text"]:
                yield row["text"]


def sample(paths: Iterable[Path], count: int, seed: int) -> list[str]:
    """`count` different texts, those whose hashes with the seed are least: the same whatever the order of files.

    Memory holds the sample alone. Raises UsageError where there is no text.
    """
    heap: list[tuple[int, str]] = []
    inside: set[int] = set()
    for text in texts(paths):
        key = int.from_bytes(
            hashlib.blake2b(f"{seed}|".encode() + text.encode("utf-8", "replace"), digest_size=8).digest(), "big"
        )
        if key in inside or (len(heap) == count and -key <= heap[0][0]):
            continue
        inside.add(key)
        if len(heap) == count:
            inside.discard(-heapq.heapreplace(heap, (-key, text))[0])
        else:
            heapq.heappush(heap, (-key, text))
    if not heap:
        raise UsageError("no text in what was given; rows need `text`")
    return [text for _, text in sorted(heap, reverse=True)]
