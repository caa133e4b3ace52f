"""Every measurement has a golden file, documentation, and a value or null where it must."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rules_documents import batch

from mdfs import rules
from mdfs.recipe import Dedup, Edits, Limit, Recipe, Urls, WordList
from mdfs.rules import compression, registry, signals

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Recipe(name="plain")
EDITED = Recipe(name="edited", edits=Edits(unicode=True, whitespace=True, boilerplate=True))
PII = Edits(pii=("phone", "im"))
LINES = Edits(end_marks=True, drop_lines_with=("javascript",), paragraphs=True)


def recipe_for(name: str, folder: Path) -> Recipe:
    """The recipe under which a golden file is measured: edits, word lists and domain lists where the signal is theirs."""
    if name == compression.NAME:
        return Recipe(name="compressed", rules={name: Limit(max=2)})
    if name == "edited_personal":
        return Recipe(name="pii", edits=PII)
    if name == "edited_line_chars":
        return Recipe(name="lines", edits=LINES)
    if name == "edited_paragraph_chars":
        return Recipe(name="paragraphs", edits=Edits(paragraphs=True))
    if name == "edited_simplified_chars":
        pytest.importorskip("opencc")
        return Recipe(name="simplify", edits=Edits(simplify=True))
    if name.startswith("edited_"):
        return EDITED
    for number, word in (("1", "甲方词"), ("2", "乙方词"), ("3", "丙方词")):
        (folder / f"{number}.txt").write_text(word, "utf-8")
    (folder / "domains.txt").write_text("listed.example\n", "utf-8")
    lists = {f"custom_{number}": WordList(words=(str(folder / f"{number}.txt"),)) for number in "123"}
    urls = Urls(listed=(str(folder / "domains.txt"),), patterns=("*/tag/*",))
    return Recipe(name="measured", lists=lists, urls=urls)


def measure(name: str, cases: list[dict[str, Any]], folder: Path) -> list[Any]:
    columns = [[case.get(key, "") for case in cases] for key in ("text", "title", "url")]
    rows = rules.annotate(batch(columns[0], titles=columns[1], urls=columns[2]), recipe_for(name, folder)).to_pylist()
    return [row["signals"][name] for row in rows]


@pytest.mark.parametrize("name", signals.names())
def test_golden(name: str, tmp_path: Path) -> None:
    """The golden file of a signal shows what it measures; those of the edits are measured with the edit on."""
    cases = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert measure(name, cases, tmp_path) == [case["value"] for case in cases]
    if name != "lang_confidence":  # test_language.py measures it, where a model is given
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
    """The struct holds all signals in registry order, nullable, as int64, float64 or string."""
    assert [field.name for field in signals.SIGNALS] == list(signals.names())
    assert all(field.nullable and field.type in (pa.int64(), pa.float64(), pa.string()) for field in signals.SIGNALS)


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


def test_compression_is_measured_where_it_is_asked_for() -> None:
    """Null unless the recipe limits it or prefers by it, and zlib's version is in the digest then."""
    asking = [
        Recipe("r", rules={compression.NAME: Limit(min=0.1)}),
        Recipe("r", dedup=Dedup(prefer=(compression.NAME,))),
    ]
    digests = [said.stage_digest("rules") for said in (PLAIN, *asking)]
    assert len(set(digests)) == 3
    for said, there in zip((PLAIN, *asking), (False, True, True), strict=True):
        texts = batch(["天地玄黄" * 40, "短"]).slice(0, 1)
        value = rules.annotate(texts, said).column("signals")[0][compression.NAME].as_py()
        assert (value is not None and value < 0.2) if there else value is None
