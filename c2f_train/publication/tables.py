"""Which tables a report has, as values: the same numbers as on the page and in report.json."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.calibration import CalibrationResult
from c2f_train.evaluation import EvaluationResult
from c2f_train.evaluation.matrix import Estimate
from c2f_train.publication.table import Cell, Column, Table
from c2f_train.report import RunReport
from c2f_train.report.ablations import Ablation
from c2f_train.report.comparison import Difference, RunComparison
from c2f_train.report.failures import Failures
from c2f_train.report.figures import asked
from c2f_train.report.paper import CITATION
from c2f_train.report.stopping import RunStopping
from c2f_train.report.tables import AccuracyCell, curve_rows, matrix_rows
from c2f_train.results import RunResult

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


def matrix_table(evaluation: EvaluationResult) -> Table:
    """Top-1 accuracy of every classifier at every resolution."""
    rows = [
        (row.classifier, *(None if cell is None else cell.top1 for cell in row.cells))
        for row in matrix_rows(evaluation)
    ]
    return Table(
        f"matrix-{evaluation.run}",
        f"Run {evaluation.run}: top-1 accuracy of every classifier at every resolution on "
        f"{evaluation.n:,} {evaluation.split} images, with 95 % Wilson intervals.",
        (
            Column("classifier", "Classifier"),
            *(
                Column(
                    f"at_{each.name}",
                    "native" if each.native else f"{each.resolution} px",
                    "share",
                    ranged=True,
                )
                for each in reversed(evaluation.levels)
            ),
        ),
        tuple(rows),
    )


def measures_table(evaluation: EvaluationResult) -> Table:
    """Every cell of the matrix in all its measures."""
    rows = [
        (
            s.level,
            s.answers,
            s.images,
            s.resolution,
            s.top1,
            s.top5,
            s.balanced,
            s.ece,
            s.severity,
            s.distance1,
            s.distance5,
        )
        for s in evaluation.scores
    ]
    return Table(
        f"measures-{evaluation.run}",
        f"Run {evaluation.run} on {evaluation.n:,} {evaluation.split} images: every classifier at "
        "every resolution, with 95 % intervals; ECE: expected calibration error; severity: mean "
        "height of the lowest common ancestor over wrong answers; distance: over all images.",
        (
            Column("level", "Level"),
            Column("answers", "answers"),
            Column("images", "images of"),
            Column("resolution", "r", "count"),
            Column("top1", "top-1", "share", ranged=True),
            Column("top5", "top-5", "share", ranged=True),
            Column("balanced", "balanced", "share", ranged=True),
            Column("ece", "ECE", "share"),
            Column("severity", "severity", "number"),
            Column("distance1", "distance, best", "number"),
            Column("distance5", "distance, five best", "number"),
        ),
        tuple(rows),
    )


def roll_up_table(evaluation: EvaluationResult) -> Table:
    """Each level's own classifier against the rolled-up answers."""
    rows = [
        (
            r.level,
            r.images,
            r.resolution,
            r.difference,
            r.test.only_first,
            r.test.only_second,
            r.test.method,
            r.test.p,
            r.p_holm,
        )
        for r in evaluation.roll_ups
    ]
    return Table(
        f"roll-up-{evaluation.run}",
        f"Run {evaluation.run}: accuracy of each level's own classifier minus that of the answers "
        "rolled up from the finest one, with paired 95 % interval; McNemar's test, p corrected for "
        f"{len(rows)} tests (Holm).",
        (
            Column("level", "Level"),
            Column("images", "images of"),
            Column("resolution", "r", "count"),
            Column("difference", "difference", "points", ranged=True),
            Column("only_own", "only own", "count"),
            Column("only_rolled_up", "only rolled up", "count"),
            Column("method", "test"),
            Column("p", "p", "number"),
            Column("p_holm", "p (Holm)", "number"),
        ),
        tuple(rows),
    )


def paths_table(evaluation: EvaluationResult) -> Table:
    """All levels' answers to an image together."""
    rows = [
        (
            p.images or "each level's own",
            p.answers,
            p.leaf,
            p.full_path,
            p.inconsistent,
            p.precision,
            p.recall,
            p.f1,
            p.weighted_precision,
        )
        for p in evaluation.paths
    ]
    return Table(
        f"paths-{evaluation.run}",
        f"Run {evaluation.run} on {evaluation.n:,} {evaluation.split} images: all levels' answers "
        "to an image together, with 95 % Wilson intervals; precision, recall and F1 count every "
        "answer with its ancestors.",
        (
            Column("images", "Images of"),
            Column("answers", "answers"),
            Column("leaf", evaluation.levels[-1].name, "share", ranged=True),
            Column("full_path", "full path", "share", ranged=True),
            Column("inconsistent", "inconsistent", "share", ranged=True),
            Column("precision", "precision", "share"),
            Column("recall", "recall", "share"),
            Column("f1", "F1", "share"),
            Column("weighted_precision", "weighted", "share"),
        ),
        tuple(rows),
    )


