"""`mdfs classifier train`: fastText always, BERT where torch is installed; small generated data."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
from pathlib import Path

import generated
import numpy as np
import pyarrow as pa
import pytest
import tiny_bert
import tiny_encoders
from click.testing import CliRunner, Result

from mdfs import classify
from mdfs.classify.bert import installed_backends
from mdfs.cli import cli
from mdfs.errors import MdfsError

needs_torch = pytest.mark.skipif("torch" not in installed_backends(), reason="torch is not installed")
needs_jieba = pytest.mark.skipif(importlib.util.find_spec("jieba") is None, reason="jieba is not installed")

QUICK = ("--kind", "fasttext", "--bucket", "2000", "--epochs", "20")


def classifier(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["classifier", *map(str, arguments)])


def done(*arguments: object) -> dict:
    result = classifier(*arguments, "--json")
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return json.loads(result.stdout.splitlines()[-1])


def refused(*arguments: object) -> str:
    result = classifier(*arguments)
    if isinstance(result.exception, MdfsError):
        assert result.exception.exit_code == 2
        assert "\n" not in str(result.exception)
        return str(result.exception)
    assert result.exit_code == 2, result.output
    return result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated.write(tmp_path_factory.mktemp("data") / "labels.jsonl", generated.rows(60))


@pytest.fixture(scope="module")
def quick(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fastText artifact. Shared: copy it to change it."""
    out = tmp_path_factory.mktemp("quick") / "mine"
    done("train", *QUICK, "--data", data, "-o", out, "--name", "mine", "--licence", "CC0")
    return out


def test_fasttext_from_a_file_to_a_sealed_artifact(quick: Path, data: Path) -> None:
    model = classify.load(str(quick))
    assert model.labels == ("ad", "high", "low")
    texts = [generated.text(label, random.Random(9)) for label in model.labels]
    assert model.predict(pa.array(texts)).argmax(axis=1).tolist() == [0, 1, 2]
    card = model.card.fields
    assert (card["name"], card["licence"]) == ("mine", "CC0")
    training = card["training"]
    assert training["files"][0]["name"] == data.name
    assert training["train"]["docs"] + training["held_out"]["docs"] + training["test"]["docs"] == 180
    assert set(training["train"]["by_source"]) == {"set0", "set1"}
    test = card["metrics"]["test"]
    assert test["macro_f1"]["value"] > 0.9
    assert test["docs"] == training["test"]["docs"]
    low, high = test["macro_f1"]["interval"]
    assert low <= test["macro_f1"]["value"] <= high
    assert card["floors"]["macro_f1"] == low
    assert 0.25 <= card["calibration"]["temperature"] <= 8


def test_the_same_seed_gives_the_same_artifact(quick: Path, data: Path, tmp_path: Path) -> None:
    done("train", *QUICK, "--data", data, "-o", tmp_path / "again", "--name", "mine", "--licence", "CC0")
    assert classify.read_card(tmp_path / "again").digest == classify.read_card(quick).digest
    done("train", *QUICK, "--data", data, "-o", tmp_path / "other", "--name", "mine", "--licence", "CC0", "--seed", 2)
    assert classify.read_card(tmp_path / "other").digest != classify.read_card(quick).digest


def test_any_labels_and_their_order(tmp_path: Path) -> None:
    rows = [row | {"label": {"ad": "spam", "high": "1", "low": "x"}[row["label"]]} for row in generated.rows(40)]
    path = generated.write(tmp_path / "l.jsonl", rows)
    done("train", *QUICK, "--data", path, "-o", tmp_path / "m", "--labels", "spam,1")
    card = classify.read_card(tmp_path / "m")
    assert card.labels == ("spam", "1")
    assert card.fields["training"]["skipped"] == {"label x": 40}
    assert classify.load(str(tmp_path / "m")).predict(pa.array(["厂家直销欢迎来电咨询" * 4]))[0].argmax() == 0


def test_a_test_file_is_tested_on_and_its_groups_are_not_trained_on(data: Path, tmp_path: Path) -> None:
    rows = generated.rows(20, seed=8)
    rows[0]["url"] = "http://ad0.example/copy"
    rows[1]["text"] = generated.rows(60)[4]["text"] * 3
    found = done(
        "train", *QUICK, "--data", data, "--test", generated.write(tmp_path / "t.jsonl", rows), "-o", tmp_path / "m"
    )
    training = classify.read_card(tmp_path / "m").fields["training"]
    assert found["metrics"]["docs"] == training["test"]["docs"] == 60
    # hosts 0 to 19 of each label are those of the test file too
    assert training["withheld_as_near_the_test"] >= 60


