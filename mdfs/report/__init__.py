"""The report on a run: one HTML page that needs nothing beside it, and `mdfs why` for a single document."""

from __future__ import annotations

from mdfs.report.facts import gather
from mdfs.report.page import page
from mdfs.storage import Store

#: Where the report stands in a run's folder.
NAME = "report.html"


def write(store: Store) -> str:
    """Write the report from what a run has left, after whichever stage, and return its path in the run's folder.

    The same folder gives the same bytes: nothing in it is a time, a host or a path of this machine.

    Raises:
        UsageError: the folder is no run's folder.
    """
    store.write_bytes(NAME, page(gather(store)).encode())
    return NAME
