"""Charts, drawn by us as inline SVG: colours come from classes, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mdfs.report.markup import Html, figure, join, share, tag

_WIDTH, _HEIGHT = 320, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 6, 314, 16, 114


def bar(parts: Sequence[tuple[str, float]], whole: float, title: str) -> Html:
    """A bar as wide as its cell, of (class, amount) parts one after the other out of `whole`."""
    drawn, at = [], 0.0
    for name, amount in parts:
        width = 100 * amount / whole if whole else 0.0
        # What is there is seen: a part that is not zero is at least half a percent wide.
        width = max(width, 0.5) if amount else 0.0
        if width:
            drawn.append(tag("rect", x=f"{at:.3f}", y="0", width=f"{width:.3f}", height="10", class_=name))
        at += width
    return tag(
        "svg", tag("title", title), *drawn,
        class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none", role="img", aria_label=title,
    )  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Values of one group of documents in a histogram; `name` is its word in the legend, `css` its class."""

    name: str
    css: str
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Edges of equally wide bins from `low` to `high`; on a logarithmic axis equally wide in log(1 + value)."""

    low: float
    high: float
    bins: int = 40
    log: bool = False

    def at(self, values: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        """Places on the axis, 0 to 1; what lies beyond an end is put at the end."""
        ends = np.array([self.low, self.high], np.float64)
        found = np.asarray(values, np.float64)
        if self.log:
            ends, found = np.log1p(ends), np.log1p(np.maximum(found, 0.0))
        placed: npt.NDArray[np.float64] = np.clip((found - ends[0]) / ((ends[1] - ends[0]) or 1.0), 0.0, 1.0)
        return placed

    def counts(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Values in each bin."""
        place = np.minimum((self.at(values) * self.bins).astype(np.int64), self.bins - 1)
        return np.bincount(place, minlength=self.bins)


def axis_for(values: npt.NDArray[np.float64], limits: Sequence[float]) -> Axis:
    """An axis on which most of the values and all of the limits lie.

    Shares get 0 to 1. Others run from the 0.5th to the 99.5th percentile, so that one endless document does not
    squeeze all others into one bar; with a long tail (lengths) the axis is logarithmic.
    """
    if not values.size:
        return Axis(0.0, 1.0)
    low, middle, high = (float(v) for v in np.quantile(values, [0.005, 0.5, 0.995]))
    if low >= 0.0 and float(values.max()) <= 1.0 and high > 0.5:
        return Axis(0.0, 1.0)
    low, high = min([low, *limits]), max([high, *limits])
    low = 0.0 if 0.0 <= low < 0.5 * high else low
    if high <= low:
        high = low + 1.0
    if high in limits:  # so that what the limit cuts off is seen as an area
        high += 0.15 * (high - low)
    return Axis(low, high, log=low >= 0.0 and high > 12 * max(middle, 1.0))


@dataclass(frozen=True)
class Mark:
    """A limit: a line at `value` with a word, and which side of it is cut off (-1 left, 1 right)."""

    value: float
    word: str
    side: int


@dataclass(frozen=True)
class Histogram:
    """A mirrored histogram: the first series grows up, the second down, each scaled to its own tallest bar.

    Heights grow with the square root of the count: filters are about the rare values, which a linear scale hides
    beside a tall bar at zero.
    """

    title: str
    up: Series
    down: Series | None
    axis: Axis
    marks: Sequence[Mark] = field(default_factory=tuple)

    def draw(self) -> Html:
        """The picture, with all that it says also in words for those who do not see it."""
        middle = (_TOP + _BOTTOM) / 2 if self.down and self.down.values.size else float(_BOTTOM)
        shapes = [*self._shades(), *self._bars(self.up, middle, -1, middle - _TOP)]
        if self.down is not None and self.down.values.size:
            shapes += self._bars(self.down, middle, 1, _BOTTOM - middle)
        shapes.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=f"{middle:.1f}", y2=f"{middle:.1f}", class_="axis"))
        return tag(
            "svg", tag("title", self.words()), *shapes, *self._marks(), *self._ends(),
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}", class_="chart", role="img", aria_label=self.words(),
        )  # fmt: skip

    def words(self) -> str:
        """What the picture shows, in words."""
        said = [self.title]
        for series in (self.up, self.down):
            if series is not None and series.values.size:
                low, middle, high = np.quantile(series.values, [0.05, 0.5, 0.95])
                said.append(f"{series.name}: median {figure(middle)}, 5% to 95% {figure(low)} to {figure(high)}")
        return "; ".join([*said, *(mark.word for mark in self.marks)])

    def _x(self, value: float) -> float:
        return _LEFT + float(self.axis.at(value)) * (_RIGHT - _LEFT)

    def _bars(self, series: Series, middle: float, way: int, room: float) -> list[Html]:
        counts = self.axis.counts(series.values)
        tallest, whole = int(counts.max(initial=0)), int(counts.sum())
        step = (_RIGHT - _LEFT) / self.axis.bins
        drawn = []
        for place, number in enumerate(counts.tolist()):
            if not number:
                continue
            height = max(1.0, room * math.sqrt(number / tallest))
            top = middle - height if way < 0 else middle
            said = f"{self._range(place)}: {number:,} {series.name} ({share(number, whole)})"
            drawn.append(
                tag("rect", tag("title", said), x=f"{_LEFT + place * step:.1f}", y=f"{top:.1f}",
                    width=f"{step - 0.8:.1f}", height=f"{height:.1f}", class_=series.css)
            )  # fmt: skip
        return drawn

    def _range(self, place: int) -> str:
        ends = np.array([self.axis.low, self.axis.high], np.float64)
        ends = np.log1p(ends) if self.axis.log else ends
        low, high = (ends[0] + (ends[1] - ends[0]) * (place + more) / self.axis.bins for more in (0, 1))
        return " to ".join(figure(float(np.expm1(v) if self.axis.log else v)) for v in (low, high))

    def _shades(self) -> list[Html]:
        """The side of each limit on which documents go."""
        drawn = []
        for mark in self.marks:
            x = self._x(mark.value)
            left, right = (_LEFT, x) if mark.side < 0 else (x, _RIGHT)
            width, height = f"{max(0.0, right - left):.1f}", _BOTTOM - _TOP
            drawn.append(tag("rect", x=f"{left:.1f}", y=_TOP, width=width, height=height, class_="cut"))
        return drawn

    def _marks(self) -> list[Html]:
        drawn = []
        for mark in self.marks:
            x = self._x(mark.value)
            anchor = "start" if x < _WIDTH / 3 else "end" if x > 2 * _WIDTH / 3 else "middle"
            drawn.append(tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=_TOP - 3, y2=_BOTTOM, class_="limit"))
            drawn.append(tag("text", mark.word, x=f"{x:.1f}", y=_TOP - 6, text_anchor=anchor, class_="limit-word"))
        return drawn

    def _ends(self) -> list[Html]:
        scale = " (log)" if self.axis.log else ""
        return [
            tag("text", figure(self.axis.low), x=_LEFT, y=_HEIGHT - 4, class_="tick"),
            tag("text", figure(self.axis.high) + scale, x=_RIGHT, y=_HEIGHT - 4, text_anchor="end", class_="tick"),
        ]


def legend(*entries: tuple[str, str]) -> Html:
    """What colours mean: (class, word) pairs."""
    swatch = [tag("span", tag("svg", tag("rect", width="10", height="10", class_=css), viewBox="0 0 10 10",
                              class_="swatch", aria_hidden="true"), " ", word) for css, word in entries]  # fmt: skip
    return tag("p", join(swatch, "   "), class_="legend")
