"""Accuracy against resolution: a curve a level, its fit, thresholds, crossings with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from c2f_data.calibration import CalibrationResult
from c2f_data.camera import Camera
from c2f_data.curve import AccuracyPoint, CalibrationCurve, Crossing
from c2f_data.curve.logistic import LogisticFit
from c2f_train.report import svg
from c2f_train.report.read_out import read_out, where
from c2f_train.report.svg import SIZES, WIDE, Size, tag, text
from c2f_train.report.wording import (
    FLOOR,
    listed,
    percent_short,
    pixels,
    suffix,
)

LANE = 30
BELOW = 54
LABEL = 24


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where values lie in a drawing: x of a resolution in pixels, y of a share in [0, 1]."""

    size: Size
    lowest: float
    highest: float

    @property
    def bottom(self) -> float:
        return self.size.height

    def x(self, resolution: float) -> float:
        span = math.log(self.highest) - math.log(self.lowest)
        share = (math.log(resolution) - math.log(self.lowest)) / span
        return self.size.left + share * (self.size.width - self.size.left - self.size.right)

    def y(self, accuracy: float) -> float:
        return self.bottom - accuracy * (self.bottom - self.size.top)


def accuracy_figure(
    calibration: CalibrationResult, fits: Sequence[LogisticFit | None] = ()
) -> Markup:
    """The chart as inline SVG, once for wide columns and once for phones.

    Args:
        fits: one a curve, in the curves' order; None where there is none.
    """
    return Markup("").join(_draw(calibration, fits, size) for size in SIZES)


def legend(levels: Sequence[str]) -> list[tuple[Markup, str]]:
    """(sample, level), fine to coarse; ``levels`` are coarse to fine."""
    return [(svg.swatch(i), level) for i, level in enumerate(reversed(levels))]


def threshold_legend(crossings: Sequence[Crossing]) -> list[tuple[Markup, str]]:
    """(sample, words) of the threshold lines; levels that share a threshold stand together."""
    levels: dict[float, list[str]] = {}
    for crossing in crossings:
        levels.setdefault(crossing.threshold, []).append(crossing.level)
    each = [f"{percent_short(value)} ({listed(names)})" for value, names in levels.items()]
    line = tag("line", class_="threshold", x1=0, x2=38, y1=8, y2=8)
    sample = tag("svg", line, class_="swatch", viewBox="0 0 38 16", width=38, height=16)
    return [(sample, f"threshold {listed(each)}")] if each else []


def fit_legend(fits: Sequence[LogisticFit | None]) -> list[tuple[Markup, str]]:
    """(sample, words) of the fitted curves; empty where nothing was fitted."""
    if not any(fits):
        return []
    line = tag("line", class_="fit plain", x1=0, x2=38, y1=8, y2=8)
    sample = tag("svg", line, class_="swatch", viewBox="0 0 38 16", width=38, height=16)
    return [(sample, "fit (logistic; no answer is read off it)")]


def asked(calibration: CalibrationResult) -> list[Crossing]:
    """Everything that was searched for, fine to coarse: the crossings, then the floor."""
    floor = [calibration.floor] if calibration.floor is not None else []
    return [*calibration.crossings, *floor]


