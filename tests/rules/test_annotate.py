"""`annotate`: its columns, odd texts, and that a document's row depends on the document alone."""

from __future__ import annotations

import pyarrow as pa
import pytest
from rules_documents import PROSE, batch

from mdfs import recipe, rules, schema
from mdfs.rules.signals import SIGNALS

YUAN = recipe.load("yuan1")
LONG = PROSE + "\n" + PROSE[::-1]


def test_schema() -> None:
    """The document's columns in their order, then signals and drop_reasons; text stays string."""
    out = rules.annotate(batch([LONG, "短"]), YUAN)
    added = [pa.field("signals", SIGNALS, nullable=False), schema.DROP_REASONS]
    assert out.schema.equals(pa.schema([*schema.DOCUMENT, *added]))
    out.validate(full=True)


@pytest.mark.parametrize("text", ["", " ", "😀" * 200, "\ufffd" * 300, "a" * 1_000_000, "中" * 400_000, "\n" * 5000])
def test_odd_texts(text: str) -> None:
    """None of these is worth keeping, and none breaks anything."""
    out = rules.annotate(batch([LONG, text, LONG]), YUAN)
    out.validate(full=True)
    first, odd, last = out.to_pylist()
    assert odd["drop_reasons"]
    assert (first["signals"], first["text"]) == (last["signals"], last["text"])


def test_batches_do_not_matter() -> None:
    """A row is the same alone, in company, in a slice and in another order."""
    texts = [LONG, "", "返回顶部", "  两 \r\n行 ", "六合彩 " * 50, "Hello there. " * 30, "😀" * 9, PROSE * 3]
    whole = rules.annotate(batch(texts), YUAN).drop_columns(["doc_id", "source_key"]).to_pylist()
    for k, text in enumerate(texts):
        assert (
            rules.annotate(batch([text]), YUAN).drop_columns(["doc_id", "source_key"]).to_pylist() == whole[k : k + 1]
        )
        part = rules.annotate(batch(texts).slice(k, 3), YUAN).drop_columns(["doc_id", "source_key"])
        assert part.to_pylist() == whole[k : k + 3]
    backwards = rules.annotate(batch(texts[::-1]), YUAN).drop_columns(["doc_id", "source_key"])
    assert backwards.to_pylist() == whole[::-1]


def test_the_input_is_left_alone() -> None:
    """Edits make new buffers; the caller's batch still holds the collected text."""
    given = batch(["　ＡＢＣ　\r\n" + PROSE])
    rules.annotate(given, YUAN)
    assert given.column("text").to_pylist() == ["　ＡＢＣ　\r\n" + PROSE]


def test_more_columns_are_handed_on() -> None:
    """Columns that the rules do not know pass through."""
    more = batch([LONG]).append_column("extra", pa.array([7]))
    assert rules.annotate(more, YUAN).column("extra").to_pylist() == [7]
