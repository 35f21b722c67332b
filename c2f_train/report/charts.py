"""Charts on the page that the reader only looks at: training, risk against coverage."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from c2f_train.report import svg
from c2f_train.report.plot import Plot
from c2f_train.report.plot_svg import inline
from c2f_train.report.run_report import RunReport
from c2f_train.report.stopping import RunStopping, stopping_plot
from c2f_train.report.training_plots import runs_plot, training_plot
from c2f_train.results import RunResult


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart for the page. ``legend``: (sample, label) of each kind of line."""

    caption: str
    drawing: Markup
    legend: list[tuple[Markup, str]]


def trained_levels(run: RunResult) -> tuple[str, ...]:
    """Levels that the run trained, coarse to fine."""
    trained = {level for epoch in run.epochs for level in epoch.loss}
    return tuple(level.name for level in run.levels if level.name in trained)


def training_figure(run: RunResult) -> Markup:
    """The chart as inline SVG, once for wide columns and once for phones; empty with no epochs."""
    return inline(training_plot(run)) if run.epochs else Markup("")


def training_chart(run: RunResult) -> Chart | None:
    """A run's own; None with no epochs."""
    return _chart(training_plot(run)) if run.epochs else None


def compared_training(report: RunReport) -> Chart | None:
    """The compared runs', else all runs' of the report; None: fewer than two have epochs."""
    plot = runs_plot(shown_together(report))
    return _chart(plot) if plot is not None else None


def stopping_charts(report: RunReport) -> list[tuple[RunStopping, Chart]]:
    """Risk against coverage, one chart a run."""
    return [(run, _chart(stopping_plot(run))) for run in report.stopping]


def shown_together(report: RunReport) -> list[tuple[str, RunResult]]:
    """(label, run) of the runs whose curves stand in one chart."""
    if report.comparison is not None:
        return [(each.label, each.result) for each in report.comparison.runs]
    return [(run.name, run) for run in report.runs]


def _chart(plot: Plot) -> Chart:
    legend = [(svg.swatch(kind), label) for kind, label in plot.legend]
    return Chart(plot.caption, inline(plot), legend)
