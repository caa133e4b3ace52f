"""Whether what a recipe says about parts of texts makes sense. A module without kernels, for quick checks."""

from __future__ import annotations

from typing import Any

from mdfs.errors import UsageError
from mdfs.options import Dedup

#: Shorter passages are sayings and names; and windows of so few bytes have no room for samples.
LEAST_SPAN = 10


def check(dedup: Dedup, where: str) -> None:
    """Raise UsageError, which names the key after `where`, unless what is said of lines and passages makes sense."""
    if dedup.lines is not None:
        said = dedup.lines
        _one_of(said.unit, ("line", "paragraph"), f"{where}: dedup.lines.unit")
        _at_least(1, said, ("max_documents", "min_hosts", "min_line_chars"), f"{where}: dedup.lines")
        _at_least(0, said, ("min_chars",), f"{where}: dedup.lines")
    if dedup.containment is not None:
        inside = dedup.containment
        if not 0 < inside.threshold <= 1:
            raise UsageError(
                f"{where}: dedup.containment.threshold must be over 0 and at most 1, not {inside.threshold}"
            )
        _at_least(2, inside, ("max_bucket",), f"{where}: dedup.containment")
        _at_least(1, inside, ("min_chars",), f"{where}: dedup.containment")
    if dedup.substring is not None:
        passages = dedup.substring
        _one_of(passages.action, ("cut", "count"), f"{where}: dedup.substring.action")
        _at_least(LEAST_SPAN, passages, ("span_chars",), f"{where}: dedup.substring")
        _at_least(0, passages, ("min_chars",), f"{where}: dedup.substring")


def _one_of(value: str, known: tuple[str, ...], what: str) -> None:
    if value not in known:
        names = " or ".join(f'"{name}"' for name in known)
        raise UsageError(f"{what} must be {names}, not {value!r}")


def _at_least(least: int, said: Any, names: tuple[str, ...], what: str) -> None:
    for name in names:
        value = getattr(said, name)
        if value < least:
            raise UsageError(f"{what}.{name} must be at least {least}, not {value}")
