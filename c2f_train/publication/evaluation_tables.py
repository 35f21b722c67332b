"""An evaluation's tables: one run, every classifier at every resolution."""

from __future__ import annotations

from c2f_train.evaluation import EvaluationResult
from c2f_train.publication.table import Column, Table
from c2f_train.report.tables import matrix_rows


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
