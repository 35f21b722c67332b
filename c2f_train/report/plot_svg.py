"""A chart drawn as SVG: on a page its style sheet gives the colours, in a file one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from c2f_train.report import svg
from c2f_train.report.plot import Answer, Axis, Panel, Plot, Rule, Series
from c2f_train.report.svg import tag, text

# More points than this have no tooltip each: they would lie closer than a pointer can tell.
MOST_TOOLTIPS = 120
# Markers on a line of many points: some name the line without hiding it.
MARKERS = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing's measures, in user units.

    Attributes:
        name: CSS class of the drawing.
        width, height: of the drawing, and of a panel of height 1 between its axes.
        left, right, top: room beside the panels, and above each.
        below: room for an axis' labels and title.
        font: size of the text.
        marker: size of a marker.
        tooltips: whether points say what they are.
    """

    name: str
    width: float
    height: float
    left: float
    right: float
    top: float
    below: float
    font: float
    marker: float
    tooltips: bool = True


# The page's two sizes: see c2f_train.report.svg.
WIDE = Frame("wide", 900, 230, 70, 20, 14, 54, 15, 3.8)
NARROW = Frame("narrow", 312, 190, 62, 10, 14, 52, 14, 3.8)


def inline(plot: Plot) -> Markup:
    """For a page, once for wide columns and once for phones; the legend stands in the page."""
    return Markup("").join(
        draw(plot, frame, class_=f"chart {frame.name}") for frame in (WIDE, NARROW)
    )


