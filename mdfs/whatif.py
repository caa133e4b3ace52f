"""`mdfs what-if`: what other limits would have kept and dropped, decided anew from the stored measurements.

No text is read but that of the few documents shown. A part file is gone through a batch of rows at a time, and of the
measurements only those that the new recipe limits; `mdfs.rules.decide` decides, as it did in the run. What followed
the rules is not done anew: other documents there would have other copies and other scores.
"""

from __future__ import annotations

import dataclasses
import difflib
import heapq
import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mdfs import recipe as recipes
from mdfs.about import ABOUT
from mdfs.errors import RunError, UsageError
from mdfs.ledger import File
from mdfs.recipe import Limit, Recipe
from mdfs.report import sampling
from mdfs.report.facts import Facts, gather
from mdfs.report.terminal import fold, line
from mdfs.report.words import limit_words, value_words
from mdfs.rules import compression, decide
from mdfs.rules import signals as registry
from mdfs.storage import Store

#: Rows decided at once: 30 measurements of them are 8 MB, which no row group of texts comes near.
BATCH = 1 << 15
#: Characters of a text that are shown of a document.
EXCERPT = 200
#: What a recipe says to the rules besides limits; where two differ in it, texts and measurements would too.
BEHIND = ("edits", "lists", "urls", "language")


@dataclass(frozen=True, order=True)
class Turned:
    """A document that changes side: where it stands and for which reasons it was or would be dropped."""

    doc_id: str
    path: str
    row: int
    reasons: tuple[str, ...]


