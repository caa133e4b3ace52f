"""Decoding: right, wrong and missing declarations, broken bytes, and nothing that raises."""

from __future__ import annotations

import codecs
import shutil
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdfs.collect.encoding import decide, decode, known, meta_charset

SIMPLIFIED = "新华社北京电，据了解，这个问题已经引起有关部门的高度重视，工作组正在进行调查，结果将向社会公布。"
TRADITIONAL = "臺北市政府今天表示，這個問題已經引起有關單位的重視，調查結果將會對外公布，請民眾不必擔心。"
KOREAN = "한국어로 쓰인 이 문장은 인코딩을 알아내기 위한 시험입니다. 모두 잘 읽혀야 합니다."
JAPANESE = "これは日本語で書かれた文章で、文字コードを判別するための試験に使います。カタカナもあります。"
RUSSIAN = "Это предложение написано по-русски, чтобы проверить определение кодировки текста."
FRENCH = "Les élèves étaient très fatigués après la fête, mais le café les a réveillés à l'école."

RIGHT = [
    (SIMPLIFIED, "gb18030"), (SIMPLIFIED, "utf-8"), (SIMPLIFIED, "utf-16"), (SIMPLIFIED, "utf-16-le"),
    (SIMPLIFIED, "utf-16-be"), (TRADITIONAL, "big5"), (TRADITIONAL, "cp950"), (TRADITIONAL, "gb18030"),
    (KOREAN, "cp949"), (JAPANESE, "cp932"), (JAPANESE, "euc_jp"), (JAPANESE, "iso2022_jp"), (RUSSIAN, "cp1251"),
    (RUSSIAN, "koi8-r"), (FRENCH, "cp1252"), ("plain ASCII text", "utf-16-le"), ("plain ASCII text", "ascii"),
]  # fmt: skip
LABELS = [None, "utf-8", "gb2312", "big5", "iso-8859-1", "x-nonsense", "", "rot13", "utf-16", "euc-kr"]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("text", "codec"), RIGHT)
def test_the_bytes_decide_whatever_is_declared(text: str, codec: str, label: str | None) -> None:
    assert decode(text.encode(codec), label)[0] == text


def _iconv(raw: bytes) -> str:
    """What the system's own converter makes of EUC-TW; characters that it does not know are left out."""
    command = ["iconv", "-c", "-f", "EUC-TW", "-t", "UTF-8"]
    return subprocess.run(command, input=raw, capture_output=True, check=False).stdout.decode()


EUC_TW = bytes.fromhex("ead7c6a1c6cbc4f4c5b2cfd0c6fcd9c2f7eec4d8e5eec5bfd8c4a1a4c4a38ea2a1a1")


def test_euc_tw_is_told_by_its_bytes() -> None:
    assert decode(EUC_TW * 2)[1] == "euc_tw"
    assert decode(EUC_TW, "euc-tw")[0] == "臺北市今天表示問題已經引起。丁乂"


def test_a_character_of_another_plane_of_euc_tw_is_one_mark() -> None:
    text, name = decode(EUC_TW + b"\x8e\xa3\xc4\xe3" + EUC_TW, "euc-tw")
    assert (name, text.count("\ufffd")) == ("euc_tw", 1)
    assert text.replace("\ufffd", "") == decode(EUC_TW, "euc-tw")[0] * 2


@pytest.mark.skipif(shutil.which("iconv") is None, reason="no iconv on this machine")
@pytest.mark.parametrize("plane", [1, 2])
def test_euc_tw_is_what_the_system_says(plane: int) -> None:
    prefix = b"" if plane == 1 else b"\x8e\xa2"
    compared = 0
    for row in range(0xA1, 0xFF):
        codes = [prefix + bytes([row, column]) for column in range(0xA1, 0xFF)]
        codes = [code for code in codes if "\ufffd" not in code.decode("euc_tw", "replace")]
        told = _iconv(b"\n".join([*codes, b""])).translate(str.maketrans("‾∼♁☉", "¯～⊕⊙")).splitlines()
        pairs = [(code.decode("euc_tw"), want) for code, want in zip(codes, told, strict=True) if want]
        assert [ours for ours, _ in pairs] == [want for _, want in pairs]
        compared += len(pairs)
    if not compared:
        pytest.skip("this iconv has no EUC-TW")
    assert compared == {1: 5867, 2: 7650}[plane]