def runs_table(comparison: RunComparison) -> Table:
    """The compared runs' accuracies."""
    rows = [
        (run.label, run.result.dataset, c.level, c.answers, c.resolution, c.n, c.accuracy)
        for run in comparison.runs
        for c in reversed(run.levels)
    ]
    return Table(
        "runs",
        "Runs compared: test accuracy of each level at its own resolution (px), with 95 % Wilson "
        "interval.",
        (
            Column("run", "Run"),
            Column("dataset", "data set"),
            Column("level", "level"),
            Column("answers", "answers"),
            Column("resolution", "r", "count"),
            Column("n", "n", "count"),
            Column("accuracy", "accuracy", "share", ranged=True),
        ),
        tuple(rows),
    )


_TESTED = (
    Column("difference", "difference", "points", ranged=True),
    Column("only_first", "only first", "count"),
    Column("only_second", "only second", "count"),
    Column("method", "test"),
    Column("p", "p", "number"),
    Column("p_holm", "p (Holm)", "number"),
    Column("verdict", "verdict"),
)


def _tested(row: Difference) -> tuple[Cell, ...]:
    verdict = {True: "beyond chance", False: "within chance", None: row.reason}[row.beyond_chance]
    if row.test is None:
        return (row.difference, None, None, None, None, None, verdict)
    test = row.test
    return (
        row.difference,
        test.only_first,
        test.only_second,
        test.method,
        test.p,
        row.p_holm,
        verdict,
    )


def differences_table(comparison: RunComparison) -> Table:
    """The main run minus each other one."""
    rows = [(row.level, row.first, row.second, *_tested(row)) for row in comparison.differences]
    return Table(
        "differences",
        "Accuracy of the first run minus that of the second, with 95 % interval; McNemar's test on "
        f"the same images, p corrected for {comparison.tests} tests (Holm).",
        (Column("level", "Level"), Column("first", "First"), Column("second", "Second"), *_TESTED),
        tuple(rows),
    )


def ablations_table(found: Sequence[Ablation]) -> Table:
    """What the parts of MLPH are worth, ours beside the paper's."""
    datasets = [one.dataset for one in found[0].paper]
    rows = []
    for one in found:
        own = _tested(one.row) if one.row is not None else (None,) * len(_TESTED)
        runs = (one.row.first, one.row.second) if one.row is not None else (None, None)
        settings = ", ".join(one.settings) or None
        rows.append((one.part, *runs, *own, settings, *(p.points / 100 for p in one.paper)))
    return Table(
        "ablations",
        "What the parts are worth at the finest level: accuracy with the part minus that without "
        "it, with paired 95 % interval, and the same difference in the paper's Table 3.",
        (
            Column("part", "Part"),
            Column("with", "With"),
            Column("without", "Without"),
            *_TESTED,
            Column("other_settings", "other settings"),
            *(Column(f"paper_{name}", f"paper, {name}", "points") for name in datasets),
        ),
        tuple(rows),
    )


def training_table(run: RunResult) -> Table:
    """Every epoch of a run."""
    levels = [
        each.name for each in reversed(run.levels) if any(each.name in e.loss for e in run.epochs)
    ]
    rows = [
        (
            e.stage,
            e.epoch,
            e.learning_rate,
            *(v for name in levels for v in (e.loss.get(name), e.accuracy.get(name))),
            e.seconds,
        )
        for e in run.epochs
    ]
    return Table(
        f"training-{run.name}",
        f"Training of run {run.name}: loss (mean cross-entropy in nats) and accuracy on the "
        "training images as they went by.",
        (
            Column("stage", "Stage", "count"),
            Column("epoch", "epoch", "count"),
            Column("learning_rate", "rate", "number"),
            *(
                column
                for name in levels
                for column in (
                    Column(f"loss_{name}", f"{name} loss", "number"),
                    Column(f"accuracy_{name}", f"{name} accuracy", "share"),
                )
            ),
            Column("seconds", "time (s)", "number"),
        ),
        tuple(rows),
    )


def stopping_table(stopping: RunStopping) -> Table:
    """Risk and coverage at every confidence."""
    rows = [
        (
            curve.name,
            p.threshold,
            curve.n,
            p.answered,
            p.wrong,
            p.risk,
            *(dict(enumerate(p.named)).get(i) for i in range(len(stopping.levels))),
        )
        for curve in stopping.curves
        for p in curve.points
    ]
    return Table(
        f"risk-coverage-{stopping.run}",
        f"Run {stopping.run}: answers and wrong ones at each confidence asked for, on held-out "
        "images, with 95 % Wilson interval; images whose answer reaches each level.",
        (
            Column("images", "Images"),
            Column("confidence", "confidence", "number"),
            Column("n", "n", "count"),
            Column("answered", "answered", "count"),
            Column("wrong", "wrong", "count"),
            Column("risk", "wrong answers", "share", ranged=True),
            *(Column(f"named_{name}", name, "count") for name in stopping.levels),
        ),
        tuple(rows),
    )
