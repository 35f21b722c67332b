"""From kept answers to figures: the matrix of levels and resolutions, and whole paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from c2f_data.calibration import LevelResolution
from c2f_data.confidence import expected_calibration_error
from c2f_data.curve import Criterion, wilson
from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation.answers import TOP, Answers, Column, Source
from c2f_train.evaluation.hierarchy_metrics import (
    ancestor_heights,
    consistent,
    distance_of_top,
    full_path,
    mistake_severity,
    set_scores,
    weighted_precision,
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure in [0, 1] (a difference: in [-1, 1]) with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassifierScore:
    """One cell of the matrix: one level's answers to images of one resolution.

    Attributes:
        level: whose classes were named.
        answers: ``own`` classifier, or ``rolled-up`` from the finest classifier's probabilities.
        images: the level whose resolution the images have.
        resolution: of the images: shorter side in pixels; for native images their median.
        top1: share of right answers (Wilson interval).
        top5: share of images whose class is among the five best answers (Wilson interval); None:
            the level has five classes or fewer.
        balanced: mean of the classes' shares of right answers (Wilson interval of an effective
            number of images, see :mod:`c2f_data.curve.margins`).
        ece: expected calibration error of the confidences as the network gives them.
        severity: mean height of the lowest common ancestor of true and named class over the wrong
            answers: 1 where both have one parent; None: no wrong answer.
        distance1: the same over all images, right answers counting 0.
        distance5: the same over the five best answers of all images; None as ``top5``.
    """

    level: str
    answers: Source
    images: str
    resolution: int | None
    native: bool
    top1: Estimate
    top5: Estimate | None
    balanced: Estimate
    ece: float
    severity: float | None
    distance1: float
    distance5: float | None


@dataclass(frozen=True, slots=True)
class PathScore:
    """The answers of all levels to the same images, taken together.

    Attributes:
        images: the level whose resolution the images have; None: each level's classifier saw
            images of its own level's resolution.
        answers: see :class:`ClassifierScore`; ``rolled-up``: all levels from the finest classifier.
        leaf: share of images whose finest level is right (Wilson intervals here and below).
        full_path: share of images with every level right.
        inconsistent: share of images whose answers are no path of the hierarchy.
        precision, recall, f1: hierarchical, over sets of classes with their ancestors.
        weighted_precision: macro precision of the levels, weighted by their numbers of classes.
    """

    images: str | None
    answers: Source
    leaf: Estimate
    full_path: Estimate
    inconsistent: Estimate
    precision: float
    recall: float
    f1: float
    weighted_precision: float


def share(those: NDArray[np.bool_]) -> Estimate:
    """Share of True with its Wilson interval."""
    low, high = wilson(int(those.sum()), those.size)
    return Estimate(float(those.mean()), low, high)


def matrix(
    taxonomy: Taxonomy, levels: Sequence[LevelResolution], answers: Sequence[Answers]
) -> tuple[ClassifierScore, ...]:
    """Every classifier at every resolution, fine to coarse; own classifiers before rolled-up.

    Args:
        levels: of the images, coarse to fine.
        answers: at each level's resolution, coarse to fine.
    """
    found = []
    for source in get_args(Source):
        for level in reversed(taxonomy.levels):
            for shown, given in zip(reversed(levels), reversed(answers), strict=True):
                column = given.column(level, source)
                if column is not None:
                    found.append(_score(taxonomy, level, source, shown, column))
    return tuple(found)


def _score(
    taxonomy: Taxonomy, level: str, source: Source, images: LevelResolution, column: Column
) -> ClassifierScore:
    true, right = column.true, column.right
    heights = ancestor_heights(taxonomy, taxonomy.level_index(level), true, column.top)
    many = taxonomy.count(level) > TOP
    criterion = Criterion(0.5, classes=true)
    return ClassifierScore(
        level=level,
        answers=source,
        images=images.name,
        resolution=images.resolution,
        native=images.native,
        top1=share(right),
        top5=share((heights == 0).any(axis=1)) if many else None,
        balanced=Estimate(criterion.accuracy(right), *criterion.interval(right)),
        ece=expected_calibration_error(column.confidence, right),
        severity=mistake_severity(heights[:, 0]),
        distance1=distance_of_top(heights[:, 0]),
        distance5=distance_of_top(heights) if many else None,
    )


def paths(
    taxonomy: Taxonomy, levels: Sequence[LevelResolution], answers: Sequence[Answers]
) -> tuple[PathScore, ...]:
    """Path metrics: own resolutions, then each resolution; own classifiers before rolled-up.

    Without an own classifier of every level there are rolled-up rows alone.
    """
    own = [
        given.column(level, "own") for level, given in zip(taxonomy.levels, answers, strict=True)
    ]
    found = [_path(taxonomy, None, "own", own)]
    for source in get_args(Source):
        for shown, given in zip(reversed(levels), reversed(answers), strict=True):
            columns = [given.column(level, source) for level in taxonomy.levels[:-1]]
            columns.append(given.column(taxonomy.finest, "own"))
            found.append(_path(taxonomy, shown.name, source, columns))
    return tuple(row for row in found if row is not None)


def _path(
    taxonomy: Taxonomy, images: str | None, source: Source, columns: Sequence[Column | None]
) -> PathScore | None:
    there = [column for column in columns if column is not None]
    if len(there) < len(columns):
        return None
    true = np.stack([column.true for column in there], axis=1)
    predicted = np.stack([column.predicted for column in there], axis=1)
    sets = set_scores(taxonomy, true, predicted)
    return PathScore(
        images=images,
        answers=source,
        leaf=share(there[-1].right),
        full_path=share(full_path(true, predicted)),
        inconsistent=share(~consistent(taxonomy, predicted)),
        precision=sets.precision,
        recall=sets.recall,
        f1=sets.f1,
        weighted_precision=weighted_precision(taxonomy, true, predicted),
    )
