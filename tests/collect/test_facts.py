"""What a page says of itself: title, author, date, origin; and which kind of page it is."""

from __future__ import annotations

import json
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect import facts, html, threads
from tests.collect.kit import ARTICLE, page


def test_linked_data() -> None:
    data = json.dumps({"@graph": [
        {"@type": "Organization", "name": "x"},
        {"@type": ["NewsArticle"], "headline": "桥", "datePublished": "2020-01-02T03:04:05+08:00",
         "author": [{"name": "张三"}, "李四"]},
    ]})  # fmt: skip
    said = facts.stated(f'<html><head><script type="application/ld+json">{data}</script></head>')
    assert said == {"title": "桥", "published": "2020-01-02T03:04:05+08:00", "author": "张三, 李四"}
    for broken in ("{", "[" * 100_000, '{"@type": {}}', "[[1]]", '{"@type": "Article", "author": {"name": 3}}'):
        assert facts.stated(f'<script type="application/ld+json">{broken}</script>') == {}


def test_the_line_under_a_title() -> None:
    assert facts.byline(["2020年01月02日 09:30 来源：样城日报 作者：张三 责任编辑：李四"]) == {
        "published": "2020年01月02日 09:30", "origin": "样城日报", "author": "张三",
    }  # fmt: skip
    assert facts.byline(["发布时间：2020-01-02来源：样城网作者：王五浏览：33"]) == {
        "published": "2020-01-02", "origin": "样城网", "author": "王五",
    }  # fmt: skip
    assert facts.byline(["首页 > 新闻", "没有日期的一行"]) == {}


def test_a_byline_on_a_page_is_heard() -> None:
    raw = page([f"发布时间：2020-01-02 03:04 来源：样城日报 作者：张三</p><p>{ARTICLE[0]}", ARTICLE[1]])
    found = html.extract(raw)
    assert {key: found.meta[key] for key in ("published", "origin", "author")} == {
        "published": "2020-01-02 03:04", "origin": "样城日报", "author": "张三",
    }  # fmt: skip
    assert found.text.split("\n") == ARTICLE


def test_a_title_without_the_name_of_its_site() -> None:
    assert facts.title("青禾桥_样城网", "<h1>青禾桥</h1>", "") == "青禾桥"
    assert facts.title(" 青禾桥  - 新闻 - 样城网", "", "青禾桥") == "青禾桥"
    assert facts.title("青禾桥旧事", "<h1>青禾桥</h1>", "") == "青禾桥旧事"
    assert facts.title("样城网", "<h1><a>青禾桥</a></h1>", "") == "样城网"
    assert facts.title("", "", "青禾桥") == "青禾桥"


def thread(
    posts: list[str],
    box: str = "<div>{name}</div><div>积分</div><div>{i}77</div><div>发表于 2009-3-{i} 10:2{i} <a>只看该作者</a></div>",
) -> str:
    names = ["豆包妈妈", "蓝山", "铲屎官", "小吴", "阿坤", "老李"]
    return "".join(
        f"<table><tr><td>{box.format(name=names[i % 6], i=i + 1)}</td><td><div>{post}</div><div><a>回复</a> <a>引用</a> <a>举报</a></div>"
        "</td></tr></table>"
        for i, post in enumerate(posts)
    )


def test_every_post_of_a_thread_stays_without_the_boxes_around_them() -> None:
    posts = ["三岁的公猫不吃饭，怎么办？", "先去医院。", "同意楼上", "谢谢大家，已经好了。", "顶"]
    menu = "".join(f'<li><a href="/{i}">频道{i}</a></li>' for i in range(12))
    found = html.extract(f"<html><body><ul>{menu}</ul><h1>猫</h1>{thread(posts)}</body></html>".encode())
    lines = found.text.split("\n")
    assert [line for line in lines if line in posts] == posts
    assert found.meta["page_kind"] == "thread"
    assert not [line for line in lines if "积分" in line or "77" in line or "发表于" in line or "举报" in line]


def test_comments_under_an_article_make_no_thread() -> None:
    article = "".join(f"<p>{p}</p>" for p in ARTICLE * 3)
    found = html.extract(
        f"<html><body>{article}{thread(['写得好。', '不同意。', '路过，看看。'])}</body></html>".encode()
    )
    assert "page_kind" not in found.meta


def test_a_list_of_pages_is_marked() -> None:
    links = "".join(f'<li><a href="/{i}">第{i}篇报道的标题在这里</a> 2020-01-{i:02}</li>' for i in range(1, 30))
    assert html.extract(f"<html><body><ul>{links}</ul></body></html>".encode()).meta["page_kind"] == "list"
    assert "page_kind" not in html.extract(page(ARTICLE)).meta


def test_threads_are_found_in_linear_time() -> None:
    lines = [f"{i} 发表于 {i}" for i in range(100_000)]
    start = time.thread_time()
    threads.find(lines, [0] * len(lines))
    html.extract("".join(f"<p>第{chr(0x4E00 + i)}条评论({i})</p>" for i in range(20_000)).encode())
    assert time.thread_time() - start < 6


@settings(deadline=None)
@given(st.lists(st.sampled_from(["发表于 2009-1-1", "回复 举报", "一句话，两句话。", "积分", "", "3楼"])))
def test_any_lines(lines: list[str]) -> None:
    clauses = [line.count("，") for line in lines]
    found = threads.find(lines, clauses)
    assert found is None or 0 <= found.first <= found.last < len(lines)


@settings(deadline=None)
@given(st.text(alphabet='<>meta namecontent="og:title/h1来源：2020-1'), st.text())
def test_any_page_states_something_or_nothing(source: str, words: str) -> None:
    facts.stated(source)
    facts.byline([words, source])
    facts.title(words, source, words)
