"""MathML to LaTeX: what its author wrote where the page still says it, else presentation MathML said in LaTeX.

Covers what encyclopedias, papers and school books use (MathML 3, chapter 3: fractions, roots, scripts, tables, fences).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

_TEX = re.compile(
    r"<annotation\b[^<>]{0,300}\bencoding\s*=\s*[\"'](?:application/x-tex|TeX|LaTeX)[\"'][^<>]{0,300}>", re.IGNORECASE
)
_ALT = re.compile(r"\balttext\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_DISPLAY = re.compile(r"\bdisplay\s*=\s*[\"']?block|\bmode\s*=\s*[\"']?display", re.IGNORECASE)
_TOKEN = re.compile(r"<(/?)(?:\w+:)?(\w[\w-]*)[^<>]*?(/?)>|([^<]+)")
#: Wikipedia and KaTeX put this around what was written.
_STYLE = re.compile(r"^\{\\(?:displaystyle|textstyle)\s*(.*)\}$", re.DOTALL)
#: Formulas nest less; deeper ones are given as their characters.
_MAX_DEPTH = 60

_SIGNS = {
    "×": r"\times", "÷": r"\div", "±": r"\pm", "∓": r"\mp", "⋅": r"\cdot", "·": r"\cdot", "≤": r"\le", "≥": r"\ge",
    "≠": r"\ne", "≈": r"\approx", "≡": r"\equiv", "∞": r"\infty", "∑": r"\sum", "∏": r"\prod", "∫": r"\int",
    "∂": r"\partial", "∇": r"\nabla", "√": r"\surd", "∈": r"\in", "∉": r"\notin", "⊂": r"\subset", "⊆": r"\subseteq",
    "∪": r"\cup", "∩": r"\cap", "∅": r"\emptyset", "∀": r"\forall", "∃": r"\exists", "→": r"\to", "⇒": r"\Rightarrow",
    "⇔": r"\Leftrightarrow", "↦": r"\mapsto", "…": r"\ldots", "⋯": r"\cdots", "′": "'", "−": "-", "∼": r"\sim",
    "∝": r"\propto", "∧": r"\wedge", "∨": r"\vee", "¬": r"\neg", "∘": r"\circ", "°": r"^\circ", "∠": r"\angle",
    "⊥": r"\perp", "∥": r"\parallel", "△": r"\triangle", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#",
    "_": r"\_", "\u2061": "", "\u2062": "", "\u2063": "", "\u2064": "", "\xa0": " ",
    **dict(zip("αβγδεζηθικλμνξπρστυφχψω", (
        r"\alpha", r"\beta", r"\gamma", r"\delta", r"\epsilon", r"\zeta", r"\eta", r"\theta", r"\iota", r"\kappa",
        r"\lambda", r"\mu", r"\nu", r"\xi", r"\pi", r"\rho", r"\sigma", r"\tau", r"\upsilon", r"\phi", r"\chi", r"\psi",
        r"\omega"), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΦΨΩ", (
        r"\Gamma", r"\Delta", r"\Theta", r"\Lambda", r"\Xi", r"\Pi", r"\Sigma", r"\Phi", r"\Psi",
        r"\Omega"), strict=True)),
}  # fmt: skip
_FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "lg",
    "exp", "lim", "max", "min", "sup", "inf", "det", "dim", "ker", "gcd", "arg", "deg", "Pr",
))  # fmt: skip
_SIGN_OR_WORD = re.compile(r"[A-Za-z]+|.", re.DOTALL)


def latex(element: str) -> tuple[str, bool]:
    """The LaTeX of a `<math>` element's source, and whether it stands on a line of its own. Never raises."""
    opening = element[: element.find(">") + 1]
    display = bool(_DISPLAY.search(opening))
    if found := _TEX.search(element):
        end = element.find("</", found.end())
        return _bare(html.unescape(element[found.end() : end if end >= 0 else len(element)])), display
    if found := _ALT.search(opening):
        return _bare(html.unescape(found[1] or found[2] or "")), display
    return _said(element), display


def in_dollars(tex: str, display: bool) -> str:
    """A formula as words of a text: between dollar signs, two each where it stands on a line of its own."""
    tex = " ".join(tex.split())
    mark = "$$" if display else "$"
    return f"{mark}{tex}{mark}" if tex else ""


