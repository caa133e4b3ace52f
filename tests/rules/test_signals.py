"""Every measurement has a golden file, documentation, and a value or null where it must."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from rules_documents import batch

from mdfs import rules
from mdfs.recipe import Edits, Recipe
from mdfs.rules import registry, signals

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Recipe(name="plain")
EDITED = Recipe(name="edited", edits=Edits(unicode=True, whitespace=True, boilerplate=True))


@pytest.mark.parametrize("name", signals.names())
def test_golden(name: str) -> None:
    """The golden file of a signal shows what it measures; those of the edits are measured with all edits on."""
    cases = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    recipe = EDITED if name.startswith("edited_") else PLAIN
    rows = rules.annotate(batch([case["text"] for case in cases]), recipe).to_pylist()
    assert [row["signals"][name] for row in rows] == [case["value"] for case in cases]
    assert len({case["value"] for case in cases}) > 1, "a golden file shows at least two values"


def test_no_golden_file_is_left_over() -> None:
    """A renamed signal takes its golden file with it."""
    assert {path.stem for path in GOLDEN.iterdir()} == set(signals.names())


def test_documentation() -> None:
    """Each signal says what it is in a sentence, and shares and rates say when they are null."""
    for rule in signals.describe():
        assert rule["help"].split("\n")[0].rstrip(".)").count(" ") > 2, rule["name"]
        if rule["type"] == "double":
            assert "null" in rule["help"], rule["name"]


def test_struct() -> None:
    """The struct holds all signals in registry order, nullable, as int64 or float64."""
    assert [field.name for field in signals.SIGNALS] == list(signals.names())
    assert all(field.nullable and field.type in (pa.int64(), pa.float64()) for field in signals.SIGNALS)


def test_a_rule_that_raises_stops_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception of a rule becomes a null or a dropped document."""

    def failing(measured: registry.Measured) -> registry.Values:
        raise ZeroDivisionError("no measurement")

    monkeypatch.setitem(registry._RULES, "chars", (failing, pa.int64()))
    with pytest.raises(ZeroDivisionError):
        rules.annotate(batch(["一"]), PLAIN)


def test_names_need_no_compiler() -> None:
    """Reading a recipe imports this package: neither Numba nor Spark comes with it."""
    look = "print([m for m in ('numba', 'pyspark') if m in sys.modules])"
    code = f"import sys, mdfs.rules.signals, mdfs.rules.decide; {look}"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
