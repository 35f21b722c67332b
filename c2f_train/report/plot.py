"""A chart as values: axes, series, marks. What draws it, for a page or a paper, adds no number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from c2f_train.report import svg

Scale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a panel.

    Attributes:
        low, high: its ends, in data units; above 0 on a logarithmic scale.
        ticks: (value, label), ascending; what draws them may leave some out.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    scale: Scale = "linear"

    def place(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1."""
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind, in the order of their line.

    Attributes:
        label: for the legend; series of one label are one entry.
        kind: its place among the kinds: gives colour, marker and dash.
        x, y: (n,) data units.
        low, high: (n,) ends of the points' intervals in y; empty: none.
        left, right: (n,) the same in x.
        names: (n,) each point in words; empty: none.
        joined: whether a line leads through the points.
        marked: whether each point has a marker; a line of many points has a few.
        band: intervals in y are drawn as a band, not as bars.
    """

    label: str
    kind: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    left: tuple[float, ...] = ()
    right: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    joined: bool = True
    marked: bool = True
    band: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line across a panel, at one value of x or of y, with a word beside it."""

    along: Literal["x", "y"]
    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A value read off a curve: a line from the curve's point down to its lane, with words there.

    Attributes:
        x, y: the point, in data units.
        left, right: ends of its interval in x; None: open.
        lane: y of its interval and words, in data units.
    """

    label: str
    kind: int
    x: float
    y: float
    left: float | None
    right: float | None
    lane: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes and what is drawn between them."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    rules: tuple[Rule, ...] = ()
    answers: tuple[Answer, ...] = ()
    # Share of the drawing's usual height that the panel takes.
    height: float = 1.0


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart: panels one below the other, with one legend.

    Attributes:
        name: of its file, without suffix.
        caption: what it shows, in a sentence or two, with n.
    """

    name: str
    caption: str
    panels: tuple[Panel, ...]

    @property
    def legend(self) -> tuple[tuple[int, str], ...]:
        """(kind, label) of each entry, in the order of first appearance; "" has no entry."""
        found: dict[str, int] = {}
        for panel in self.panels:
            for series in panel.series:
                if series.label:
                    found.setdefault(series.label, series.kind)
        return tuple((kind, label) for label, kind in found.items())


def linear_axis(title: str, high: float, most: int = 6, unit: str = "") -> Axis:
    """From 0 up to a round value at or above ``high``."""
    values = svg.linear_ticks(high, most)
    return Axis(title, 0.0, values[-1], tuple((v, f"{v:g}{unit}") for v in values))


def share_axis(title: str, below: float = 0.0) -> Axis:
    """Shares from 0 to 1, in percent, with room ``below`` for lanes."""
    return Axis(title, -below, 1.0, tuple((v / 100, f"{v} %") for v in range(0, 101, 20)))


def pixel_axis(title: str, values: Sequence[float]) -> Axis:
    """Resolutions in pixels, logarithmic, with a little room at both ends."""
    low, high = 0.93 * min(values), 1.06 * max(values)
    octaves = [2**k for k in range(1, 15)]
    halves = sorted(octaves + [3 * 2**k for k in range(1, 13)])
    inside = [v for v in halves if low <= v <= high]
    if len(inside) > 7:
        inside = [v for v in octaves if low <= v <= high]
    inside = inside or [round(high / 1.06)]
    return Axis(title, low, high, tuple((float(v), f"{v:,}") for v in inside), "log")


def rate_axis(title: str, values: Sequence[float]) -> Axis:
    """Positive values over several powers of ten; a power each."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    if low == high:
        low, high = low - 1, high + 1
    step = max(1, math.ceil((high - low) / 5))
    powers = range(low, high + 1, step)
    ticks = tuple((10.0**p, f"{10.0**p:g}") for p in powers)
    return Axis(title, 10.0**low, 10.0**high, ticks, "log")
