"""`mdfs what-if` decides as a run would, from the stored measurements alone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
import run_folder
from conftest import mdfs
from hypothesis import HealthCheck, given, settings
from rules_documents import PROSE, batch

from mdfs import recipe, schema, whatif
from mdfs.errors import RunError, UsageError
from mdfs.ledger import Ledger, total
from mdfs.progress import Progress
from mdfs.recipe import Recipe
from mdfs.rules import compression, signals, stage
from mdfs.stage import Run
from mdfs.storage import Store

#: Measurements that are numbers and always made.
NUMBERS = [f.name for f in signals.SIGNALS if not pa.types.is_string(f.type) and f.name != compression.NAME]
TEXTS = [
    PROSE,
    PROSE[:200],
    "短",
    "",
    "返回顶部\n" * 8,
    "Hello there. " * 30,
    "六合彩 " * 50,
    PROSE + "加微信领取" * 9,
    "123 " * 90,
]


def run_of(folder: Path, said: Recipe, parts: dict[str, Sequence[str]]) -> Store:
    """A run's folder after the rules; `parts` are the texts of each source."""
    store = Store(str(folder))
    about = {"mdfs_version": "0", "recipe": said.to_dict(), "recipe_digest": said.digest(),
             "stages": {"rules": said.stage_digest("rules")}}  # fmt: skip
    store.write_json("ledger/run.json", about)
    for source, texts in parts.items():
        documents = batch(
            list(texts), sources=[source] * len(texts), urls=[f"http://{source}.cn/{t[:3]}" for t in texts]
        )
        ids = pa.array([run_folder.doc_id(source, k) for k in range(len(texts))], pa.string())
        documents = documents.set_column(0, schema.DOCUMENT.field("doc_id"), ids)
        files = run_folder.write(store, f"collect/part-{source}.parquet", "kept", source, documents)
        run_folder.commit(store, "collect", f"part-{source}", len(texts), files)
    stage.STAGE.run(Run(store, said, run_folder.Inline(), Progress(quiet=True)))  # type: ignore[arg-type]
    return store


