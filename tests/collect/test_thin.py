"""Thin markup: a parser sees in it what it sees in the page, and elements stand as deep in each other as it builds them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from mdfs.collect.thin import MAX_DEPTH, thinned


def words(page: str) -> list[str]:
    """What a parser takes for words of the page, in order."""
    return str(extract_plain_text(HTMLTree.parse(page), noscript=True, hidden_elements=True)).split()


def thin(page: str) -> str:
    return thinned(page.encode()).markup.decode()


@pytest.mark.parametrize(
    ("page", "left"),
    [
        ('<p class=a style="x" onclick="f(1>2)">words</p>', '<p class=a style="x">words</p>'),
        ("<div\n id='x' id='y' width=3/>words", "<div id='x'>words"),
        ("<script>if (a<b) '</p>'</script>words<style>p{}</style>", "words"),
        ("<script><!--<script></script>--></script>words", "words"),
        ("a<!-- <p> -- > --!>b<!-->c<!--->d<!x>e<?x>f</ x>g</>h", "abcdefgh"),
        ("words<!-- no end <p>", "words"),
        ("words<p title='no end", "words"),
        ("a \n\t b<p> \n</p> c", "a b<p> </p> c"),
        ("<pre>a\n  b</pre>  c", "<pre>a\n  b</pre> c"),
        ("<<!-- -->script>words", "&lt;script>words"),
        ("a < b <3 &amp; c", "a < b <3 &amp; c"),
        ("<!DOCTYPE html><title>a  <b></title><font color=red>x <b>y</b> </font>", "<!DOCTYPE html><title>a  <b></title>x y "),
        ("<table><tr><td><script>x</script>a</table>", "<table><tr><td><script></script>a</table>"),
        ("<x/><x hidden/><x id=a />b", "<x><x hidden><x id=a>b"),
        ('<svg><path d="M1"/></svg><a href="x" rel=y>b</a>', "<svg><path/></svg><a rel=y>b</a>"),
    ],
)  # fmt: skip
def test_what_is_left(page: str, left: str) -> None:
    assert thin(page) == left


#: A page, and how many elements its parser puts inside each other, shallow ones not counted.
DEPTHS = [
    ("<div>" * 300, 300),
    ("<div></div>" * 300, 1),
    ("<div></x>" * 300, 300),  # an end tag of nothing closes nothing
    ("<div><span></div>" * 300, 2),
    ("<span><div></span></div>" * 300, 301),  # no span ends outside a block that is open in it
    ("<b>" * 300, 0),
    ("<a><div></a>" * 300, 301),  # a link ends alone
    ("<div><table><tr><td></div>" * 200, 400),  # nothing reaches out of a table
    ("<p>x" * 300, 0),
    ("<a>x" * 300, 1),
    ("<h1>x</h2>" * 300, 1),
    ("<svg>" + "<path/>" * 300, 1),
    ("<svg><div>" + "<x/>" * 300, 301),  # HTML in a drawing ends it, and then a slash closes nothing
    ("<svg><div></div>" + "<x/>" * 300, 300),
    ("<svg><title>a</title>" + "<path/>" * 300 + "</svg>" + "<x/>" * 9, 9),  # XML goes on behind a title
    ("<svg>" + "<td>" * 300, 301),
    ("<svg><desc>" + "<x/>" * 300, 302),  # which holds HTML, as other elements do
    ("<svg><title><div></title>" + "<x/>" * 300, 303),
    ("<script>" + "<div>" * 300 + "</script>", 0),
    ("<p title='" + "<div>" * 300 + "'>", 0),
]


@pytest.mark.parametrize(("page", "depth"), DEPTHS)
def test_depth(page: str, depth: int) -> None:
    assert thinned(page.encode()).depth == depth


def test_formulas_and_linked_data_are_seen() -> None:
    assert thinned(b"<p><Math>x</math>").formulas
    assert thinned(b"<script type='math/TeX; mode=display'>x</script>").formulas
    assert thinned(b'<script type="application/ld+json">{}</script>').linked_data
    assert thinned(b"<script>'math/tex ld+json <math>'</script><p title='<math>'>math/tex</p>")[2:] == (False, False)


def test_the_deepest_page_that_passes() -> None:
    assert thinned(b"<div>" * MAX_DEPTH).depth == MAX_DEPTH
    assert thinned(b"<div>" * 100_000).depth == MAX_DEPTH + 1


PIECES = ["<p>", "</p>", "<div class='a>b'>", "</div>", "<!-- x", "-->", "<script>", "</script>", "<b>", "</b>", "a", " b ", "<",
          "<td>", "<table>", "</table>", "&lt;", "\n", "<br/>", "<pre>", "</pre>", "<textarea>", "</textarea>", "<a href=x>", "</a>",
          "<svg>", "</svg>", "<title>", "</title>", "<style>", "</style>", "'", '"', ">", "</", "<!", "<x y='"]  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_a_parser_sees_the_same_words(pieces: list[str]) -> None:
    page = "<body><p>" + "".join(pieces)
    assert words(thin(page)) == words(page)


@pytest.mark.parametrize("tag", ["</p>", "</br>", "<p>"])
def test_a_paragraph_leads_out_of_xml(tag: str) -> None:
    page = f"<body><p><svg>{tag}<title><!-- x"
    assert words(thin(page)) == words(page)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="<>/ap di=\"'!-[]&;x\n", max_size=200).map(str.encode))
def test_any_bytes(page: bytes) -> None:
    left, depth, *_ = thinned(page)
    assert len(left) <= len(page) + 6 * page.count(b"<<")
    assert 0 <= depth <= MAX_DEPTH + 1
