"""Calibration: temperature, isotonic curves, and thresholds of a cascade with a bound that holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import generated
import numpy as np
import pyarrow as pa
import pytest
from mdfs.classifiers import calibrate
from mdfs.classifiers.datasets import Doc
from test_training import QUICK, done, refused

from mdfs import classify
from mdfs.classify.base import scores_of


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    data = generated.write(folder / "labels.jsonl", generated.rows(60))
    done("train", *QUICK, "--data", data, "-o", folder / "mine")
    return folder / "mine"


def test_isotonic_pools_what_falls() -> None:
    curve = calibrate.isotonic(np.array([0.1, 0.2, 0.3, 0.4, 0.9]), np.array([0, 1, 0, 1, 1], bool))
    assert curve == {"x": [0.1, 0.25, 0.65], "y": [0.0, 0.5, 1.0]}
    ties = calibrate.isotonic(np.array([0.5, 0.5, 0.5, 0.5]), np.array([1, 0, 0, 0], bool))
    assert ties == {"x": [0.5], "y": [0.25]}


def test_isotonic_follows_what_a_temperature_cannot(quick: Path, tmp_path: Path) -> None:
    """A classifier that is too sure when it is unsure and too unsure when it is sure."""
    shutil.copytree(quick, tmp_path / "m")
    rows = generated.rows(400, seed=2)
    docs = [Doc(str(i), row["text"], row["label"], "s", str(i)) for i, row in enumerate(rows)]
    flipped = [d if i % 4 else Doc(d.id, d.text, "low", "s", d.group) for i, d in enumerate(docs)]
    found = calibrate.calibrate(tmp_path / "m", flipped, "isotonic")
    assert found["expected_error_after"] < 0.02 < found["expected_error_before"]
    model = classify.load(str(tmp_path / "m"))
    scores = model.predict(pa.array([d.text for d in flipped]))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    right = scores.argmax(axis=1) == [model.labels.index(d.label) for d in flipped]
    assert scores.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.02)


def test_a_curve_that_says_zero_for_all_labels_leaves_the_row(quick: Path) -> None:
    flat = {label: {"x": [0.0, 1.0], "y": [0.0, 0.0]} for label in ("ad", "high", "low")}
    folder = quick.parent / "flat"
    shutil.copytree(quick, folder)
    card = classify.read_card(folder)
    card = calibrate.reseal(card, calibrate.fields_of(card) | {"calibration": {"isotonic": flat}})
    scores = scores_of(np.array([[1.0, 0.0, 0.0]]), card)
    np.testing.assert_allclose(scores.sum(), 1, atol=1e-6)
    assert scores[0].argmax() == 0


@pytest.mark.parametrize(
    "curve",
    [
        {"x": [0.5, 0.5], "y": [0, 1]},
        {"x": [0.1, 0.5], "y": [1, 0]},
        {"x": [], "y": []},
        {"x": [0.1], "y": [2]},
        {"x": [0.1], "y": [0.1, 0.2]},
        "steep",
    ],
)
def test_a_malformed_curve_is_refused(quick: Path, tmp_path: Path, curve: object) -> None:
    shutil.copytree(quick, tmp_path / "m")
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    card["calibration"] = {"isotonic": dict.fromkeys(("ad", "high", "low"), curve)}
    (tmp_path / "m" / "card.json").write_text(json.dumps(card))
    assert "not a valid card" in refused("card", tmp_path / "m")


def test_the_command_fits_a_temperature_and_keeps_the_rest(quick: Path, tmp_path: Path) -> None:
    data = generated.write(tmp_path / "x.jsonl", generated.rows(30, seed=5))
    found = done("calibrate", quick, "--data", data, "-o", tmp_path / "m")
    before, after = classify.read_card(quick), classify.read_card(tmp_path / "m")
    assert after.temperature == found["temperature"]
    assert after.fields["training"] == before.fields["training"]
    assert found["expected_error_after"] <= found["expected_error_before"]
    said = refused("calibrate", quick, "--data", data, "--method", "isotonic", "-o", tmp_path / "n")
    assert "90 documents are too few" in said


def test_thresholds_are_the_lowest_that_hold() -> None:
    best = np.linspace(0.999, 0.5, 2000).astype(np.float32)
    scores = np.stack([best, 1 - best], axis=1)
    same = np.ones(2000, bool)
    same[1000:] = np.arange(1000) % 3 > 0  # of the unsurer half one in three differs
    (first, second) = calibrate.thresholds(scores, same, 0.99)
    assert second == calibrate.NEVER, "never said, never shown"
    over = best >= np.float32(first)
    assert (~same[over]).mean() <= 0.01
    assert 1000 <= over.sum() < 1040
    assert calibrate.holds(int((~same[over]).sum()), int(over.sum()), 0.99, 0.95)
    (lower, _) = calibrate.thresholds(scores, same, 0.8)
    assert lower < first


def test_equal_scores_stand_on_one_side_of_a_threshold() -> None:
    best = np.repeat(np.array([0.9, 0.7], np.float32), [500, 500])
    same = np.ones(1000, bool)
    same[500:700] = False  # the first of those with 0.7: an order among equals must not hide them
    (first, _) = calibrate.thresholds(np.stack([best, 1 - best], axis=1), same, 0.95)
    assert first == pytest.approx(0.9)
    (again, _) = calibrate.thresholds(np.stack([best, 1 - best], axis=1)[::-1].copy(), same[::-1], 0.95)
    assert again == first


@pytest.mark.parametrize(
    ("errors", "trials", "shown"), [(0, 298, False), (0, 299, True), (1, 400, False), (1, 473, True)]
)
def test_a_level_is_shown_by_enough_documents(errors: int, trials: int, shown: bool) -> None:
    assert calibrate.holds(errors, trials, 0.99, 0.95) is shown


def test_the_bound_holds_for_other_documents() -> None:
    """Of 100 calibrations at 90% with 95% confidence few may be off on a great many documents not seen."""
    rng, off = np.random.default_rng(1), 0

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        best = rng.uniform(0.5, 1, count).astype(np.float32)
        return np.stack([best, 1 - best], axis=1), rng.random(count) < 0.6 + 0.4 * (2 * best - 1) ** 0.5

    many, many_same = draw(200_000)
    for _ in range(100):
        (limit, _) = calibrate.thresholds(*draw(2000), 0.9)
        over = many[:, 0] >= np.float32(limit)
        off += bool(over.any() and many_same[over].mean() < 0.9)
    assert off <= 25, "choosing among thresholds costs some of the confidence, which is why the report measures anew"


def test_a_cascade_is_made_and_its_thresholds_found_on_texts_without_labels(quick: Path, tmp_path: Path) -> None:
    """Its second member: fastText too, trained on other texts, since this needs no torch."""
    data = generated.write(tmp_path / "l.jsonl", generated.rows(60, seed=7))
    done("train", *QUICK, "--data", data, "-o", tmp_path / "second", "--seed", 3)
    texts = generated.write(tmp_path / "u.jsonl", [{"text": row["text"]} for row in generated.rows(300, seed=11)])
    arguments = ("calibrate", quick, "--bert", tmp_path / "second", "-o", tmp_path / "c", "--unlabelled", texts)
    found = done(*arguments, "--agreement", 0.9)
    model = classify.load(str(tmp_path / "c"))
    assert model.card.cascade is not None
    assert dict(model.card.cascade.threshold) == found["threshold"]
    assert found["agreement"] >= found["agreement_at_least"]
    assert 0 <= found["share_second"] < 1
    speeds, hours = found["docs_per_second"], found["hours_per_million"]
    wanted = (1e6 / speeds["first"] + found["share_second"] * 1e6 / speeds["second"]) / 3600
    assert hours["cascade"] == pytest.approx(wanted, abs=0.01)
    assert found["hours_saved_per_million"] == pytest.approx(hours["bert_alone"] - hours["cascade"], abs=0.002)
    stricter = done("calibrate", tmp_path / "c", "--unlabelled", texts, "--agreement", 0.985)
    assert stricter["share_second"] >= found["share_second"]


def test_too_few_texts_for_a_level_are_refused(quick: Path, tmp_path: Path) -> None:
    texts = generated.write(tmp_path / "u.jsonl", [{"text": row["text"]} for row in generated.rows(20)])
    said = refused("calibrate", quick, "--bert", quick, "-o", tmp_path / "c", "--unlabelled", texts)
    assert "598 texts or more (there are 60)" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("starter-fasttext", "--data", "{data}"), "is shipped and stays as it is"),
        (("{quick}",), "nothing to calibrate on"),
        (("{quick}", "--unlabelled", "{data}", "-o", "{tmp}/m"), "calibrated on labelled documents"),
        (("{quick}", "--bert", "starter-bert", "--data", "{data}"), "say where with --output"),
    ],
)
def test_bad_usage_is_told_in_one_line(quick: Path, tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    data = generated.write(tmp_path / "x.jsonl", generated.rows(5))
    assert says in refused("calibrate", *(arg.format(quick=quick, data=data, tmp=tmp_path) for arg in more))
