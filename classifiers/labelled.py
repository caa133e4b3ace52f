"""Labelled documents of any label set, in groups that a split never parts.

A file is Parquet or JSON lines (also .gz or .zst) with `text` and `label`, and optionally `id`, `url`, `host`, `source`
and `group`; what `mdfs review export` writes is one. Documents hang together, and form one group, where they have one
`group`, one host, the same text, or passages in common; a group stands on one side of every split.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from mdfs.classifiers.datasets import Doc

from mdfs.classify.artifact import sha256_of
from mdfs.errors import UsageError

FIELDS = ("text", "label", "id", "url", "host", "source", "group")

SHINGLE, SAMPLE, SHARED, READ = 20, 8, 3, 20_000
"""Characters of a shingle (a run of so many that two Chinese texts share is a quotation, not a turn of phrase); one
shingle in `SAMPLE` is kept, by hash; texts that share `SHARED` of those hang together; characters read of a text."""

_NOT_WORD = re.compile(r"\W+")
_PRIME, _MIX = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Labelled:
    """Documents as read: `skipped` counts rows by why they are none, `files` says what was read, by name and digest."""

    docs: list[Doc] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    files: list[dict[str, Any]] = field(default_factory=list)


def rows(path: Path, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet or JSON-lines file, those of `fields` that it has; memory is bounded by a batch.

    Raises:
        UsageError: the file cannot be read, or a line is no JSON object.
    """
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as parquet:
                have = [name for name in fields if name in parquet.schema_arrow.names]
                for batch in parquet.iter_batches(2048, columns=have):
                    yield from batch.to_pylist()
            return
        with pa.input_stream(str(path), compression="detect") as stream, io.BufferedReader(stream, 1 << 20) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _object(path, number, line)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give Parquet or JSON lines") from None


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{path}:{number}: no JSON ({error}); give one object a line") from None
    if not isinstance(row, dict):
        raise UsageError(f"{path}:{number}: a {type(row).__name__} and no object; give one object a line")
    return row


def read(paths: Iterable[Path], labels: Sequence[str] = ()) -> Labelled:
    """Read labelled files and put their documents into groups.

    With `labels`, rows with others are skipped; rows without a label always are. Raises UsageError where a file has no
    text or nothing is left.
    """
    found, keys = Labelled(), list[list[str]]()
    for path in paths:
        before, number = len(found.docs), 0
        for number, row in enumerate(rows(path, FIELDS), 1):
            text, label = row.get("text"), row.get("label")
            if not isinstance(text, str):
                raise UsageError(f"{path}: row {number} has no text; every row needs `text` and `label`")
            if label is None or label == "" or (labels and str(label) not in labels):
                found.skipped["no label" if label in (None, "") else f"label {label}"] += 1
                continue
            name = str(row.get("id") or f"{path.stem}#{number}")
            found.docs.append(Doc(name, text, str(label), str(row.get("source") or path.stem), ""))
            keys.append(_keys(row))
        about = {"name": path.name, "sha256": sha256_of(path), "rows": number, "used": len(found.docs) - before}
        found.files.append(about)
    if not found.docs:
        raise UsageError(f"{', '.join(map(str, paths))}: no labelled document; rows need `text` and `label`")
    found.docs = grouped(found.docs, keys)
    return found


def _keys(row: dict[str, Any]) -> list[str]:
    """Names that documents of one group share."""
    host = row.get("host") or _host(row.get("url"))
    return [f"{kind}:{name}" for kind, name in (("group", row.get("group")), ("host", host)) if name]


def _host(url: Any) -> str:
    try:
        return urlsplit(url if isinstance(url, str) else "").hostname or ""
    except ValueError:  # a stranger's address: `http://[`
        return ""


