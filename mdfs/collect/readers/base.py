"""What a reader is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mdfs.collect.documents import Outcome, Pending
from mdfs.collect.streams import Source
from mdfs.recipe import Collect

#: Endings that say only how a file is stored, or that it is still being written.
_STORED = re.compile(r"\.(gz|zst|zstd|bz2|lz4|xz|open|bad|tmp|part)$")


@dataclass(frozen=True)
class Context:
    """What a reader is told of the file.

    Attributes:
        path: relative to the input. `compression`: as `streams.look` found it.
        fields: the recipe's field map: document column, or a name for `meta`, → the file's own column.
        limits: the recipe's `[collect]`.
        begin, end: the range of bytes in which records begin that are to be read; 0 and 0 for all of the file.
    """

    path: str = ""
    compression: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    limits: Collect = field(default_factory=Collect)
    begin: int = 0
    end: int = 0


#: Cuts a file into records. What is known without a look into a record (one that is too long) is an outcome at once.
#: Raises BrokenFileError where the rest of the file cannot be read.
Read = Callable[[Source, Context], Iterator[Pending | Outcome]]


@dataclass(frozen=True)
class Reader:
    """One kind of source file.

    Attributes:
        name: by which a recipe can force it. `endings`: of file names, without those of compression.
        sniff: whether it reads a file with these first bytes (decompressed) and this path, in lower case.
        read: cuts a file into records.
        reads: one line that says what files these are. `example`: a file name. `fills`: columns that documents get
            beside `text` and `doc_id`, `meta` keys as `meta.author`.
    """

    name: str
    endings: tuple[str, ...]
    sniff: Callable[[bytes, str], bool]
    read: Read
    reads: str
    example: str
    fills: tuple[str, ...]


def bare(path: str) -> str:
    """A path in lower case without the endings of compression."""
    path = path.lower()
    while (shorter := _STORED.sub("", path)) != path:
        path = shorter
    return path