def decided(store: Store, said: Recipe) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every document of a run with the reasons stored and those decided anew."""
    for row in Ledger(store).rows("rules").values():
        for file in row.files:
            for rows, reasons in whatif.decisions(store, file, said.rules):
                columns = (rows.column("doc_id"), rows.column("drop_reasons"), reasons)
                yield from zip(*(column.to_pylist() for column in columns), strict=True)


@st.composite
def limits(draw: st.DrawFn) -> dict[str, dict[str, float]]:
    """Limits on a few measurements, at values that occur."""
    names = draw(st.lists(st.sampled_from(NUMBERS), max_size=6, unique=True))
    value = st.sampled_from([0, 0.05, 0.2, 0.5, 0.9, 1, 3, 10, 50, 150, 400])
    side = st.sampled_from(["min", "max"])
    return {name: {draw(side): float(draw(value))} for name in names}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(limits(), limits(), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=9))
def test_as_a_run_would(old: dict[str, Any], new: dict[str, Any], texts: list[str]) -> None:
    """With the run's own recipe every stored reason comes back; with another, those that a run with it gives."""
    before, after = (recipe.from_dict({"name": name, "rules": said}) for name, said in (("old", old), ("new", new)))
    with tempfile.TemporaryDirectory() as folder:
        store = run_of(Path(folder) / "old", before, {"web": texts, "news": texts[::-1]})
        assert all(stored == again for _, stored, again in decided(store, before))
        real = run_of(Path(folder) / "new", after, {"web": texts, "news": texts[::-1]})
        wanted = {doc: stored for doc, stored, _ in decided(real, after)}
        assert {doc: again for doc, _, again in decided(store, after)} == wanted
        found, ledger = whatif.compare(store, after), Ledger(real).rows("rules").values()
        assert found["new"]["kept"] == sum(row.docs_out for row in ledger)
        assert found["new"]["reasons"] == total(ledger, "rules").dropped
        flipped = {doc for doc, stored, again in decided(store, after) if bool(stored) != bool(again)}
        assert found["newly_kept"]["documents"] + found["newly_dropped"]["documents"] == len(flipped)
        shown = [card["doc_id"] for side in ("newly_kept", "newly_dropped") for card in found[side]["samples"]]
        assert set(shown) <= flipped
        whatif.render(found)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two sources under two limits: four of the ten documents are kept."""
    said = recipe.from_dict({"name": "small", "rules": {"chars": {"min": 150}, "han_ratio": {"min": 0.6}}})
    parts = {"web": TEXTS[:6], "news": [PROSE * 2, "短" * 20, "Hello there. " * 30, PROSE]}
    return run_of(tmp_path_factory.mktemp("whatif") / "out", said, parts)


def test_words(store: Store) -> None:
    """A limit on a word is decided anew as well, and said in words."""
    found = whatif.compare(store, settings=["rules.chars=false", "rules.han_ratio=false", 'rules.lang.any_of=["en"]'])
    assert found["new"]["reasons"] == {"lang.any_of": 9}
    text = whatif.render(found)
    assert "lang                         no limit → one of en" in text
    assert "lang zh (any_of en)" in text


def test_what_was_not_measured_is_not_decided(store: Store) -> None:
    """A measurement that is made only where it is asked for cannot be limited afterwards."""
    with pytest.raises(UsageError, match="compression_ratio was not measured"):
        whatif.compare(store, settings=["rules.compression_ratio.min=0.2"])


def test_funnel(store: Store) -> None:
    """Old and new counts, by reason and source, and what changes side."""
    found = whatif.compare(store, settings=["rules.han_ratio=false", "rules.chars.min=210"])
    assert found["docs_in"] == 10
    assert found["old"] == {"kept": 4, "dropped": 6, "reasons": {"chars.min": 4, "han_ratio.min": 2}}
    assert found["new"]["kept"] + found["new"]["dropped"] == 10
    assert set(found["new"]["reasons"]) == {"chars.min"}
    assert found["newly_kept"]["reasons"] == {"han_ratio.min": 2}
    assert found["newly_dropped"]["reasons"] == {"chars.min": found["newly_dropped"]["documents"]}
    assert found["sources"]["news"] == {"docs": 4, "kept_old": 2, "kept_new": 2, "newly_kept": 1, "newly_dropped": 1}
    assert found["limits"] == [
        {"signal": "chars", "old": {"min": 150.0}, "new": {"min": 210.0}},
        {"signal": "han_ratio", "old": {"min": 0.6}, "new": None},
    ]
    assert json.loads(json.dumps(found)) == found


def test_samples(store: Store) -> None:
    """Those of the smallest doc_ids, with the measurement and the limit that decided."""
    found = whatif.compare(store, settings=["rules.chars.min=0"], samples=2)["newly_kept"]
    ids = sorted(doc for doc, stored, _ in decided(store, Recipe("none")) if stored == ["chars.min"])
    assert [card["doc_id"] for card in found["samples"]] == ids[:2]
    card = found["samples"][0]
    assert card["reasons"] == [{"reason": "chars.min", "value": len(card["text"].replace("\n", "")), "limit": 150.0}]
    assert whatif.compare(store, settings=["rules.chars.min=0"], samples=0)["newly_kept"]["samples"] == []


def test_no_limits_at_all(store: Store) -> None:
    """A recipe without limits keeps everything."""
    found = whatif.compare(store, recipe.from_dict({"name": "none"}))
    assert (found["new"]["kept"], found["new"]["reasons"]) == (10, {})
    assert found["sources"]["web"]["kept_new"] == 6


def test_the_same_limits(store: Store) -> None:
    """Nothing changes side, and that is said."""
    found = whatif.compare(store)
    assert found["old"] == found["new"]
    assert "nothing changes side" in whatif.render(found)


def test_other_edits_are_named(store: Store) -> None:
    """Edits would change texts: a line says that this was decided on what is stored."""
    notes = " ".join(whatif.compare(store, settings=["edits.whitespace=true"])["notes"])
    assert "differ in [edits]" in notes
    assert "copies and the classifier's verdicts" in notes


def test_a_list_that_is_gone(tmp_path: Path) -> None:
    """Deciding needs no word list; that one has changed or is missing is said."""
    words = tmp_path / "words.txt"
    words.write_text("清晨\n", "utf-8")
    data = {"name": "small", "rules": {"chars": {"min": 150}}, "lists": {"custom_1": {"words": [str(words)]}}}
    store = run_of(tmp_path / "out", recipe.from_dict(data), {"web": [PROSE, "短"]})
    note = "its word lists or models are not as they were"
    assert note not in " ".join(whatif.compare(store)["notes"])
    words.write_text("黄昏\n", "utf-8")
    assert note in " ".join(whatif.compare(store)["notes"])
    words.unlink()
    assert note in " ".join(whatif.compare(store, settings=["rules.chars.min=1"])["notes"])


def test_rendered(store: Store) -> None:
    """For a terminal: limits, funnel, sources, samples."""
    shown = whatif.render(whatif.compare(store, settings=["rules.chars.min=40"]))
    assert shown.startswith("rules of small → small with rules.chars.min=40\n  chars")
    assert "150 or more → 40 or more" in shown
    assert "newly dropped: 0" in shown


def test_a_terminal_is_not_attacked(tmp_path: Path) -> None:
    """Escape sequences of a page are spelt out, and a line holds 200 characters of it."""
    said = recipe.from_dict({"name": "small", "rules": {"chars": {"min": 9000}}})
    hostile = run_of(tmp_path / "out", said, {"web": ["\x1b[31m\u202e" + "长" * 3000, "\x07" + "W" * 500]})
    shown = whatif.render(whatif.compare(hostile, settings=["rules.chars=false"]))
    assert not set(shown) & set("\x07\x1b\u202e")
    assert max(map(len, shown.splitlines())) < 200


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("rules.han_ratoi.min=0.5", "did you mean 'han_ratio'"),
        ("rules.han_ratio.mim=0.5", "did you mean 'min'"),
        ("rulse.han_ratio.min=0.5", "did you mean 'rules'"),
        ("rules.han_ratio.min=0,5", "must be a float"),
        ("rules.han_ratio.min=false", "no 'min' to remove|must be a float|neither min nor max"),
        ("rules.char=false", "did you mean 'chars'"),
        ("han_ratio", "write it as"),
        ("rules.=1", "write it as"),
        ("name.x=1", "name is no table"),
    ],
)
def test_bad_settings(store: Store, setting: str, says: str) -> None:
    """The recipe's own checks say what is wrong and name what is near."""
    with pytest.raises(UsageError, match=says):
        whatif.compare(store, settings=[setting])


