"""From measurements to decisions: which of the recipe's limits a document breaks.

A null breaks no limit: what could not be measured is no reason to drop a text. (A text too short to be measured breaks
the limit on its length.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mdfs import schema
from mdfs.recipe import Limit
from mdfs.rules import signals

Broken = npt.NDArray[np.bool_]


def drop_reasons(measured: pa.StructArray, limits: Mapping[str, Limit]) -> pa.ListArray:
    """For each document the limits it breaks, `<signal>.<min|max|any_of|none_of>`, in the order of the registry."""
    names: list[str] = []
    broken: list[Broken] = []
    for name in signals.names():
        if name in limits:
            for side, which in _broken(pc.struct_field(measured, name), limits[name]):
                names.append(f"{name}.{side}")
                broken.append(which)
    if not names:
        return pa.array([[]] * len(measured), schema.DROP_REASONS.type)
    grid = np.stack(broken, axis=1)  # [n_docs, n_limits]
    offsets = np.concatenate([[0], np.cumsum(grid.sum(axis=1))]).astype(np.int32)
    reasons = pa.array(names, pa.string()).take(pa.array(np.nonzero(grid)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), reasons, type=schema.DROP_REASONS.type)


def _broken(values: pa.Array, limit: Limit) -> Iterator[tuple[str, Broken]]:
    """The limit's sides that are given, each with the documents that are beyond it."""
    for side, bound, beyond in (("min", limit.min, pc.less), ("max", limit.max, pc.greater)):
        if bound is not None:
            yield side, pc.fill_null(beyond(values.cast(pa.float64()), bound), False).to_numpy(zero_copy_only=False)
    for side, words, wanted in (("any_of", limit.any_of, False), ("none_of", limit.none_of, True)):
        if words is not None:
            found = pc.equal(pc.is_in(values, pa.array(words, pa.string())), wanted)
            yield side, pc.and_(found, values.is_valid()).to_numpy(zero_copy_only=False)


def decided(batch: pa.RecordBatch, limits: Mapping[str, Limit]) -> pa.RecordBatch:
    """Return `batch`, which has `signals`, with the column `drop_reasons` added."""
    return batch.append_column(schema.DROP_REASONS, drop_reasons(batch.column("signals"), limits))
