"""Which pages are built so that no parser goes through them in bounded time."""

from __future__ import annotations

from mdfs.collect.thin import MAX_DEPTH, Thin, thinned


class TooDeepError(ValueError):
    """A page that no parser goes through in bounded time: elements too deep in each other."""


def bounded(page: bytes) -> Thin:
    """The thin markup of a page in UTF-8 (see `mdfs.collect.thin`).

    Raises:
        TooDeepError: it would take unbounded time.
    """
    thin = thinned(page)
    if thin.depth > MAX_DEPTH:
        raise TooDeepError(f"more than {MAX_DEPTH} elements inside each other")
    return thin
