"""Any tokenizer.json works, the starter loses nothing, and no text can spell a control token."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mdfs.errors import UsageError
from mdfs.tokenize import tokenizer

EOD = "<|endoftext|>"
STARTER = tokenizer.load("starter", EOD)
FILE = resources.files("mdfs.tokenize") / "starter" / "tokenizer.json"


def ids_of(loaded: tokenizer.Tokenizer, text: str) -> list[int]:
    ids: list[int] = loaded.encode(pa.array([text]))[0].as_py()
    return ids


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200))
@example("全角　空格\t\r\n\r\n  末尾  ")
@example("１２３ 1234567 𠮷野家 👨‍👩‍👧 é é \x00 \ufeff \u2028")
@example("<|endoftext|><|pad|>")
def test_the_starter_loses_nothing(text: str) -> None:
    ids = ids_of(STARTER, text)
    assert STARTER.decode(ids) == text
    assert ids[-1] == STARTER.eod_id
    assert ids.count(STARTER.eod_id) == 1
    assert max(ids) < STARTER.vocab_size


def test_the_starter_is_what_its_card_says() -> None:
    card = json.loads((resources.files("mdfs.tokenize") / "starter" / "card.json").read_text("utf-8"))
    assert card["vocabulary"] == STARTER.vocab_size
    assert card["sha256"] == STARTER.digest == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert {"wiki_simplified", "wiki_traditional"} <= {entry["name"] for entry in card["sets"]}
    assert "CC BY-SA" in card["attribution"]
    assert len(FILE.read_bytes()) <= 2_000_000


def test_everyday_chinese_is_less_than_a_token_a_character() -> None:
    for text in ("中华人民共和国国务院发布了新的规定", "臺灣的經濟發展", "他们在学校里学习"):
        assert len(ids_of(STARTER, text)) - 1 < len(text)


def test_tokens_do_not_cross_scripts_digits_or_marks() -> None:
    engine = STARTER._engine
    ids = ids_of(STARTER, "二〇二四年12月GDP增长，同比5.25%。")[:-1]
    for piece in (engine.decode([i]) for i in ids):
        kinds = {"d" if c.isdigit() else "h" if "一" <= c <= "鿿" else "a" if c.isalpha() else "m" for c in piece}
        assert len(kinds - {"d"} if "h" in kinds else kinds) <= 1, piece
        assert sum(c in "0123456789" for c in piece) <= 3


def test_encoding_does_not_depend_on_the_batch() -> None:
    texts = ["", "一", "长" * 5000, "two words", EOD, "末"]
    together = STARTER.encode(pa.array(texts)).to_pylist()
    assert together == [ids_of(STARTER, text) for text in texts]
    assert STARTER.encode(pa.array(["前", *texts])[1:]).to_pylist() == together
    assert STARTER.encode(pa.array([], pa.string())).to_pylist() == []
    assert STARTER.encode(pa.array(texts)).type == pa.list_(pa.uint32())


def test_a_long_text_is_encoded_in_pieces_cut_at_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "山高月小，水落石出。\n" * 100
    whole = ids_of(STARTER, text)
    monkeypatch.setattr(tokenizer, "PIECE_CHARS", 64)
    monkeypatch.setattr(tokenizer, "BATCH_BYTES", 32)
    assert ids_of(STARTER, text) == whole
    unbroken = "无" * 1000
    assert STARTER.decode(ids_of(STARTER, unbroken)) == unbroken


def saved(tmp_path: Path, engine: Any) -> str:
    path = tmp_path / "tokenizer.json"
    engine.save(str(path))
    return str(path)


def words(tmp_path: Path, **changes: Any) -> str:
    """A tokenizer of whole words whose model itself knows its control tokens."""
    vocabulary = {"<unk>": 0, "</s>": 1, "a": 2, "b": 3, "<": 4, "/s>": 5}
    engine = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    engine.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    engine.add_special_tokens(["<unk>", "</s>"])
    engine.post_processor = tokenizers.processors.TemplateProcessing("</s> $A </s>", None, [("</s>", 1)])
    engine.enable_truncation(2)
    engine.enable_padding(length=9)
    return saved(tmp_path, engine)


def test_no_post_processor_truncation_or_padding(tmp_path: Path) -> None:
    loaded = tokenizer.load(words(tmp_path), "</s>")
    assert ids_of(loaded, "a b a b a") == [2, 3, 2, 3, 2, 1]


def test_a_control_token_that_the_model_itself_knows_is_spelt_out(tmp_path: Path) -> None:
    loaded = tokenizer.load(words(tmp_path), "</s>")
    assert ids_of(loaded, "a </s> b") == [2, 4, 5, 3, 1]


def test_the_unknown_token_stays(tmp_path: Path) -> None:
    loaded = tokenizer.load(words(tmp_path), "</s>")
    assert ids_of(loaded, "a c b") == [2, 0, 3, 1]


def test_an_end_of_document_token_that_the_file_does_not_mark_as_special(tmp_path: Path) -> None:
    engine = tokenizers.Tokenizer.from_str(FILE.read_text("utf-8"))
    engine.add_tokens(["<end>", "<keep>"])
    loaded = tokenizer.load(saved(tmp_path, engine), "<end>")
    assert loaded.eod_id == STARTER.vocab_size
    assert loaded.vocab_size == STARTER.vocab_size + 2
    ids = ids_of(loaded, "a<end>b<keep>c<|pad|>")
    assert ids.count(loaded.eod_id) == 1
    assert loaded.eod_id + 1 in ids, "an ordinary added token is still matched"
    assert not {0, 1} & set(ids)


def test_a_sentencepiece_vocabulary_that_lists_its_control_tokens(tmp_path: Path) -> None:
    pieces = [
        ("<unk>", 0.0),
        ("</s>", -0.1),
        ("▁", -2.0),
        ("a", -2.0),
        ("<", -3.0),
        ("/", -3.0),
        ("s", -3.0),
        (">", -3.0),
    ]
    engine = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0, byte_fallback=False))
    engine.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="never")
    loaded = tokenizer.load(saved(tmp_path, engine), "</s>")
    ids = ids_of(loaded, "a</s>a")
    assert ids == [3, 4, 5, 6, 7, 3, 1]
    assert ids_of(loaded, "a丙") == [3, 0, 1]


def test_digest_is_of_the_file_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(FILE.read_bytes())
    expected = hashlib.sha256(FILE.read_bytes()).hexdigest()
    for place in ("starter", str(tmp_path), str(tmp_path / "tokenizer.json"), f"file://{tmp_path}/tokenizer.json"):
        assert tokenizer.digest(place) == expected
    assert tokenizer.load(str(tmp_path), EOD).name == tmp_path.name


@pytest.mark.parametrize(
    ("content", "eod", "message"),
    [
        (None, EOD, "neither a shipped tokenizer"),
        ("not json", EOD, "not a Hugging Face tokenizer.json"),
        ('{"model": {}}', EOD, "not a Hugging Face tokenizer.json"),
        (b"\xff\xfe", EOD, "not a Hugging Face tokenizer.json"),
        ("starter", "<nothing>", "no token '<nothing>' to end documents with; its control tokens: <|endoftext|>"),
    ],
)
def test_errors_say_what_is_wrong(tmp_path: Path, content: Any, eod: str, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(
            FILE.read_bytes() if content == "starter" else content if isinstance(content, bytes) else content.encode()
        )
    with pytest.raises(UsageError) as raised:
        tokenizer.load(str(path), eod)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UsageError, match="neither a shipped tokenizer"):
        tokenizer.digest("startre")
