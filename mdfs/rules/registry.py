"""What a rule is given and gives, and the register that the decorators `ratio`, `integer` and `word` enter it in.

Counts are int64. Shares and rates are float64 and not float32: a stored value then compares with a limit exactly as it
did when the document was decided on, so deciding again from the files gives the same corpus.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Values:
    """One value a document: int64, float64 or strings, and where `null` is true there is none."""

    values: npt.NDArray[Any]
    null: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Measured:
    """What is counted in a batch: `counts[name]` is int64[n_docs] (see `mdfs.rules.measure`), -1 where not asked for.

    `identified` is the language model's labels and probabilities, None where the recipe names no model.
    """

    counts: dict[str, Counts]
    identified: tuple[list[str], npt.NDArray[np.float64]] | None = None

    def count(self, name: str) -> Values:
        """A counter as it is; null where it was not asked for."""
        return Values(self.counts[name], self.counts[name] < 0)

    def share(self, part: str, whole: str, scale: float = 1.0) -> Values:
        """`scale` × part / whole; null where the whole is zero."""
        return divide(self.counts[part], self.counts[whole], scale)


def divide(part: Counts, whole: Counts, scale: float = 1.0) -> Values:
    """`scale` × part / whole; null where the whole is zero or the part was not asked for."""
    null = (whole == 0) | (part < 0)
    return Values(scale * part / np.where(null, 1, whole), null)


Rule = Callable[[Measured], Values]
_R = TypeVar("_R", bound=Rule)
_RULES: dict[str, tuple[Rule, pa.DataType]] = {}


def ratio(rule: _R) -> _R:
    """Register a rule that gives float64."""
    _RULES[rule.__name__] = (rule, pa.float64())
    return rule


def integer(rule: _R) -> _R:
    """Register a rule that gives int64."""
    _RULES[rule.__name__] = (rule, pa.int64())
    return rule


def word(rule: _R) -> _R:
    """Register a rule that gives strings."""
    _RULES[rule.__name__] = (rule, pa.string())
    return rule


def types() -> dict[str, pa.DataType]:
    """The type of every signal, by name."""
    return {name: kind for name, (_, kind) in _RULES.items()}


def names() -> tuple[str, ...]:
    """Names of all signals, in registry order, which is the order of drop reasons."""
    return tuple(_RULES)


def describe() -> list[dict[str, str]]:
    """Name, type and documentation of every signal, in registry order."""
    return [
        {"name": name, "type": str(kind), "help": inspect.getdoc(rule) or ""} for name, (rule, kind) in _RULES.items()
    ]


def measure_all(measured: Measured) -> pa.StructArray:
    """Every rule's values for a batch, as the struct `struct()`. A rule that raises stops the unit."""
    columns = []
    for rule, kind in _RULES.values():
        got = rule(measured)
        columns.append(pa.array(got.values, kind, mask=got.null))
    return pa.StructArray.from_arrays(columns, fields=list(struct()))


def struct() -> pa.StructType:
    """The type of the column `signals`: a nullable field for each rule entered so far."""
    return pa.struct([pa.field(name, kind) for name, (_, kind) in _RULES.items()])
