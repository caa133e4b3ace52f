"""Which pages are built so that no parser goes through them in bounded time."""

from __future__ import annotations

from mdfs.collect.thin import MAX_DEPTH, thinned


class TooDeepError(ValueError):
    """A page that no parser goes through in bounded time: elements too deep in each other."""


def bounded(source: str) -> str:
    """The page's thin markup (see `mdfs.collect.thin`), if need be without what changes only the look of words.

    Old pages leave elements like `<font>` open by the hundred.

    Raises:
        TooDeepError: it would take unbounded time.
    """
    page = source.encode("utf-8", "surrogatepass")
    for look in (True, False):
        thin, depth = thinned(page, look=look)
        if depth <= MAX_DEPTH:
            return thin.decode("utf-8", "surrogatepass")
    raise TooDeepError(f"more than {MAX_DEPTH} elements inside each other")
