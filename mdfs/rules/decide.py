"""From measurements to decisions: which of the recipe's limits a document breaks.

A null breaks no limit: what could not be measured is no reason to drop a text. (A text too short to be measured breaks
the limit on its length.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mdfs import schema
from mdfs.recipe import Limit
from mdfs.rules import signals


def drop_reasons(measured: pa.StructArray, limits: Mapping[str, Limit]) -> pa.ListArray:
    """For each document the limits it breaks, `<signal>.min` or `<signal>.max`, in the order of the registry."""
    names: list[str] = []
    broken: list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] = []
    for name in signals.names():
        limit = limits.get(name, Limit())
        for side, bound, beyond in (("min", limit.min, pc.less), ("max", limit.max, pc.greater)):
            if bound is not None:
                column = pc.struct_field(measured, name).cast(pa.float64())
                names.append(f"{name}.{side}")
                broken.append(pc.fill_null(beyond(column, bound), False).to_numpy(zero_copy_only=False))
    if not names:
        return pa.array([[]] * len(measured), schema.DROP_REASONS.type)
    grid = np.stack(broken, axis=1)  # [n_docs, n_limits]
    offsets = np.concatenate([[0], np.cumsum(grid.sum(axis=1))]).astype(np.int32)
    reasons = pa.array(names, pa.string()).take(pa.array(np.nonzero(grid)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), reasons, type=schema.DROP_REASONS.type)


def decided(batch: pa.RecordBatch, limits: Mapping[str, Limit]) -> pa.RecordBatch:
    """Return `batch`, which has `signals`, with the column `drop_reasons` added."""
    return batch.append_column(schema.DROP_REASONS, drop_reasons(batch.column("signals"), limits))
