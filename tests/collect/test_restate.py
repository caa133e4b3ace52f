"""Formulas, tables and code: what a reader of the page sees is in its text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.collect import html, mathml
from mdfs.collect.restate import formulas, tables
from tests.collect.kit import ARTICLE


def text(body: str) -> str:
    return html.extract(
        f"<html><body><div><p>{ARTICLE[0]}</p>{body}<p>{ARTICLE[1]}</p></div></body></html>".encode()
    ).text


FORMULAS = [
    ("<mfrac><mi>a</mi><mi>b</mi></mfrac>", r"\frac{a}{b}"),
    ("<msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><msub><mi>y</mi><mrow><mi>i</mi><mo>+</mo><mn>1</mn></mrow></msub>", "x^2+y_{i+1}"),
    ("<msqrt><mi>n</mi></msqrt><mo>&#x2264;</mo><mroot><mi>n</mi><mn>3</mn></mroot>", r"\sqrt{n}\le \sqrt[3]{n}"),
    ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>α</mi>", r"\sum_{i=1}^n\alpha"),
    ("<mi>sin</mi><mo>&#x2061;</mo><mi>x</mi>", r"\sin x"),
    ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr></mtable>",
     r"\begin{matrix}1 & 2 \\ 3 & 4\end{matrix}"),
    ("<semantics><mi>x</mi><annotation encoding='application/x-tex'>{\\displaystyle x&lt;1}</annotation></semantics>", "x<1"),
]  # fmt: skip


@pytest.mark.parametrize(("inside", "latex"), FORMULAS)
def test_mathml_is_said_in_latex(inside: str, latex: str) -> None:
    assert mathml.latex(f"<math>{inside}</math>") == (latex, False)
    assert f"${latex}$" in text(f"<p>公式是<math>{inside}</math>，成立。</p>")


def test_what_the_author_wrote_goes_before_what_is_drawn() -> None:
    katex = (
        '<span class="katex"><span class="katex-mathml"><math><semantics><mi>E</mi><annotation encoding="application/x-tex">'
        'E=mc^2</annotation></semantics></math></span><span class="katex-html" aria-hidden="true"><span>E</span><span>=mc2'
        "</span></span></span>"
    )
    assert text(f"<p>能量{katex}，如此。</p>").split("\n")[1] == "能量$E=mc^2$，如此。"
    wikipedia = (
        '<span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;">'
        '<math alttext="{\\displaystyle a^{2}}"><mi>a</mi></math></span><img src="x.svg" alt="a2"></span>'
    )
    assert "$a^{2}$" in text(f"<p>平方{wikipedia}，如此。</p>")
    assert "$$x < 1$$" in text('<p>所以<script type="math/tex; mode=display">x < 1</script>，如此。</p>')


def test_rows_of_data_are_lines_with_a_tab_between_cells() -> None:
    table = "<table><tr><th>名</th><th>长度</th></tr><tr><td>甲</td><td>3 <b>米</b></td></tr><tr><td>乙</td><td>5&amp;6</td></tr></table>"
    assert text(table).split("\n")[1:4] == ["名\t长度", "甲\t3 米", "乙\t5&6"]
    assert text(table.upper()).split("\n")[1:4] == ["名\t长度", "甲\t3 米", "乙\t5&6"]


def test_rows_that_are_commented_out_are_no_text() -> None:
    rows = "<tr><td>甲</td><td>3</td></tr><!-- <tr><td>旧</td><td>4</td></tr> --><tr><td>乙</td><td>5</td></tr>"
    assert text(f"<table>{rows}</table>").split("\n")[1:3] == ["甲\t3", "乙\t5"]


def test_tables_that_lay_out_a_page_stay_as_they_are() -> None:
    for inside in (
        f"<tr><td><p>{ARTICLE[0]}</p></td><td>x</td></tr><tr><td>a</td><td>b</td></tr>",
        "<tr><td><a href=1>一</a></td><td><a href=2>二</a></td></tr><tr><td><a href=3>三</a></td><td><a href=4>四</a></td></tr>",
        "<tr><td>one cell</td></tr><tr><td>one cell</td></tr>",
        "<tr><td>a</td><td>b</td></tr>",
    ):
        source = f"<table>{inside}</table>"
        assert tables(source) == source


def test_code_keeps_its_lines_and_indentation() -> None:
    code = "def f(x):\n    if x &lt; 3:\n        return 1\n\n    return 2"
    assert "\ndef f(x):\n    if x < 3:\n        return 1\n\n    return 2\n" in text(f"<pre><code>{code}</code></pre>")


HOSTILE = ["<table>", "</table>", "<table></table", "<math>", "<math><mfrac>", '<span class="katex-html">', "<tr><td>",
           '<script type="math/tex">', "<math alttext='", "<TABLE></TABLE>", "<mrow>"]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_pages_take_linear_time(part: str) -> None:
    start = time.thread_time()
    tables(formulas("<math></math>" + part * 100_000))
    mathml.latex("<math>" + part * 100_000)
    assert time.thread_time() - start < 5


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*HOSTILE, "</math>", "</mfrac>", "x", "<td>", "</span>", "<annotation>", "<", "&lt;", "</script>"]
        )
    )
)
def test_any_markup_is_restated(parts: list[str]) -> None:
    tables(formulas("".join(parts)))
    mathml.latex("".join(parts))
