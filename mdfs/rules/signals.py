"""The measurements: a rule is one function, its name the signal's name, its docstring its documentation.

Rules are vectorised over a batch: each turns counters, one row a document, into one value a document. They measure and
never decide; limits stand in the recipe. What cannot be measured is null. The modules `signals_*` hold them by subject;
the order of the imports here is the order of the registry, and so of drop reasons.
"""

from __future__ import annotations

# isort: off
import pyarrow as pa

from mdfs.rules import signals_text, signals_lines, signals_repetition, signals_words, signals_around
from mdfs.rules.registry import describe, measure_all, names, struct, types
# isort: on

__all__ = ["SIGNALS", "describe", "measure_all", "names", "types"]

SUBJECTS = (signals_text, signals_lines, signals_repetition, signals_words, signals_around)
#: The type of the column `signals`.
SIGNALS: pa.StructType = struct()