def _draw(calibration: CalibrationResult, fits: Sequence[LogisticFit | None], size: Size) -> Markup:
    plot = _plot(calibration, size)
    names = [curve.level for curve in reversed(calibration.curves)]
    crossings = asked(calibration)
    answered = [c for c in crossings if c.resolution is not None]
    base = plot.bottom + LANE * len(answered) + (8 if answered else 0)
    label = (
        "Accuracy against resolution, one curve a level: "
        f"{', '.join(names)}. The figures are in the table below the chart."
    )
    lanes = [
        _crossing(plot, c, names, calibration, plot.bottom + LANE * (i + 0.5) + 2)
        for i, c in enumerate(answered)
    ]
    return tag(
        "svg",
        svg.y_axis(size, [(plot.y(v / 100), f"{v} %") for v in range(0, 101, 20)]),
        _thresholds(plot, crossings),
        *(_band(plot, i, c) for i, c in enumerate(reversed(calibration.curves))),
        *(_fit(plot, i, fit) for i, fit in enumerate(reversed(fits)) if fit is not None),
        # A coarser crossing's line passes the lanes above it: their labels come over it.
        *reversed(lanes),
        *(_curve(plot, i, c, calibration.grid) for i, c in enumerate(reversed(calibration.curves))),
        _axes(plot, base, calibration.camera),
        class_=f"chart {size.name}",
        viewBox=f"0 0 {size.width} {base + BELOW:g}",
        role="img",
        aria_label=label,
        data_left=size.left,
        data_right=size.width - size.right,
        data_top=size.top,
        data_bottom=plot.bottom,
        data_lowest=plot.lowest,
        data_highest=plot.highest,
    )


def _axes(plot: _Plot, base: float, camera: Camera | None) -> Markup:
    """The axis in pixels; with a camera the same axis in metres, too: the page shows one."""
    size = plot.size
    ticks = svg.log_ticks(plot.lowest, plot.highest, plot.x, 36)
    axis = svg.x_axis(size, base, [(plot.x(v), str(v)) for v in ticks], _title(size))
    if camera is None:
        return axis
    near, far = camera.distance(plot.highest), camera.distance(plot.lowest)

    def x(distance: float) -> float:
        return plot.x(camera.resolution(distance))

    distances = [(x(v), f"{v:,g}") for v in svg.decade_ticks(near, far, x, 36)]
    title = "distance of the object, metres (logarithmic"
    title += "; nearer to the right)" if size is WIDE else ")"
    in_metres = svg.x_axis(size, base, distances, title)
    return tag("g", axis, class_="in-px") + tag("g", in_metres, class_="in-m")


def _plot(calibration: CalibrationResult, size: Size) -> _Plot:
    resolutions = [p.resolution for curve in calibration.curves for p in curve.points]
    if len(set(resolutions)) == 1:  # below the threshold on the native images: nothing further
        resolutions += calibration.grid
    return _Plot(size, 0.93 * min(resolutions), 1.06 * max(resolutions))


def _title(size: Size) -> str:
    wide = "shorter side of the image, pixels (logarithmic; more detail to the right)"
    return wide if size.name == "wide" else "shorter side, pixels (logarithmic)"


def _band(plot: _Plot, position: int, curve: CalibrationCurve) -> Markup:
    upper = [(plot.x(p.resolution), plot.y(p.high)) for p in curve.points]
    lower = [(plot.x(p.resolution), plot.y(p.low)) for p in reversed(curve.points)]
    band = tag("path", class_="band", d=svg.path(upper + lower) + "Z")
    return _of_level(position, band)


def _of_level(position: int, *children: str) -> Markup:
    """A group of the level at ``position``, fine to coarse: the page can hide it."""
    return tag("g", *children, class_=svg.series(position), data_level=position)


def _curve(plot: _Plot, position: int, curve: CalibrationCurve, grid: Sequence[int]) -> Markup:
    """The points and what joins them: pale where resolutions between two were left out."""
    places = [(plot.x(p.resolution), plot.y(p.accuracy)) for p in curve.points]
    marks = [
        _point(position, curve.level, point, x, y)
        for point, (x, y) in zip(curve.points, places, strict=True)
    ]
    joined, run = [], places[:1]
    for (high, low), (a, b) in zip(pairwise(curve.points), pairwise(places), strict=True):
        if any(low.resolution < r < high.resolution for r in grid):
            joined += [tag("g", svg.line(position, [a, b]), class_="gap"), svg.line(position, run)]
            run = [b]
        else:
            run.append(b)
    joined.append(svg.line(position, run))
    return _of_level(position, *joined, *marks)


