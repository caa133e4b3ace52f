"""Phrase lists and the one trie that holds them all, in arrays that the kernel walks.

A phrase is a run of reading units, so that spaces and punctuation put between its characters do not hide it:
六 合 彩 and 六.合.彩 count as 六合彩. Latin letters match in either case, and only whole words: `qq` does not match in
`qqmusic`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from mdfs.rules import characters as ch

#: The lists, in the order of the kernel's last counters; files `lists/<name>.txt`.
LISTS = ("advertising", "gambling", "adult", "medical", "contact")

_MASK = (1 << 64) - 1
_MIX, _FNV, _SEED, _WORD = 0x9E3779B97F4A7C15, 0x100000001B3, 0xCBF29CE484222325, 1 << 63


@dataclass(frozen=True)
class Trie:
    """Transitions in an open-addressing table: (node, unit) → node.

    `lists[node]` is the number of the list whose phrase ends there, or -1.
    `starts` is bool[65536]: whether a phrase may begin with two units of that hash, so that most places need no look.
    """

    starts: npt.NDArray[np.bool_]
    keys: npt.NDArray[np.uint64]
    nodes: npt.NDArray[np.int32]
    lists: npt.NDArray[np.int8]


def read_list(name: str) -> list[str]:
    """The entries of `lists/<name>.txt`: one a line, `#` begins a comment."""
    text = (resources.files("mdfs.rules") / "lists" / f"{name}.txt").read_text("utf-8")
    entries = (line.partition("#")[0].strip() for line in text.splitlines())
    return [entry for entry in entries if entry]


def units_of(text: str) -> list[int]:
    """The reading units of a text as the kernel sees them: a code point, or a word's hash with the highest bit set."""
    classes = ch.classes()
    found: list[int] = []
    run, word = -1, _SEED
    for c in map(ord, text):
        kind = int(classes[c])
        if run >= 0 and kind not in (run, ch.MARK):
            found.append(word | _WORD)
            run, word = -1, _SEED
        if ch.HAN <= kind <= ch.HANGUL:
            found.append(c)
        elif ch.HANGUL < kind <= ch.OTHER:
            run = kind
            word = ((word ^ (c + 32 if 0x41 <= c <= 0x5A else c)) * _FNV) & _MASK
    return [*found, word | _WORD] if run >= 0 else found


def mix(key: int) -> int:
    """The kernel's spread of a 64-bit key; never 0."""
    key = ((key ^ (key >> 32)) * _MIX) & _MASK
    return (key ^ (key >> 29)) or 1


def place(keys: npt.NDArray[np.uint64], key: int) -> int:
    """Put a mixed key into an open-addressing table of a power of two slots and return its slot."""
    at = key & (keys.size - 1)
    while keys[at] not in (0, key):
        at = (at + 1) & (keys.size - 1)
    keys[at] = key
    return at


@functools.cache
def trie() -> Trie:
    """All lists as one trie. A phrase in two lists is an error in the lists.

    Raises:
        ValueError: a phrase stands in two lists, or is a single character or nothing.
    """
    children: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    for number, name in enumerate(LISTS):
        for entry in read_list(name):
            node, units = 0, units_of(entry)
            for unit in units:
                node = children.setdefault((node, unit), len(children) + 1)
            too_short = len(units) < 2 and units < [_WORD]
            if too_short or ends.setdefault(node, number) != number:
                raise ValueError(f"lists/{name}.txt: {entry!r} is too short or stands in another list too")
    return _compiled(children, ends)


def _compiled(children: dict[tuple[int, int], int], ends: dict[int, int]) -> Trie:
    size = 1 << (4 * len(children)).bit_length()
    keys, nodes = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for (node, unit), child in children.items():
        nodes[place(keys, mix((unit * _MIX + node) & _MASK))] = child
    lists = np.full(len(children) + 1, -1, np.int8)
    for node, number in ends.items():
        lists[node] = number
    return Trie(_starts(children), keys, nodes, lists)


def _starts(children: dict[tuple[int, int], int]) -> npt.NDArray[np.bool_]:
    firsts = {child: unit for (node, unit), child in children.items() if node == 0}
    starts = np.zeros(1 << 16, np.bool_)
    for node, unit in children:
        if node in firsts:
            starts[(((firsts[node] * _FNV + unit) * _MIX) & _MASK) >> 48] = True
    return starts
