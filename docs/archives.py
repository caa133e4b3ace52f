"""Writes docs/archives.md: what `mdfs collect` makes of every file in a folder of archives.

    python docs/archives.py FOLDER > docs/archives.md

FOLDER holds a folder a tool suite. `--check docs/archives.md` compares instead; it exits 1 where the table is not true.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import Counter
from pathlib import Path

from mdfs.collect import stage, streams
from mdfs.collect.documents import Document, Dropped, Quarantined, Skipped
from mdfs.recipe import Collect
from mdfs.stage import Unit

HEAD = """# What is made of which archive

The web archives of the test suites of other tools, and what `mdfs collect` makes of each: documents, records that are
none by design (*skipped*: warcinfo, request, metadata, revisit …), readable records that are no text (*dropped*), and
what is broken (*quarantined*, one row each, with its place and the reason). A file that no reader knows is one
quarantine row, `no_reader`. Made by `python docs/archives.py FOLDER`.

- A `revisit` says that a page was the same as before: it holds none and is counted, not read. The same page archived
  twice is two documents; the dedup stage finds them by URL and by text.
- WAT files hold JSON about pages whose text is in the WARC and WET files: their `metadata` records are skipped.
- A record whose WARC-Block-Digest is not that of its bytes is read, and marked in `meta.block_digest`. Payload digests
  are not looked at: tools do not agree what they are of, and all of ClueWeb09 has wrong ones.
- Truncated and damaged archives give all records that can be read, and one row for each gap.

| suite | file | documents | skipped | dropped | quarantined |
|---|---|---:|---|---|---|
"""


def line(path: Path, folder: Path) -> str:
    """The row of one file."""
    name = path.relative_to(folder)
    counts: dict[type, Counter[str]] = {kind: Counter() for kind in (Document, Skipped, Dropped, Quarantined)}
    unit = Unit("u", {"path": str(name), "source": "archives"})
    for outcome in stage.outcomes(streams.Source(io.BytesIO(path.read_bytes())), unit, Collect()):
        outcome = stage._checked(outcome, Collect())
        said = "" if isinstance(outcome, Document) else getattr(outcome, "kind", "") or getattr(outcome, "reason", "")
        counts[type(outcome)][said] += 1
    cells = [
        ", ".join(f"{count} {said}" for said, count in sorted(counts[kind].items()))
        for kind in (Skipped, Dropped, Quarantined)
    ]
    suite = name.parts[0] if len(name.parts) > 1 else ""
    file = str(name.relative_to(suite)) if suite else str(name)
    return f"| {suite} | {file} | {counts[Document].total()} | {' | '.join(cells)} |"


def main() -> None:
    """Write or check the table."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("folder", type=Path)
    asked.add_argument("--check", type=Path)
    said = asked.parse_args()
    files = sorted(path for path in said.folder.rglob("*") if path.is_file())
    table = HEAD + "".join(line(path, said.folder) + "\n" for path in files)
    if said.check and said.check.read_text("utf-8") != table:
        sys.exit(f"{said.check} is not true today: make it anew")
    if not said.check:
        print(table, end="")


if __name__ == "__main__":
    main()