@needs_jieba
def test_words_instead_of_characters(data: Path, tmp_path: Path) -> None:
    from mdfs.classify.fasttext_model import prepare
    from mdfs.classify.tokens import Windows

    assert prepare(["我们去北京"], Windows(8, 0, 0), "jieba") == ["我们 去 北京 "]
    done("train", *QUICK, "--words", "--data", data, "-o", tmp_path / "m")
    card = classify.read_card(tmp_path / "m")
    assert card.segmenter == "jieba"
    assert card.fields["metrics"]["test"]["macro_f1"]["value"] > 0.6


def test_a_teacher_is_learned_from(quick: Path, tmp_path: Path) -> None:
    """Few labels, two of which are mixed up, and many texts: the teacher sets the student right."""
    mixed = {"ad": "high", "high": "ad", "low": "low"}
    rng = random.Random(4)
    texts = [{"text": generated.text(rng.choice(("ad", "high", "low")), rng)} for _ in range(300)]
    few, many = (
        generated.write(
            tmp_path / "few.jsonl", [row | {"label": mixed[row["label"]]} for row in generated.rows(5, seed=3)]
        ),
        generated.write(tmp_path / "u.jsonl", texts),
    )
    test = generated.write(
        tmp_path / "t.jsonl",
        [row | {"url": f"http://t{i}.example"} for i, row in enumerate(generated.rows(60, seed=6))],
    )
    both = ("--data", few, "--test", test)
    alone = done("train", *QUICK, *both, "-o", tmp_path / "alone")
    taught = done("train", *QUICK, *both, "-o", tmp_path / "taught", "--teacher", quick, "--unlabelled", many)
    assert taught["metrics"]["macro_f1"]["value"] > alone["metrics"]["macro_f1"]["value"] + 0.3
    said = classify.read_card(tmp_path / "taught").fields["teacher"]
    assert said == {"digest": classify.read_card(quick).digest, "texts": 300}


