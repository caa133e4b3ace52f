"""Personal data: what is found, what only looks alike, and what stands in its place. All numbers are made up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_documents import PROSE, batch

from mdfs import recipe, rules
from mdfs.errors import UsageError
from mdfs.recipe import Edits, Recipe
from mdfs.rules import personal

ALL = Recipe(name="pii", edits=Edits(pii=tuple(personal.TOKENS)))

FOUND = [
    ("手机13800138000，", "手机<PHONE>，"),
    ("138 0013 8000或138-0013-8000", "<PHONE>或<PHONE>"),
    ("+86 138-0013-8000", "<PHONE>"),
    ("8613800138000", "<PHONE>"),
    ("13912345678 15678901234", "<PHONE> <PHONE>"),
    ("电话:010-62345678转", "电话:<PHONE>转"),
    ("(010)62345678", "<PHONE>"),
    ("（0755）8234 5678", "<PHONE>"),
    ("86-10-62345678", "<PHONE>"),
    ("021-62345678-801", "<PHONE>"),
    ("电话:62345678", "电话:<PHONE>"),
    ("传真：01062345678", "传真：<PHONE>"),
    ("微信：13800138000", "微信：<PHONE>"),
    ("身份证11010519491231002X。", "身份证<ID_CARD>。"),
    ("110105 19491231 002X", "<ID_CARD>"),
    ("11010519491231002x", "<ID_CARD>"),
    ("卡号6222021234567890128", "卡号<BANK_CARD>"),
    ("4111 1111 1111 1111", "<BANK_CARD>"),
    ("卡号：4111111111111111", "卡号：<BANK_CARD>"),
    ("写信到foo.bar@example.com.cn。", "写信到<EMAIL>。"),
    ("me@example.com,you@example.cn", "<EMAIL>,<EMAIL>"),
    ("12345678@example.com", "<EMAIL>"),
    ("QQ：12345678", "QQ：<IM>"),
    ("加QQ12345678", "加QQ<IM>"),
    ("qq群号是 123456789", "qq群号是 <IM>"),
    ("微信号：abc_def", "微信号：<IM>"),
    ("微信abc12345", "微信<IM>"),
    ("vx:hello123", "vx:<IM>"),
    ("车牌京A12345", "车牌<PLATE>"),
    ("粤B·D12345", "<PLATE>"),
    ("61.135.169.121登录", "<IP>登录"),
    ("2001:db8::ff00:42:8329", "<IP>"),
]
LEFT = [
    "报警110，热线12345，银行95588", "400-820-8820或4008208820，800-820-8820", "2021-03-04 10:20:30", "ISBN 978-7-111-21382-6",
    "ISBN 9787111213826", "ISSN 1000-1234，CN 11-2345/G2", "共13800138000元", "订单号13800138000", "3.13800138000",
    "http://a.example/?id=13800138000&c=6222021234567890128", "版本10.0.19.121", "v1.2.3.4", "192.168.1.1和127.0.0.1",
    "第1.2.3.4节", "12:30:45", "std::vector<abc::def>", "微信公众号：xinhuanet", "微信iPhone客户端", "微信 8.0.30", "QQ空间",
    "QQ2009版", "粤B2-20090059", "京ICP备12345678号", "110105194912310021", "4111111111111111", "6222021234567890127",
    "weibo@某某 3@元", "圆周率3.14159265358979", "0571-2008年", "123456789012345678", "12345678", "SN13800138000",
    "1949.10.1—2009.10.1", "10000000000", "北纬39.9042，东经116.4074", "人口1,370,536,875", "新A股600519",
    "12 34 56 78 90 12", "国发〔2015〕40号", "GB/T 7714-2015",
]  # fmt: skip


def replaced(texts: list[str], given: Recipe = ALL) -> list[str]:
    edited: list[str] = rules.annotate(batch(texts), given).column("text").to_pylist()
    return edited


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_is_found(text: str, expected: str) -> None:
    """Each spelling of each kind, in the text around it."""
    assert replaced([text]) == [expected]


@pytest.mark.parametrize("text", LEFT)
def test_is_left_alone(text: str) -> None:
    """Numbers for everybody, and what only looks like personal data."""
    assert replaced([text]) == [text]


def test_in_one_text_and_in_any_batch() -> None:
    """All of them together, whatever stands before and after."""
    text = "。\n".join(given for given, _ in FOUND) + "。\n" + "。\n".join(LEFT)
    expected = "。\n".join(wanted for _, wanted in FOUND) + "。\n" + "。\n".join(LEFT)
    assert replaced(["", text, PROSE, text]) == ["", expected, PROSE, expected]


def test_only_the_kinds_that_are_named() -> None:
    """Others are counted and stay; a token may be spelt otherwise."""
    given = Recipe(name="p", edits=Edits(pii=("phone",), pii_tokens={"phone": "〔电话〕"}))
    row = rules.annotate(batch(["打13800138000，写a@example.com"]), given).to_pylist()[0]
    assert row["text"] == "打〔电话〕，写a@example.com"
    assert (row["signals"]["phone_numbers"], row["signals"]["emails"], row["signals"]["edited_personal"]) == (1, 1, 1)


def test_measured_before_it_is_replaced() -> None:
    """A page of numbers measures as one, with the edit or without it."""
    text = "联系人13800138000。" * 3
    with_edit = rules.annotate(batch([text]), ALL).to_pylist()[0]["signals"]
    without = rules.annotate(batch([text]), Recipe(name="no")).to_pylist()[0]["signals"]
    assert with_edit | {"edited_personal": 0} == without
    assert with_edit["phones_per_kchar"] > 0


def test_mistakes_in_a_recipe_are_told() -> None:
    """A kind that does not exist names the nearest."""
    with pytest.raises(UsageError, match="did you mean 'phone'"):
        recipe.from_dict({"name": "x", "edits": {"pii": ["phones"]}})


PIECE = st.sampled_from(
    [*"0123456789 -.:@（)aXQ", "微信", "QQ", "：", "138", "0013", "8000", "010-", "京A", "a@b.cn", "::", "。"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECE, max_size=40).map("".join))
def test_any_text(text: str) -> None:
    """Whatever comes, the result is text; what is no token stands in it in order, and all tokens are counted."""
    row = rules.annotate(batch([text]), ALL).to_pylist()[0]
    parts = re.split("|".join(personal.TOKENS.values()), row["text"])
    pattern = ".+".join(re.escape(part) for part in parts)
    assert re.fullmatch(pattern, text, re.DOTALL)
    assert len(parts) - 1 == row["signals"]["edited_personal"]
