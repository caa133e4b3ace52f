"""HTML that is safe by construction: text becomes markup in one place only, `text`.

Pages that were crawled are written by strangers. What is shown of them is escaped, and characters that draw nothing or
turn the reading direction (the "Trojan source" trick, arXiv:2111.00169) are spelt out as ⟨U+202E⟩.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ue000-\uf8ff"
    "\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)


class Html(str):
    """Markup: a string that `text` leaves as it is."""

    __slots__ = ()


def visible(value: str) -> str:
    """The same text with control, invisible, private and direction characters spelt out as ⟨U+....⟩."""
    return _CONTROLS.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", value.replace("\r\n", "\n"))


def text(value: object) -> Html:
    """Anything as markup that shows it; `Html` as it is."""
    return value if isinstance(value, Html) else Html(html.escape(visible(str(value))))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. `class_` stands for class and `_` for `-` in names; attributes that are None are left out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def join(children: Iterable[object], between: str = "") -> Html:
    """Children one after the other."""
    return Html(between.join(text(child) for child in children))


def quoted(value: str) -> Html:
    """Text from a page, kept apart from the direction of the text around it."""
    return tag("bdi", value)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> Html:
    """A table whose first column heads its rows; the first `left` columns are text, the others numbers."""
    cells = [tag("th", name, scope="col", class_=None if place < left else "num") for place, name in enumerate(head)]
    body = [tag("tr", tag("th", first, scope="row"), *_cells(rest, left)) for first, *rest in rows]
    inner = (tag("caption", caption), tag("thead", tag("tr", *cells)), tag("tbody", *body))
    return tag("div", tag("table", *inner), class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cells(values: Sequence[object], left: int) -> list[Html]:
    return [tag("td", value, class_=None if place < left else "num") for place, value in enumerate(values, 1)]


def section(name: str, title: str, *children: object) -> Html:
    """A section with a heading that can be linked to."""
    return tag("section", tag("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def details(summary: object, *children: object, opened: bool = False) -> Html:
    """A part that opens on a click; works without a script."""
    body = Html(f"<summary>{text(summary)}</summary>{join(children)}")
    return Html(f"<details{' open' if opened else ''}>{body}</details>")


def note(*children: object) -> Html:
    """A line of small print."""
    return tag("p", *children, class_="note")


def count(number: float) -> str:
    """A whole number with thousands parted."""
    return f"{int(number):,}"


def share(part: float, whole: float) -> str:
    """A share in percent; a dash where there is nothing to share."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.2f}%" if 0 < percent < 0.1 else f"{percent:.1f}%"


def figure(number: float) -> str:
    """A measurement with as many digits as one reads."""
    if float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def short(number: float) -> str:
    """A count in few letters: 950, 12.3 K, 4.56 M."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        # From 10,000 on: a four-digit number is as short as its abbreviation.
        if number >= max(size, 1e4):
            return f"{number / size:.3g} {letter}"
    return count(number)
