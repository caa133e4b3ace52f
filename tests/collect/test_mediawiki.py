"""Wikitext to prose, and MediaWiki exports with what is wrong in them."""

from __future__ import annotations

import bz2
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect.documents import Document
from mdfs.collect.wikitext import is_disambiguation, prose, redirect
from mdfs.recipe import Collect
from tests.collect.kit import documents, dropped, outcomes, reasons

GOLDEN = [
    ("'''粗体'''和''斜体''字", "粗体和斜体字"),
    ("[[北京]]、[[北京市|京城]]、[[:Category:城市|城市]]", "北京、京城、城市"),
    ("[[File:a.jpg|thumb|[[桥]]的照片]]正文[[Category:桥]][[en:Bridge]]", "正文"),
    ("见[http://a.example/x 官方网站]和[http://a.example/y]。", "见官方网站和。"),
    ("前{{Infobox|名=甲|{{flag|中国}}|图=[[File:x.png]]}}后", "前后"),
    ("{{lang|en|Bridge}}和{{nowrap|三 米}}和{{link-en|拱桥|Arch bridge}}", "Bridge和三 米和拱桥"),
    ("{{tsl|en|Arch|拱|拱形}}和{{tsl|en|Arch|拱}}", "拱形和拱"),
    ("-{zh-hans:软件; zh-hant:軟體}-和-{zh-cn:打印机;zh-tw:印表機;}-", "软件和打印机"),
    ("-{原样}-和-{A|zh-hans:甲;zh-hant:乙}-", "原样和甲"),
    ("-{T|zh-hans:甲;zh-hant:乙}--{H|zh-cn:丙;zh-tw:丁}-正文", "正文"),
    ("-{R|原样}-，-{zh;zh-hans|保留}-", "原样，保留"),
    ("注<ref name=a>出处[[甲]]</ref>释<ref name=a />，<!-- 不见 -->见", "注释，见"),
    ("公式<math>x^2 < 3</math>在此<br/>下一行", "公式$x^2 < 3$在此\n下一行"),
    ("其中<math>{\\displaystyle\n\\frac{a}{b}}</math>为\n:<math display=\"block\">\\sum_{i=1}^n |x_i|</math>\n得证",
     "其中$\\frac{a}{b}$为\n$$\\sum_{i=1}^n |x_i|$$\n得证"),
    ("矩阵<math>\\begin{matrix}1 &amp; 2 \\\\ 3 & [[4]]\\end{matrix}</math>成立", "矩阵$\\begin{matrix}1 & 2 \\\\ 3 & [[4]]\\end{matrix}$成立"),
    ("空的<math> </math>公式<math>没有完", "空的公式"),
    ("甲<nowiki>[[乙]] {{丙}}</nowiki>丁", "甲[[乙]] {{丙}}丁"),
    ("{| class=x\n! 头 !! 头\n|-\n| 甲 || {{乙}}\n{|\n| 内\n|}\n|}\n文", "文"),
    ("== 历史 ==\n正文。\n=== 早期 ===\n早年。", "历史\n正文。\n早期\n早年。"),
    ("正文。\n== 参考文献 ==\n* 书一\n=== 注释 ===\n* 注\n== 影响 ==\n很大。", "正文。\n影响\n很大。"),
    ("* 一\n** 二\n# 三\n; 词\n: 解释", "一\n二\n三\n词\n解释"),
    ("__NOTOC__\n----\n正文", "正文"),
    ("桥（{{lang|en|}}，{{IPA|}}）在此", "桥在此"),
    ("a &amp; b&nbsp;c &lt;d&gt;", "a & b c <d>"),
    ("没有关上的 {{模板 和 [[链接", "没有关上的 {{模板 和 [[链接"),
    ("多余的 }} 和 ]] 和 |} 和 }-", "多余的 }} 和 ]] 和 |} 和 }-"),
    ("<div style='x'>块</div><span>字</span>", "块\n字"),
    ("a < b 而 c > d", "a < b 而 c > d"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "text"), GOLDEN)
def test_prose(source: str, text: str) -> None:
    assert prose(source) == text