def _fit(plot: _Plot, position: int, fit: LogisticFit) -> Markup:
    """The fitted curve, between the resolutions that were measured."""
    left, right = plot.x(fit.lowest), plot.x(fit.highest)
    steps = 60
    places = []
    for step in range(steps + 1):
        share = step / steps
        resolution = fit.lowest * (fit.highest / fit.lowest) ** share
        places.append((left + share * (right - left), plot.y(fit.accuracy(resolution))))
    return _of_level(position, tag("path", class_="fit", d=svg.path(places)))


def _point(position: int, level: str, point: AccuracyPoint, x: float, y: float) -> Markup:
    place = where(point.resolution, point.native, None)
    title = f"{level}, {place}: {read_out(point)}"
    ring = tag("circle", class_="ring", cx=x, cy=y, r=9.5) if point.native else ""
    hit = tag("circle", class_="hit", cx=x, cy=y, r=11)
    return tag("g", tag("title", title), hit, ring, svg.marker(position, x, y), class_="point")


def _thresholds(plot: _Plot, crossings: Sequence[Crossing]) -> Markup:
    """One horizontal line a threshold, named in the wide drawing if there is room."""
    left, right = plot.size.left, plot.size.width - plot.size.right
    heights = {value: plot.y(value) for value in sorted({c.threshold for c in crossings})}
    apart = all(below - above >= LABEL for below, above in pairwise(heights.values()))
    room = apart and plot.size is WIDE
    drawn = []
    for value, y in heights.items():
        drawn.append(tag("line", class_="threshold", x1=left, x2=right, y1=y, y2=y))
        if room:
            # Curves are above their threshold at the right: under the line there is space.
            words = f"threshold {percent_short(value)}"
            drawn.append(text(right - 4, y + 17, words, anchor="end"))
    return Markup("").join(drawn)


def _crossing(
    plot: _Plot, crossing: Crossing, names: Sequence[str], calibration: CalibrationResult, y: float
) -> Markup:
    """A crossing's lane under the plot: interval, bracket, answer, and a line up to it."""
    assert crossing.resolution is not None
    x = plot.x(crossing.resolution)
    ends = [plot.x(v) for v in (crossing.interval_low, crossing.interval_high) if v is not None]
    bracket = [x, plot.x(crossing.upper)] if crossing.upper is not None else [x]
    left, right = min([*ends, *bracket]), max([*ends, *bracket])
    words = _crossing_words(crossing, calibration)
    return _of_level(
        names.index(crossing.level),
        tag("title", _crossing_title(crossing, words.striptags())),
        tag("line", class_="drop", x1=x, x2=x, y1=plot.y(crossing.threshold), y2=y),
        tag("line", class_="range", x1=min([*ends, x]), x2=max([*ends, x]), y1=y, y2=y),
        *(tag("line", class_="range", x1=end, x2=end, y1=y - 6, y2=y + 6) for end in ends),
        tag("line", class_="bracket", x1=min(bracket), x2=max(bracket), y1=y, y2=y),
        tag("circle", class_="answer", cx=x, cy=y, r=6),
        _beside(plot.size, left - 12, right + 12, y + 5, words),
    )


def _crossing_words(crossing: Crossing, calibration: CalibrationResult) -> Markup:
    """r, with what it is for set lower, then the pixels."""
    assert crossing.resolution is not None
    levels = [level.name for level in calibration.levels]
    name = suffix(levels, crossing.next_level) if crossing.next_level else FLOOR
    return svg.with_suffix("r", name, pixels(crossing.resolution))


def _beside(size: Size, left: float, right: float, y: float, words: Markup) -> Markup:
    """Text at the side that has more room."""
    if size.width - size.right - right >= left - size.left:
        return text(right, y, words, kind="answer-label")
    return text(left, y, words, anchor="end", kind="answer-label")


def _crossing_title(crossing: Crossing, words: str) -> str:
    ends = [pixels(v) if v is not None else "open" for v in crossing.interval]
    return f"{words}; {percent_short(crossing.confidence)} interval {ends[0]} to {ends[1]}"
