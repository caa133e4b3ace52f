"""How alike two measurements of the same texts are, as rows of a Markdown table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mdfs import schema
from mdfs.recipe import Limit

Column = npt.NDArray[np.float64]
#: What `compared` gives.
HEAD = "null | equal | near | rank corr. | median, ours | theirs | same side | only ours drops | only theirs"


def batch(texts: list[str]) -> pa.RecordBatch:
    """Documents that have a text and nothing else."""
    n = len(texts)
    columns: dict[str, list[Any]] = {"text": texts, "fetched_at": [None] * n, "meta": [[]] * n}
    arrays = [pa.array(columns.get(field.name, [""] * n), field.type) for field in schema.DOCUMENT]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.DOCUMENT)


def numbers(values: list[Any]) -> Column:
    return np.array([np.nan if value is None else float(value) for value in values])


def breaks(values: Column, limit: Limit) -> npt.NDArray[np.bool_]:
    """Where a limit is broken; what is not measured breaks none."""
    low = values < limit.min if limit.min is not None else np.zeros(values.size, bool)
    return low | (values > limit.max) if limit.max is not None else low


def ranks(values: Column) -> Column:
    """Ranks, equal values sharing theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def likeness(ours: Column, original: Column) -> list[str]:
    """Not measured by us, equal, within 5% (or 0.005), rank correlation, and the medians where either is not 0."""
    seen = ~np.isnan(ours)
    a, b = ours[seen], original[seen]
    equal = np.isclose(a, b, rtol=1e-9, atol=1e-12)
    near = np.abs(a - b) <= np.maximum(0.005, 0.05 * np.maximum(np.abs(a), np.abs(b)))
    varied = len(set(a)) > 1 and len(set(b)) > 1
    rho = f"{np.corrcoef(ranks(a), ranks(b))[0, 1]:.3f}" if varied else "–"
    some = (a > 0) | (b > 0)
    medians = [f"{np.median(side[some]):.3g}" if some.any() else "0" for side in (a, b)]
    return [str(int((~seen).sum())), f"{equal.mean():.0%}", f"{near.mean():.0%}", rho, *medians]


def table(head: str, rows: list[list[str]]) -> str:
    """Markdown; the first column is text."""
    names = head.split(" | ")
    lines = [f"| {head} |", "|---|" + "---:|" * (len(names) - 1), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def compared(ours: Column, original: Column, limit: Limit) -> list[str]:
    """How alike they are, and how often they fall on the same side of the limit."""
    here, there = breaks(ours, limit), breaks(original, limit)
    side = [f"{(here == there).mean():.1%}", str(int((here & ~there).sum())), str(int((~here & there).sum()))]
    return likeness(ours, original) + side