@dataclass
class Tally:
    """What part files give, added up.

    Attributes:
        reasons: of all documents that the new limits drop. `freed`: the old reasons of those newly kept; `caught`: the
            new reasons of those newly dropped. A document counts in each of its reasons.
        sources: source → counts `docs`, `kept_old`, `kept_new`, `newly_kept`, `newly_dropped`.
        reached: newly dropped ones that had come through all stages.
        samples: side → the documents of the smallest doc_ids, which are hashes.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    freed: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    sources: dict[str, Counter[str]] = field(default_factory=dict)
    reached: int = 0
    samples: dict[str, list[Turned]] = field(default_factory=lambda: {"newly_kept": [], "newly_dropped": []})

    def add(self, other: Tally, samples: int) -> None:
        """Take over what other part files gave."""
        for mine, its in ((self.reasons, other.reasons), (self.freed, other.freed), (self.caught, other.caught)):
            mine.update(its)
        for source, counts in other.sources.items():
            self.sources.setdefault(source, Counter()).update(counts)
        self.reached += other.reached
        for side, places in other.samples.items():
            self.samples[side] = heapq.nsmallest(samples, [*self.samples[side], *places])

    def sum(self, name: str) -> int:
        """A count over all sources."""
        return sum(counts[name] for counts in self.sources.values())


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """`recipe` with `key.of.table=value` settings made; values are TOML, and `false` in place of a table removes it.

    Raises:
        UsageError: a setting that is none, or one that gives no good recipe; the recipe's own checks say which.
    """
    if not settings:
        return recipe
    data = recipe.to_dict()
    for setting in settings:
        key, mark, value = setting.partition("=")
        names = [name.strip() for name in key.split(".")]
        if not mark or len(names) < 2 or not all(names):
            raise UsageError(f"--set {setting}: write it as rules.han_ratio.min=0.5, or rules.chars=false")
        _put(data, names, _toml(value.strip()), setting)
    return recipes.from_dict(data, where=f"recipe {recipe.name} with {', '.join(settings)}")


def _toml(value: str) -> Any:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value  # a bare word; what is no word and no number, the recipe's checks refuse by name


def _put(data: dict[str, Any], names: list[str], value: Any, setting: str) -> None:
    *tables, last = names
    for name in tables:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise UsageError(f"--set {setting}: {name} is no table")
    if value is not False or isinstance(data.get(last), bool):
        data[last] = value
    elif last in data:
        del data[last]
    else:
        near = difflib.get_close_matches(last, data, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(data) or 'none'}"
        raise UsageError(f"--set {setting}: the recipe has no {last!r} to remove; {hint}")


def compare(
    store: Store, recipe: Recipe | None = None, settings: Sequence[str] = (), *, samples: int = 5
) -> dict[str, Any]:
    """Decide the documents of a run anew by the limits of another recipe (its own where None) with settings.

    Returns:
        Plain data: `recipes` and `limits` that differ, `old` and `new` counts of the stage rules, `newly_kept` and
        `newly_dropped` with their reasons and `samples`, `sources`, and `notes` on what the figures cannot know.

    Raises:
        UsageError: no run's folder, no rules done in it, no good setting, or a limit on what is measured only where
            it is asked for, and was not.
        RunError: the files lack a measurement that is asked for, or rows that the ledger counts.
    """
    facts = gather(store)
    if "rules" not in facts.totals:
        raise UsageError(f"{store.uri}: nothing has been measured yet; run `mdfs rules` first")
    new = changed(recipe or facts.recipe, settings)
    if compression.NAME in new.rules and not compression.asked(facts.recipe):
        raise UsageError(
            f"{compression.NAME} was not measured in this run: its recipe has no limit on it; run with one"
        )
    tally = _tally(facts, new.rules, samples)
    old = facts.totals["rules"]
    if tally.sum("docs") != old.docs_out + old.docs_dropped:
        raise RunError(f"{store.uri}: rules has {tally.sum('docs'):,} rows, the ledger another count; `mdfs verify`")
    kept = tally.sum("kept_new")
    return {
        "recipes": {"old": facts.recipe.name, "new": new.name, "set": list(settings)},
        "limits": _limits(facts.recipe.rules, new.rules),
        "docs_in": old.docs_in,
        "old": {"kept": old.docs_out, "dropped": old.docs_dropped, "reasons": old.dropped},
        "new": {"kept": kept, "dropped": tally.sum("docs") - kept, "reasons": dict(sorted(tally.reasons.items()))},
        "newly_kept": _side(facts, new, tally, "newly_kept", tally.freed),
        "newly_dropped": _side(facts, new, tally, "newly_dropped", tally.caught)
        | {"reached_shards": tally.reached if "tokenize" in facts.totals else None},
        "sources": {source: dict(counts) for source, counts in sorted(tally.sources.items())},
        "notes": _notes(facts, new),
    }  # fmt: skip


def decisions(store: Store, file: File, limits: Mapping[str, Limit]) -> Iterator[tuple[pa.RecordBatch, pa.ListArray]]:
    """A part file's rows in batches, with `doc_id`, `source`, the stored `drop_reasons` and the limited `signals`; and
    the reasons for which the limits drop them.

    Raises:
        RunError: the file lacks a measurement.
    """
    with store.open(file.path) as handle, pq.ParquetFile(handle, pre_buffer=True) as parquet:
        stored = parquet.schema_arrow.field("signals").type
        known = {stored.field(place).name for place in range(stored.num_fields)}
        missing = sorted(set(limits) - known)
        if missing:
            raise RunError(f"{file.path}: {', '.join(missing)} was not measured in this run; run `mdfs rules` again")
        # Without any limit one measurement is read all the same: it says how many rows there are.
        signals = [f"signals.{name}" for name in limits] or [f"signals.{min(known)}"]
        columns = ["doc_id", "drop_reasons", *signals, *([] if file.source else ["source"])]
        for batch in parquet.iter_batches(BATCH, columns=columns, use_threads=False):
            yield batch, decide.drop_reasons(batch.column("signals"), limits)


def _tally(facts: Facts, limits: Mapping[str, Limit], samples: int) -> Tally:
    """All part files, several at once; Arrow and Numpy do the work, so threads are enough."""
    judged = {PurePosixPath(file.path).name: file for file in facts.files("classify", "kept")}
    if "tokenize" not in facts.totals:
        judged = {}
    files = [*facts.files("rules", "kept"), *facts.files("rules", "dropped")]
    whole = Tally()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for tally in pool.map(lambda file: _of_file(facts.store, file, limits, judged, samples), files):
            whole.add(tally, samples)
    return whole


def _of_file(store: Store, file: File, limits: Mapping[str, Limit], judged: dict[str, File], samples: int) -> Tally:
    tally, start, gone = Tally(), 0, []
    for batch, reasons in decisions(store, file, limits):
        stays = pc.equal(pc.list_value_length(reasons), 0)
        turned = pc.invert(stays) if file.kind == "kept" else stays
        tally.reasons.update(_count(reasons))
        _by_source(tally, file, batch, stays, turned)
        if pc.any(turned).as_py():
            side, counter, why = ("newly_dropped", tally.caught, reasons) if file.kind == "kept" else (
                "newly_kept", tally.freed, batch.column("drop_reasons"))  # fmt: skip
            ids, why = batch.column("doc_id").filter(turned), why.filter(turned)
            rows = start + np.flatnonzero(turned.to_numpy(zero_copy_only=False))
            counter.update(_count(why))
            tally.samples[side] += _smallest(file, ids, why, rows, samples)
            gone.append(ids)
        start += batch.num_rows
    if file.kind == "kept" and gone:
        tally.reached = _reached(store, judged.get(PurePosixPath(file.path).name), pa.concat_arrays(gone))
    tally.samples = {side: heapq.nsmallest(samples, places) for side, places in tally.samples.items()}
    return tally


def _count(reasons: pa.ListArray) -> dict[str, int]:
    counted = pc.value_counts(pc.list_flatten(reasons))
    return dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


def _by_source(tally: Tally, file: File, batch: pa.RecordBatch, stays: pa.Array, turned: pa.Array) -> None:
    """Count a batch's rows under their source, which is the file's where it has one."""
    sources = [file.source] if file.source else pc.unique(batch.column("source")).to_pylist()
    side = "newly_dropped" if file.kind == "kept" else "newly_kept"
    for source in sources:
        here = pa.scalar(True) if file.source else pc.equal(batch.column("source"), source)
        docs = batch.num_rows if file.source else pc.sum(here).as_py()
        counts = {"docs": docs, "kept_old": docs if file.kind == "kept" else 0,
                  "kept_new": pc.sum(pc.and_(stays, here)).as_py(), "newly_kept": 0, "newly_dropped": 0,
                  side: pc.sum(pc.and_(turned, here)).as_py()}  # fmt: skip
        tally.sources.setdefault(source, Counter()).update(counts)


def _smallest(file: File, ids: pa.Array, why: pa.ListArray, rows: npt.NDArray[np.int64], many: int) -> list[Turned]:
    """The documents with the smallest doc_ids."""
    order = pc.sort_indices(ids)[:many].to_pylist()
    return [Turned(ids[k].as_py(), file.path, int(rows[k]), tuple(why[k].as_py())) for k in order]


def _reached(store: Store, judged: File | None, gone: pa.Array) -> int:
    """How many documents of a part are in what the last filter kept of it, all of which goes into the shards."""
    if judged is None:
        return 0
    with store.open(judged.path) as handle:
        kept = pq.read_table(handle, columns=["doc_id"], use_threads=False).column("doc_id")
    return int(pc.sum(pc.is_in(gone, value_set=kept)).as_py())


def _side(facts: Facts, new: Recipe, tally: Tally, side: str, reasons: Counter[str]) -> dict[str, Any]:
    limits = new.rules if side == "newly_dropped" else facts.recipe.rules
    cards = [_card(facts.store, turned, limits) for turned in tally.samples[side]]
    return {"documents": tally.sum(side), "reasons": dict(sorted(reasons.items())), "samples": cards}


def _card(store: Store, turned: Turned, limits: Mapping[str, Limit]) -> dict[str, Any]:
    """A document to show, with the measurements that its reasons are about."""
    columns = ["doc_id", "source", "url", "title", "text", "signals"]
    group, row = _group(store, turned)
    document: dict[str, Any] = sampling.read_rows(store, turned.path, group, columns, [row])[0]
    signals = document.pop("signals")
    broke = []
    for reason in turned.reasons:
        name, _, side = reason.rpartition(".")
        broke.append({"reason": reason, "value": signals.get(name), "limit": _plain(limits.get(name)).get(side)})
    return document | {"text": document["text"][:EXCERPT], "reasons": broke}


def _group(store: Store, turned: Turned) -> tuple[int, int]:
    """The row group in which a document stands, and its row there."""
    with store.open(turned.path) as handle, pq.ParquetFile(handle) as parquet:
        row = turned.row
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            if row < rows:
                return group, row
            row -= rows
    raise RunError(f"{turned.path}: changed while it was read; start again")


def _plain(limit: Limit | None) -> dict[str, Any]:
    said = dataclasses.asdict(limit) if limit else {}
    return {
        side: list(value) if isinstance(value, tuple) else value for side, value in said.items() if value is not None
    }


def _limits(old: Mapping[str, Limit], new: Mapping[str, Limit]) -> list[dict[str, Any]]:
    """The limits that differ, in the order of the registry; None where a recipe has none."""
    names = [name for name in registry.names() if old.get(name) != new.get(name)]
    return [{"signal": name, "old": _plain(old.get(name)) or None, "new": _plain(new.get(name)) or None}
            for name in names]  # fmt: skip


def _notes(facts: Facts, new: Recipe) -> list[str]:
    """What the figures cannot know."""
    old, notes = facts.recipe, []
    said, asked = old.to_dict(), new.to_dict()
    differ = [name for name in BEHIND if said.get(name) != asked.get(name)]
    if differ:
        tables = ", ".join(f"[{name}]" for name in differ)
        notes.append(
            f"the recipes differ in {tables}, which would change texts and measurements; decided on those stored"
        )
    if facts.totals["rules"].docs_in < facts.totals["collect"].docs_out:
        notes.append("not all part files have been measured yet; the figures are about those that have")
    if not _still_said(facts):
        notes.append("the rules were done by another recipe, or its word lists or models are not as they were")
    if not _limits(old.rules, new.rules):
        notes.append("the limits of the rules are the same, so nothing changes side")
    return [*notes, "rules alone: copies and the classifier's verdicts behind them would change too"]


def _still_said(facts: Facts) -> bool:
    """Whether the folder's recipe still says to the rules what it said when they were done."""
    done = facts.store.read_json(ABOUT).get("stages", {}).get("rules")
    try:
        return done is None or bool(done == facts.recipe.stage_digest("rules"))
    except UsageError:  # a list or model that was there then is missing now; deciding needs neither
        return False


