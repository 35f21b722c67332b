"""The report's tables: hierarchy counts and accuracies, ours first, then the paper's; curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from c2f_data.curve import AccuracyPoint, CalibrationCurve
from c2f_data.sources.request import NEEDED, annotated
from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation import ClassifierScore, EvaluationResult
from c2f_train.report import paper
from c2f_train.report.wording import MODEL_NAMES, THREE
from c2f_train.results import LevelAccuracy, RunResult


@dataclass(frozen=True, slots=True)
class HierarchyRow:
    """Sizes of one data set.

    Attributes:
        source: ``c2f`` for the data set at hand, ``paper`` for a row of its Table 2.
        train, test: number of images; None where not known.
        counts: classes per level, coarse to fine.
        remark: what to know about the counts; may be empty.
    """

    label: str
    source: Literal["c2f", "paper"]
    train: int | None
    test: int | None
    counts: tuple[int, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class AccuracyCell:
    """One accuracy.

    Attributes:
        accuracy: in [0, 1].
        low, high: Wilson interval, 95 %; None where the source gives none.
        n: images; None where the source gives none.
        resolution: shorter side of the images in pixels; None where not known.
        native: the images were not reduced.
    """

    accuracy: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    resolution: int | None = None
    native: bool = False


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """A system's accuracy at each level.

    Attributes:
        system: its name.
        source: ``c2f`` (a run), ``chance`` (always naming the most frequent class of the main
            run's test images) or ``paper`` (Table 3).
        dataset: full name of the data set for a paper's row; empty for ours.
        cells: coarse to fine; None where there is no figure.
    """

    system: str
    source: Literal["c2f", "chance", "paper"]
    dataset: str
    cells: tuple[AccuracyCell | None, ...]


@dataclass(frozen=True, slots=True)
class CurveRow:
    """What the levels' classifiers reached at one resolution.

    Attributes:
        resolution: shorter side in pixels; nominal where ``native``.
        reduced: images that were larger.
        cells: one a level, in the order of the curves; None where a level was not measured on all
            images there.
    """

    resolution: int
    native: bool
    reduced: int
    cells: tuple[AccuracyPoint | None, ...]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One classifier at every resolution of an evaluation.

    Attributes:
        classifier: its level; of the finest one's probabilities rolled up, both levels.
        cells: one a resolution, fine to coarse; None where there is no answer.
    """

    classifier: str
    cells: tuple[ClassifierScore | None, ...]


def matrix_rows(evaluation: EvaluationResult) -> list[MatrixRow]:
    """A row a classifier, fine to coarse; own classifiers before what is rolled up."""
    finest = evaluation.levels[-1].name
    rows = []
    for level, answers in dict.fromkeys((s.level, s.answers) for s in evaluation.scores):
        cells = tuple(
            evaluation.score(level, images.name, answers) for images in reversed(evaluation.levels)
        )
        rows.append(MatrixRow(level if answers == "own" else f"{level}, from {finest}", cells))
    return rows


def curve_rows(curves: Sequence[CalibrationCurve]) -> list[CurveRow]:
    """A row for every resolution that any level has, native first, then descending."""
    by_level = [{(p.native, p.resolution): p for p in curve.points} for curve in curves]
    places = {place for points in by_level for place in points}
    rows = []
    for native, resolution in sorted(places, reverse=True):
        cells = tuple(points.get((native, resolution)) for points in by_level)
        reduced = next(cell.reduced for cell in cells if cell is not None)
        rows.append(CurveRow(resolution, native, reduced, cells))
    return rows


def comparable(dataset: str, taxonomy: Taxonomy) -> bool:
    """Whether the paper has figures for this data set and number of levels."""
    return dataset in paper.DATASETS and len(taxonomy.levels) == len(THREE)


def hierarchy_rows(
    dataset: str, taxonomy: Taxonomy, train: int | None, test: int | None
) -> tuple[HierarchyRow, ...]:
    """This data set's row, then the paper's: its own, or both where the data set is another."""
    counts = tuple(taxonomy.count(level) for level in taxonomy.levels)
    ours = HierarchyRow(dataset, "c2f", train, test, counts)
    keys = [dataset] if comparable(dataset, taxonomy) else list(paper.DATASETS)
    theirs = [
        HierarchyRow(known.name, "paper", known.train, known.test, known.counts, known.remark)
        for known in (paper.DATASETS[key] for key in keys)
    ]
    return (ours, *theirs)


def accuracy_rows(
    dataset: str, taxonomy: Taxonomy, runs: Sequence[RunResult]
) -> tuple[AccuracyRow, ...]:
    """A row a run and the main run's chance level, then the paper's rows."""
    rows = [_run_row(run, taxonomy.levels) for run in runs]
    if runs:
        by_level = {entry.level: AccuracyCell(entry.chance, n=entry.n) for entry in runs[0].test}
        cells = tuple(by_level.get(level) for level in taxonomy.levels)
        rows.append(AccuracyRow("Most frequent class", "chance", "", cells))
    keys = [dataset] if comparable(dataset, taxonomy) else list(paper.DATASETS)
    return (*rows, *(row for key in keys for row in _paper_rows(key)))


def _run_row(run: RunResult, levels: Sequence[str]) -> AccuracyRow:
    by_level = {entry.level: _cell(entry) for entry in run.test}
    name = f"{MODEL_NAMES[run.config.model]}{annotated(run.crop)}, run “{run.name}”"
    return AccuracyRow(name, "c2f", "", tuple(by_level.get(level) for level in levels))


def _cell(entry: LevelAccuracy) -> AccuracyCell:
    return AccuracyCell(
        entry.accuracy, entry.low, entry.high, entry.n, entry.resolution, entry.native
    )


def _paper_rows(key: str) -> list[AccuracyRow]:
    rows = []
    for known in paper.SYSTEMS:
        values = known.accuracy[key]
        if any(value is not None for value in values):
            cells = tuple(None if v is None else AccuracyCell(v / 100) for v in values)
            rows.append(AccuracyRow(known.system, "paper", paper.DATASETS[key].name, cells))
    return rows


def differences(dataset: str, taxonomy: Taxonomy, run: RunResult) -> tuple[str, ...]:
    """In what a run differs from the paper's setting, as far as c2f can know it."""
    known, config = paper.DATASETS[dataset], run.config
    found = []
    if config.backbone != paper.BACKBONE:
        found.append(f"backbone {config.backbone} instead of VGG-16")
    if config.weights == "none":
        found.append("random initial weights instead of ImageNet weights")
    if config.input_size != paper.INPUT_SIZE:
        found.append(f"input of {config.input_size} px instead of {paper.INPUT_SIZE} px")
    if run.crop in NEEDED:
        found.append(f"images cut with {NEEDED[run.crop]} instead of whole ones")
    if run.test and run.test[-1].n != known.test:
        found.append(f"{run.test[-1].n:,} test images instead of {known.test:,}")
    counts = tuple(taxonomy.count(level) for level in taxonomy.levels)
    for level, ours, theirs in zip(taxonomy.levels, counts, known.counts, strict=True):
        if ours != theirs:
            found.append(f"{ours:,} classes at level {level} instead of {theirs:,}")
    return tuple(found)
