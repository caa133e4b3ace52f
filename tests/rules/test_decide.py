"""Limits: what breaks one, what does not, and what is said about it."""

from __future__ import annotations

import pyarrow as pa
import pytest
from rules_documents import batch

from mdfs import recipe, rules, schema
from mdfs.errors import UsageError
from mdfs.recipe import Limit, Recipe
from mdfs.rules import decide, signals


def measured(**columns: list[float | None]) -> pa.StructArray:
    """A `signals` column of three rows in which only `columns` are not null."""
    rows = [{name: values[k] for name, values in columns.items()} for k in range(3)]
    return pa.array([{name: row.get(name) for name in signals.names()} for row in rows], signals.SIGNALS)


def reasons(column: pa.StructArray, **limits: Limit) -> list[list[str]]:
    return decide.drop_reasons(column, limits).to_pylist()


def test_null_breaks_no_limit() -> None:
    """What could not be measured is no reason to drop."""
    column = measured(han_ratio=[None, 0.2, 0.9])
    assert reasons(column, han_ratio=Limit(min=0.6)) == [[], ["han_ratio.min"], []]


def test_a_limit_itself_is_allowed() -> None:
    """Limits are the smallest and largest allowed values."""
    column = measured(chars=[149, 150, 151])
    assert reasons(column, chars=Limit(min=150, max=150)) == [["chars.min"], [], ["chars.max"]]


def test_all_reasons_in_registry_order() -> None:
    """Every broken limit is named, in the registry's order, whatever the recipe's."""
    column = measured(chars=[10, 10, 500], han_ratio=[0.1, 0.9, 0.1], digit_ratio=[0.9, 0.1, None])
    limits = {"digit_ratio": Limit(max=0.3), "han_ratio": Limit(min=0.6), "chars": Limit(min=150)}
    assert reasons(column, **limits) == [
        ["chars.min", "han_ratio.min", "digit_ratio.max"],
        ["chars.min"],
        ["han_ratio.min"],
    ]


def test_no_limits() -> None:
    """A recipe without limits drops nothing, and the column has its type all the same."""
    column = decide.drop_reasons(measured(), {})
    assert column.type == schema.DROP_REASONS.type
    assert column.to_pylist() == [[], [], []]


def test_empty_batch() -> None:
    """No rows in, no rows out, same columns."""
    out = rules.annotate(batch([]), Recipe(name="some", rules={"chars": Limit(min=1)}))
    assert out.num_rows == 0
    assert out.schema.field("drop_reasons") == schema.DROP_REASONS


def test_deciding_again_from_the_signals() -> None:
    """The stored measurements alone give the same reasons: that is what `mdfs what-if` rests on."""
    limits = {"han_ratio": Limit(min=1 / 3), "mean_line_chars": Limit(max=7 / 3)}
    out = rules.annotate(batch(["中\na\nb", "一二三\n四五\n六七", "ab c", ""]), Recipe(name="some", rules=limits))
    assert out.column("drop_reasons").to_pylist() == [[], [], ["mean_line_chars.max", "han_ratio.min"], []]
    again = decide.drop_reasons(out.column("signals"), limits)
    assert again.equals(out.column("drop_reasons"))


def test_words_are_allowed_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement that is a word is compared with lists; null breaks neither."""
    kind = pa.struct([pa.field("script", pa.string())])
    column = pa.array([{"script": "Hans"}, {"script": "Latn"}, {"script": None}], kind)
    monkeypatch.setattr(signals, "names", lambda: ("script",))
    assert reasons(column, script=Limit(any_of=("Hans", "Hant"))) == [[], ["script.any_of"], []]
    assert reasons(column, script=Limit(none_of=("Hans",))) == [["script.none_of"], [], []]


def test_limits_fit_their_measurement() -> None:
    """Words have no smallest, numbers no list of allowed ones."""
    with pytest.raises(UsageError, match="is a number: use min or max"):
        recipe.from_dict({"name": "r", "rules": {"chars": {"any_of": ["a"]}}})
