"""`mdfs dedup explain`: the cluster of copies that a document is in, who stays and by what, and the texts side by side.

Read are the ids of the removed documents, a row group at a time, and the rows of the members that are shown, so that a
cluster of a million copies takes no more memory than one of ten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mdfs.dedup import keys, sidebyside
from mdfs.dedup.index_join import RECORD
from mdfs.errors import UsageError
from mdfs.ledger import File
from mdfs.parts import read_part
from mdfs.recipe import MinHash
from mdfs.report import look
from mdfs.report.facts import Facts, gather
from mdfs.report.markup import visible
from mdfs.report.terminal import line
from mdfs.storage import Store

#: Copies shown side by side with a document that stays.
PAIRS = 3
#: Documents of one name that are told apart.
NAMED = 20

_ID = re.compile(r"[0-9a-f]{8,32}")


def explain(store: Store, doc_or_url: str, *, members: int = 10) -> dict[str, Any]:
    """The cluster of the document that a doc_id, 8 or more of its first digits, or a URL names.

    Args:
        store: a run's folder in which dedup is done.
        members: copies listed at most, those with the smallest doc_id (which is a hash); the named one always.

    Returns:
        Plain data: `asked`, `doc_id`, `order` (by what the best copy is chosen), `threshold` (None without MinHash),
        `keeper` and `members` (doc_id, source, url, title, `values` by which it is ordered; of members also `kind`,
        `similarity` and `decided_by`, the first value in which the keeper is better), `copies` (how many there are in
        all), `kinds` and `pairs` (see `sidebyside.compare`; `documents` names the two).

    Raises:
        UsageError: the folder is no run's folder, dedup is not done, or no document is called so.
    """
    facts, asked = gather(store), doc_or_url.strip()
    if "dedup" not in facts.totals:
        raise UsageError(f"{store.uri}: dedup has not been done; run `mdfs dedup` first")
    named = _named(facts, asked)
    doc_id, keeper = _one(facts, asked, named)
    copies, kinds = _cluster(facts, keeper, doc_id, members)
    said = facts.recipe.dedup
    found: dict[str, Any] = {
        "asked": asked, "doc_id": doc_id, "order": ["priority", *said.prefer, "length", "doc_id"],
        "threshold": said.minhash.threshold if said.minhash else None,
        "copies": sum(kinds.values()), "kinds": dict(sorted(kinds.items())),
    }  # fmt: skip
    best = _document(facts, keeper, facts.files("rules", "kept"))
    others = [_document(facts, row["doc_id"], row.pop("files")) | row for row in copies]
    for other in others:
        other["decided_by"] = _decided_by(best["values"], other["values"])
    found |= {"keeper": best, "members": others, "pairs": list(_pairs(facts, doc_id, best, others))}
    for document in (best, *others):
        document.pop("text")
    return found


def _named(facts: Facts, asked: str) -> list[str]:
    """Ids of the documents that dedup saw and that are called so."""

    def wanted(table: pa.Table) -> pa.ChunkedArray:
        mask = pc.equal(table.column("url"), asked)
        return pc.or_(mask, pc.starts_with(table.column("doc_id"), asked)) if _ID.fullmatch(asked) else mask

    found: list[str] = []
    for file in facts.files("rules", "kept"):
        places = look.rows(facts.store, file, ["doc_id", "url"], wanted)
        found += [place.read(facts.store, ["doc_id"])["doc_id"] for place in places[:NAMED]]
        if len(found) >= NAMED:
            break
    if not asked or not found:
        name = visible(asked[:200])
        raise UsageError(f"{facts.store.uri}: dedup saw no document {name!r}; `mdfs why` looks at the other stages too")
    return sorted(found)


def _one(facts: Facts, asked: str, named: list[str]) -> tuple[str, str]:
    """The first of the documents and the one that stays of its cluster; an error where they lie in several clusters."""
    keepers = {doc_id: doc_id for doc_id in named}
    for _, batch in _duplicates(facts, pa.array(named), "doc_id"):
        keepers |= dict(zip(*(batch.column(name).to_pylist() for name in ("doc_id", "duplicate_of")), strict=True))
    if len(set(keepers.values())) > 1:
        name, ids = visible(asked[:200]), ", ".join(named[:3])
        raise UsageError(f"{facts.store.uri}: {name!r} names documents of several clusters; give one doc_id: {ids} …")
    return named[0], keepers[named[0]]


def _duplicates(facts: Facts, ids: pa.Array, column: str) -> Iterator[tuple[File, pa.RecordBatch]]:
    """The rows of removed documents with one of some ids in a column."""
    for file in facts.files("dedup", "duplicates"):
        for batch in read_part(facts.store, file.path):
            found = batch.filter(pc.is_in(batch.column(column), ids))
            if found.num_rows:
                yield file, found


def _cluster(facts: Facts, keeper: str, doc_id: str, most: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The copies of a document with the smallest ids, and `doc_id` if it is one, each with the part files (`files`) to
    look for it in; and how many copies of each kind there are."""
    parts = {PurePosixPath(file.path).name: file for file in facts.files("rules", "kept")}
    chosen: list[dict[str, Any]] = []
    kinds: Counter[str] = Counter()
    for file, batch in _duplicates(facts, pa.array([keeper]), "duplicate_of"):
        kinds.update(batch.column("kind").to_pylist())
        part = parts.get(PurePosixPath(file.path).name)
        rows = batch.sort_by("doc_id")
        rows = pa.concat_batches(
            [rows.slice(0, most), rows.filter(pc.equal(rows.column("doc_id"), doc_id)).slice(0, 1)]
        )
        chosen += [row | {"files": [part] if part else []} for row in rows.to_pylist()]
        chosen = _smallest(chosen, doc_id, most)
    for row in chosen:
        del row["duplicate_of"]
    return chosen, kinds


