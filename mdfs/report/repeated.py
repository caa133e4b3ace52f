"""Cuts: what was cut out of documents because others have it too; over the corpus, and of one document."""

from __future__ import annotations

import textwrap
from pathlib import PurePosixPath
from typing import Any

from mdfs import cuts
from mdfs.report import look
from mdfs.report.facts import Facts
from mdfs.report.markup import Html, count, join, note, table
from mdfs.report.terminal import line

#: What steps of `mdfs.cuts.STEPS` cut out.
NAMES = {"dedup-line-cuts": "lines", "dedup-passage-cuts": "passages", "dedup-cuts": "test sets"}
#: Pieces of a document shown, and characters of each.
PIECES, CHARS = 5, 80


def table_of(facts: Facts) -> Html:
    """A row for each way in which documents were compared by parts of their texts; nothing where none was asked for."""
    rows: list[list[object]] = []
    substring = facts.recipe.dedup.substring
    for step, asked in (("dedup-line-cuts", facts.recipe.dedup.lines), ("dedup-passage-cuts", substring)):
        if asked:
            said, words = facts.step(step), NAMES[step]
            words += ", only counted" if asked is substring and substring.action == "count" else ""
            rows.append([words, *(count(said.get(name, 0)) for name in ("cut", "dropped", "chars_removed"))])
    if not rows:
        return Html()
    head = ["what repeats", "documents cut", "documents dropped", "characters removed"]
    if substring:
        said = facts.step("dedup-passage-cuts")
        told = (
            f"{count(said.get('passages', 0))} passages in {count(said.get('documents', 0))} documents stand elsewhere "
            f"before, letter by letter: {count(said.get('chars', 0))} characters."
        )
        return join([table("Repeated lines and passages in the documents that stay", head, rows), note(told)])
    return table("Repeated lines and passages in the documents that stay", head, rows)


def cuts_of(facts: Facts, name: str, doc_id: str) -> list[dict[str, Any]]:
    """What each step cut out of a document of the part called so: `what`, `reason` ("" where it was not dropped for
    it), `because`, `chars` and the first `pieces` that were cut out."""
    part = next((file for file in facts.files("rules", "kept") if PurePosixPath(file.path).name == name), None)
    place = look.by_id(facts.store, iter([part]), doc_id) if part else None
    found: list[dict[str, Any]] = []
    text = place.read(facts.store, ["text"])["text"] if place else ""
    for step in cuts.STEPS:
        files = (file for file in facts.step_files(step, "cuts") if PurePosixPath(file.path).name == name)
        row = look.by_id(facts.store, files, doc_id)
        if row is None:
            continue
        said = row.read(facts.store, None)
        stays = list(zip(said["starts"], said["ends"], strict=True))
        edges = [0, *(edge for piece in stays for edge in piece), len(text)]
        gone = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
        if said["reason"]:
            gone = []
        found.append(
            {"what": NAMES[step], "reason": said["reason"], "because": said["because"],
             "chars": sum(map(len, gone)), "pieces": [piece[:CHARS] for piece in gone[:PIECES]],
             "more": max(0, len(gone) - PIECES)}
        )  # fmt: skip
        if said["reason"]:
            break
        text = said["between"].join(text[start:end] for start, end in stays)
    return found


def lines_of(found: list[dict[str, Any]]) -> list[str]:
    """The same for a terminal."""
    told = []
    for cut in found:
        if cut["reason"]:
            told.append(f"            {cut['what']}: too little would be left ({cut['reason']})")
            continue
        told.append(f"            {cut['what']}: {cut['chars']:,} characters cut out ({', '.join(cut['because'])})")
        for piece in cut["pieces"]:
            told += textwrap.wrap(line(piece.strip()), 100, initial_indent=" " * 12 + "- ", subsequent_indent=" " * 14)
        if cut["more"]:
            told.append(f"              and {cut['more']:,} more")
    return told
