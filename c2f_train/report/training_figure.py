"""Training loss over the epochs of a run, one line a level."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from c2f_train.report import svg
from c2f_train.report.svg import SIZES, Size, tag, text
from c2f_train.results import EpochMetrics, RunResult

HEIGHT = 260
BELOW = 54
# More points than this have no tooltip each: they would lie closer than a pointer can tell.
MOST_TOOLTIPS = 120


def trained_levels(run: RunResult) -> tuple[str, ...]:
    """Levels that the run trained, coarse to fine."""
    trained = {level for epoch in run.epochs for level in epoch.loss}
    return tuple(level.name for level in run.levels if level.name in trained)


def training_figure(run: RunResult) -> Markup:
    """The chart as inline SVG, once for wide columns and once for phones; empty with no epochs."""
    if not run.epochs:
        return Markup("")
    return Markup("").join(_draw(run, size) for size in SIZES)


def _draw(run: RunResult, size: Size) -> Markup:
    highest = max(loss for epoch in run.epochs for loss in epoch.loss.values())
    ticks = svg.linear_ticks(highest)
    names = [level.name for level in run.levels]
    lines = [
        _line(size, run.epochs, level, len(names) - 1 - names.index(level), ticks[-1])
        for level in trained_levels(run)
    ]
    return tag(
        "svg",
        svg.y_axis(size, [(_y(size, value, ticks[-1]), f"{value:g}") for value in ticks]),
        _stages(size, run.epochs),
        *lines,
        svg.x_axis(size, HEIGHT, _epoch_ticks(size, len(run.epochs)), "epoch, both stages"),
        class_=f"chart {size.name}",
        viewBox=f"0 0 {size.width} {HEIGHT + BELOW}",
        role="img",
        aria_label=f"Training loss of run {run.name} over {len(run.epochs)} epochs, one line a "
        "level. The figures are in the table below the chart.",
    )


def _x(size: Size, position: float, epochs: int) -> float:
    """Of an epoch, 1-based over both stages."""
    room = size.width - size.left - size.right
    return size.left + room * (position - 0.5) / epochs


def _y(size: Size, loss: float, highest: float) -> float:
    return HEIGHT - loss / highest * (HEIGHT - size.top)


def _line(
    size: Size, epochs: Sequence[EpochMetrics], level: str, position: int, highest: float
) -> Markup:
    known = [(i, e) for i, e in enumerate(epochs, 1) if level in e.loss]
    places = [(_x(size, i, len(epochs)), _y(size, e.loss[level], highest)) for i, e in known]
    every = -(-len(known) // MOST_TOOLTIPS)
    marks = [
        tag(
            "g",
            tag("title", f"{level}, stage {e.stage}, epoch {e.epoch}: loss {e.loss[level]:.3f}"),
            tag("circle", class_="hit", cx=x, cy=y, r=7),
        )
        for (_, e), (x, y) in list(zip(known, places, strict=True))[::every]
    ]
    # A few markers name the line without hiding it.
    step = max(1, len(places) // 8)
    shown = [svg.marker(position, x, y, 3.8) for x, y in places[::step]]
    return tag("g", svg.line(position, places), *shown, *marks, class_=svg.series(position))


def _stages(size: Size, epochs: Sequence[EpochMetrics]) -> Markup:
    """A vertical line where stage 2 begins."""
    first = next((i for i, e in enumerate(epochs) if e.stage == 2), None)
    if not first:
        return Markup("")
    x = _x(size, first + 0.5, len(epochs))
    room = size.width - size.right - x > 70
    return tag("line", class_="stage", x1=x, x2=x, y1=size.top, y2=HEIGHT) + text(
        x + 6 if room else x - 6, size.top + 10, "stage 2", anchor="start" if room else "end"
    )


def _epoch_ticks(size: Size, epochs: int) -> list[tuple[float, str]]:
    step = max(1, round(svg.linear_ticks(epochs, 10 if size.name == "wide" else 6)[1]))
    values = range(step, epochs + 1, step)
    return [(_x(size, value, epochs), str(value)) for value in values]