def test_before_the_rules(tmp_path: Path) -> None:
    """A run that has measured nothing yet."""
    early = Store(str(tmp_path))
    early.write_json("ledger/run.json", {"mdfs_version": "0", "recipe": {"name": "x"}, "recipe_digest": ""})
    with pytest.raises(UsageError, match="run `mdfs rules` first"):
        whatif.compare(early)


def test_a_measurement_that_the_run_did_not_make(store: Store) -> None:
    """Files of an older mdfs lack newer measurements; none is made up."""
    file = next(iter(Ledger(store).rows("rules").values())).files[0]
    with pytest.raises(RunError, match="no_such was not measured"):
        next(whatif.decisions(store, file, {"no_such": recipe.Limit(min=1)}))


def test_those_that_had_reached_the_shards(sample_run: Path) -> None:
    """In a finished run: how many of the newly dropped are in its shards; no limit at all drops what all kept."""
    store = Store(str(sample_run))
    everything = whatif.compare(store, settings=["rules.chars.min=100000000"])
    totals = store.read_json("manifest.json")["totals"]
    assert everything["newly_dropped"]["reached_shards"] == totals["docs"]
    assert everything["new"]["kept"] == 0


def test_the_command(sample_run: Path) -> None:
    """Text for people, one object for programs, nothing in the folder changed."""
    before = {path: path.stat().st_mtime_ns for path in sample_run.rglob("*")}
    shown = mdfs("what-if", sample_run, "--recipe", "plain", "--set", "rules.chars.min=20", "--samples", "1")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("rules of yuan1 → plain with rules.chars.min=20")
    found = json.loads(mdfs("what-if", sample_run, "--recipe", "plain", "--json").stdout)
    assert found["new"]["dropped"] == 0
    assert {path: path.stat().st_mtime_ns for path in sample_run.rglob("*")} == before
    wrong = mdfs("what-if", sample_run, "--recipe", "yaun1")
    assert (wrong.returncode, "did you mean 'yuan1'" in wrong.stderr) == (2, True)