def test_a_teachers_scores_are_dealt_out() -> None:
    from mdfs.classifiers.distill import dealt

    soft = np.array([[0.74, 0.26, 0], [0.4, 0.35, 0.25], [0.99, 0.01, 0]], np.float32)
    docs = dealt(["x", "y", "z"], soft, ("a", "b", "c"))
    assert ["".join(d.label for d in docs if d.text == t) for t in "xyz"] == ["aaab", "aabc", "aaaa"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--kind", "bert"), "needs --encoder"),
        (("--kind", "fasttext", "--teacher", "starter"), "--teacher and --unlabelled go together"),
        (("--kind", "fasttext", "--labels", "ad"), "has the label 'ad' alone"),
        (("--kind", "fasttext", "--windows", "0", "0", "0"), "--windows: windows must be head >= 1"),
        (("--kind", "bert", "--encoder", ".", "--words"), "--words is for --kind fasttext"),
        (("--kind", "gpt"), "gpt"),
    ],
)
def test_bad_usage_is_told_in_one_line(data: Path, tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    assert says in refused("train", "--data", data, "-o", tmp_path / "m", *more)


def test_an_artifact_is_not_written_over(quick: Path, data: Path) -> None:
    assert "holds a classifier already" in refused("train", *QUICK, "--data", data, "-o", quick)


def test_a_label_with_a_blank_is_refused(tmp_path: Path) -> None:
    rows = [row | {"label": f"{row['label']} text"} for row in generated.rows(10)]
    assert "has blanks" in refused(
        "train", *QUICK, "--data", generated.write(tmp_path / "l.jsonl", rows), "-o", tmp_path / "m"
    )


SMALL = (
    "--kind", "bert", "--epochs", "6", "--learning-rate", "3e-3", "--windows", "20", "8", "14", "--token-budget", "1024",
    "--precision", "float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT whose vocabulary holds the generated texts."""
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder(folder, "bert")
    return folder


def make_encoder(folder: Path, kind: str) -> None:
    characters = "".join(dict.fromkeys(tiny_bert.CHARACTERS + "".join(generated.VOICES.values()) + generated.EVERY))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_bert, "CHARACTERS", characters)
        patch.setitem(tiny_encoders.SIZES, "vocab_size", len(characters) + 8)
        tiny_encoders.write(folder, kind)


@pytest.fixture(scope="module")
def trained(data: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT artifact. Shared: copy it to change it."""
    out = tmp_path_factory.mktemp("bert") / "mine"
    done("train", *SMALL, "--data", data, "-o", out, "--encoder", encoder)
    return out


@needs_torch
def test_bert_from_an_encoder_to_a_sealed_artifact(trained: Path, encoder: Path) -> None:
    card = classify.read_card(trained)
    assert card.fields["metrics"]["test"]["macro_f1"]["value"] > 0.85
    assert card.fields["initialised_from"]["name"] == encoder.name
    assert card.fields["run"]["held_out_losses"]
    assert {"config.json", "tokenizer.json", "model.safetensors"} == set(card.fields["files"])
    assert not list(trained.glob("checkpoint*"))


@needs_torch
@pytest.mark.parametrize("kind", ["roberta", "electra", "distilbert"])
def test_other_encoders_can_be_trained(data: Path, tmp_path: Path, kind: str) -> None:
    make_encoder(tmp_path / "e", kind)
    done(
        "train",
        *SMALL,
        "--epochs",
        2,
        "--pooling",
        "cls",
        "--data",
        data,
        "-o",
        tmp_path / "m",
        "--encoder",
        tmp_path / "e",
    )
    scores = classify.load(str(tmp_path / "m")).predict(pa.array(["厂家直销"]))
    assert np.isfinite(scores).all()


@needs_torch
def test_frozen_layers_stay_as_they_are(data: Path, encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    done("train", *SMALL, "--epochs", 1, "--freeze", 1, "--data", data, "-o", tmp_path / "m", "--encoder", encoder)
    before, after = load_file(encoder / "model.safetensors"), load_file(tmp_path / "m" / "model.safetensors")
    changed = {name for name, value in after.items() if name in before and not np.array_equal(before[name], value)}
    assert changed
    assert all(name.startswith("bert.encoder.layer.1.") for name in changed)
    assert "has 2 layers" in refused(
        "train", *SMALL, "--freeze", 9, "--data", data, "-o", tmp_path / "n", "--encoder", encoder
    )


HEAD = ("--kind", "bert", "--windows", "20", "8", "14", "--layers")


@needs_torch
@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert"])
def test_a_head_over_an_encoder_that_stays_as_it_is(data: Path, encoder: Path, tmp_path: Path, kind: str) -> None:
    from safetensors.numpy import load_file

    if kind != "bert":
        make_encoder(encoder := tmp_path / "e", kind)
    out = tmp_path / "m"
    done("train", *HEAD, "1,2", "--pooling", "statistics", "--data", data, "-o", out, "--encoder", encoder)
    card = classify.read_card(out)
    assert (card.layers, card.pooling) == ((1, 2), "statistics")
    before, after = load_file(encoder / "model.safetensors"), load_file(out / "model.safetensors")
    alike = [name for name, value in after.items() if name in before and np.array_equal(before[name], value)]
    assert {name for name in after if name not in alike} == {
        f"classifier.{name}" for name in ("weight", "bias", "hidden.weight", "hidden.bias")
    }
    if kind == "bert":
        assert card.fields["metrics"]["test"]["macro_f1"]["value"] > 0.85


@needs_torch
def test_layers_above_those_that_the_head_sees_are_left_out(data: Path, encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    out = tmp_path / "m"
    done("train", *HEAD, "1", "--data", data, "-o", out, "--encoder", encoder)
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == 1
    assert not [name for name in load_file(out / "model.safetensors") if ".layer.1." in name]


@needs_torch
@pytest.mark.parametrize(
    ("layers", "said"), [("2,1", "rising numbers"), ("0", "rising"), ("a", "rising"), ("1,9", "num_hidden_layers 2")]
)
def test_layers_that_cannot_be_are_refused(data: Path, encoder: Path, tmp_path: Path, layers: str, said: str) -> None:
    arguments = ("--data", data, "-o", tmp_path / "m", "--encoder", encoder)
    assert said in refused("train", *HEAD, layers, *arguments)
    assert "behind the last layer" in refused("train", *HEAD, "1", "--pooling", "pooler", *arguments)


@needs_torch
def test_a_training_that_is_killed_goes_on_to_the_same_weights(
    data: Path, encoder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mdfs.classifiers import checkpoints

    whole = checkpoints.Keeper.save
    saved: list[int] = []

    def killed(self: checkpoints.Keeper, state: checkpoints.State) -> None:
        whole(self, state)
        saved.append(state.step)
        if len(saved) == 2:
            raise KeyboardInterrupt

    arguments = ("train", *SMALL, "--data", data, "-o", tmp_path / "m", "--encoder", encoder)
    monkeypatch.setattr(checkpoints.Keeper, "save", killed)
    assert classifier(*arguments).exit_code != 0
    assert (tmp_path / "m" / "checkpoint.pt").exists()
    assert not (tmp_path / "m" / "card.json").exists()
    monkeypatch.setattr(checkpoints.Keeper, "save", whole)
    assert "other data or settings" in refused(*arguments, "--seed", 5, "--resume")
    done(*arguments, "--resume")
    one, other = classify.read_card(trained).fields, classify.read_card(tmp_path / "m").fields
    assert one["files"]["model.safetensors"] == other["files"]["model.safetensors"]
    assert one["run"] == other["run"]


@needs_torch
def test_a_damaged_checkpoint_is_told_and_nothing_in_it_is_run(data: Path, encoder: Path, tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "checkpoint.pt").write_bytes(pickle.dumps(Evil()))
    arguments = ("train", *SMALL, "--data", data, "-o", tmp_path / "m", "--encoder", encoder)
    assert "remove it to start anew" in refused(*arguments, "--resume")
    assert not (tmp_path / "ran").exists()


@needs_torch
def test_training_ends_when_the_held_out_loss_rises_and_keeps_the_best(
    monkeypatch: pytest.MonkeyPatch, data: Path, encoder: Path, tmp_path: Path
) -> None:
    from mdfs.classifiers import train_bert

    losses = iter([0.9, 0.5, 0.6, 0.7, 0.1, 0.1, 0.1, 0.1])
    monkeypatch.setattr(train_bert.Trainer, "_loss", lambda *_: next(losses))
    done("train", *SMALL, "--patience", 2, "--data", data, "-o", tmp_path / "m", "--encoder", encoder)
    run = classify.read_card(tmp_path / "m").fields["run"]
    assert run["held_out_losses"] == [0.9, 0.5, 0.6, 0.7]
    assert run["batches_trained"] < run["batches_planned"]


@needs_torch
def test_rare_labels_weigh_more(encoder: Path, tmp_path: Path) -> None:
    from mdfs.classifiers.train_bert import Settings, Trainer

    from mdfs.classify.tokens import Windows

    targets = np.eye(3, dtype=np.float32)[[0] * 6 + [1] * 3 + [2]]
    trainer = Trainer(encoder, Windows(20, 8, 14), ("a", "b", "c"), Settings(balanced=True))
    weights = trainer._weights(targets).cpu().numpy()
    np.testing.assert_allclose(weights, [10 / 6 / 3, 10 / 3 / 3, 10 / 3], rtol=1e-6)
    assert (targets @ weights).mean() == pytest.approx(1)
    plain = Trainer(encoder, Windows(20, 8, 14), ("a", "b", "c"), Settings())
    assert plain._weights(targets) is None


@needs_torch
def test_a_small_bert_and_fasttext_learn_from_a_bert(trained: Path, encoder: Path, tmp_path: Path) -> None:
    rng = random.Random(4)
    texts = [{"text": generated.text(rng.choice(("ad", "high", "low")), rng)} for _ in range(200)]
    many = generated.write(tmp_path / "u.jsonl", texts)
    few = generated.write(tmp_path / "few.jsonl", generated.rows(8, seed=3))
    for name, kind in (("fast", QUICK), ("small", (*SMALL, "--encoder", encoder))):
        found = done("train", *kind, "--data", few, "-o", tmp_path / name, "--teacher", trained, "--unlabelled", many)
        assert found["metrics"]["macro_f1"]["value"] > 0.6


@needs_torch
@pytest.mark.parametrize("lacking", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_folder_that_lacks_a_file_is_told_in_one_line(
    data: Path, encoder: Path, tmp_path: Path, lacking: str
) -> None:
    shutil.copytree(encoder, tmp_path / "e")
    (tmp_path / "e" / lacking).unlink()
    (tmp_path / "e" / "pytorch_model.bin").write_bytes(b"")
    assert lacking in refused("train", *SMALL, "--data", data, "-o", tmp_path / "m", "--encoder", tmp_path / "e")


@pytest.mark.skipif("torch" in installed_backends(), reason="torch is installed")
def test_without_torch_a_bert_is_refused_with_what_to_install(data: Path, tmp_path: Path) -> None:
    said = refused("train", "--kind", "bert", "--encoder", tmp_path, "--data", data, "-o", tmp_path / "m")
    assert "pip install 'mdfs[torch]'" in said