def written(tex: str, attributes: str) -> str:
    """What stands in `<math>` of wikitext, which is LaTeX, as words of a text."""
    return in_dollars(_bare(html.unescape(tex)), bool(_DISPLAY.search(attributes)))


def _bare(tex: str) -> str:
    tex = tex.strip().removesuffix("%").strip()
    found = _STYLE.match(tex)
    return found[1].strip() if found else tex


def _said(element: str) -> str:
    """One pass over the tags with a stack; what is never closed ends with the formula. Annotations say nothing."""
    stack: list[tuple[str, list[str]]] = [("mrow", [])]
    for found in _TOKEN.finditer(element):
        closing, name, empty, words = found.groups()
        if words is not None:
            if words.strip() or stack[-1][0] == "mtext":
                stack[-1][1].append(_signs(stack[-1][0], html.unescape(words)))
        elif not closing and not empty and len(stack) < _MAX_DEPTH:
            stack.append((name.lower(), []))
        elif closing and len(stack) > 1 and any(opened == name.lower() for opened, _ in stack[1:]):
            _close(stack, name.lower())
    while len(stack) > 1:
        _close(stack, stack[-1][0])
    return " ".join("".join(stack[0][1]).split())


def _close(stack: list[tuple[str, list[str]]], name: str) -> None:
    """Say all elements down to the innermost open `name`."""
    while len(stack) > 1:
        opened, parts = stack.pop()
        stack[-1][1].append(_element(opened, parts))
        if opened == name:
            return


def _element(name: str, parts: list[str]) -> str:
    say = _SAY.get(name)
    wanted, form = say if say else (0, "".join)
    if wanted and len(parts) != wanted:
        return "".join(parts)
    return form(parts)


def _group(part: str) -> str:
    return part if len(part) == 1 else f"{{{part.strip()}}}"


_SAY: dict[str, tuple[int, Callable[[list[str]], str]]] = {
    "mfrac": (2, lambda p: rf"\frac{{{p[0].strip()}}}{{{p[1].strip()}}}"),
    "msqrt": (0, lambda p: rf"\sqrt{{{''.join(p).strip()}}}"),
    "mroot": (2, lambda p: rf"\sqrt[{p[1].strip()}]{{{p[0].strip()}}}"),
    "msup": (2, lambda p: f"{_group(p[0]) if ' ' in p[0].strip() else p[0].strip()}^{_group(p[1])}"),
    "msub": (2, lambda p: f"{p[0].strip()}_{_group(p[1])}"),
    "msubsup": (3, lambda p: f"{p[0].strip()}_{_group(p[1])}^{_group(p[2])}"),
    "munder": (2, lambda p: f"{p[0].strip()}_{_group(p[1])}"),
    "mover": (2, lambda p: rf"\overline{{{p[0].strip()}}}" if p[1].strip() in ("¯", "‾", "-", "\u0305")
              else f"{p[0].strip()}^{_group(p[1])}"),
    "munderover": (3, lambda p: f"{p[0].strip()}_{_group(p[1])}^{_group(p[2])}"),
    "mtext": (0, lambda p: rf"\text{{{''.join(p)}}}"),
    "mtd": (0, lambda p: "".join(p).strip() + " & "),
    "mtr": (0, lambda p: "".join(p).removesuffix(" & ") + r" \\ "),
    "mtable": (0, lambda p: r"\begin{matrix}" + "".join(p).removesuffix(r" \\ ") + r"\end{matrix}"),
    "annotation": (0, lambda p: ""),
    "annotation-xml": (0, lambda p: ""),
    "mspace": (0, lambda p: " "),
}  # fmt: skip


def _signs(name: str, words: str) -> str:
    """Characters of a token as LaTeX has them; a word of letters is a function or stands upright."""
    if name == "mtext":
        return words
    said = []
    for sign in _SIGN_OR_WORD.findall(words.strip()):
        if sign in _FUNCTIONS:
            said.append(f"\\{sign} ")
        elif len(sign) > 1 and sign.isalpha() and name == "mi" and sign.isascii():
            said.append(rf"\mathrm{{{sign}}}")
        else:
            known = _SIGNS.get(sign, sign)
            said.append(f"{known} " if known[:1] == "\\" and known[-1:].isalpha() else known)
    return "".join(said)
