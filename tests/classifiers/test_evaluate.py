"""Figures, calibration, and the floors that the shipped artifacts must hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mdfs.classifiers import evaluate, make_starter
from mdfs.classifiers.evaluate import calibration_error, fit_temperature, measure, report, softmax

from mdfs import classify

FLOORS = json.loads((Path(evaluate.__file__).parent / "floors.json").read_text(encoding="utf-8"))


def test_a_report_counts() -> None:
    scores = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1]])
    out = report([0, 1, 2, 1], scores, ("ad", "high", "low"))
    assert out["accuracy"] == 0.75
    assert out["by_label"]["ad"] == {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "docs": 1}
    assert out["by_label"]["high"]["recall"] == 0.5
    assert out["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-3)


def test_the_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 3))
    wanted = [int(rng.choice(3, p=row)) for row in softmax(logits)]
    assert fit_temperature(logits * 3, wanted) == pytest.approx(3, rel=0.1)
    before, after = (calibration_error(softmax(logits * 3 / t), wanted) for t in (1, 3))
    assert after < before / 3


@pytest.mark.parametrize("name", sorted(FLOORS["artifacts"]))
def test_shipped_artifacts_hold_their_floors(name: str) -> None:
    _, held = make_starter.written_split()
    figures = measure(classify.load(name, backend="onnxruntime"), held)
    floors = FLOORS["artifacts"][name]
    assert figures["macro_f1"] >= floors["macro_f1"], figures
    assert figures["by_label"]["high"]["precision"] >= floors["high_precision"], figures


def test_the_command_measures_a_file(tmp_path: Path) -> None:
    rows = [{"text": "厂家直销，欢迎来电咨询", "label": "ad"}, {"text": "首页 登录 注册", "label": "low"}]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = CliRunner().invoke(evaluate.main, ["starter-fasttext", "--data", str(path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["docs"] == 2
