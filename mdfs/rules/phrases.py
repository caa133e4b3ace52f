"""Word lists by category, and the one trie that holds them all, in arrays that a kernel walks.

A phrase is a run of reading units, so that spaces and punctuation put between its characters do not hide it:
六 合 彩 and 六.合.彩 count as 六合彩. Latin letters match in either case, and only whole words: `qq` does not match in
`qqmusic`.

Each category has a list that comes with mdfs; a recipe's `[lists.<category>]` puts others in its place, by name or by
path (one entry a line), says how severe it is, and for which sources the category or single entries do not count.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mdfs.errors import UsageError
from mdfs.recipe import Recipe, WordList
from mdfs.rules import characters as ch

#: Categories, in the order of the kernel's columns, and how severe they are: 1 for what good texts have now and then,
#: 3 for what hardly a good text has. The list of a category is `lists/<category>.txt`; the custom ones are empty.
CATEGORIES = {
    "advertising": 1, "gambling": 3, "adult": 3, "medical": 2, "contact": 1, "sensitive": 3,
    "custom_1": 1, "custom_2": 2, "custom_3": 3,
}  # fmt: skip
#: Categories that come with a list.
LISTS = tuple(name for name in CATEGORIES if not name.startswith("custom_"))
#: Words of categories as severe as this are sensitive words.
SEVERE = 3

_MASK = (1 << 64) - 1
_MIX, _FNV, _SEED, _WORD = 0x9E3779B97F4A7C15, 0x100000001B3, 0xCBF29CE484222325, 1 << 63


@dataclass(frozen=True)
class Trie:
    """Transitions in an open-addressing table: (node, unit) → node.

    `lists[node]` is the number of the category whose phrase ends there, or -1.
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


@dataclass(frozen=True)
class Category:
    """A category as a recipe has it: its entries, how severe it is, and the sources that are exempt."""

    name: str
    words: tuple[str, ...]
    severity: int
    exempt: tuple[str, ...] = ()
    exempt_words: tuple[tuple[str, tuple[str, ...]], ...] = ()


def categories(recipe: Recipe) -> tuple[Category, ...]:
    """The recipe's categories, in the order of `CATEGORIES`, with the entries read.

    Raises:
        UsageError: a list is missing or cannot be read, or has an entry that is too short to look for.
    """
    found = []
    for name, severity in CATEGORIES.items():
        said = recipe.lists.get(name, WordList())
        names = said.words or ((name,) if name in LISTS else ())
        words = dict.fromkeys(word for entry in names for word in _words(recipe.path(entry)))
        exempt_words = tuple(sorted(said.exempt_words.items()))
        level = severity if said.severity is None else said.severity
        found.append(Category(name, tuple(words), level, said.exempt, exempt_words))
    return tuple(found)


def digest(recipe: Recipe) -> str:
    """64 hex digits over the entries of all categories, in order and whole."""
    said = "\0".join("\n".join((category.name, *category.words)) for category in categories(recipe))
    return hashlib.sha256(said.encode()).hexdigest()


def _words(name_or_path: str) -> tuple[str, ...]:
    if name_or_path in LISTS:
        return tuple(read_list(name_or_path))
    path = Path(name_or_path)
    try:
        stat = path.stat()
    except OSError:
        raise UsageError(
            f"word list {name_or_path!r}: neither a shipped list ({', '.join(LISTS)}) nor a file"
        ) from None
    return _read_words(os.fspath(path), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _read_words(path: str, changed: int, size: int) -> tuple[str, ...]:
    """The entries of a file: one a line; a line that begins with `#` is a comment, a comma at the end is none of it."""
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"word list {path}: cannot be read as UTF-8 text ({error})") from None
    entries = [line.strip().rstrip(",，、").strip() for line in lines if not line.startswith("#")]
    words = tuple(entry for entry in entries if entry)
    short = [word for word in words if _too_short(units_of(word))]
    if short:
        raise UsageError(f"word list {path}: {', '.join(map(repr, short[:3]))} would be found everywhere; remove it")
    return words


def _too_short(units: list[int]) -> bool:
    """A single character, or nothing but marks."""
    return len(units) < 2 and units < [_WORD]


def exempted(category: Category, source: str) -> bool:
    """Whether the category does not count in documents of a source."""
    return any(fnmatch.fnmatchcase(source, pattern) for pattern in category.exempt)


def words_for(found: tuple[Category, ...], source: str) -> tuple[tuple[str, ...], ...]:
    """The entries of every category that count in documents of a source."""
    counted = []
    for category in found:
        patterns = [words for pattern, words in category.exempt_words if fnmatch.fnmatchcase(source, pattern)]
        spared = {word for words in patterns for word in words}
        counted.append(tuple(word for word in category.words if word not in spared) if spared else category.words)
    return tuple(counted)


@functools.lru_cache(maxsize=16)
def trie(words: tuple[tuple[str, ...], ...], severities: tuple[int, ...]) -> Trie:
    """All categories as one trie. A phrase in two of them counts in the more severe one, else in the first."""
    children: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    order: Iterable[int] = sorted(range(len(words)), key=lambda number: (-severities[number], number))
    for number in order:
        for entry in words[number]:
            node = 0
            for unit in units_of(entry):
                node = children.setdefault((node, unit), len(children) + 1)
            ends.setdefault(node, number)
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
