"""The sample corpus is what its sources give, holds what the other tests rely on, and invents its personal data."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

SAMPLE = Path(__file__).parent / "sample"


if TYPE_CHECKING:
    from samplekit.page import Page


def _build_script() -> ModuleType:
    """tests/sample/build.py under a name of its own: `build` is also a package on PyPI."""
    spec = importlib.util.spec_from_file_location("sample_build", SAMPLE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _build_script()
derive, site = sys.modules["samplekit.derive"], sys.modules["samplekit.site"]

ID_NUMBER = re.compile(r"(?<![0-9A-Za-z.])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z])")
ID_WEIGHTS = [2 ** (17 - i) % 11 for i in range(17)]


@pytest.fixture(scope="module")
def pages() -> list[Page]:
    return build.documents()


@pytest.fixture(scope="module")
def expected() -> list[dict[str, object]]:
    return [json.loads(line) for line in (SAMPLE / "expected.jsonl").read_text("utf-8").splitlines()]


def test_committed_files_are_what_the_sources_give(tmp_path: Path) -> None:
    """Whoever edits a page also rebuilds the corpus."""
    build.build(tmp_path)
    assert build.differences(tmp_path, SAMPLE) == []


def test_build_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Nothing in the files hangs on the time, the place or a hash seed."""
    for name in ("one", "two"):
        build.build(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_check_notices_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check exits 1 and names the file that is not what the sources give."""
    build.build(tmp_path)
    assert build.main(["--check", "--out", str(tmp_path)]) == 0
    (tmp_path / "corpus" / "wiki.xml").write_text("", "utf-8")
    assert build.main(["--check", "--out", str(tmp_path)]) == 1
    assert "corpus/wiki.xml" in capsys.readouterr().err


def test_every_charset_and_kind_is_present(pages: list[Page]) -> None:
    """The readers' tests find every encoding, site template, derivation and verdict here."""
    assert {"utf-8", "gb18030", "gbk", "gb2312", "big5", "big5-hkscs"} <= {p.charset for p in pages}
    assert {p.site for p in pages} == set(site.SITES)
    assert {p.derivation for p in pages} - {""} == set(derive.KINDS)
    assert {p.into for p in pages} == set(build.FILES)
    assert {p.expect for p in pages} == {"high", "low", "ad"}
    assert {"none"} < {p.declared for p in pages} - {""}, "some headers without a charset, some with a wrong one"


def test_sizes_stay_small(pages: list[Page]) -> None:
    """About 300 documents under 1.5 MB, so that the whole sample runs in every test."""
    assert 270 <= len(pages) <= 360
    assert sum(path.stat().st_size for path in (SAMPLE / "corpus").iterdir()) < 1_500_000


def test_expectations_name_each_document_once(expected: list[dict[str, object]]) -> None:
    """(file, key) identifies a document."""
    keys = Counter((row["file"], row["key"]) for row in expected)
    assert [key for key, count in keys.items() if count > 1] == []


def test_near_duplicates_are_clear_cases(expected: list[dict[str, object]]) -> None:
    """near is above 0.8 and mixed below 0.6, so no test depends on the luck of a hash."""
    for row in expected:
        if row["derivation"] == "near":
            assert 0.8 < float(str(row["similarity"])) < 1, row
        if row["derivation"] == "mixed":
            assert float(str(row["similarity"])) < 0.6, row


def test_tracking_urls_serve_the_same_page(pages: list[Page]) -> None:
    """A page under ?utm_source=... is the same HTML, byte for byte; only its URL differs."""
    sources = {p.key: p for p in pages}
    for page in pages:
        if page.derivation == "tracking":
            assert site.render(page) == site.render(sources[page.derived_from]), page.key


def test_warc_digests_verify() -> None:
    """fastwarc reads every record, and both digests of each are right."""
    kinds: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    with (SAMPLE / "corpus" / "web.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=False):
            kinds[record.headers["WARC-Type"]] += 1
            assert record.verify_block_digest(), record.headers["WARC-Target-URI"]
            if record.record_type == WarcRecordType.response:
                record.parse_http()
                statuses[record.http_headers.status_code] += 1
                assert record.verify_payload_digest(), record.headers["WARC-Target-URI"]
    assert kinds["warcinfo"] == kinds["revisit"] == 1
    assert kinds["request"] == kinds["response"]
    assert statuses[404] >= 2
    assert statuses[301] >= 1


def test_warc_has_chunked_and_gzip_bodies() -> None:
    """The reader must undo both transfer and content encodings, also together."""
    seen: set[tuple[bool, bool]] = set()
    with (SAMPLE / "corpus" / "web.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            headers = record.http_headers
            seen.add((headers.get("Transfer-Encoding") == "chunked", headers.get("Content-Encoding") == "gzip"))
    assert seen == {(False, False), (True, False), (False, True), (True, True)}


def test_sogou_dump_has_one_broken_record() -> None:
    """One <doc> lacks its end, in the middle of the file."""
    text = (SAMPLE / "corpus" / "news.dat").read_bytes().decode("gb18030")
    assert text.count("<doc>") == text.count("</doc>") + 1
    assert 30 <= text.count("<doc>") <= 45


def test_id_numbers_have_valid_check_digits_and_no_living_owner() -> None:
    """GB 11643: the weighted sum of 17 digits decides the 18th. All birth dates are before 1904."""
    text = "".join(path.read_text("utf-8") for path in sorted(SAMPLE.glob("pages/*/*.txt")))
    numbers = ID_NUMBER.findall(text)
    assert len(set(numbers)) >= 5
    for number in numbers:
        total = sum(int(digit) * weight for digit, weight in zip(number, ID_WEIGHTS, strict=False))
        assert number[17].upper() == "10X98765432"[total % 11], number
        assert "1900" <= number[6:10] < "1904", number


def test_hosts_are_invented(pages: list[Page]) -> None:
    """No page names a real site as its own."""
    for page in pages:
        assert re.search(r"(?:^|\.)example\.[a-z.]+$", page.url.split("/")[2]), page.url


def test_every_source_stands_in_a_folder_and_every_post_is_rendered():
    """A page that was split by mistake, or a thread whose opening is lost, is seen here."""
    from samplekit import site

    assert not list((SAMPLE / "pages").glob("*.txt"))
    assert site._posts("问\n@@ 甲\n答") == ["楼主\n问\n", "甲\n答"]
    assert site._posts("@@ 甲\n答\n@@ 乙\n再答") == ["甲\n答\n", "乙\n再答"]