def _smallest(rows: list[dict[str, Any]], doc_id: str, most: int) -> list[dict[str, Any]]:
    ordered = sorted({row["doc_id"]: row for row in rows}.values(), key=lambda row: row["doc_id"])
    return [row for place, row in enumerate(ordered) if place < most or row["doc_id"] == doc_id]


def _document(facts: Facts, doc_id: str, files: list[File]) -> dict[str, Any]:
    """What a document is called, the values that it is ordered by, and its text."""
    place = look.by_id(facts.store, files, doc_id)
    if place is None and facts.store.exists(RECORD):
        uri = facts.store.read_json(RECORD)["uri"]
        hint = f"`mdfs index show {uri} --doc {doc_id}` says where it lies, and `mdfs dedup explain` there shows it"
        raise UsageError(f"{facts.store.uri}: a copy of {doc_id}, a document of an earlier run; {hint}")
    if place is None:
        raise UsageError(f"{facts.store.uri}: {doc_id} is in no part that rules kept; `mdfs verify` says what is off")
    said = place.read(facts.store, ["doc_id", "source", "url", "title", "text", "signals"])
    signals = said.pop("signals") or {}
    preferred = {name: signals.get(name) for name in facts.recipe.dedup.prefer}
    values: dict[str, Any] = {"priority": keys.priority(facts.recipe, said["source"])}
    values |= {name: None if value is None else round(value, keys.DECIMALS) for name, value in preferred.items()}
    return said | {"values": values | {"length": len(said["text"])}}


def _decided_by(best: dict[str, Any], other: dict[str, Any]) -> str:
    """The first value in which two documents differ."""
    return next((name for name in best if best[name] != other[name]), "doc_id")


def _pairs(facts: Facts, doc_id: str, best: dict[str, Any], others: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The asked document beside the one that stays; or that one beside some of its copies."""
    ngram = (facts.recipe.dedup.minhash or MinHash()).ngram
    shown = [other for other in others if other["doc_id"] == doc_id] or others[:PAIRS]
    for other in shown:
        pair = {"documents": [best["doc_id"], other["doc_id"]], "ngram": ngram}
        yield pair | sidebyside.compare(best["text"], other["text"], ngram)


def render(found: dict[str, Any]) -> str:
    """The same for a terminal. What pages say is shown with control characters spelt out."""
    if not found["copies"]:
        return f"{found['doc_id']}\n  => stays; dedup found no copy of it"
    best = found["keeper"]
    kinds = ", ".join(f"{many:,} by {kind}" for kind, many in found["kinds"].items())
    stays = best["doc_id"] == found["doc_id"]
    fate = "stays" if stays else f"a copy of {best['doc_id']}, which stays"
    lines = [found["doc_id"], f"  => {fate}; {found['copies']:,} removed in its favour: {kinds}",
             f"  best by {', then '.join(found['order'])}", "", *_member_lines(best, "stays", found)]  # fmt: skip
    for other in found["members"]:
        lines += _member_lines(other, f"removed, {other['kind']}, similarity {other['similarity']:.3f}", found)
    if found["copies"] > len(found["members"]):
        lines += [
            "",
            f"  {found['copies'] - len(found['members']):,} more are not listed; listed are the smallest doc_ids",
        ]
    for pair in found["pairs"]:
        heads = [f"stays   {pair['documents'][0]}", f"removed {pair['documents'][1]}"]
        lines += ["", f"shared {pair['ngram']}-character shingles stand in [= =]", *sidebyside.render(pair, heads)]
    return "\n".join(lines)


def _member_lines(document: dict[str, Any], fate: str, found: dict[str, Any]) -> Iterator[str]:
    mark = "*" if document["doc_id"] == found["doc_id"] else " "
    values = ", ".join(f"{name} {'–' if value is None else value}" for name, value in document["values"].items())
    yield f"{mark} {document['doc_id']}  {fate}"
    yield f"    {line(document['title']) or '(no title)'}  {line(document['url']) or '(no URL)'}"
    yield f"    source {line(document['source'])}, {values}{_why(document, found['threshold'])}"


def _why(document: dict[str, Any], threshold: float | None) -> str:
    """In what the one that stays is better, and how a copy below the threshold got into the cluster."""
    if "decided_by" not in document:
        return ""
    chain = document["kind"] == "minhash" and threshold is not None and document["similarity"] < threshold
    how = f"; under {threshold:g}: tied to it by way of other copies" if chain else ""
    return f"; second by {document['decided_by']}{how}"
