"""Small parts of an inline SVG chart: elements, scales, axes, markers.

Colours are classes (``s0`` to ``s5``), so that the page's style sheet can change them for dark
screens and print; every series also has its own marker and dash, for readers who don't see the
colours apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

SERIES = 6
DASHES = ("none", "8 4", "2.5 4", "10 3 2.5 3", "5 3", "14 4")


@dataclass(frozen=True, slots=True)
class Size:
    """A drawing's viewBox in user units, and the room its axes take.

    Attributes:
        name: CSS class; the page shows one size and hides the other.
    """

    name: str
    width: int
    height: int
    left: int
    right: int
    top: int


# The page scales a drawing to its column; both stay at 12 px of text or more down to a column of
# 720 px (wide) and 288 px (narrow).
WIDE = Size("wide", 900, 400, 58, 20, 14)
NARROW = Size("narrow", 312, 300, 50, 10, 14)
SIZES = (WIDE, NARROW)


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """One element; every value and every child that isn't Markup is escaped.

    ``class_`` stands for class and an underscore in a name for a hyphen.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-") if key != "viewBox" else key, _number(value)
        )
        for key, value in attributes.items()
    )
    body = Markup("").join(escape(child) for child in children)
    return Markup("<{}{}>{}</{}>").format(Markup(name), written, body, Markup(name))


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def series(position: int) -> str:
    """CSS class of a series; colours repeat after the sixth."""
    return f"s{position % SERIES}"


def marker(position: int, x: float, y: float, size: float = 4.6) -> Markup:
    """A series' marker, centred at (x, y)."""
    kind = position % SERIES
    if kind == 0:
        return tag("circle", class_="mark", cx=x, cy=y, r=size)
    if kind == 1:
        side = 1.75 * size
        return tag("rect", class_="mark", x=x - side / 2, y=y - side / 2, width=side, height=side)
    corners = {2: (3, -90), 3: (4, -90), 4: (3, 90), 5: (6, 0)}[kind]
    return tag("path", class_="mark", d=_polygon(x, y, 1.25 * size, *corners))


def _polygon(x: float, y: float, radius: float, corners: int, turn: float) -> str:
    angles = [math.radians(turn + 360 * i / corners) for i in range(corners)]
    return path([(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]) + "Z"


def path(points: Sequence[tuple[float, float]]) -> str:
    """Path data through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def line(position: int, points: Sequence[tuple[float, float]]) -> Markup:
    """A series' line with its dash."""
    return tag("path", class_="line", d=path(points), stroke_dasharray=DASHES[position % SERIES])


def swatch(position: int) -> Markup:
    """A legend's sample of line and marker."""
    return tag(
        "svg",
        line(position, [(0, 8), (38, 8)]),
        marker(position, 19, 8),
        class_=f"swatch {series(position)}",
        viewBox="0 0 38 16",
        width=38,
        height=16,
        aria_hidden="true",
    )


def text(x: float, y: float, *content: str, anchor: str = "start", kind: str = "") -> Markup:
    """A label; ``anchor`` is start, middle or end."""
    return tag("text", *content, x=x, y=y, text_anchor=anchor, class_=kind or "label")


def with_suffix(letter: str, suffix: str, rest: str) -> Markup:
    """r with 'med' set lower, then the rest."""
    return (
        tag("tspan", letter, class_="var")
        + tag("tspan", suffix, dy=4.0, class_="sub")
        + tag("tspan", f" {rest}", dy=-4.0)
    )


def x_axis(size: Size, bottom: float, ticks: Sequence[tuple[float, str]], title: str) -> Markup:
    """Ticks with labels below ``bottom``, and the axis' title under them."""
    marks = [
        tag("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 5)
        + text(x, bottom + 20, label, anchor="middle")
        for x, label in ticks
    ]
    base = tag(
        "line", class_="axis", x1=size.left, x2=size.width - size.right, y1=bottom, y2=bottom
    )
    middle = (size.left + size.width - size.right) / 2
    return base + Markup("").join(marks) + text(middle, bottom + 43, title, anchor="middle")


def y_axis(size: Size, ticks: Sequence[tuple[float, str]]) -> Markup:
    """Horizontal grid lines with labels at the left."""
    return Markup("").join(
        tag("line", class_="grid", x1=size.left, x2=size.width - size.right, y1=y, y2=y)
        + text(size.left - 8, y + 5, label, anchor="end")
        for y, label in ticks
    )


def log_ticks(low: float, high: float, x: Callable[[float], float], apart: float) -> list[int]:
    """Whole pixels at octaves or half octaves within [low, high], at least ``apart`` units apart.

    Args:
        x: resolution in pixels to a position in the drawing.
    """
    octaves = [2**k for k in range(1, 15)]
    halves = sorted(octaves + [3 * 2**k for k in range(1, 13)])
    for values in (halves, octaves, octaves[::2], octaves[1::2]):
        ticks = [value for value in values if low <= value <= high]
        gaps = [x(b) - x(a) for a, b in pairwise(ticks)]
        if ticks and all(gap >= apart for gap in gaps):
            return ticks
    return [math.ceil(low), math.floor(high)]


def decade_ticks(low: float, high: float, x: Callable[[float], float], apart: float) -> list[float]:
    """1, 2 and 5 times powers of ten within [low, high] where they fit, else fewer of them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        # Rounded: 3 times a tenth is not 0.3.
        values = [round(m * 10.0**k, 9) for k in powers for m in steps]
        ticks = [value for value in values if low <= value <= high]
        if ticks and all(abs(x(a) - x(b)) >= apart for a, b in pairwise(ticks)):
            return ticks
    step = 10.0 ** (math.floor(math.log10(high)) - 1)
    return [round(math.floor(high / step) * step, 9)]


def linear_ticks(high: float, most: int = 6) -> list[float]:
    """0 to ``high`` in steps of 1, 2 or 5 times a power of ten, at most ``most`` of them."""
    if high <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(high / most))
    step = next(m * power for m in (1, 2, 5, 10, 20) if high / (m * power) <= most - 1)
    return [i * step for i in range(math.ceil(high / step - 1e-9) + 1)]
