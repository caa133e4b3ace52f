"""The coarse filter: edit the text, measure it, and name the limits it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from mdfs.recipe import Recipe


def annotate(batch: pa.RecordBatch, recipe: Recipe) -> pa.RecordBatch:
    """Return `batch` with its texts edited in place and the columns `signals` and `drop_reasons` added.

    Every row is measured from its own text alone; no row goes. Columns other than `text` are handed on untouched.
    `signals` is `mdfs.rules.signals.SIGNALS`; `drop_reasons` holds `<signal>.min` or `<signal>.max` for every limit of
    the recipe that the document breaks, in the order of the registry.
    """
    # Numba takes half a second to import, and reading a recipe needs only this package's names.
    from mdfs.rules import decide, measure

    return decide.decided(measure.measured(batch, recipe), recipe.rules)
