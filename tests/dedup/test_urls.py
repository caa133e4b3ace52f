"""URLs in one spelling: what is removed, what stays, and that no string breaks it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mdfs.dedup.urls import canonical

SAME = {
    "http://example.com/": [
        "HTTP://EXAMPLE.com", "http://example.com:80/", "http://example.com/#top", " http://example.com/?\n",
        "http://example.com./", "http://example.com/?utm_source=a&UTM_medium=b", "http://example.com/a/..",
        "http://example.com\\", "http://example.com:/", "http://example.com/?from=timeline&isappinstalled=0", "http://example.com/.",
            ],
    "https://www.example.com/a/b?x=1&y=2": [
        "https://www.example.com:443/a/b?x=1&y=2", "https://www.example.com/a/./c/../b?x=1&y=2",
        "https://www.example.com/a/b?x=1&spm=a2.b3&y=2", "https://www.example.com/a/b?PHPSESSID=09af&x=1&y=2&",
        "https://www.example.com/a/b;jsessionid=8F2A?x=1&y=2", "https://www.example.com/%61/b?x=1&y=2&fbclid=z#c",
        "https://www.example.com/(S(lit3py55t21z5v55vlm25s55))/a/b?x=1&y=2",
    ],
    "http://xn--fiqs8s.example/%E4%B8%AD?q=%E6%96%87": [
        "http://中国.example/中?q=文", "http://中国。example/%e4%b8%ad?q=%e6%96%87", "http://XN--FIQS8S.example/中?q=文",
    ],
    "http://[::1]:8080/": ["http://[::1]:8080", "http://[::1]:08080/"],
    "http://h/%25zz": ["http://h/%zz", "http://h/%25zz"],
}  # fmt: skip


@pytest.mark.parametrize(("wanted", "url"), [(wanted, url) for wanted, urls in SAME.items() for url in urls])
def test_spellings_of_one_page(wanted, url):
    assert canonical(url) == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.cn/?x=1&y=2", "http://a.cn/?y=2&x=1"),
        ("http://a.cn/a", "http://a.cn/a/"),
        ("http://a.cn/", "http://www.a.cn/"),
        ("http://a.cn/", "https://a.cn/"),
        ("http://a.cn/A", "http://a.cn/a"),
        ("http://a.cn/?from=usd", "http://a.cn/?from=eur"),
        ("http://a.cn/a%2Fb", "http://a.cn/a/b"),
        ("http://a.cn/?a=1%262", "http://a.cn/?a=1&2"),
        ("http://a.cn:81/", "http://a.cn/"),
    ],
)
def test_what_may_be_two_pages_stays_two(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "url", ["", "a.cn/x", "urn:uuid:1", "file:///x", "http://", "http:///x", "mailto:a@b", "http://."]
)
def test_no_address_of_a_page_is_empty(url):
    assert canonical(url) == ""


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["/", "//", "..", ".", ";jsessionid=", "?", "&", "=", "#", "%", "%2", "%41", "%25", "@", ":", ":80", "[",
             "]", "utm_x=1", "from=qq", "(S(", "))", "中", "／", "℀", "。", "ß", "\\", "\ud800", "\x00", "xn--", "a",
             "S" * 24]
        ),
        st.text(max_size=4),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=400)
@given(st.sampled_from(["http://", "https://h", "HTTP://h/", "http://h/?", ""]), PIECES)
@example("http://h/", ["%", "%34", "%31"])
@example("http://", ["ｈ／x", "@", "h"])
def test_any_string_gives_ascii_that_stays(start, pieces):
    once = canonical(start + "".join(pieces))
    assert once.isascii()
    assert canonical(once) == once


def test_long_hostile_urls_take_no_time():
    for filler in ("/..", "%", "&utm_a", "中.", ";jsessionid=", "@", "(S("):
        canonical("http://h" + filler * 100_000)
