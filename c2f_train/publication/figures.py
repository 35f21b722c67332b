"""Which figures a report has, as values: the same numbers as on the page and in report.json."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import AccuracyPoint, CalibrationCurve, Crossing
from c2f_data.curve.logistic import LogisticFit
from c2f_train.report import RunReport
from c2f_train.report.charts import shown_together
from c2f_train.report.comparison import Difference, RunComparison
from c2f_train.report.figures import asked
from c2f_train.report.plot import (
    Answer,
    Axis,
    Panel,
    Plot,
    Rule,
    Series,
    pixel_axis,
    share_axis,
)
from c2f_train.report.stopping import stopping_plot
from c2f_train.report.training_plots import runs_plot, training_plot
from c2f_train.report.wording import FLOOR, percent_short, suffix

RESOLUTION = "shorter side (px)"
# A fit is drawn by this many points: it is no measurement.
FIT_STEPS = 60
# Room under the curves for each answer, as a share of accuracy.
LANE = 0.1


def figures(report: RunReport) -> tuple[Plot, ...]:
    """All figures of a report, in its order."""
    found = []
    if report.calibration is not None:
        found.append(accuracy_plot(report.calibration, report.fits))
    found += [training_plot(run) for run in report.runs if run.epochs]
    together = runs_plot(shown_together(report))
    found += [together] if together is not None else []
    if report.comparison is not None and _known(report.comparison):
        found.append(differences_plot(report.comparison))
    found += [stopping_plot(run) for run in report.stopping]
    return tuple(found)


def accuracy_plot(calibration: CalibrationResult, fits: Sequence[LogisticFit | None] = ()) -> Plot:
    """Accuracy against resolution: a curve a level, its fit, thresholds, crossings.

    Args:
        fits: one a curve, in the curves' order; None where there is none.
    """
    curves = list(reversed(calibration.curves))
    resolutions = [float(p.resolution) for curve in curves for p in curve.points]
    if len(set(resolutions)) == 1:
        resolutions += calibration.grid
    axis = pixel_axis(RESOLUTION, resolutions)
    crossings = asked(calibration)
    names = [curve.level for curve in curves]
    drawn = [_curve(kind, curve) for kind, curve in enumerate(curves)]
    lines = [_fit(kind, fit) for kind, fit in enumerate(reversed(fits)) if fit is not None]
    n = calibration.protocol.n
    return Plot(
        name="accuracy",
        caption=f"Accuracy against resolution on {n:,} images, with 95 % intervals; dotted lines "
        "lead to the answers; the bars there are their intervals.",
        panels=(
            Panel(
                axis,
                share_axis("accuracy", LANE * sum(c.resolution is not None for c in crossings)),
                (*lines, *drawn),
                tuple(
                    Rule("y", value, percent_short(value))
                    for value in sorted({c.threshold for c in crossings})
                ),
                tuple(_answers(crossings, names, calibration, axis)),
            ),
        ),
    )


def differences_plot(comparison: RunComparison) -> Plot:
    """Differences between the main run and the others with their intervals, a row each."""
    rows = _known(comparison)
    main = comparison.runs[0].label
    levels = list(dict.fromkeys(row.level for row in rows))
    heights = {id(row): float(len(rows) - i) for i, row in enumerate(rows)}
    ends = [abs(100 * v) for row in rows for v in _ends(row)]
    reach = max(1.0, 1.1 * max(ends))
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50) if reach / s <= 4)
    ticks = [k * step for k in range(-4, 5) if abs(k * step) <= reach]
    series = []
    for kind, level in enumerate(levels):
        own = [row for row in rows if row.level == level]
        values = [row.difference for row in own if row.difference is not None]
        series.append(
            Series(
                label=level,
                kind=kind,
                x=tuple(100 * v.value for v in values),
                y=tuple(heights[id(row)] for row in own),
                left=tuple(100 * v.low for v in values),
                right=tuple(100 * v.high for v in values),
                joined=False,
            )
        )
    return Plot(
        name="differences",
        caption=f"Accuracy of run {main} minus that of each other run, in percentage points, with "
        "95 % intervals.",
        panels=(
            Panel(
                Axis(
                    f"{main} better by (percentage points)",
                    -reach,
                    reach,
                    tuple((v, f"{v:g}") for v in ticks),
                ),
                Axis(
                    "",
                    0.4,
                    len(rows) + 0.6,
                    tuple((heights[id(row)], row.second) for row in reversed(rows)),
                ),
                tuple(series),
                (Rule("x", 0.0),),
                height=max(0.35, 0.12 * len(rows)),
            ),
        ),
    )


def _known(comparison: RunComparison) -> list[Difference]:
    return [row for row in comparison.differences if row.difference is not None]


def _ends(row: Difference) -> tuple[float, float]:
    assert row.difference is not None
    return row.difference.low, row.difference.high


def _curve(kind: int, curve: CalibrationCurve) -> Series:
    def each(value: str) -> tuple[float, ...]:
        return tuple(float(getattr(point, value)) for point in curve.points)

    return Series(
        label=curve.level,
        kind=kind,
        x=each("resolution"),
        y=each("accuracy"),
        low=each("low"),
        high=each("high"),
        band=True,
    )


def _fit(kind: int, fit: LogisticFit) -> Series:
    ratio = fit.highest / fit.lowest
    x = tuple(fit.lowest * ratio ** (i / FIT_STEPS) for i in range(FIT_STEPS + 1))
    return Series("", kind, x, tuple(fit.accuracy(v) for v in x), marked=False)


def _answers(
    crossings: Sequence[Crossing], names: Sequence[str], calibration: CalibrationResult, axis: Axis
) -> list[Answer]:
    levels = [level.name for level in calibration.levels]
    known = [c for c in crossings if c.resolution is not None]
    found = []
    for row, crossing in enumerate(known):
        assert crossing.resolution is not None
        name = suffix(levels, crossing.next_level) if crossing.next_level else FLOOR
        ends = [
            None if end is None else min(max(float(end), axis.low), axis.high)
            for end in crossing.interval
        ]
        found.append(
            Answer(
                label=f"{name}: {crossing.resolution:,} px",
                kind=names.index(crossing.level),
                x=float(crossing.resolution),
                y=_at(calibration.curve(crossing.level), crossing.resolution).accuracy,
                left=ends[0],
                right=ends[1],
                lane=-LANE * (row + 0.5),
            )
        )
    return found


def _at(curve: CalibrationCurve, resolution: int) -> AccuracyPoint:
    """The curve's point at an answer; a reduced one before the native."""
    return min((p for p in curve.points if p.resolution == resolution), key=lambda p: p.native)
