"""`mdfs why`: what every stage said about one document, read back from the run's files.

A document is looked for in the collected parts by the columns that name it; what later stages said stands in the part
files of the same name, and the tokens in the shards of its source. Nothing but these columns is read, a row group at a
time.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs.errors import UsageError
from mdfs.ledger import File
from mdfs.recipe import Limit
from mdfs.report import look, repeated, textdiff
from mdfs.report.facts import Facts, gather
from mdfs.report.look import Found
from mdfs.report.markup import visible
from mdfs.report.terminal import line
from mdfs.report.words import limit_words, value_words
from mdfs.storage import Store

#: Limits that are named as the closest calls.
CLOSEST = 3
#: Documents (and records) told about; a URL may stand in a corpus a thousand times.
MOST = 20

_ID = re.compile(r"[0-9a-f]{8,32}")
_WHOLE_ID = re.compile(r"[0-9a-f]{32}")


def explain(store: Store, doc_or_url: str) -> dict[str, Any]:
    """What happened to the documents that the argument names.

    `doc_or_url` is a doc_id, the first 8 or more of its hex digits, a URL or a source's own key.

    Returns:
        Plain data: `asked`; `documents`, each with what every stage said (`collect`, `rules`, `dedup`, `classify`,
        `tokenize`; none where a stage did not see it) and its `fate`; `records`, which gave no document; and `more`,
        how many further ones there are.

    Raises:
        UsageError: the folder is no run's folder, or nothing in it is called so.
    """
    facts, asked = gather(store), doc_or_url.strip()
    if not asked:
        raise UsageError("why: give a doc_id, at least 8 of its hex digits, or a URL")
    places = _documents(facts, asked)
    documents = [_story(facts, place) for place in places[:MOST]]
    records = _records(facts, asked)
    if not documents and not records:
        raise UsageError(_not_found(facts, asked))
    more = max(0, len(places) - MOST) + max(0, len(records) - MOST)
    return {"asked": asked, "documents": documents, "records": records[:MOST], "more": more}


def _documents(facts: Facts, asked: str) -> list[Found]:
    """Where the collected documents stand that are called so."""
    files = facts.files("collect", "kept")
    if _WHOLE_ID.fullmatch(asked):
        found = look.by_id(facts.store, files, asked)
        if found is not None:
            return [found]  # a doc_id is one document's, and its column is all that has to be read
    names = ["doc_id", "url", "source_key"]
    places = (look.rows(facts.store, file, names, lambda table: _named(table, asked)) for file in files)
    return [place for of_file in places for place in of_file]


def _named(table: pa.Table, asked: str) -> pa.ChunkedArray:
    mask = pc.or_(pc.equal(table.column("url"), asked), pc.equal(table.column("source_key"), asked))
    if _ID.fullmatch(asked):
        mask = pc.or_(mask, pc.starts_with(table.column("doc_id"), asked))
    return mask


def _story(facts: Facts, place: Found) -> dict[str, Any]:
    """One document's way through the stages, as far as it went."""
    store, name = facts.store, PurePosixPath(place.file.path).name
    said = place.read(store, ["doc_id", "source", "source_key", "url", "fetched_at", "title", "meta"])
    meta = dict(said["meta"])
    story: dict[str, Any] = {
        "doc_id": said["doc_id"], "url": said["url"], "title": said["title"], "source": said["source"],
        "collect": {
            "source_key": said["source_key"], "part": place.file.path, "row": place.row_in_file,
            "fetched_at": said["fetched_at"].isoformat() if said["fetched_at"] else None,
            "encoding": meta.get("encoding"), "meta": meta,
        },
    }  # fmt: skip
    fate = ""
    for stage, tell in _TELLERS.items():
        reached = not fate and _reached(facts, stage, name)
        story[stage] = tell(facts, name, story) if reached else None
        if not fate:
            fate = _end(stage, story[stage], facts) if reached else f"on its way: {stage} has not been done yet"
    return story | {"fate": fate or "kept: it is in the shards"}


def _reached(facts: Facts, stage: str, name: str) -> bool:
    """Whether a stage is done with a part file; tokenize, whose units are several, must be done with all."""
    if stage != "tokenize":
        return any(row.unit == PurePosixPath(name).stem for row in facts.rows.get(stage, []))
    return stage in facts.totals and facts.totals[stage].docs_in == facts.totals["classify"].docs_out


