"""Every kind of source file that can be read. A new one is a module here and its name in `READERS`."""

from __future__ import annotations

import difflib

from mdfs.collect.readers import arc, csvfile, epub, jsonl, mediawiki, parquet, plaintext, sogou, warc
from mdfs.collect.readers.base import Context, Reader, bare
from mdfs.errors import UsageError

__all__ = ["READERS", "Context", "Reader", "described", "for_file", "named"]

#: Asked in this order whether they read a file; those that know their files by content come first.
READERS: tuple[Reader, ...] = (
    warc.READER,
    arc.READER,
    parquet.READER,
    epub.READER,
    mediawiki.READER,
    sogou.READER,
    jsonl.READER,
    csvfile.READER,
    plaintext.READER,
)


def for_file(path: str, head: bytes, forced: str = "") -> Reader | None:
    """The reader of a file, by its first bytes (decompressed) and its path; `forced` names one outright.

    Raises:
        UsageError: `forced` names none.
    """
    if forced:
        return named(forced)
    name = bare(path)
    return next((reader for reader in READERS if reader.sniff(head, name)), None) if head.strip() else None


def named(name: str) -> Reader:
    """The reader of that name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    for reader in READERS:
        if reader.name == name:
            return reader
    names = [reader.name for reader in READERS]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    raise UsageError(f"no reader is called {name!r}; {hint}")


def described() -> list[dict[str, str | list[str]]]:
    """What `mdfs source list` shows, one entry a reader."""
    return [
        {
            "name": reader.name,
            "reads": reader.reads,
            "endings": list(reader.endings),
            "example": reader.example,
            "fills": list(reader.fills),
        }
        for reader in READERS
    ]