def test_redirects_and_disambiguation_pages() -> None:
    assert redirect("#REDIRECT [[目标]]") == "目标"
    assert redirect("#重定向 [[目标#节]]\n{{r}}") == "目标#节"
    assert redirect("正文 #REDIRECT [[目标]]") == ""
    assert is_disambiguation("{{Disambig}}", "桥")
    assert is_disambiguation("{{消歧义页|地名}}", "桥")
    assert is_disambiguation("", "桥 (消歧义)")
    assert not is_disambiguation("正文", "桥")


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="[]{}|-'=<>/!#*:;\n&refnowikizhTH 文，", max_size=200) | st.text(max_size=200))
def test_any_wikitext_gives_prose(source: str) -> None:
    prose(source).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "[[",
        "-{",
        "{|\n",
        "{{{",
        "[[a|",
        "<ref>",
        "<ref ",
        "<!--",
        "'''",
        "}}",
        "{{a|",
        "[http://a ",
        "=",
        "\n==",
        "（，",
        "__A",
        "<nowiki>",
        "|",
        "{{lang|en|",
    ],
)
def test_hostile_wikitext_takes_linear_time(piece: str) -> None:
    start = time.thread_time()
    prose(piece * 100_000)
    assert time.thread_time() - start < 5


def xml(*pages: str, head: str = "") -> bytes:
    info = "<siteinfo><base>https://zh.example.org/wiki/首页</base></siteinfo>"
    return f'{head}<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">{info}{"".join(pages)}</mediawiki>'.encode()


def wiki(title: str, text: str, *, ns: int = 0, more: str = "", model: str = "wikitext", number: int = 1) -> str:
    revision = (
        f"<revision><id>9{number}</id><timestamp>2021-05-06T07:08:09Z</timestamp><contributor><id>5</id></contributor>"
        f"<model>{model}</model><text bytes='1'>{text}</text></revision>"
    )
    return f"<page><title>{title}</title><ns>{ns}</ns><id>{number}</id>{more}{revision}</page>"


def test_an_export() -> None:
    raw = xml(
        wiki("石 桥", "'''石桥'''是[[桥]]。&lt;ref&gt;注&lt;/ref&gt;", number=7),
        wiki("讨论:石桥", "谈话", ns=1),
        wiki("桥梁", "", more='<redirect title="桥" />'),
        wiki("桥2", "#重定向 [[桥]]"),
        wiki("数据", "{}", model="json"),
        wiki("桥 (消歧义)", "'''桥'''可以指：\n* [[石桥]]"),
    )
    found = outcomes(raw, "zhwiki.xml")
    first, last = (o for o in found if isinstance(o, Document))
    assert first == Document(
        "1",
        "石桥是桥。",
        "石 桥",
        "https://zh.example.org/wiki/石_桥",
        "7",
        1_620_284_889_000,
        {"content_type": "text/x-wiki"},
    )
    assert (last.place, last.meta["disambiguation"]) == ("6", "yes")
    assert reasons(found) == ["namespace_1", "redirect", "redirect", "not_text"]
    assert [o.detail for o in dropped(found)] == ["桥", "桥", "json"]
    assert outcomes(bz2.compress(raw), "zhwiki.xml.bz2") == found


def test_entities_that_grow_are_refused() -> None:
    entities = "".join(
        f'<!ENTITY e{i + 1} "{"&e" + str(i) + ";" if i else "xxxxxxxxxx"}{("&e" + str(i) + ";") * 9 if i else ""}">'
        for i in range(10)
    )
    raw = xml(wiki("甲", "&e10;"), head=f"<?xml version='1.0'?><!DOCTYPE x [{entities}]>")
    assert reasons(outcomes(raw, "a.xml", reader="mediawiki")) == ["document_type"]


