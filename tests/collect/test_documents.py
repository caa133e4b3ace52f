"""Documents: ids, dates, and text that Arrow takes."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect.documents import Batcher, Document, Quarantined, doc_id, moment, quarantine_batch, utf8
from mdfs.parts import GROUP_BYTES, GROUP_ROWS
from mdfs.schema import DOCUMENT, QUARANTINE


def test_doc_id_is_fixed_for_all_time() -> None:
    assert doc_id("web", "a/b.warc.gz", "1234") == "3e311bda8d2ae95185baaa44c1c1e10b"


def test_doc_id_tells_apart_what_joins_to_the_same_text() -> None:
    assert len({doc_id("ab", "c", "d"), doc_id("a", "bc", "d"), doc_id("abc", "", "d")}) == 3


@given(st.text(), st.text(), st.text())
def test_doc_id_is_32_hex_digits_of_any_text(source: str, path: str, place: str) -> None:
    assert len(bytes.fromhex(doc_id(source, path, place))) == 16


def test_moment_reads_what_archives_write() -> None:
    for said in ("2021-05-06T07:08:09Z", "2021-05-06T15:08:09+08:00", "20210506070809", "1620284889", "1620284889000"):
        assert moment(said) == 1_620_284_889_000, said
    assert moment("2021-05-06") == 1_620_259_200_000


@given(st.text() | st.from_regex(r"\d{1,20}") | st.datetimes().map(str))
def test_moment_never_raises(said: str) -> None:
    assert moment(said) is None or isinstance(moment(said), int)


def test_moment_is_none_for_what_is_no_date() -> None:
    assert [moment(said) for said in ("", "yesterday", "0001-01-01", "9999-12-31T23:59:59Z", "201404010000000000")] == [
        None, None, None, None, 1396310400000,
    ]  # fmt: skip


def test_text_without_nuls_and_lone_surrogates() -> None:
    assert utf8("甲\0乙\ud800丙\ud83d\ude00").decode() == "甲乙\ufffd丙😀"


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_becomes_a_valid_column(text: str) -> None:
    batcher = Batcher("s", "p")
    assert not list(batcher.add(Document("1", text, title=text, meta={"k": text})))
    (batch,) = batcher.rest()
    batch.validate(full=True)
    assert batch.schema == DOCUMENT


def test_batches_are_bounded_in_rows_and_bytes() -> None:
    batcher = Batcher("s", "p")
    rows = [b.num_rows for i in range(GROUP_ROWS + 1) for b in batcher.add(Document(str(i), "短"))]
    assert rows == [GROUP_ROWS]
    long = "x" * (GROUP_BYTES // 2 + 1)
    sizes = [b.num_rows for i in range(3) for b in batcher.add(Document(f"l{i}", long))]
    assert sizes == [2, 1]


def test_quarantine_rows_have_short_details() -> None:
    batch = quarantine_batch("s", "p", [Quarantined("1", "broken", "x" * 999)])
    assert batch.schema == QUARANTINE
    assert len(batch["detail"][0].as_py()) == 300
    assert quarantine_batch("s", "p", []).num_rows == 0


def test_meta_leaves_out_what_is_empty() -> None:
    batcher = Batcher("s", "p")
    list(batcher.add(Document("1", "文", meta={"author": "", "lang": "zh"})))
    (batch,) = batcher.rest()
    assert batch["meta"].to_pylist() == [[("lang", "zh")]]
    assert isinstance(batch["fetched_at"], pa.TimestampArray)