def shingles(text: str) -> npt.NDArray[np.uint64]:
    """The hashes of a sample of the runs of `SHINGLE` word characters of a text, uint64, each once."""
    bare = _NOT_WORD.sub("", text[:READ])
    codes = np.frombuffer(bare.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(codes) < SHINGLE:
        return np.zeros(0, np.uint64)
    hashed = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
    for place in range(SHINGLE):
        hashed = hashed * _PRIME + codes[place : place + len(hashed)]
    hashed = (hashed ^ (hashed >> np.uint64(29))) * _MIX
    return np.unique(hashed[hashed >> np.uint64(61) == 0])


def grouped(docs: Sequence[Doc], keys: Sequence[Sequence[str]]) -> list[Doc]:
    """The documents with `group` set: the least id of those that hang together by a key, the text or passages."""
    parent = list(range(len(docs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(a: int, b: int) -> None:
        low, high = sorted((root(a), root(b)))
        parent[high] = low

    first: dict[str, int] = {}
    seen: dict[int, int] = {}
    for i, (doc, own) in enumerate(zip(docs, keys, strict=True)):
        bare = _NOT_WORD.sub("", doc.text)
        for key in (*own, f"text:{hashlib.sha256(bare.encode('utf-8', 'replace')).hexdigest()}"):
            join(i, first.setdefault(key, i))
        mine, shared = shingles(doc.text).tolist(), defaultdict[int, int](int)
        for h in mine:
            shared[seen.setdefault(h, i)] += 1
        for other, count in shared.items():
            if other != i and count >= min(SHARED, len(mine)):
                join(i, other)
    return [replace(doc, group=docs[root(i)].id) for i, doc in enumerate(docs)]


def split(docs: Sequence[Doc], shares: Sequence[float], seed: int) -> list[list[Doc]]:
    """Parts of the documents by groups: one for each share, then the rest.

    A group's place is the hash of the seed and its name, so that it keeps its side when documents are added. Where a
    part would lack a label, it takes a group of it from the part that has most.

    Raises:
        UsageError: a label has too few groups to be in every part.
    """
    groups: dict[str, list[Doc]] = {}
    for doc in docs:
        groups.setdefault(doc.group, []).append(doc)
    place = {name: _unit(f"{seed}|{name}") for name in groups}
    bounds = np.cumsum(shares)
    side = {name: int(np.searchsorted(bounds, at, side="right")) for name, at in place.items()}
    parts = [part for part, share in enumerate(shares) if share] + [len(shares)]
    for label in sorted({doc.label for doc in docs}):
        holders = [name for name in groups if any(doc.label == label for doc in groups[name])]
        for part in parts:
            mine = Counter(side[name] for name in holders)
            if mine[part]:
                continue
            giver = max(mine, key=lambda of: (mine[of], of))
            if mine[giver] < 2:
                raise UsageError(
                    f"label {label!r} has {len(holders)} groups (documents of one host or with one text are one), "
                    f"too few for {len(parts)} parts; add documents from other hosts or leave the label out"
                )
            moved = min((name for name in holders if side[name] == giver), key=lambda name: (place[name], name))
            side[moved] = part
    return [[doc for doc in docs if side[doc.group] == part] for part in range(len(shares) + 1)]


def _unit(name: str) -> float:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big") / 2**64


def describe(docs: Sequence[Doc]) -> dict[str, Any]:
    """What a card says of documents: counts by label, source and group, and a digest over what they say."""
    digest = hashlib.sha256()
    for line in sorted(f"{d.label}\t{hashlib.sha256(d.text.encode('utf-8', 'replace')).hexdigest()}\n" for d in docs):
        digest.update(line.encode("utf-8", "replace"))
    largest = Counter(doc.group for doc in docs).most_common(1)
    return {
        "docs": len(docs),
        "by_label": dict(sorted(Counter(doc.label for doc in docs).items())),
        "by_source": dict(sorted(Counter(doc.source for doc in docs).items())),
        "groups": len({doc.group for doc in docs}),
        "largest_group": largest[0][1] if largest else 0,
        "sha256": digest.hexdigest(),
    }
