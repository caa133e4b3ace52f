"""The contract of `classify.load`, on the shipped artifacts: fastText, BERT and the cascade of both."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from mdfs import classify
from mdfs.classify.cascade import CascadeClassifier, blended

NEWS = (
    "市气象台今晨发布消息，受冷空气和暖湿气流共同影响，本周后期我市将迎来一次明显的降水过程，山区局地可达八十毫米。"
    "气象部门提醒，雨天路滑，司机应减速慢行；前期墒情偏差的地块可以趁雨补种，低洼菜地要提前清沟排水。"
    "水务部门表示，辖区内三座水库目前都在汛限水位以下，已安排专人二十四小时值守，请市民不要到河边停留。"
)
AD = "厂家直销破碎机，价格优惠，质量可靠，欢迎来电咨询订购，联系人王经理，电话微信同号，量大从优，免费送货上门！"
LOW = "首页 新闻 论坛 登录 注册 忘记密码 帮助中心 返回顶部 上一页 下一页 末页 共38页 0人参与 0条评论"
ODD = [
    "",
    "的",
    "\n",
    "\x00",
    "\x00\x01\x1f\x7f\x80\ufeff\ufffd",
    "🙂👍🏽👨‍👩‍👧",
    "\U0010ffff\ue40c",
    " " * 5000,
    "\r\n\t\u2028\u3000",
    "__label__ad",
    "</s>",
    "<s> [CLS] <pad>",
    "a" * 3000,
    "Latin text, плюс кириллица, عربى",
]


@pytest.fixture(scope="module", params=["starter", "starter-fasttext", "starter-bert"])
def model(request: pytest.FixtureRequest) -> classify.Classifier:
    loaded: classify.Classifier = classify.load(request.param, backend="onnxruntime")
    return loaded


def check(scores: np.ndarray, docs: int) -> None:
    assert scores.shape == (docs, 3)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_labels(model: classify.Classifier) -> None:
    assert sorted(model.labels) == ["ad", "high", "low"]


def test_plain_texts_get_their_labels(model: classify.Classifier) -> None:
    scores = model.predict(pa.array([NEWS, AD, LOW]))
    assert [model.labels[i] for i in scores.argmax(axis=1)] == ["high", "ad", "low"]


def test_odd_texts_are_scored(model: classify.Classifier) -> None:
    check(model.predict(pa.array(ODD, pa.string())), len(ODD))


def test_a_million_characters_are_scored(model: classify.Classifier) -> None:
    check(model.predict(pa.array([NEWS * 20_000, "字" * 1_000_000])), 2)


def test_nothing_gives_no_rows(model: classify.Classifier) -> None:
    decisions = model.decide(pa.array([], pa.string()))
    assert decisions.scores.shape == (0, 3)
    assert decisions.decided_by == []


def test_null_counts_as_empty(model: classify.Classifier) -> None:
    scores = model.predict(pa.array([None, ""], pa.string()))
    np.testing.assert_array_equal(scores[0], scores[1])


@pytest.mark.parametrize("kind", ["large", "chunked", "sliced"])
def test_arrow_arrays_of_any_shape_give_the_same_scores(model: classify.Classifier, kind: str) -> None:
    texts = [NEWS, AD, LOW, ""]
    wanted = model.predict(pa.array(texts))
    arrays = {
        "large": pa.array(texts, pa.large_string()),
        "chunked": pa.chunked_array([texts[:1], [], texts[1:]], pa.string()),
        "sliced": pa.array(["x", *texts, "y"]).slice(1, 4),
    }
    np.testing.assert_array_equal(model.predict(arrays[kind]), wanted)


def test_scores_do_not_depend_on_the_neighbours(model: classify.Classifier) -> None:
    texts = [NEWS, AD, LOW, *ODD, NEWS * 30, AD + NEWS]
    together = model.predict(pa.array(texts, pa.string()))
    alone = np.concatenate([model.predict(pa.array([t], pa.string())) for t in texts])
    np.testing.assert_array_equal(together, alone, "fastText and onnxruntime score each document by itself, exactly")
    np.testing.assert_array_equal(model.predict(pa.array(texts[::-1], pa.string()))[::-1], together)


def test_decide_agrees_with_predict_and_names_who_decided(model: classify.Classifier) -> None:
    texts = pa.array([NEWS, AD, LOW, "不好说"])
    decisions = model.decide(texts)
    np.testing.assert_array_equal(decisions.scores, model.predict(texts))
    allowed = {"cascade": {"fasttext", "bert"}, "fasttext": {"fasttext"}, "bert": {"bert"}}[model.card.kind]
    assert set(decisions.decided_by) <= allowed


def test_the_cascade_takes_sure_scores_from_fasttext_and_asks_bert_for_the_rest() -> None:
    cascade = classify.load("starter", backend="onnxruntime")
    assert isinstance(cascade, CascadeClassifier)
    assert cascade.card.cascade is not None
    texts = pa.array([NEWS, AD, LOW, NEWS * 8, LOW * 6, AD * 5, "不好说", ""])
    decisions = cascade.decide(texts)
    members = {"fasttext": cascade.first.predict(texts), "bert": cascade.second.predict(texts)}
    wanted = members | {"bert": blended(*members.values(), cascade.card.cascade.first_weight)}
    limits = [cascade.card.cascade.threshold[label] for label in cascade.labels]
    for row, by in enumerate(decisions.decided_by):
        np.testing.assert_array_equal(decisions.scores[row], wanted[by][row])
        best = members["fasttext"][row].argmax()
        assert (by == "fasttext") == (members["fasttext"][row][best] >= np.float32(limits[best]))


def test_two_members_scores_are_multiplied() -> None:
    first, second = np.array([[0.8, 0.1, 0.1], [1, 0, 0]], np.float32), np.array([[0.5, 0.5, 0], [0, 1, 0]], np.float32)
    np.testing.assert_array_equal(blended(first, second, 0), second)
    np.testing.assert_allclose(blended(first, second, 1)[0], [8 / 9, 1 / 9, 0], atol=1e-5)
    np.testing.assert_allclose(blended(first, second, 1)[1], [0.5, 0.5, 0], atol=1e-3, err_msg="both are as sure")
    assert blended(first, second, 0.5)[0, 0] < blended(first, second, 1)[0, 0]


def test_loading_twice_gives_the_same_digest_and_scores(model: classify.Classifier) -> None:
    again = classify.load(str(model.card.folder), backend="onnxruntime")
    assert again.digest == model.digest
    assert len(model.digest) == 64
    np.testing.assert_array_equal(again.predict(pa.array([NEWS, LOW])), model.predict(pa.array([NEWS, LOW])))


def test_threads_change_scores_by_rounding_only() -> None:
    texts = pa.array([NEWS * 5, AD * 5, LOW])
    one, two = (classify.load("starter-bert", backend="onnxruntime", threads=n).predict(texts) for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_starter_fits_in_twenty_megabytes() -> None:
    folder = classify.locate("starter")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 20_000_000


def test_cards_name_what_was_trained_on() -> None:
    for name in ("starter-fasttext", "starter-bert"):
        card = classify.read_card(classify.locate(name))
        assert {"name", "origin", "licence", "docs", "sha256"} <= set(card.fields["training"][0])
        assert card.temperature > 0


def test_importing_loads_no_model_library() -> None:
    code = "import sys, mdfs.classify; print([m for m in sys.modules if m.partition('.')[0] in set(sys.argv[1:])])"
    heavy = ["torch", "transformers", "onnxruntime", "fasttext", "tokenizers", "pyspark", "pysail"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
