"""Text of strangers on a terminal: on one line, folded at its columns, with nothing in it that a terminal obeys."""

from __future__ import annotations

from collections.abc import Iterator

from mdfs.funnel import width
from mdfs.report.markup import visible


def line(value: str, most: int = 300) -> str:
    """The first characters on one line, control and direction characters spelt out."""
    return visible(" ".join(value.split())[:most])


def fold(value: str, columns: int) -> Iterator[str]:
    """One line as several of at most so many columns, of which a Chinese character takes two; broken at a blank where
    there is one in the last third.
    """
    while width(value) > columns:
        end = _fitting(value, columns)
        blank = value.rfind(" ", end * 2 // 3, end + 1)
        end = blank if blank > 0 else end
        yield value[:end]
        value = value[end:].lstrip(" ")
    if value:
        yield value


def _fitting(value: str, columns: int) -> int:
    """How many characters fit; one at least."""
    taken = 0
    for place, char in enumerate(value):
        taken += width(char)
        if taken > columns:
            return max(1, place)
    return len(value)
