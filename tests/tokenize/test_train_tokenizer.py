"""The starter's training script: the same texts give the same bytes, and what it trains goes the fast way."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
from click.testing import CliRunner
from mdfs.classifiers import train_tokenizer
from mdfs.classifiers.datasets import SOURCES

from mdfs.tokenize import tokenizer

LINES = ["山高月小，水落石出。&nbsp;曾日月之幾何！<!-- 注 -->", "2024年，GDP增长5.2%。\n\n  第二段 two words"]


def data(tmp_path: Path) -> Path:
    for source in SOURCES:
        path = tmp_path / "data" / source.path
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": f"{source.name}{i} {line * (i % 5 + 1)}"} for i in range(40) for line in LINES]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return tmp_path / "data"


def test_the_same_texts_give_the_same_bytes(tmp_path: Path) -> None:
    folder, made = data(tmp_path), []
    for name in ("one", "two"):
        arguments = ["--data", str(folder), "--out", str(tmp_path / name)]
        finished = CliRunner().invoke(train_tokenizer.main, arguments, catch_exceptions=False)
        assert finished.exit_code == 0
        made.append([(tmp_path / name / file).read_bytes() for file in ("tokenizer.json", "card.json")])
    assert made[0] == made[1]
    card = json.loads(made[0][1])
    loaded = tokenizer.load(str(tmp_path / "one"), card["end_of_document"])
    assert loaded.digest == card["sha256"]
    assert loaded._fast is not None
    text = "水落石出 <|pad|> 12345"
    assert loaded.decode(loaded.encode(pa.array([text]))[0].as_py()) == text


def test_what_the_sets_left_in_is_taken_out(tmp_path: Path) -> None:
    texts = train_tokenizer.texts_of(data(tmp_path), SOURCES[0])
    assert not any("&nbsp;" in text or "<!--" in text for text in texts)


def test_the_everyday_planes_are_whole() -> None:
    characters = train_tokenizer.everyday_characters()
    assert len(characters) == 6722
    assert {"的", "臺", "齊"} <= set(characters)