def _end(stage: str, said: dict[str, Any] | None, facts: Facts) -> str:
    """How a document's way ends at a stage; empty where it goes on."""
    if said is None:
        quarantined = facts.totals[stage].quarantined
        hint = f"among the {quarantined:,} quarantined there" if quarantined else "lost; `mdfs verify` says more"
        return f"left at {stage}: it is in none of its files, so it is {hint}"
    if stage == "dedup":
        return f"dropped at dedup: a copy ({said['kind']}) of {said['duplicate_of']}" if said["duplicate_of"] else ""
    reasons = said.get("drop_reasons")
    return f"dropped at {stage}: {', '.join(reasons)}" if reasons else ""


def _kept_or_dropped(facts: Facts, stage: str, name: str, doc_id: str, columns: list[str]) -> dict[str, Any] | None:
    for kind in ("kept", "dropped"):
        found = look.by_id(facts.store, _called(facts.files(stage, kind), name), doc_id)
        if found is not None:
            return found.read(facts.store, columns)
    return None


def _called(files: list[File], name: str) -> Iterator[File]:
    return (file for file in files if PurePosixPath(file.path).name == name)


def _rules(facts: Facts, name: str, story: dict[str, Any]) -> dict[str, Any] | None:
    said = _kept_or_dropped(facts, "rules", name, story["doc_id"], ["signals", "drop_reasons", "text"])
    if said is None:
        return None
    reasons = said["drop_reasons"] or []
    signals = [_signal(signal, value, facts.recipe.rules.get(signal) or Limit(), reasons)
               for signal, value in (said["signals"] or {}).items()]  # fmt: skip
    edits = {
        entry["name"]: entry["value"] for entry in signals if entry["name"].startswith("edited_") and entry["value"]
    }
    collected = look.by_id(facts.store, _called(facts.files("collect", "kept"), name), story["doc_id"])
    before = collected.read(facts.store, ["text"])["text"] if collected else said["text"]
    close = [entry for entry in signals if entry["margin"] is not None and not entry["broke"]]
    closest = sorted(close, key=lambda entry: entry["margin"])[:CLOSEST]
    return {"drop_reasons": reasons, "signals": signals, "closest": [entry["name"] for entry in closest],
            "edits": edits, "diff": textdiff.diff(before, said["text"])}  # fmt: skip


def _signal(name: str, value: Any, limit: Limit, reasons: list[str]) -> dict[str, Any]:
    """A measurement beside its limit. `margin`: how far it is from the nearer side, as a share of that limit, less
    than 0 beyond it; None where there is no limit, nothing was measured, or the limit is 0 (then all is far or at it),
    and for words, which are in a list or not.
    """
    broke = [reason for reason in reasons if reason.rpartition(".")[0] == name]
    sides = [(bound, sign) for bound, sign in ((limit.min, 1), (limit.max, -1)) if bound]
    margins = [sign * (value - bound) / abs(bound) for bound, sign in sides] if value is not None else []
    words = {side: list(said) if said is not None else None
             for side, said in (("any_of", limit.any_of), ("none_of", limit.none_of))}  # fmt: skip
    return {"name": name, "value": value, "min": limit.min, "max": limit.max, **words, "broke": broke,
            "margin": min(margins) if margins else None}  # fmt: skip


def _dedup(facts: Facts, name: str, story: dict[str, Any]) -> dict[str, Any]:
    """Whose copy it is, and what that one is called; all None where it is nobody's."""
    found = look.by_id(facts.store, _called(facts.files("dedup", "duplicates"), name), story["doc_id"])
    if found is None:
        cut = repeated.cuts_of(facts, name, story["doc_id"])
        return {"duplicate_of": None, "kind": None, "similarity": None, "keeper": None, "cuts": cut}
    said = found.read(facts.store, ["duplicate_of", "kind", "similarity"])
    parts = facts.files("rules", "kept")
    # Copies often lie close together: the document's own part is looked into first.
    parts.sort(key=lambda file: (PurePosixPath(file.path).name != name, file.path))
    keeper = look.by_id(facts.store, iter(parts), said["duplicate_of"])
    kept = keeper.read(facts.store, ["doc_id", "url", "title", "source"]) if keeper else None
    return said | {"keeper": kept, "cuts": []}


