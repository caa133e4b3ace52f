"""Copies: how many of which kind, how alike, and pairs near the threshold for a person to look at."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mdfs.ledger import File
from mdfs.report import decontamination, examples, repeated, sampling, svg
from mdfs.report.examples import Place
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, count, details, join, note, section, share, table, tag
from mdfs.report.sampling import Sample

#: Pairs shown of each kind.
PAIRS = {"minhash": 4, "exact": 1, "url": 1}
#: Hot buckets shown.
HOT_ROWS = 10


def section_of(facts: Facts) -> Html:
    """The section on copies; nothing where dedup has not been done."""
    if "dedup" not in facts.totals:
        return Html()
    sample = sampling.read(
        facts.store, facts.files("dedup", "duplicates"), ["doc_id", "duplicate_of", "kind", "similarity"]
    )
    test_sets = join([repeated.table_of(facts), decontamination.table_of(facts)])
    if not sample.table.num_rows:
        return section("duplicates", "Copies", tag("p", "No copies were found."), _hot(facts), test_sets)
    parts = (_kinds(facts, sample), _clusters(facts), _similarity(facts, sample), _hot(facts), test_sets)
    return section("duplicates", "Copies", *parts, _pairs(facts, sample))


def _kinds(facts: Facts, sample: Sample) -> Html:
    row = facts.totals["dedup"]
    counted = Counter(_column(sample, "kind").to_pylist())
    seen, rows = sample.table.num_rows, []
    for kind, number in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        exact = number if sample.whole else round(number / seen * sample.rows)
        drawn = svg.bar([("dropped", number)], seen, f"{kind}: {number:,} of {seen:,}")
        rows.append([kind, drawn, ("" if sample.whole else "about ") + count(exact), share(exact, row.docs_in)])
    return table("Copies by how they were found", ["kind", "", "documents", "of in"], rows, left=2)


def _clusters(facts: Facts) -> Html:
    """How many clusters have how many members, counted over all, not sampled."""
    said = dict(facts.step("dedup-clusters"))
    largest, clusters = said.pop("largest", 0), said.pop("clusters", 0)
    if not clusters:
        return Html()
    most, rows = max(said.values()), []
    for low, many in sorted((int(low), many) for low, many in said.items()):
        high = 2 * low - 1
        words = f"{low:,} to {min(high, largest):,}" if min(high, largest) > low else f"{low:,}"
        rows.append([words, svg.bar([("dropped", many)], most, f"{words}: {many:,}"), count(many)])
    caption = f"Clusters of copies by size, the one that stays counted; the largest has {largest:,} documents"
    return tag("div", tag("h3", caption), table(caption, ["documents", "", "clusters"], rows, left=2))


def _hot(facts: Facts) -> Html:
    """Buckets in which documents were compared with one other each; nothing where there was none."""
    said = dict(facts.step("dedup-pairs"))
    named = sorted(((many, name) for name, many in said.items() if name.startswith("band ")), reverse=True)
    minhash = facts.recipe.dedup.minhash
    if not named or minhash is None:
        return Html()
    words = (
        f"{said['buckets']:,} buckets hold more than {minhash.max_bucket:,} documents, {said['documents']:,} in all "
        "where one counts for each of its buckets. There a document was compared with one other only, so near-copies "
        "may have been missed that share no other band. Many documents of one template look like this."
    )
    rows = [
        [
            name.split()[1],
            tag("code", name.split()[2]),
            svg.bar([("kept", many)], named[0][0], f"{many:,}"),
            count(many),
        ]
        for many, name in named[:HOT_ROWS]
    ]
    title = f"Hot buckets, the largest {len(rows)}" if said["buckets"] > len(rows) else "Hot buckets"
    return tag("div", tag("h3", title), table(title, ["band", "hash", "", "documents"], rows, left=3), note(words))


def _similarity(facts: Facts, sample: Sample) -> Html:
    near = _column(sample, "similarity").filter(pc.equal(_column(sample, "kind"), "minhash"))
    if not len(near):
        return Html()
    values = near.cast(pa.float64()).to_numpy()
    said = facts.recipe.dedup.minhash
    marks = [svg.Mark(said.threshold, f"threshold {said.threshold:g}", -1)] if said else []
    low = min([float(values.min()), *(mark.value for mark in marks)])
    axis = svg.Axis(np.floor(low * 10 - 1e-9) / 10, 1.0)
    chart = svg.Histogram("similarity of near-copies", svg.Series("near-copies", "dropped", values), None, axis, marks)
    heading = tag("figcaption", tag("b", "Similarity of near-copies"),
                  tag("span", f" to the one that stays; {sample.words('copies')}", class_="soft"))  # fmt: skip
    return tag("div", tag("figure", heading, chart.draw()), class_="grid")


def _pairs(facts: Facts, sample: Sample) -> Html:
    """Pairs of which both are at hand: the ones that stay are looked up in the sampled row groups only."""
    kept = sampling.read(facts.store, facts.files("rules", "kept"), ["doc_id"])
    at = _chosen(sample, kept)
    if not at:
        return Html()
    rows = [sample.table.slice(place, 1).to_pylist()[0] for place, _ in at]
    keepers = {str(d["doc_id"]): d for d in examples.fetch(facts, _places(kept, [keeper for _, keeper in at]))}
    parts = {PurePosixPath(file.path).name: file for file in facts.files("rules", "kept")}
    copies = _copies(facts, sample, parts, at)
    shown = [_pair(row, copies[row["doc_id"]], keepers[row["duplicate_of"]]) for row in rows if row["doc_id"] in copies]
    words = note(
        "Near-copies are those with the lowest similarity: if a pair here is no copy, the threshold is too low."
    )
    return details(f"{len(shown)} pairs", words, *shown, opened=True) if shown else Html()


def _chosen(sample: Sample, kept: Sample) -> list[tuple[int, int]]:
    """(row in the sample of copies, row in the sample of documents) of the pairs to show."""
    if "doc_id" not in kept.table.column_names:
        return []
    keeper = pc.index_in(_column(sample, "duplicate_of"), _column(kept, "doc_id").combine_chunks())
    order = pc.sort_indices(sample.table, [("similarity", "ascending"), ("doc_id", "ascending")]).to_pylist()
    kinds, left, places = _column(sample, "kind").to_pylist(), dict(PAIRS), keeper.to_pylist()
    found: dict[tuple[str, int], int] = {}
    for place in order:
        which = (kinds[place], places[place])
        # One pair of a cluster is enough to judge it by.
        if places[place] is not None and which not in found and left.get(kinds[place], 0):
            left[kinds[place]] -= 1
            found[which] = place
    return sorted(
        ((place, stays) for (_, stays), place in found.items()), key=lambda pair: list(PAIRS).index(kinds[pair[0]])
    )


def _places(sample: Sample, rows: list[int]) -> list[Place]:
    """Where rows of a sample stand in their files."""
    starts = np.searchsorted(sample.places, np.arange(len(sample.groups)))
    found = []
    for row in sorted(set(rows)):
        number = sample.places[row]
        file, group = sample.groups[number]
        found.append(Place(_column(sample, "doc_id")[row].as_py(), file.path, group, row - int(starts[number])))
    return found


def _copies(
    facts: Facts, sample: Sample, parts: dict[str, File], at: list[tuple[int, int]]
) -> dict[str, dict[str, Any]]:
    """The removed documents: each stands in the part file that its duplicates file is named after."""
    wanted: dict[str, list[str]] = {}
    for place, _ in at:
        file, _group = sample.groups[sample.places[place]]
        wanted.setdefault(PurePosixPath(file.path).name, []).append(_column(sample, "doc_id")[place].as_py())
    found: dict[str, dict[str, Any]] = {}
    for name, ids in sorted(wanted.items()):
        if name in parts:
            part = sampling.read(facts.store, [parts[name]], ["doc_id"])
            places = pc.index_in(pa.array(ids), _column(part, "doc_id").combine_chunks()).drop_null().to_pylist()
            found |= {str(d["doc_id"]): d for d in examples.fetch(facts, _places(part, places))}
    return found


def _pair(row: dict[str, Any], copy: dict[str, Any], keeper: dict[str, Any]) -> Html:
    sides = [
        tag("article", tag("span", word, class_=f"chip {css}"), examples.head(document),
            tag("p", tag("bdi", examples.excerpt(document["text"])), class_="text"), dir="auto")
        for word, css, document in (("removed", "dropped", copy), ("stays", "kept", keeper))
    ]  # fmt: skip
    return tag(
        "div", tag("h3", f"{row['kind']}, similarity {row['similarity']:.3f}"), tag("div", *sides, class_="pair")
    )


def _column(sample: Sample, name: str) -> Any:
    return sample.table.column(name)