def test_hz_where_it_is_declared() -> None:
    assert decode(SIMPLIFIED.encode("hz"), "hz-gb-2312")[0] == SIMPLIFIED
    assert decode(b"a ~{ b", None)[0] == "a ~{ b"


def test_a_byte_order_mark_goes_before_all() -> None:
    assert decide(codecs.BOM_UTF8 + "文".encode(), "gbk")[:3] == ("文", "utf-8", "bom")
    assert decide(codecs.BOM_UTF16_BE + "文".encode("utf-16-be"), "utf-8")[:3] == ("文", "utf-16-be", "bom")


def test_what_decided_is_told() -> None:
    raw = SIMPLIFIED.encode("gbk")
    assert decide(raw, "gb2312")[1:3] == ("gb18030", "declared")
    assert decide(raw, None, "gbk")[1:3] == ("gb18030", "meta")
    assert decide(raw, "big5", "utf-8")[1:3] == ("gb18030", "bytes")


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "big5"])
def test_a_broken_end_loses_nothing_else(codec: str) -> None:
    text = TRADITIONAL if codec == "big5" else SIMPLIFIED
    assert decode(text.encode(codec)[:-1])[0].startswith(text[:-1])


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "big5"])
def test_single_broken_bytes_lose_little(codec: str) -> None:
    text = TRADITIONAL if codec == "big5" else SIMPLIFIED
    for at in (600, 601, 700, 701):
        raw = bytearray((text * 20).encode(codec))
        raw[at] = 0xFF
        found = decode(bytes(raw))[0]
        assert found.count(text) >= 18
        assert "\ufffd" in found


def test_short_texts() -> None:
    for text in ("中文", "公司简介", "你好，世界", "百度一下"):
        assert decode(text.encode("gbk"))[0] == text
    for text in ("首頁", "關於我們", "你好，世界"):
        assert decode(text.encode("big5"), "big5")[0] == text


def test_big5_symbols_are_those_of_browsers() -> None:
    assert decode(f"{TRADITIONAL}～".encode("cp950"))[0].endswith("～")


def test_meta_charset_in_the_first_four_thousand_bytes() -> None:
    assert meta_charset(b'<html><head><META http-equiv="Content-Type" content="text/html; charset=gb2312">') == "gb2312"
    assert meta_charset(b"<meta charset='Big5'>") == "Big5"
    assert meta_charset(b'<?xml version="1.0" encoding="EUC-KR"?>') == "EUC-KR"
    assert meta_charset(b'<meta charset="utf-16">') == "utf-8"
    assert meta_charset(b" " * 4096 + b'<meta charset="gbk">') is None


def test_labels_that_hide_text_or_are_none() -> None:
    assert [known(label) for label in ("rot13", "hex", "zlib", "idna", "utf-7", "unicode_escape", "\0", "x" * 999)] == [
        None
    ] * 8
    assert [known(label) for label in ("GB2312", " gbk ", "'Big5'", "Latin1", "ks_c_5601-1987")] == [
        "gb18030", "gb18030", "big5hkscs", "cp1252", "cp949",
    ]  # fmt: skip


@given(st.binary(max_size=300), st.sampled_from(LABELS) | st.text(max_size=20))
def test_any_bytes_under_any_label_give_text(raw: bytes, label: str | None) -> None:
    text, name = decode(raw, label)
    codecs.lookup(name)
    text.encode("utf-8", "surrogatepass")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff\x1b")))
def test_valid_utf8_is_utf8(text: str) -> None:
    assert decode(text.encode()) == (text, "utf-8")


def test_time_grows_with_the_length_only() -> None:
    start = time.perf_counter()
    decode(b"\xff" * 4_000_000)
    decode(b"\xb0\xa1" * 2_000_000)
    assert time.perf_counter() - start < 5
