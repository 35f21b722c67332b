"""A calibration's tables: its answers, its curve, what is lost first and taken for what."""

from __future__ import annotations

from c2f_data.calibration import CalibrationResult
from c2f_train.evaluation.matrix import Estimate
from c2f_train.publication.table import Cell, Column, Table
from c2f_train.report.failures import Failures
from c2f_train.report.figures import asked
from c2f_train.report.tables import curve_rows


def answers_table(calibration: CalibrationResult) -> Table:
    """Every crossing, the floor last."""
    rows: list[tuple[Cell, ...]] = [
        (
            c.level,
            c.next_level or None,
            c.threshold,
            c.outcome.value,
            c.resolution,
            c.upper,
            c.interval_low,
            c.interval_high,
            c.confidence,
        )
        for c in asked(calibration)
    ]
    return Table(
        "answers",
        f"Resolutions (shorter side in px) at which a level is no longer told, measured on "
        f"{calibration.protocol.n:,} images; the interval covers the crossing with the given "
        "confidence, a dash leaves it open.",
        (
            Column("level", "Level"),
            Column("next_level", "Next level"),
            Column("threshold", "threshold", "share"),
            Column("outcome", "outcome"),
            Column("resolution", "r", "count"),
            Column("upper", "last above", "count"),
            Column("interval_low", "from", "count"),
            Column("interval_high", "to", "count"),
            Column("confidence", "confidence", "share"),
        ),
        tuple(rows),
    )


def curve_table(calibration: CalibrationResult) -> Table:
    """Accuracy at every resolution that was measured on all images."""
    curves = calibration.curves
    rows: list[tuple[Cell, ...]] = []
    for row in curve_rows(curves):
        cells = [
            None if cell is None else Estimate(cell.accuracy, cell.low, cell.high)
            for cell in reversed(row.cells)
        ]
        rows.append((row.resolution, "yes" if row.native else "no", row.reduced, *cells))
    return Table(
        "curve",
        f"Accuracy against resolution (shorter side in px) on {calibration.protocol.n:,} images, "
        "with 95 % intervals; reduced: images that were larger.",
        (
            Column("resolution", "r", "count"),
            Column("native", "native"),
            Column("reduced", "reduced", "count"),
            *(Column(c.level, c.level, "share", ranged=True) for c in reversed(curves)),
        ),
        tuple(rows),
    )


def lost_table(failures: Failures) -> Table:
    """The classes of every level, the first lost first."""
    rows = [
        (
            level.level,
            one.name,
            one.parent,
            one.resolution,
            "yes" if one.at_native else "no",
            one.n,
            one.seen_at,
            one.correct,
            Estimate(one.correct / one.n, one.low, one.high),
        )
        for level in failures.levels
        for one in level.classes
    ]
    return Table(
        "classes",
        "Classes, the first lost first: the resolution (px) from which down the accuracy stays "
        "below the threshold, and what was counted there, with 95 % Wilson interval.",
        (
            Column("level", "Level"),
            Column("class", "Class"),
            Column("parent", "Parent"),
            Column("lost_at", "lost at", "count"),
            Column("below_at_native", "at native"),
            Column("n", "n", "count"),
            Column("seen_at", "seen at", "count"),
            Column("correct", "right", "count"),
            Column("accuracy", "accuracy", "share", ranged=True),
        ),
        tuple(rows),
    )


def confused_table(failures: Failures) -> Table:
    """Pairs whose confusion grows beyond chance."""
    rows = [
        (
            level.level,
            pair.true,
            pair.predicted,
            "yes" if pair.siblings else "no",
            pair.native,
            level.confused_at,
            pair.reduced,
            pair.n,
            pair.p_adjusted,
        )
        for level in failures.levels
        for pair in level.confused
    ]
    return Table(
        "confused",
        "Pairs of classes whose confusion grows from the native images to the reduced ones beyond "
        "chance; p adjusted by Benjamini and Hochberg.",
        (
            Column("level", "Level"),
            Column("class", "Class"),
            Column("taken_for", "Taken for"),
            Column("same_parent", "same parent"),
            Column("native", "native", "count"),
            Column("resolution", "r", "count"),
            Column("reduced", "at r", "count"),
            Column("n", "n", "count"),
            Column("p", "p", "number"),
        ),
        tuple(rows),
    )