def draw(plot: Plot, frame: Frame, *, head: str = "", above: float = 0.0, **more: object) -> Markup:
    """The <svg> element.

    Args:
        head: elements before the drawing, for example a style sheet and a legend.
        above: room for them at the top, in user units.
        more: further attributes of the element.
    """
    drawn, top = [], above
    for panel in plot.panels:
        last = panel is plot.panels[-1] or panel.x != plot.panels[-1].x
        place = _Place(frame, panel, top + frame.top)
        drawn.append(_panel(place, last=last))
        top = place.bottom + (frame.below if last else 0.6 * frame.font)
    return tag(
        "svg",
        head,
        *drawn,
        viewBox=f"0 0 {frame.width:g} {top:g}",
        role="img",
        aria_label=plot.caption,
        **more,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a panel's values lie in a drawing whose panel begins at ``top``."""

    frame: Frame
    panel: Panel
    top: float

    @property
    def bottom(self) -> float:
        return self.top + self.frame.height * self.panel.height

    @property
    def end(self) -> float:
        """x of the right edge."""
        return self.frame.width - self.frame.right

    def x(self, value: float) -> float:
        return self.frame.left + self.panel.x.place(value) * (self.end - self.frame.left)

    def y(self, value: float) -> float:
        return self.bottom - self.panel.y.place(value) * (self.bottom - self.top)


def _panel(place: _Place, *, last: bool) -> Markup:
    panel = place.panel
    return tag(
        "g",
        _y_axis(place),
        *(_rule(place, rule) for rule in panel.rules),
        *(_band(place, series) for series in panel.series if series.band),
        *(_answer(place, answer) for answer in panel.answers),
        *(_series(place, series) for series in panel.series),
        _x_axis(place, labels=last),
    )


def _y_axis(place: _Place) -> Markup:
    frame, axis = place.frame, place.panel.y
    parts = []
    for value, label in _thinned(axis, place.y, 1.25 * frame.font):
        y = place.y(value)
        parts.append(tag("line", class_="grid", x1=frame.left, x2=place.end, y1=y, y2=y))
        parts.append(
            text(frame.left - 0.5 * frame.font, y + 0.33 * frame.font, label, anchor="end")
        )
    middle, x = (place.top + place.bottom) / 2, 0.95 * frame.font
    turned = tag(
        "text",
        axis.title,
        x=x,
        y=middle,
        text_anchor="middle",
        class_="label",
        transform=f"rotate(-90 {x:g} {middle:g})",
    )
    return Markup("").join(parts) + turned


def _x_axis(place: _Place, *, labels: bool) -> Markup:
    frame, axis, y = place.frame, place.panel.x, place.bottom
    parts = [tag("line", class_="axis", x1=frame.left, x2=place.end, y1=y, y2=y)]
    for value, label in _thinned(axis, place.x, 2.6 * frame.font):
        x = place.x(value)
        parts.append(tag("line", class_="axis", x1=x, x2=x, y1=y, y2=y + 0.3 * frame.font))
        if labels:
            parts.append(text(x, y + 1.35 * frame.font, label, anchor="middle"))
    if labels:
        middle = (frame.left + place.end) / 2
        parts.append(text(middle, y + 2.75 * frame.font, axis.title, anchor="middle"))
    return Markup("").join(parts)


def _thinned(axis: Axis, place: object, apart: float) -> Sequence[tuple[float, str]]:
    """Every k-th tick, with the smallest k that keeps their labels apart."""
    assert callable(place)
    for step in range(1, len(axis.ticks) + 1):
        chosen = axis.ticks[::step]
        gaps = [abs(place(b[0]) - place(a[0])) for a, b in pairwise(chosen)]
        if all(gap >= apart for gap in gaps):
            return chosen
    return axis.ticks[:1]


def _rule(place: _Place, rule: Rule) -> Markup:
    frame = place.frame
    if rule.along == "y":
        y = place.y(rule.value)
        line = tag("line", class_="threshold", x1=frame.left, x2=place.end, y1=y, y2=y)
        # Curves are above their threshold at the right: under the line there is space.
        words = (place.end - 0.3 * frame.font, y + 1.1 * frame.font, "end")
    else:
        x = place.x(rule.value)
        line = tag("line", class_="stage", x1=x, x2=x, y1=place.top, y2=place.bottom)
        room = place.end - x > 5 * frame.font
        shift = 0.4 * frame.font if room else -0.4 * frame.font
        words = (x + shift, place.top + 0.75 * frame.font, "start" if room else "end")
    if not rule.label:
        return line
    return line + text(words[0], words[1], rule.label, anchor=words[2])


def _band(place: _Place, series: Series) -> Markup:
    upper = [(place.x(x), place.y(v)) for x, v in zip(series.x, series.high, strict=True)]
    lower = [(place.x(x), place.y(v)) for x, v in zip(series.x, series.low, strict=True)]
    shape = tag("path", class_="band", d=svg.path(upper + lower[::-1]) + "Z")
    return tag("g", shape, class_=svg.series(series.kind))


def _series(place: _Place, series: Series) -> Markup:
    points = [(place.x(x), place.y(y)) for x, y in zip(series.x, series.y, strict=True)]
    parts = [svg.line(series.kind, points)] if series.joined and points else []
    parts += _bars(place, series)
    shown = points if series.marked else points[:: max(1, len(points) // MARKERS)]
    if not series.label:
        shown = []
    parts += [svg.marker(series.kind, x, y, place.frame.marker) for x, y in shown]
    if place.frame.tooltips and series.names:
        every = -(-len(points) // MOST_TOOLTIPS)
        named = list(zip(points, series.names, strict=True))[::every]
        parts += [
            tag("g", tag("title", name), tag("circle", class_="hit", cx=x, cy=y, r=7))
            for (x, y), name in named
        ]
    return tag("g", *parts, class_=svg.series(series.kind))


def _bars(place: _Place, series: Series) -> list[Markup]:
    """The intervals of the points, where they aren't a band."""
    bars = []
    if series.low and not series.band:
        for x, low, high in zip(series.x, series.low, series.high, strict=True):
            at = place.x(x)
            bars.append(
                tag("line", class_="range", x1=at, x2=at, y1=place.y(low), y2=place.y(high))
            )
    for y, left, right in zip(series.y, series.left, series.right, strict=False):
        at = place.y(y)
        bars.append(tag("line", class_="range", x1=place.x(left), x2=place.x(right), y1=at, y2=at))
    return bars


def _answer(place: _Place, answer: Answer) -> Markup:
    frame = place.frame
    x, y = place.x(answer.x), place.y(answer.lane)
    ends = [place.x(end) for end in (answer.left, answer.right) if end is not None]
    left, right = min([*ends, x]), max([*ends, x])
    tick = 0.35 * frame.font
    gap = 0.6 * frame.font
    room = place.end - right > 9 * frame.font
    where = (right + gap, "start") if room else (left - gap, "end")
    return tag(
        "g",
        tag("line", class_="drop", x1=x, x2=x, y1=place.y(answer.y), y2=y),
        tag("line", class_="range", x1=left, x2=right, y1=y, y2=y),
        *(tag("line", class_="range", x1=end, x2=end, y1=y - tick, y2=y + tick) for end in ends),
        tag("circle", class_="answer", cx=x, cy=y, r=frame.marker),
        text(where[0], y + 0.33 * frame.font, answer.label, anchor=where[1], kind="answer-label"),
        class_=svg.series(answer.kind),
    )
