"""JSON Lines, tables, Sogou, books: what each file gives, and what damage costs."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect import readers
from mdfs.collect.documents import Document
from mdfs.errors import UsageError
from mdfs.recipe import Collect
from tests.collect.kit import ARTICLE, documents, outcomes, page, quarantined, reasons

ROW = {"id": 7, "text": ARTICLE[0], "title": "桥", "url": "http://a.example/1", "date": "2020-01-02", "n": 3}


def lines(*rows: object) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def test_json_lines() -> None:
    (found,) = documents(lines(ROW), "a.jsonl")
    assert found == Document("1", ARTICLE[0], "桥", "http://a.example/1", "7", None, {"published": "2020-01-02"})


def zstd(raw: bytes) -> bytes:
    return pa.compress(raw, "zstd", asbytes=True)


def lz4(raw: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd, lz4], ids=lambda f: f.__name__)
def test_every_compression_whatever_the_name(pack: object) -> None:
    raw = lines(*[ROW] * 2_000)
    assert len(documents(pack(raw), "a.jsonl")) == 2_000  # type: ignore[operator]


def test_joined_gzip_members() -> None:
    assert len(documents(gzip.compress(lines(ROW)) + gzip.compress(lines(ROW)), "a.jsonl.gz")) == 2


def test_a_broken_line_costs_itself() -> None:
    raw = lines(ROW) + b'{"text": \n\n[1, 2]\n"x"\n{"no": "text"}\n' + b"[" * 100_000 + b"\n" + lines(ROW)
    found = outcomes(raw, "a.jsonl")
    assert reasons(found) == ["broken_json", "blank_line", "broken_json", "broken_json", "no_text_field", "broken_json"]
    assert [o.place for o in found if isinstance(o, Document)] == ["1", "8"]


def test_a_field_map_goes_before_the_usual_names() -> None:
    row = {"body": ARTICLE[0], "text": "x", "meta": {"who": "张三"}, "tags": ["甲", "乙"]}
    (found,) = documents(lines(row), "a.jsonl", fields={"text": "body", "author": "meta.who", "kind": "tags"})
    assert (found.text, found.meta) == (ARTICLE[0], {"author": "张三", "kind": "甲\n乙"})
    (missing,) = quarantined(outcomes(lines({"text": "x"}), "a.jsonl", fields={"text": "body"}))
    assert "no 'body' among text" in missing.detail


BAIKE = {"text": "content", "title": "lemma.name", "source_key": "lemma.id", "kind": "tags"}


def test_an_encyclopedia_of_one_object_a_line_by_a_field_map() -> None:
    row = {"lemma": {"id": 12, "name": "青禾桥"}, "content": ["始建于清朝。", "长三十米。"], "tags": ["桥梁"]}
    (found,) = documents(lines(row), "baike.jsonl", fields=BAIKE)
    assert found == Document("1", "始建于清朝。\n长三十米。", "青禾桥", "", "12", None, {"kind": "桥梁"})


def test_markup_in_a_field_is_read_as_a_page() -> None:
    row = {"html": page(ARTICLE, head='<meta name="author" content="张三">').decode(), "id": 7}
    (found,) = documents(lines(row), "a.jsonl", fields={"html": "html"})
    assert (found.text.split("\n"), found.title, found.source_key) == (ARTICLE, "青禾桥", "7")
    assert found.meta["author"] == "张三"
    row = {"summary": "<p>短。</p><ul><li>一</li><li>二</li></ul>", "name": "桥", "text": "x"}
    (found,) = documents(lines(row), "a.jsonl", fields={"fragment": "summary", "title": "name"})
    assert (found.text, found.title) == ("短。\n一\n二", "桥")
    assert reasons(outcomes(lines({"h": ""}, {"h": "<div>" * 9999}), "a.jsonl", fields={"html": "h"})) == [
        "no_text",
        "too_deep",
    ]


ROWS = [{"text": f'{i}“]}}[{{\\" {ARTICLE[0]}', "id": i, "more": [{"a": [1, "]"]}]} for i in range(40)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_json_array_is_read_object_by_object(indent: int | None, pack: object) -> None:
    raw = json.dumps(ROWS, ensure_ascii=False, indent=indent).encode()
    found = documents(pack(raw), "a.json")  # type: ignore[operator]
    assert [(d.place, d.text) for d in found] == [(str(i + 1), row["text"]) for i, row in enumerate(ROWS)]
    assert not outcomes(b"[]", "a.json")


def test_a_json_array_that_breaks_off_or_has_odd_records() -> None:
    raw = json.dumps(ROWS).encode()
    found = outcomes(raw[: len(raw) // 2], "a.json")
    assert reasons(found) == ["truncated"]
    assert len(found) > 15
    assert reasons(outcomes(b'[{"text": }, [1], {"text": "x"}, 5]', "a.json")) == ["broken_json", "broken_json"]
    long = outcomes(
        json.dumps([{"text": "x" * 5_000}, ROWS[0]]).encode(), "a.json", limits=Collect(max_record_bytes=1_000)
    )
    assert reasons(long) == ["too_long"]


@settings(deadline=None)
@given(st.integers(1, 80), st.lists(st.dictionaries(st.text('"\\\\[]{}a'), st.text('"\\\\[]{}桥'))))
def test_any_array_in_any_pieces(size: int, rows: list[dict[str, str]]) -> None:
    from mdfs.collect.readers import Context
    from mdfs.collect.readers.jsonarray import _Cutter

    raw = json.dumps(rows, ensure_ascii=False).encode()
    cutter = _Cutter(Context(fields={"text": "t"}))
    found = [o for i in range(0, len(raw), size) for o in cutter.take(raw[i : i + size])]
    assert (len(found), cutter.depth) == (len(rows), 0)


def test_a_huge_line_is_quarantined_in_bounded_memory() -> None:
    raw = gzip.compress(lines(ROW) + b'{"text": "' + b"x" * (96 << 20) + b'"}\n' + lines(ROW))
    tracemalloc.start()
    found = outcomes(raw, "a.jsonl.gz", limits=Collect(max_record_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(found) == ["too_long"]
    assert len(found) == 3
    assert peak < 12 << 20


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd], ids=lambda f: f.__name__)
def test_a_truncated_file_gives_what_there_is_and_one_row(pack: object) -> None:
    rows = [{"text": f"{i * 7919 % 10007}，{i}"} for i in range(60_000)]
    packed = pack(lines(*rows))  # type: ignore[operator]
    found = outcomes(packed[: len(packed) // 2], "a.jsonl")
    texts = [o.text for o in found if isinstance(o, Document)]
    assert texts == [row["text"] for row in rows[: len(texts)]]
    assert len(texts) > (1_000 if pack is not bz2.compress else -1)
    assert reasons(found)[-1] in ("truncated", "broken_compression")
    assert len(quarantined(found)) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from(["a.jsonl", "a.csv", "a.tsv", "a.txt", "a.dat", "a.parquet", "a.xml", "a.epub", "a"]),
)
def test_any_bytes_under_any_name(raw: bytes, name: str) -> None:
    outcomes(raw, name)


def test_any_bytes_under_any_reader() -> None:
    for reader in readers.READERS:
        for raw in (
            b"\0\xff" * 50,
            b"<" * 100,
            b"PAR1" + b"\xff" * 20,
            b"PK\x03\x04" + b"\0" * 60,
            gzip.compress(b"x")[:-3],
        ):
            for outcome in outcomes(raw, "a", reader=reader.name):
                assert getattr(outcome, "reason", "").count(" ") == 0


def test_no_reader_is_one_row() -> None:
    for name, raw in (
        ("LICENSE", b"Apache"),
        ("README.md", b"# x"),
        ("a.gz", gzip.compress(b"hi")),
        ("b.gz", gzip.compress(b"")),
        ("e", b""),
    ):
        assert reasons(outcomes(raw, name)) == ["no_reader"], name
    assert reasons(outcomes(gzip.compress(b"hi")[:10] + b"\xff" * 40, "a.gz")) == ["broken_compression"]


def test_a_forced_reader_and_an_unknown_one() -> None:
    assert len(documents(lines(ROW), "data", reader="jsonl")) == 1
    with pytest.raises(UsageError, match="did you mean 'jsonl'"):
        readers.named("jsonal")


def test_every_reader_describes_itself() -> None:
    for entry in readers.described():
        assert entry["name"]
        assert entry["fills"]
        assert str(entry["reads"])[-1] != "."
        assert any(ending in str(entry["example"]) for ending in entry["endings"])
    assert len({entry["name"] for entry in readers.described()}) == len(readers.READERS)


@pytest.mark.parametrize(("name", "comma"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", "\t")])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_tables(name: str, comma: str, codec: str) -> None:
    sink = io.StringIO()
    table = csv.writer(sink, delimiter=comma)
    table.writerows(
        [["id", "标题", "正文"], ["1", "桥", f'{ARTICLE[0]}\n第二段, “引号"'], ["2", "空"], ["3", "多", "x", "y"]]
    )
    found = outcomes(sink.getvalue().encode(codec), name)
    assert isinstance(found[0], Document)
    assert (found[0].text, found[0].title, found[0].source_key) == (f'{ARTICLE[0]}\n第二段, “引号"', "桥", "1")
    assert reasons(found)[-1] == "broken_row"


def test_parquet() -> None:
    sink = io.BytesIO()
    columns = {"content": ["甲", None, "丙"], "id": [1, 2, 3], "blob": [b"\xff"] * 3}
    pq.write_table(pa.table(columns), sink)
    found = [(d.place, d.text, d.source_key) for d in documents(sink.getvalue(), "part-0.parquet")]
    assert found == [("1", "甲", "1"), ("2", "", "2"), ("3", "丙", "3")]
    assert reasons(outcomes(sink.getvalue()[:-20], "part-0.parquet")) == ["broken_parquet"]


def news(number: int, text: str = ARTICLE[0]) -> bytes:
    return (
        f"<doc>\n<url>http://news.example/{number}.html</url>\n<docno>{number:04}-a</docno>\n<contenttitle>标题{number}</contenttitle>\n"
        f"<content>{text}</content>\n</doc>\n"
    ).encode("gb18030")


def test_sogou_parts_paragraphs_by_a_private_character() -> None:
    (found,) = documents(b"<doclist>\n" + news(1, "第一段。\ue40c第二段。") + b"</doclist>\n", "news.dat")
    assert found.text == "第一段。\n第二段。"


def test_sogou() -> None:
    first, second = documents(
        b"<doclist>\n" + news(1) + news(2, "全角ＡＢ１２　保持原样") + b"</doclist>\n", "news.dat"
    )
    assert (first.place, first.title, first.url, first.source_key) == (
        "1",
        "标题1",
        "http://news.example/1.html",
        "0001-a",
    )
    assert (first.text, second.text) == (ARTICLE[0], "全角ＡＢ１２　保持原样")
    assert first.meta["encoding"] == "gb18030"


def test_broken_sogou_records_cost_themselves() -> None:
    unended = news(2).replace(b"</doc>", b"")
    no_content = b"<doc><url>http://a.example/</url></doc>\n"
    found = outcomes(news(1) + unended + news(3) + no_content + news(5) + news(6)[:-20], "news.dat")
    assert [o.reason for o in quarantined(found)] == ["broken_record"] * 3
    assert [o.place for o in found if isinstance(o, Document)] == ["1", "3", "5"]


def test_a_broken_byte_in_a_sogou_record_loses_little() -> None:
    raw = bytearray(news(1, ARTICLE[0] * 4))
    raw[raw.index("乾隆".encode("gbk"))] = 0xFF
    (found,) = documents(bytes(raw), "news.dat")
    assert found.text.count(ARTICLE[0]) == 3


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_in_a_sogou_file(noise: bytes, at: int) -> None:
    raw = news(1) + news(2)
    outcomes(raw[:at] + noise + raw[at:], "news.dat")


BOOK = "序\n这是序言，写在前面。\n\n" + "".join(
    f"第{n}回　石桥旧事之{n}\n　　{ARTICLE[0]}\n{ARTICLE[1]}\n\n" for n in "一二三四五"
)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_book_is_cut_at_its_chapters(codec: str) -> None:
    found = documents(BOOK.encode(codec), "books/石桥记.txt")
    assert [d.title for d in found] == ["石桥记", *(f"第{n}回 石桥旧事之{n}" for n in "一二三四五")]
    assert [d.place for d in found] == list("012345")
    assert found[1].text == f"第一回　石桥旧事之一\n　　{ARTICLE[0]}\n{ARTICLE[1]}"


def test_chapters_only_where_they_are_certain() -> None:
    for text in (
        "他翻到第三章，读了起来。\n" * 5,
        "第三章 甲\n文\n第九章 乙\n文\n第二章 丙\n文\n",
        "第一章 甲\n文\n第二章 乙\n文\n",
    ):
        assert len(documents(text.encode(), "a.txt")) == 1


def test_numbers_of_chapters() -> None:
    from mdfs.collect.readers.plaintext import _number

    for line, number in (
        ("第一百零八回 甲", 108),
        ("第一〇八章", 108),
        ("第12章 乙", 12),
        ("第廿三回", 23),
        ("卷一 第十章 丙", 10),
    ):
        assert _number(line) == number, line
    for line in ("第三章，他说。", "他在第三章里写道", "第三方 甲", "第 三 章"):
        assert _number(line) is None, line


def test_a_long_book_is_read_in_bounded_memory() -> None:
    chapters = "".join(f"第{n}章 甲\n" + f"{ARTICLE[0]}\n" * 400 for n in range(1, 400))
    raw = chapters.encode()
    assert len(raw) > 20 << 20
    packed = gzip.compress(raw, 1)
    del chapters, raw
    tracemalloc.start()
    count = 0
    from mdfs.collect import stage, streams
    from mdfs.stage import Unit

    unit = Unit("u", {"path": "a.txt", "source": "s"})
    for outcome in stage.outcomes(streams.Source(io.BytesIO(packed)), unit, Collect()):
        count += isinstance(outcome, Document)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 399
    assert peak < 16 << 20


def test_a_book_without_chapters_that_is_too_long() -> None:
    assert reasons(outcomes(f"{ARTICLE[0]}\n".encode() * 100, "a.txt", limits=Collect(max_record_bytes=1_000))) == [
        "too_long"
    ]


def epub(chapters: dict[str, bytes], spine: list[str]) -> bytes:
    items = "".join(
        f'<item id="i{i}" href="{name}" media-type="application/xhtml+xml"/>' for i, name in enumerate(chapters)
    )
    refs = "".join(f'<itemref idref="i{list(chapters).index(name)}"/>' for name in spine)
    said = "<metadata><dc:title>石桥记</dc:title><dc:creator>某人</dc:creator></metadata>"
    package = f"<package>{said}<manifest>{items}</manifest><spine>{refs}</spine></package>"
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr(
            "META-INF/container.xml",
            '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        )
        book.writestr("OPS/book.opf", package)
        for name, raw in chapters.items():
            book.writestr(f"OPS/{name}", raw)
    return sink.getvalue()


def test_epub() -> None:
    raw = epub(
        {"b.xhtml": page(title="第二章"), "a.xhtml": page(title="第一章"), "x.xhtml": page()}, ["a.xhtml", "b.xhtml"]
    )
    first, second = documents(raw, "book.epub")
    assert (first.title, second.title, first.place, second.place) == ("第一章", "第二章", "1", "2")
    assert first.meta["book"] == "石桥记"
    assert ARTICLE[0] in first.text


def test_a_bomb_and_a_way_out_in_an_epub() -> None:
    raw = epub(
        {"a.xhtml": b"0" * (32 << 20), "../../../etc/passwd": b"x", "b.xhtml": page()},
        ["a.xhtml", "../../../etc/passwd", "b.xhtml"],
    )
    tracemalloc.start()
    found = outcomes(raw, "book.epub", limits=Collect(max_record_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert reasons(found) == ["too_long", "broken_epub"]
    assert isinstance(found[-1], Document)
    assert reasons(outcomes(raw[:-30], "book.epub")) == ["broken_epub"]