def render(found: dict[str, Any]) -> str:
    """The same for a terminal. What pages say is shown with control characters spelt out."""
    said = found["recipes"]
    title = f"rules of {said['old']} → {said['new']}" + (f" with {', '.join(said['set'])}" if said["set"] else "")
    blocks = [[title, *(_limit_line(limit) for limit in found["limits"])], _funnel_lines(found)]
    if len(found["sources"]) > 1:
        blocks.append(_source_lines(found["sources"]))
    blocks += [_side_lines(found["newly_kept"], "newly kept", "dropped before for")]
    blocks += [_side_lines(found["newly_dropped"], "newly dropped", "now for")]
    blocks.append([f"note: {note}" for note in found["notes"]])
    return "\n\n".join("\n".join(block) for block in blocks)


def _limit_line(limit: dict[str, Any]) -> str:
    old, new = (limit_words(Limit(**limit[side])) if limit[side] else "no limit" for side in ("old", "new"))
    return f"  {limit['signal']:<28} {old} → {new}"


def _funnel_lines(found: dict[str, Any]) -> list[str]:
    old, new = found["old"], found["new"]
    lines = [f"{'':<34} {'old':>11} {'new':>11} {'change':>11}", f"{'in':<34} {found['docs_in']:>11,}"]
    lines += [_change(name, old[name], new[name]) for name in ("kept", "dropped")]
    reasons = sorted({*old["reasons"], *new["reasons"]},
                     key=lambda why: (-max(old["reasons"].get(why, 0), new["reasons"].get(why, 0)), why))  # fmt: skip
    return lines + [_change(f"  {why}", old["reasons"].get(why, 0), new["reasons"].get(why, 0)) for why in reasons]