def _classify(facts: Facts, name: str, story: dict[str, Any]) -> dict[str, Any] | None:
    columns = ["scores", "label", "decided_by", "drop_reasons"]
    return _kept_or_dropped(facts, "classify", name, story["doc_id"], columns)


def _tokens(facts: Facts, name: str, story: dict[str, Any]) -> dict[str, Any] | None:
    """The shard, and where in it the document's tokens stand: its row, and the tokens before it."""
    shards = (file for file in facts.files("tokenize", "shard") if file.source == story["source"])
    found = look.by_id(facts.store, shards, story["doc_id"])
    if found is None:
        return None
    with facts.store.open(found.file.path) as handle, pq.ParquetFile(handle) as parquet:
        table = parquet.read_row_group(found.group, columns=["input_ids"], use_threads=False)
        lengths = pc.list_value_length(table.column("input_ids")).to_numpy()
        before = sum(_leaves(parquet, group) for group in range(found.group))
    first = before + int(lengths[: found.row].sum())
    return {"shard": found.file.path, "row": found.row_in_file, "tokens": int(lengths[found.row]), "first_token": first}


_Teller = Callable[[Facts, str, dict[str, Any]], dict[str, Any] | None]
_TELLERS: dict[str, _Teller] = {"rules": _rules, "dedup": _dedup, "classify": _classify, "tokenize": _tokens}


def _leaves(parquet: Any, group: int) -> int:
    """Tokens in a row group, from the footer: every document ends in a token, so there are no empty lists to count."""
    names = parquet.metadata.row_group(group)
    columns = (names.column(place) for place in range(names.num_columns))
    return next(int(column.num_values) for column in columns if column.path_in_schema.startswith("input_ids"))


def _records(facts: Facts, asked: str) -> list[dict[str, Any]]:
    """Records that gave no document, or documents that a later stage quarantined."""
    names = ["url", "source_key", "place"]
    files = (file for stage in facts.totals for file in facts.files(stage, "quarantine"))
    found = (look.rows(facts.store, file, names, lambda table: _called_so(table, asked, names)) for file in files)
    return [place.read(facts.store, None) for places in found for place in places]


def _called_so(table: pa.Table, asked: str, names: list[str]) -> pa.ChunkedArray:
    url, key, place = (pc.equal(table.column(name), asked) for name in names)
    # A place is a number in a file, which many files have; only a doc_id may stand there and mean one document.
    return pc.or_(pc.or_(url, key), place) if _WHOLE_ID.fullmatch(asked) else pc.or_(url, key)


def _not_found(facts: Facts, asked: str) -> str:
    start = f"{facts.store.uri}: no document or record is called {visible(asked[:200])!r}"
    if "collect" not in facts.totals:
        return f"{start}; nothing has been collected yet: run `mdfs collect` first"
    if re.fullmatch(r"[0-9a-f]{1,7}", asked):
        return f"{start}; give at least 8 hex digits of a doc_id"
    if "://" in asked:
        return f"{start}; URLs are compared letter by letter: look for its exact spelling in the input"
    return f"{start}; give a doc_id (8 to 32 hex digits), a URL with its scheme, or the source's own key"


def render(found: dict[str, Any]) -> str:
    """The same for a terminal. What pages say is shown with control characters spelt out."""
    blocks = [_document_lines(document) for document in found["documents"]]
    blocks += [_record_lines(record) for record in found["records"]]
    if found["more"]:
        blocks.append([f"and {found['more']:,} more"])
    return "\n\n".join("\n".join(block) for block in blocks)


def _document_lines(story: dict[str, Any]) -> list[str]:
    lines = [story["doc_id"], f"  {line(story['title']) or '(no title)'}", f"  {line(story['url']) or '(no URL)'}",
             f"  => {story['fate']}", ""]  # fmt: skip
    collect = story["collect"]
    encoding = f", encoding {line(collect['encoding'])}" if collect["encoding"] else ""
    key = f", key {line(collect['source_key'])}" if collect["source_key"] else ""
    lines.append(f"  collect   source {line(story['source'])}{key}{encoding}")
    lines.append(f"            {collect['part']}, row {collect['row']:,}")
    lines += _rules_lines(story["rules"]) + _dedup_lines(story["dedup"]) + _classify_lines(story["classify"])
    return lines + _token_lines(story["tokenize"])


