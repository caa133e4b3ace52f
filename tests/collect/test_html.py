"""Main text of pages: what stays, what goes, and pages made to break parsers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect import html
from mdfs.collect.blocks import all_text, main_text
from tests.collect.kit import ARTICLE, page

MENU = "".join(f'<li><a href="/{i}">频道{i}</a></li>' for i in range(12))
FOOTER = (
    '<div>版权所有 © 样城日报社 未经许可不得转载</div><div><a href="/a">关于我们</a> | <a href="/b">联系我们</a></div>'
)


def text(body: str) -> str:
    """The main text of a page with this body between a menu and a footer."""
    return html.extract(f"<html><body><ul>{MENU}</ul>{body}{FOOTER}</body></html>".encode()).text


def test_the_article_without_what_stands_around_it() -> None:
    found = html.extract(page(ARTICLE))
    assert found.text.split("\n") == ARTICLE
    assert found.title == "青禾桥"


def test_headings_between_paragraphs_stay() -> None:
    assert text(f"<p>{ARTICLE[0]}</p><h2>沿革</h2><p>{ARTICLE[1]}</p>").split("\n") == [ARTICLE[0], "沿革", ARTICLE[1]]


def test_lines_broken_by_br_are_lines() -> None:
    assert text(f"<div>{ARTICLE[0]}<br><br>{ARTICLE[1]}</div>").split("\n") == ARTICLE


def test_links_inside_sentences_stay() -> None:
    linked = ARTICLE[0].replace("沙湾江", '<a href="/r">沙湾江</a>')
    assert text(f"<p>{linked}</p>") == ARTICLE[0]


def test_related_articles_and_the_comments_of_readers_go() -> None:
    related = "".join(f'<li><a href="/{i}">另一篇报道的标题，说的是第{i}件事</a></li>' for i in range(9))
    long = [*ARTICLE] * 4
    body = "".join(f"<p>{p}</p>" for p in long)
    comments = "<h3>网友评论</h3>" + "".join(f"<p>我觉得第{i}点说得不对，还要再看一看。</p>" for i in range(20))
    assert text(f"{body}<h3>相关新闻</h3><ul>{related}</ul>{comments}").split("\n") == long


def test_posts_of_a_thread_stay() -> None:
    posts = "".join(f"<div>作者：用户{i}</div><p>第{i}楼：{ARTICLE[i % 2]}</p><div>回复 举报</div>" for i in range(8))
    found = text(posts)
    assert all(f"第{i}楼" in found for i in range(8))


def test_answers_with_a_count_of_comments_each_stay() -> None:
    answers = "".join(f"<p>回答{i}：{ARTICLE[0]}{ARTICLE[1]}{ARTICLE[0]}</p><div>{i} 条评论</div>" for i in range(1, 6))
    assert all(f"回答{i}" in text(answers) for i in range(1, 6))


def test_a_table_at_the_end_stays() -> None:
    rows = "".join(f"<tr><td>第{i}跨</td><td>长{i}.6米</td><td>花岗岩砌筑</td></tr>" for i in range(9))
    assert "第8跨" in text(f"<p>{ARTICLE[0]}</p><table>{rows}</table>")


def test_verses_without_punctuation_stay() -> None:
    verses = ["远处的山慢慢变成了蓝色", "风从河的那一边吹过来", "有人在桥上点亮一盏灯", "我听见水声越来越近"] * 3
    assert text("<br>".join(verses)).split("\n") == verses


def test_an_article_in_what_looks_like_a_frame_is_found() -> None:
    body = "".join(f"<p>{p}</p>" for p in ARTICLE)
    assert (
        html.extract(f"<html><body><div class='sidebar comment'>{body}</div></body></html>".encode()).text.split("\n")
        == ARTICLE
    )


def test_scripts_and_styles_are_no_text() -> None:
    found = text(f"<script>var a = '这是脚本，不是正文。';</script><style>p{{}}</style><p>{ARTICLE[0]}</p>")
    assert found == ARTICLE[0]


def test_markup_in_words_stays_words() -> None:
    assert text(f"<p>{ARTICLE[0]} 其中 a &lt;b&gt; &amp;amp; c。</p>").endswith("其中 a <b> &amp; c。")


def test_facts_that_a_page_states() -> None:
    head = (
        '<meta property="article:published_time" content="2021-05-06T07:08:09+08:00">'
        '<meta name="author" content="张&amp;三">'
        '<meta content="样城日报" property="og:site_name"><meta name="description" content="x">'
    )
    assert html.extract(page(head=head)).meta == {
        "published": "2021-05-06T07:08:09+08:00", "author": "张&三", "site_name": "样城日报", "lang": "zh-CN",
    }  # fmt: skip


def test_declared_charsets_are_heard_and_overruled() -> None:
    head = '<meta charset="utf-8">'
    raw = page(head=head).decode().encode("gb18030")
    found = html.extract(raw, declared="iso-8859-1")
    assert (found.text.split("\n"), found.encoding, found.encoding_by) == (ARTICLE, "gb18030", "bytes")
    assert html.extract(raw, declared="gb2312").encoding_by == "declared"


N = 100_000
HOSTILE = {
    "nested": "<div>" * N,
    "nested and closed": "<div>" * N + "x" + "</div>" * N,
    "fonts and paragraphs": "".join(f"<font color={i}><p>x" for i in range(3_000)),
    "bold": "<b>" * N,
    "spans": "<span>x" * N,
    "tables": "<table><tr><td>" * N,
    "lists": "<ul><li>x" * N,
    "attributes": "<div " + " ".join(f"a{i}=1" for i in range(N)) + ">x",
    "quoted attributes": "<div " + "".join(f'a{i}="1"' for i in range(N)) + ">x",
    "open tags": "<" * N,
    "open comments": "<!--" * N,
    "open quotes": '<a href="' * N,
    "open metas": "<meta name=x content=" * N,
    "entities": "&amp;" * N,
    "one line": "我" * (10 * N),
    "commas": "，" * (10 * N),
    "blanks": "x" + "\u3000" * (10 * N) + "x",
    "anchors": "<a href=x>x" * N,
    "unclosed paragraphs": "<p>x" * N,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_page_takes_bounded_time(kind: str) -> None:
    start = time.thread_time()
    try:
        html.extract(f"<html><body>{HOSTILE[kind]}".encode())
    except html.TooDeepError:
        assert kind in (
            "nested",
            "nested and closed",
            "spans",
            "tables",
            "lists",
            "attributes",
            "quoted attributes",
            "open quotes",
        )
    assert time.thread_time() - start < 6


def test_many_unclosed_paragraphs_and_fonts_are_no_depth() -> None:
    body = "".join(f"<p><font color=red><b>{ARTICLE[i % 2]}" for i in range(700))
    assert html.extract(f"<html><body>{body}".encode()).text.count("\n") == 699


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400) | st.text(alphabet="<>/ap di=\"'!-[]&;x，。\n", max_size=400).map(str.encode))
def test_any_bytes_give_text(raw: bytes) -> None:
    html.extract(raw, declared="gbk").text.encode("utf-8", "surrogatepass")


@given(st.text(alphabet='<>/abrph16li ="n，。x\n', max_size=300))
def test_any_markup_gives_lines_of_itself(markup: str) -> None:
    chosen, every = main_text(markup).text.split("\n"), all_text(markup).split("\n")
    start = next((i for i in range(len(every)) if every[i : i + len(chosen)] == chosen), None)
    assert start is not None or chosen == [""]