def _change(name: str, old: int, new: int) -> str:
    change = f"{new - old:+,}" if new != old else "–"
    return f"{name:<34} {old:>11,} {new:>11,} {change:>11}"


def _source_lines(sources: dict[str, dict[str, int]]) -> list[str]:
    head = f"{'source':<24} {'in':>11} {'kept old':>11} {'kept new':>11} {'newly kept':>11} {'newly dropped':>13}"
    lines = [
        f"{line(source, 24):<24} {counts['docs']:>11,} {counts['kept_old']:>11,} {counts['kept_new']:>11,}"
        f" {counts['newly_kept']:>11,} {counts['newly_dropped']:>13,}"
        for source, counts in sources.items()
    ]
    return [head, *lines]


def _side_lines(side: dict[str, Any], title: str, before: str) -> list[str]:
    lines = [f"{title}: {side['documents']:,}"]
    if side.get("reached_shards"):
        lines[0] += f", of which {side['reached_shards']:,} are in the shards"
    why = sorted(side["reasons"].items(), key=lambda item: (-item[1], item[0]))
    if why:
        lines.append(f"  {before}: " + ", ".join(f"{reason} {count:,}" for reason, count in why))
    for card in side["samples"]:
        lines += ["", f"  {card['doc_id']}  {line(card['title'], 120) or '(no title)'}",
                  f"    {line(card['url'], 300) or '(no URL)'}",
                  "    " + ", ".join(_broke(entry) for entry in card["reasons"]),
                  *(f"    | {part}" for part in fold(line(card["text"], EXCERPT), 100))]  # fmt: skip
    return lines


def _broke(entry: dict[str, Any]) -> str:
    name, _, side = entry["reason"].rpartition(".")
    return f"{name} {value_words(entry['value'])} ({side} {value_words(entry['limit'])})"
