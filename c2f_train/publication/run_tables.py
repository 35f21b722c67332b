"""Tables of runs: beside each other, and each by itself (its epochs, when it stops)."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_train.publication.table import Cell, Column, Table
from c2f_train.report.ablations import Ablation
from c2f_train.report.comparison import Difference, RunComparison
from c2f_train.report.stopping import RunStopping
from c2f_train.results import RunResult


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
