"""A chart as PNG or PDF, drawn by matplotlib from the same values as the SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2f_data.artefacts import atomic_path
from c2f_data.errors import ConfigError, install_hint
from c2f_train.publication.svg_file import COLOURS, COLUMN_MM, INK, LINE, QUIET
from c2f_train.report.plot import Answer, Axis, Panel, Plot, Rule, Series
from c2f_train.report.plot_svg import MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCH_MM = 25.4
PANEL_MM = 42.0
DOTS = 600
# In points: the kinds' markers and dashes are those of c2f_train.report.svg.
SHAPES = ("o", "s", "^", "D", "v", "H")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (4, 2)),
    (0, (1.3, 2)),
    (0, (5, 1.5, 1.3, 1.5)),
    (0, (2.5, 1.5)),
    (0, (7, 2)),
)
STYLE: Any = {
    # TrueType, so that the text in a PDF is embedded as text.
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.sans-serif": ["Liberation Sans", "Arial", "Helvetica", "DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    # Names from data are text, never formulas.
    "text.parse_math": False,
    "text.usetex": False,
    "axes.unicode_minus": True,
}


def check_matplotlib() -> None:
    """Raises ConfigError: matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "PNG and PDF figures: matplotlib is not installed", install_hint("figures")
        ) from error


def write_with_matplotlib(plot: Plot, path: Path) -> None:
    """Write one figure, atomically; the suffix gives the format.

    Raises:
        ConfigError: matplotlib is not installed.
        ArtefactError: the disk refused.
    """
    check_matplotlib()
    buffer = io.BytesIO()
    # The same chart gives the same bytes: no time in the file.
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure = draw(plot)
        figure.savefig(buffer, format=path.suffix[1:], dpi=DOTS, metadata=metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def draw(plot: Plot) -> Figure:
    """The figure; without pyplot, so that no window and no global state is made."""
    from matplotlib.figure import Figure

    heights = [panel.height for panel in plot.panels]
    rows = -(-len(plot.legend) // 3) if len(plot.legend) > 1 else 0
    tall = PANEL_MM * sum(heights) + 8 + 4.5 * rows
    figure = Figure((COLUMN_MM / INCH_MM, tall / INCH_MM), layout="constrained")
    grid = figure.subplots(
        len(plot.panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    handles: dict[str, Any] = {}
    for panel, axes in zip(plot.panels, grid[:, 0], strict=True):
        last = panel is plot.panels[-1] or panel.x != plot.panels[-1].x
        handles |= _panel(axes, panel, labels=last)
    if rows:
        _legend(figure, [(handles[label], label) for _, label in plot.legend])
    return figure


def _panel(axes: Axes, panel: Panel, *, labels: bool) -> dict[str, Any]:
    """Draw one; returns a sample of each series that has a label."""
    _axis(axes, panel.x, "x", labels=labels)
    _axis(axes, panel.y, "y", labels=True)
    axes.grid(axis="y", color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(color=QUIET, width=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for rule in panel.rules:
        _rule(axes, rule)
    handles = {series.label: _series(axes, series) for series in panel.series}
    for answer in panel.answers:
        _answer(axes, answer)
    return handles


def _axis(axes: Axes, axis: Axis, along: str, *, labels: bool) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    which = axes.xaxis if along == "x" else axes.yaxis
    if along == "x":
        axes.set_xscale(axis.scale)
        axes.set_xlim(axis.low, axis.high)
    else:
        axes.set_yscale(axis.scale)
        axes.set_ylim(axis.low, axis.high)
    ticks = axis.ticks if len(axis.ticks) <= 8 or along == "y" else axis.ticks[::2]
    which.set_minor_locator(NullLocator())
    which.set_major_locator(FixedLocator([value for value, _ in ticks]))
    which.set_ticklabels([label if labels else "" for _, label in ticks])
    if labels:
        which.set_label_text(axis.title)


def _rule(axes: Axes, rule: Rule) -> None:
    if rule.along == "y":
        axes.axhline(rule.value, color=INK, linewidth=0.6, linestyle=(0, (5, 3)))
        at, where = (1.0, rule.value), axes.get_yaxis_transform()
        shift, side = (-2, -2), "right"
    else:
        axes.axvline(rule.value, color=QUIET, linewidth=0.6, linestyle=(0, (2, 2)))
        at, where = (rule.value, 1.0), axes.get_xaxis_transform()
        low, high = axes.get_xlim()
        room = (rule.value - low) / (high - low) < 0.75
        shift, side = ((3, -1) if room else (-3, -1)), ("left" if room else "right")
    if rule.label:
        axes.annotate(
            rule.label,
            at,
            xycoords=where,
            xytext=shift,
            textcoords="offset points",
            ha=side,
            va="top",
        )


def _series(axes: Axes, series: Series) -> Any:
    kind = series.kind % len(COLOURS)
    colour = COLOURS[kind]
    if series.band:
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.16, linewidth=0)
    elif series.low:
        axes.vlines(series.x, series.low, series.high, color=colour, linewidth=0.9)
    if series.left:
        axes.hlines(series.y, series.left, series.right, color=colour, linewidth=0.9)
    (line,) = axes.plot(
        series.x,
        series.y,
        color=colour,
        linewidth=1.0,
        linestyle=DASHES[kind] if series.joined else "none",
        marker=SHAPES[kind] if series.label else "none",
        markersize=3.6,
        markeredgecolor="white",
        markeredgewidth=0.4,
        markevery=None if series.marked else max(1, len(series.x) // MARKERS),
    )
    return line


def _answer(axes: Axes, answer: Answer) -> None:
    colour = COLOURS[answer.kind % len(COLOURS)]
    y = answer.lane
    axes.vlines(answer.x, y, answer.y, color=colour, linewidth=0.7, linestyle=(0, (1.5, 2)))
    ends = [end for end in (answer.left, answer.right) if end is not None]
    left, right = min([*ends, answer.x]), max([*ends, answer.x])
    axes.hlines(y, left, right, color=colour, linewidth=0.9)
    axes.plot(ends, [y] * len(ends), "|", color=colour, markersize=4, markeredgewidth=0.9)
    axes.plot([answer.x], [y], "o", color="white", markeredgecolor=colour, markersize=3.6)
    room = right < axes.get_xlim()[1] * 0.55
    axes.annotate(
        answer.label,
        (right if room else left, y),
        xytext=(4 if room else -4, 0),
        textcoords="offset points",
        ha="left" if room else "right",
        va="center",
        weight="bold",
    )


def _legend(figure: Figure, entries: Sequence[tuple[Any, str]]) -> None:
    figure.legend(
        [sample for sample, _ in entries],
        [label for _, label in entries],
        loc="outside upper left",
        ncols=min(3, len(entries)),
        frameon=False,
        handlelength=2.6,
        borderaxespad=0.2,
    )