_INDENT: dict[str, Any] = {"initial_indent": " " * 12, "subsequent_indent": " " * 12, "break_on_hyphens": False}


def _rules_lines(said: dict[str, Any] | None) -> list[str]:
    if said is None:
        return []
    lines = [f"  rules     {'dropped: ' + ', '.join(said['drop_reasons']) if said['drop_reasons'] else 'kept'}"]
    limited = [signal for signal in said["signals"] if _limit(signal) != Limit()]
    for signal in sorted(limited, key=lambda entry: not entry["broke"]):
        name, value, limit = signal["name"], value_words(signal["value"]), f"limit {limit_words(_limit(signal))}"
        lines.append(f"            {name:<28} {value:>14}  {limit:<26} {_margin(signal)}".rstrip())
    if said["closest"]:
        by_name = {signal["name"]: signal for signal in said["signals"]}
        calls = ", ".join(f"{name} ({_margin(by_name[name])})" for name in said["closest"])
        what = "other limits it came nearest to" if said["drop_reasons"] else "it broke none; nearest to one"
        lines += textwrap.wrap(f"{what}: {calls}", 100, **_INDENT)
    others = ", ".join(
        f"{signal['name']} {value_words(signal['value'])}" for signal in said["signals"] if signal not in limited
    )
    measured = ["  measured  and not limited:", *textwrap.wrap(others, 100, **_INDENT)] if others else []
    return lines + _edit_lines(said) + measured


def _limit(signal: dict[str, Any]) -> Limit:
    return Limit(*(signal[side] for side in ("min", "max", "any_of", "none_of")))


def _margin(signal: dict[str, Any]) -> str:
    if signal["margin"] is None:
        return "BROKEN" if signal["broke"] else ""
    return f"BROKEN by {-signal['margin']:.0%}" if signal["broke"] else f"{signal['margin']:.0%} inside"


def _edit_lines(said: dict[str, Any]) -> list[str]:
    """What the edits counted, and the text's difference."""
    if not said["diff"]:
        return ["  edits     none"]
    counted = ", ".join(f"{name.removeprefix('edited_')} {value:,}" for name, value in said["edits"].items())
    return [f"  edits     {counted or 'not counted'}", *(" " * 12 + part for part in textdiff.render(said["diff"]))]


def _dedup_lines(said: dict[str, Any] | None) -> list[str]:
    if said is None:
        return []
    if said["duplicate_of"] is None:
        return ["  dedup     no copy of another document that stays", *repeated.lines_of(said["cuts"])]
    lines = [f"  dedup     dropped: {said['kind']} copy of {said['duplicate_of']}, similarity {said['similarity']:.3f}"]
    keeper = said["keeper"]
    if keeper:
        lines += [
            f"            {line(keeper['title']) or '(no title)'}",
            f"            {line(keeper['url']) or '(no URL)'}",
        ]
    return lines


def _classify_lines(said: dict[str, Any] | None) -> list[str]:
    if said is None:
        return []
    lines = [f"  classify  {'dropped: ' + ', '.join(said['drop_reasons']) if said['drop_reasons'] else 'kept'}"]
    if said["label"]:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in said["scores"].items() if value is not None)
        lines.append(f"            {said['label']} (decided by {said['decided_by']}): {scores}")
    return lines


def _token_lines(said: dict[str, Any] | None) -> list[str]:
    if said is None:
        return []
    last = said["first_token"] + said["tokens"] - 1
    return [f"  tokenize  {said['tokens']:,} tokens in {said['shard']}",
            f"            row {said['row']:,}, tokens {said['first_token']:,} to {last:,} of the shard"]  # fmt: skip


def _record_lines(record: dict[str, Any]) -> list[str]:
    name = line(record["url"] or record["source_key"])
    where = f"{line(record['path'])}, {line(record['place'])}, source {line(record['source'])}"
    return [f"record {name}", f"  => {record['disposition']} at {record['stage']}: {record['reason']}",
            f"  {where}", *([f"  {line(record['detail'])}"] if record["detail"] else [])]  # fmt: skip
