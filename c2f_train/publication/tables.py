"""Which tables a report has, as values: the same numbers as on the page and in report.json.

Those that have the paper's figures beside ours are here; the others are by what they tabulate.
"""

from __future__ import annotations

from c2f_train.evaluation.matrix import Estimate
from c2f_train.publication.calibration_tables import (
    answers_table,
    confused_table,
    curve_table,
    lost_table,
)
from c2f_train.publication.evaluation_tables import (
    matrix_table,
    measures_table,
    paths_table,
    roll_up_table,
)
from c2f_train.publication.run_tables import (
    ablations_table,
    differences_table,
    runs_table,
    stopping_table,
    training_table,
)
from c2f_train.publication.table import Cell, Column, Table
from c2f_train.report import RunReport
from c2f_train.report.paper import CITATION
from c2f_train.report.tables import AccuracyCell

PAPER = f"Rows of source paper are those of {CITATION}: context, not measured by c2f."


def tables(report: RunReport) -> tuple[Table, ...]:
    """All tables of a report, in its order."""
    found = []
    if report.calibration is not None:
        found += [answers_table(report.calibration), curve_table(report.calibration)]
    if report.failures is not None and report.failures.levels:
        found += [lost_table(report.failures), confused_table(report.failures)]
    found += [accuracy_table(report), images_table(report), classes_table(report)]
    for evaluation in report.evaluations:
        found += [matrix_table(evaluation), measures_table(evaluation), roll_up_table(evaluation)]
        found += [paths_table(evaluation)] if evaluation.paths else []
    if report.comparison is not None:
        found += [runs_table(report.comparison), differences_table(report.comparison)]
    if report.ablations:
        found.append(ablations_table(report.ablations))
    found += [stopping_table(run) for run in report.stopping]
    found += [training_table(run) for run in report.runs if run.epochs]
    return tuple(table for table in found if table.rows)


def accuracy_table(report: RunReport) -> Table:
    """Accuracy of each level at its own resolution: our runs, then the paper's Table 3."""
    rows = [
        (row.system, row.source, row.dataset or report.dataset, *map(_estimate, reversed(cells)))
        for row in report.accuracy
        if len(cells := row.cells) == len(report.levels)
    ]
    return Table(
        "accuracy",
        "Test accuracy of each level at its own resolution, ours with 95 % Wilson interval. "
        + PAPER,
        (
            Column("system", "System"),
            Column("source", "source"),
            Column("dataset", "data set"),
            *(
                Column(level.name, level.name, "share", ranged=True)
                for level in reversed(report.levels)
            ),
        ),
        tuple(rows),
    )


def _estimate(cell: AccuracyCell | None) -> Cell:
    if cell is None or cell.low is None or cell.high is None:
        return None if cell is None else cell.accuracy
    return Estimate(cell.accuracy, cell.low, cell.high)


def images_table(report: RunReport) -> Table:
    """Training and test images, as in the paper's Table 1."""
    rows = [
        (row.label, row.source, row.counts[-1], row.train, row.test) for row in report.hierarchy
    ]
    return Table(
        "images",
        "Classes of the finest level and images. " + PAPER,
        (
            Column("dataset", "Data set"),
            Column("source", "source"),
            Column("classes", "classes", "count"),
            Column("train", "training", "count"),
            Column("test", "test", "count"),
        ),
        tuple(rows),
    )


def classes_table(report: RunReport) -> Table:
    """Classes a level, as in the paper's Table 2."""
    rows = [
        (row.label, row.source, *reversed(row.counts), row.remark or None)
        for row in report.hierarchy
        if len(row.counts) == len(report.levels)
    ]
    return Table(
        "hierarchy",
        "Classes at each level. " + PAPER,
        (
            Column("dataset", "Data set"),
            Column("source", "source"),
            *(Column(level.name, level.name, "count") for level in reversed(report.levels)),
            Column("remark", "remark"),
        ),
        tuple(rows),
    )
