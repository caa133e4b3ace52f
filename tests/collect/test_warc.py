"""WARC and ARC: what becomes a document, what is dropped, and what damage costs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import time
import tracemalloc
import zlib

import pytest
from fastwarc.stream_io import BrotliWriter, Lz4Writer, ZstdWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect.documents import Document, Dropped, Quarantined
from mdfs.recipe import Collect
from tests.collect.kit import ARTICLE, documents, dropped, gzipped, outcomes, page, quarantined, reasons, record

PAGES = [page(title=f"第{i}页", paragraphs=[f"这是第{i}页。" + ARTICLE[0], ARTICLE[1]]) for i in range(6)]
RECORDS = [record(body, url=f"http://www.example.com/{i}", number=i) for i, body in enumerate(PAGES)]


def test_a_page_in_full() -> None:
    (found,) = documents(gzipped(RECORDS[:1]), "a.warc.gz")
    assert found == Document(
        place="0",
        text=f"这是第0页。{ARTICLE[0]}\n{ARTICLE[1]}",
        title="第0页",
        url="http://www.example.com/0",
        source_key="<urn:uuid:00000000-0000-0000-0000-000000000000>",
        fetched_at=1_620_284_889_000,
        meta={"lang": "zh-CN", "encoding": "utf-8", "encoding_by": "utf-8"},
    )


def test_places_are_offsets_of_members() -> None:
    members = [gzip.compress(one, mtime=0) for one in RECORDS]
    offsets = [str(sum(map(len, members[:i]))) for i in range(len(members))]
    assert [d.place for d in documents(b"".join(members), "a.warc.gz")] == offsets
    assert [d.place for d in documents(b"".join(RECORDS[:2]), "a.warc")] == ["0", str(len(RECORDS[0]))]


def test_records_that_share_a_member_have_places_of_their_own() -> None:
    found = documents(gzip.compress(b"".join(RECORDS), mtime=0), "a.warc.gz")
    assert len({d.place for d in found}) == len(RECORDS)


@pytest.mark.parametrize("name", ["a.warc.gz", "a.warc.gz.open", "a.bin", "a.txt", "a.jsonl.gz"])
def test_content_wins_over_the_name(name: str) -> None:
    assert len(documents(gzipped(RECORDS), name)) == len(RECORDS)


def test_what_is_no_page_is_skipped_or_dropped_with_its_reason() -> None:
    raw = [
        record(b"software: x", kind="warcinfo", mime="application/warc-fields"),
        record(b"GET / HTTP/1.1\r\n\r\n", kind="request", mime="application/http; msgtype=request"),
        record(b"fetchTimeMs: 1", kind="metadata", mime="application/warc-fields"),
        record(b"gone", status="404 Not Found"),
        record(b"moved", status="301 Moved Permanently"),
        record(b"\x89PNG\r\n\x1a\n", mime="image/png"),
        record(b"%PDF-1.4 ...", mime="text/html"),
        record(b"<html><body> \n </body></html>"),
        RECORDS[0],
    ]
    found = outcomes(gzipped(raw), "a.warc.gz")
    assert reasons(found)[:7] == [
        "warcinfo",
        "request",
        "metadata",
        "http_status",
        "http_status",
        "not_text",
        "not_text",
    ]
    assert [o.detail for o in dropped(found)][:2] == ["404", "301"]
    assert isinstance(found[-1], Document)


def test_wet_text_and_plain_text() -> None:
    raw = record("一行\n两行".encode(), kind="conversion", mime="text/plain")
    assert [d.text for d in documents(raw, "a.warc.wet")] == ["一行\n两行"]
    raw = record("纯文本，没有标记。".encode("gbk"), mime="text/plain; charset=gb2312")
    (found,) = documents(raw, "a.warc")
    assert (found.text, found.meta["encoding"]) == ("纯文本，没有标记。", "gb18030")


def _brotli(raw: bytes) -> bytes:
    sink = io.BytesIO()
    writer = BrotliWriter(sink)
    writer.write(raw)
    writer.close()
    return sink.getvalue()


def _chunked(raw: bytes, size: int = 100) -> bytes:
    pieces = [raw[i : i + size] for i in range(0, len(raw), size)]
    return b"".join(b"%x;ext\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _raw_deflate(raw: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(raw) + machine.flush()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PAGES[0]), "Content-Encoding: gzip\r\n"),
        (zlib.compress(PAGES[0]), "Content-Encoding: deflate\r\n"),
        (_raw_deflate(PAGES[0]), "Content-Encoding: deflate\r\n"),
        (_brotli(PAGES[0]), "Content-Encoding: br\r\n"),
        (_chunked(PAGES[0]), "Transfer-Encoding: chunked\r\n"),
        (_chunked(gzip.compress(PAGES[0])), "Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"),
        (PAGES[0], "Transfer-Encoding: chunked\r\n"),
        (PAGES[0], "Content-Encoding: gzip\r\n"),
        (PAGES[0], "Content-Encoding: br\r\n"),
        (PAGES[0], "Content-Encoding: unknown\r\n"),
    ],
)
def test_transfer_and_content_encodings(body: bytes, headers: str) -> None:
    (found,) = documents(record(body, headers=headers), "a.warc")
    assert found.text.startswith("这是第0页。")


def test_a_body_that_breaks_off_gives_what_there_is() -> None:
    words = "".join(random.Random(1).choices(ARTICLE[0], k=20_000))
    body = gzip.compress(page([f"{words[i : i + 50]}，完。" for i in range(0, 20_000, 50)]))
    (found,) = documents(record(body[: len(body) // 2], headers="Content-Encoding: gzip\r\n"), "a.warc")
    assert len(found.text) > 5_000
    assert found.meta["whole"] == "no"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_bomb_in_a_payload_is_quarantined_in_bounded_memory(coding: str) -> None:
    big = b"0" * (64 << 20)
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "br": _brotli}[coding](big)
    raw = gzipped([record(packed, headers=f"Content-Encoding: {coding}\r\n"), RECORDS[1]])
    del big
    tracemalloc.start()
    found = outcomes(raw, "a.warc.gz", limits=Collect(max_record_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(found) == ["too_long"]
    assert isinstance(found[1], Document)
    assert peak < 16 << 20


def test_a_long_record_is_quarantined_unread() -> None:
    found = outcomes(
        gzipped([record(b"<html>" + b"x" * 5_000), RECORDS[0]]), "a.warc.gz", limits=Collect(max_record_bytes=4_000)
    )
    assert reasons(found) == ["too_long"]
    assert len(found) == 2


@pytest.mark.parametrize("into", [3, 12, 40, 150, 420, -30])
@pytest.mark.parametrize("number", [0, 2, 5])
@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_archive_gives_what_is_whole_and_one_row(into: int, number: int, packed: bool) -> None:
    records = [gzip.compress(one, mtime=0) if packed else one for one in RECORDS]
    whole = b"".join(records[:number])
    found = outcomes(whole + records[number][:into], "a.warc.gz", reader="warc")
    assert [isinstance(o, Document) for o in found] == [True] * number + [False]
    assert [o.reason for o in quarantined(found)] in (["truncated"], ["broken_archive"], ["broken_compression"])


@pytest.mark.parametrize("writer", [Lz4Writer, ZstdWriter])
def test_zstd_and_lz4(writer: type) -> None:
    packed = []
    for one in RECORDS:
        sink = io.BytesIO()
        with writer(sink) as stream:
            stream.write(one)
        packed.append(sink.getvalue())
    raw = b"".join(packed)
    assert [d.place for d in documents(raw, "a.warc.zst")][:2] == ["0", str(len(packed[0]))]
    found = outcomes(raw[:-40], "a.warc.zst")
    assert [isinstance(o, Document) for o in found] == [True] * 5 + [False]


def test_a_whole_archive_gives_no_row() -> None:
    assert not quarantined(outcomes(gzipped(RECORDS) + b"\0" * 100, "a.warc.gz"))
    assert not quarantined(outcomes(b"".join(RECORDS) + b"\r\n\r\n", "a.warc"))


@pytest.mark.parametrize("packed", [True, False])
def test_damage_in_the_middle_costs_one_record(packed: bool) -> None:
    records = [gzip.compress(one, mtime=0) if packed else one for one in RECORDS]
    damaged = bytearray(records[2])
    damaged[:40] = b"\0" * 40
    found = outcomes(b"".join([*records[:2], bytes(damaged), *records[3:]]), "a.warc.gz")
    assert len([o for o in found if isinstance(o, Document)]) == len(RECORDS) - 1
    assert [o.reason for o in quarantined(found)] == ["broken_archive"]
    assert len({o.place for o in found}) == len(found)  # type: ignore[union-attr]


def test_lines_that_end_in_a_line_feed_only() -> None:
    raw = record("文".encode() * 20, kind="conversion", mime="text/plain").replace(b"\r\n", b"\n")
    assert len(documents(raw, "a.warc")) == 1


def test_zeros_between_members_lose_nothing() -> None:
    found = outcomes(gzipped(RECORDS[:2]) + b"\0" * 50 + gzipped(RECORDS[2:]), "a.warc.gz")
    assert len([o for o in found if isinstance(o, Document)]) == len(RECORDS)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2_000), st.integers(0, 3_000), st.booleans())
def test_any_bytes_anywhere_in_an_archive(noise: bytes, at: int, packed: bool) -> None:
    raw = gzipped(RECORDS[:3]) if packed else b"".join(RECORDS[:3])
    found = outcomes(raw[:at] + noise + raw[at:], "a.warc")
    places = [o.place for o in found if isinstance(o, Document | Dropped | Quarantined)]
    assert len(places) == len(set(places))


def test_unreadable_bytes_cost_linear_time() -> None:
    raw = gzipped(RECORDS) + b"\x1f\x8b\x08" * 100_000
    start = time.perf_counter()
    found = outcomes(raw, "a.warc.gz")
    assert time.perf_counter() - start < 5
    assert len([o for o in found if isinstance(o, Document)]) == len(RECORDS)


def _arc(url: str, body: bytes, mime: str = "text/html") -> bytes:
    return f"{url} 127.0.0.1 20080430204825 {mime} {len(body)}\n".encode() + body + b"\n"


HEADER = _arc(
    "filedesc://a.arc", b"1 0 Example\nURL IP-address Archive-date Content-type Archive-length\n", "text/plain"
)
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + PAGES[0]


@pytest.mark.parametrize("packed", [True, False])
def test_arc(packed: bool) -> None:
    records = [
        HEADER,
        _arc("dns:www.example.com", b"20080430204825\nwww.example.com. 1 IN A 127.0.0.1", "text/dns"),
        _arc("http://www.example.com/a page?x=1", RESPONSE),
        _arc("http://www.example.com/2", RESPONSE.replace(b"200 OK", b"404 No")),
        _arc("http://www.example.com/3", PAGES[1]),
    ]
    found = outcomes(gzipped(records) if packed else b"".join(records), "a.arc.gz")
    assert reasons(found) == ["filedesc", "dns", "http_status"]
    first, second = (o for o in found if isinstance(o, Document))
    assert (first.url, first.title) == ("http://www.example.com/a page?x=1", "第0页")
    assert first.fetched_at == 1_209_588_505_000
    assert second.title == "第1页"


def test_a_broken_arc_record_costs_one_row() -> None:
    bad = b"http://www.example.com/x 127.0.0.1 20080430204825 text/html -1\nrubbish\n"
    found = outcomes(HEADER + bad + _arc("http://www.example.com/3", RESPONSE), "a.arc")
    assert reasons(found) == ["filedesc", "broken_record"]
    assert isinstance(found[-1], Document)


def test_a_truncated_arc_gives_one_row() -> None:
    raw = HEADER + _arc("http://www.example.com/3", RESPONSE) + _arc("http://www.example.com/4", RESPONSE)
    assert reasons(outcomes(raw[:-50], "a.arc")) == ["filedesc", "truncated"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=500))
def test_any_bytes_after_an_arc_header(noise: bytes) -> None:
    outcomes(HEADER + noise, "a.arc")


def test_a_digest_that_differs_is_told_and_the_record_is_read() -> None:
    def signed(digest: str) -> bytes:
        return RECORDS[0].replace(b"Content-Length:", f"WARC-Block-Digest: {digest}\r\nContent-Length:".encode(), 1)

    block = RECORDS[0].partition(b"\r\n\r\n")[2][:-4]
    right = "sha1:" + base64.b32encode(hashlib.sha1(block).digest()).decode()
    raw = gzipped([signed(right), signed("sha1:" + "A" * 32), signed("md9:x"), RECORDS[0]])
    assert [d.meta.get("block_digest") for d in documents(raw, "a.warc.gz")] == [None, "differs", None, None]
