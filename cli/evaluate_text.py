"""What ``c2f evaluate`` says: plain tables on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from c2f_data.sources.request import annotated

if TYPE_CHECKING:
    from c2f_train.evaluation import ClassifierScore, Comparison, Estimate, EvaluationResult
    from c2f_train.evaluation.matrix import PathScore

# A file or a pipe has no width that could be too small.
PLAIN_WIDTH = 200
NONE = "-"


def print_evaluation(result: EvaluationResult) -> None:
    """The matrix, the classifiers one by one, the paths."""
    _say(
        f"Run {shown(result.run)}: {result.n:,} {result.split} images of {shown(result.dataset)}, "
        "accuracies in % with 95 % intervals"
    )
    columns = list(reversed(result.levels))
    heads = [f"native ({c.resolution} px)" if c.native else f"{c.resolution} px" for c in columns]
    _table(
        "Top-1 accuracy of every classifier at every resolution (*: the level's own)",
        ("classifier", *heads),
        matrix_rows(result),
    )
    _table(
        "Each classifier at its level's own resolution",
        ("classifier", "top-1", "top-5", "balanced", "ECE", "severity", "dist@1", "dist@5"),
        [_detail(score) for score in result.scores if score.images == score.level],
    )
    if result.roll_ups:
        _table(
            "Own classifier minus rolled-up answers on the same images (McNemar's test; Holm: "
            f"corrected for {len(result.roll_ups)} tests)",
            ("level", "images", "difference", "only own", "only rolled up", "p", "p (Holm)"),
            [
                (
                    shown(row.level),
                    "native" if row.native else f"{row.resolution} px",
                    _estimate(row.difference, sign="+"),
                    f"{row.test.only_first:,}",
                    f"{row.test.only_second:,}",
                    _p(row.test.p),
                    _p(row.p_holm),
                )
                for row in result.roll_ups
            ],
        )
    if result.paths:
        _table(
            "All levels' answers to an image together",
            (
                "images",
                "answers",
                "leaf",
                "full path",
                "inconsistent",
                "precision",
                "recall",
                "F1",
                "weighted",
            ),
            [_path(row, result) for row in result.paths],
        )


def matrix_rows(result: EvaluationResult) -> list[tuple[str, ...]]:
    """A row a classifier, a cell a resolution, fine to coarse."""
    rows = []
    for level, answers in dict.fromkeys((s.level, s.answers) for s in result.scores):
        cells = [result.score(level, images.name, answers) for images in reversed(result.levels)]
        marks = ["*" if cell and cell.images == level else "" for cell in cells]
        texts = [_estimate(cell.top1) if cell else NONE for cell in cells]
        name = shown(level) + (
            "" if answers == "own" else f", from {shown(result.levels[-1].name)}"
        )
        rows.append((name, *(text + mark for text, mark in zip(texts, marks, strict=True))))
    return rows


def print_comparisons(comparisons: Sequence[Comparison]) -> None:
    """A row a level and pair of runs."""
    _table(
        "Runs compared on the same images (McNemar's test; Holm: corrected for "
        f"{len(comparisons)} tests)",
        ("level", "runs", "difference", "only first", "only second", "test", "p", "p (Holm)"),
        [
            (
                shown(row.level),
                " - ".join(_sides(row)),
                _estimate(row.difference, sign="+"),
                f"{row.test.only_first:,}",
                f"{row.test.only_second:,}",
                row.test.method,
                _p(row.test.p),
                _p(row.p_holm),
            )
            for row in comparisons
        ],
    )
    if any(annotated(row.first_crop) != annotated(row.second_crop) for row in comparisons):
        _say("With bounding boxes or part locations, a run saw a part of each of these images.")


def shown(name: str) -> str:
    """A name from a file without what could command a terminal."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _sides(row: Comparison) -> tuple[str, str]:
    """The two runs, with what they saw where that was not the same."""
    first, second = row.first_resolution, row.second_resolution
    at = ("", "") if first == second else (f", {first} px", f", {second} px")
    return (
        _named(row.first + at[0], row.first_answers, row.first_crop),
        _named(row.second + at[1], row.second_answers, row.second_crop),
    )


def _named(run: str, answers: str, crop: str | None) -> str:
    name = shown(run) + annotated(crop)
    return name if answers == "own" else f"{name} ({answers})"


def _detail(score: ClassifierScore) -> tuple[str, ...]:
    name = shown(score.level) + ("" if score.answers == "own" else ", rolled up")
    severity = NONE if score.severity is None else f"{score.severity:.2f}"
    far = NONE if score.distance5 is None else f"{score.distance5:.3f}"
    five = NONE if score.top5 is None else _estimate(score.top5)
    top1, balanced = _estimate(score.top1), _estimate(score.balanced)
    ece = f"{100 * score.ece:.1f}"
    return name, top1, five, balanced, ece, severity, f"{score.distance1:.3f}", far


def _path(row: PathScore, result: EvaluationResult) -> tuple[str, ...]:
    images = next((level for level in result.levels if level.name == row.images), None)
    where = "each level's" if images is None else f"{images.resolution} px"
    if images is not None and images.native:
        where = "native"
    shares = (_estimate(row.leaf), _estimate(row.full_path), _estimate(row.inconsistent))
    others = (row.precision, row.recall, row.f1, row.weighted_precision)
    return where, row.answers, *shares, *(f"{100 * value:.1f}" for value in others)


def _estimate(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (
        f"{100 * part:{sign}.1f}" for part in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.0001 else "< 0.0001"


def _say(text: str) -> None:
    import click

    click.echo(text)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    # The console is made here, so that it writes to what stdout is now.
    rich = RichConsole(highlight=False)
    if not rich.is_terminal:
        rich.width = PLAIN_WIDTH
    _say(f"\n{title}")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(Text(head))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    rich.print(table)