def test_a_broken_export_gives_what_stands_before() -> None:
    raw = xml(*(wiki(f"第{i}页", "正文。", number=i) for i in range(5)))
    found = outcomes(raw[: len(raw) // 2], "a.xml")
    assert [type(o) is Document for o in found[:-1]] == [True] * (len(found) - 1)
    assert len(found) > 1
    assert reasons(found) == ["truncated"]
    assert reasons(outcomes(raw.replace(b"</page>", b"</pge>", 3), "a.xml")) == ["broken_xml"]


def test_a_page_that_is_too_long_costs_itself() -> None:
    raw = xml(wiki("甲", "长" * 5_000), wiki("乙", "短。"))
    found = outcomes(raw, "a.xml", limits=Collect(max_record_bytes=1_000))
    assert reasons(found) == ["too_long"]
    assert len(found) == 2


def test_elements_a_hundred_thousand_deep() -> None:
    assert reasons(outcomes(xml("<page>" * 100_000), "a.xml")) == ["too_deep"]


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=100), st.integers(0, 600))
def test_any_bytes_in_an_export(noise: bytes, at: int) -> None:
    raw = xml(wiki("甲", "文。"), wiki("乙", "文。"))
    outcomes(raw[:at] + noise + raw[at:], "a.xml", reader="mediawiki")


def test_only_exports_are_taken() -> None:
    assert reasons(outcomes(b"<?xml version='1.0'?><rss><channel/></rss>", "feed.xml")) == ["no_reader"]
    assert len(documents(b"<!-- x -->\n" + xml(wiki("甲", "文。")), "noname")) == 1


def _page(number: int) -> str:
    return (
        f"<page><title>条目{number}</title><ns>0</ns><id>{number}</id><revision><id>9</id><text>'''条目{number}'''是一个例子，"
        f"在第{number}处。</text></revision></page>"
    )


def multistream(pages: int = 50, each: int = 5) -> bytes:
    head = "<mediawiki><siteinfo><base>https://zh.wiki.example/wiki/首页</base></siteinfo>"
    streams = ["".join(map(_page, range(i, i + each))) for i in range(0, pages, each)]
    return b"".join(bz2.compress(part.encode()) for part in (head, *streams, "</mediawiki>"))


@pytest.mark.parametrize("size", [1, 100, 777, 4_000])
def test_ranges_of_a_multistream_dump_give_every_page_once(size: int) -> None:
    raw = multistream()
    name = "zhwiki-pages-articles-multistream.xml.bz2"
    ranges = [(begin, min(begin + size, len(raw))) for begin in range(0, len(raw), size)]
    if size == 1:
        ranges = ranges[:700]
    found = [d for begin, end in ranges for d in documents(raw, name, begin=begin, end=end)]
    keys = [str(i) for i in range(50)]
    assert [d.source_key for d in found] == keys[: len(found)]
    assert len(found) == 50 or size == 1
    assert len({d.place for d in found}) == len(found)
    assert found[0].url == "https://zh.wiki.example/wiki/条目0"
    assert [d.text for d in found] == [d.text for d in documents(raw, name)][: len(found)]


def test_a_broken_stream_costs_itself() -> None:
    raw = bytearray(multistream())
    borders = [at for at in range(len(raw)) if raw[at : at + 3] == b"BZh"]
    raw[borders[3] + 40] ^= 0xFF
    found = outcomes(bytes(raw), "a-multistream.xml.bz2", begin=0, end=len(raw))
    assert reasons(found) == ["broken_stream"]
    assert len([o for o in found if isinstance(o, Document)]) == 45
    cut = outcomes(bytes(multistream()[:-30]), "a-multistream.xml.bz2", begin=0, end=10_000_000)
    assert reasons(cut) == ["truncated"]


def test_a_large_dump_is_many_units(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from mdfs.collect import stage
    from mdfs.collect.readers import mediawiki
    from mdfs.recipe import Recipe
    from mdfs.storage import InputFile

    monkeypatch.setattr(mediawiki, "RANGE_BYTES", 100)
    files = [InputFile("/in/w-multistream.xml.bz2", "s", "w-multistream.xml.bz2", 250, 0, "in"),
             InputFile("/in/w.xml.bz2", "s", "w.xml.bz2", 250, 0, "in")]  # fmt: skip
    units = stage.units(SimpleNamespace(recipe=Recipe("r"), inputs=files))  # type: ignore[arg-type]
    assert [(u.data.get("begin"), u.data.get("end"), u.cost) for u in units] == [
        (0, 100, 100), (100, 200, 100), (200, 250, 50), (None, None, 250),
    ]  # fmt: skip
    assert len({u.id for u in units}) == 4
