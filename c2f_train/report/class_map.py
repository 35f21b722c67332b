"""Every class of the hierarchy at every kept resolution: right, taken for a sibling, elsewhere.

Counts of images, read off the predictions that a calibration keeps. The page draws the hierarchy
from them at whatever resolution its reader asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2f_data.calibration import CalibrationResult
from c2f_data.curve.comparable import check_predictions, parents
from c2f_data.errors import C2FError
from c2f_data.predictions import Predictions
from c2f_data.stored import read_stored
from c2f_data.taxonomy import Taxonomy

# Of the pairs of siblings that are taken for each other, the most frequent ones of each resolution
# are kept; and no more classes than a page of 2 MB holds at thirty resolutions.
MOST_PAIRS = 1000
MOST_CLASSES = 8000

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Taken:
    """Images of one class that were named as another one with the same parent.

    Attributes:
        true, predicted: class ids at the level.
        images: how many.
    """

    true: int
    predicted: int
    images: int


@dataclass(frozen=True, slots=True)
class LevelMap:
    """One level's classes. A class id is a position; resolutions are those of the map.

    Attributes:
        level: its name.
        names: of its classes.
        parents: class id at the next coarser level of each class; empty at the coarsest.
        images: measured images of each class, the same ones at every resolution; may be 0.
        correct: (classes, resolutions) images whose class at this level was named rightly.
        siblings: (classes, resolutions) images that were named as another class of the same
            parent; at the coarsest level every other class is a sibling.
        taken: one tuple a resolution: the most frequent pairs of siblings, most images first.
    """

    level: str
    names: tuple[str, ...]
    parents: tuple[int, ...]
    images: tuple[int, ...]
    correct: tuple[tuple[int, ...], ...]
    siblings: tuple[tuple[int, ...], ...]
    taken: tuple[tuple[Taken, ...], ...]


@dataclass(frozen=True, slots=True)
class ClassMap:
    """The hierarchy with every class's counts.

    Attributes:
        resolutions: shorter side in pixels, native first (nominal there), then descending.
        levels: coarse to fine.
        left_out: levels at the fine end with too many classes to be drawn, coarse to fine.
    """

    resolutions: tuple[int, ...]
    levels: tuple[LevelMap, ...]
    left_out: tuple[str, ...] = ()


def read_kept(
    calibration: CalibrationResult, folder: Path, taxonomy: Taxonomy
) -> tuple[Predictions, ...]:
    """The predictions that a calibration keeps, native first, then descending.

    Empty where they are absent, damaged, stale or of classes outside the hierarchy.

    Args:
        folder: of the data set's calibrations.
        taxonomy: the data set's hierarchy as it is now.
    """
    if calibration.taxonomy_fingerprint != taxonomy.fingerprint:
        return ()
    try:
        found = read_stored(calibration, folder)
        check_predictions(found, taxonomy)
    except C2FError:
        return ()
    return found


def class_map(predictions: Sequence[Predictions], taxonomy: Taxonomy) -> ClassMap:
    """Count, for every class of every level, what its images were named.

    Args:
        predictions: native first, then descending, of the same images in the same order.

    Raises:
        ConfigError: the predictions don't go together.
        ArtefactError: they are of another hierarchy.
    """
    check_predictions(predictions, taxonomy)
    totals = np.cumsum([taxonomy.count(level) for level in taxonomy.levels])
    kept = max(1, int(np.searchsorted(totals, MOST_CLASSES, side="right")))
    return ClassMap(
        resolutions=tuple(int(p.resolution) for p in predictions),
        levels=tuple(_level(predictions, taxonomy, level) for level in taxonomy.levels[:kept]),
        left_out=taxonomy.levels[kept:],
    )


def _level(predictions: Sequence[Predictions], taxonomy: Taxonomy, level: str) -> LevelMap:
    column = taxonomy.level_index(level)
    names, above = taxonomy.names[column], parents(taxonomy, level)
    branch = np.zeros(len(names), np.int64) if above is None else above
    true = predictions[0].true[:, column]
    correct, siblings, taken = [], [], []
    for p in predictions:
        named = p.predicted[:, column]
        right = named == true
        sibling = ~right & (branch[named] == branch[true])
        correct.append(np.bincount(true[right], minlength=len(names)))
        siblings.append(np.bincount(true[sibling], minlength=len(names)))
        taken.append(_pairs(true[sibling], named[sibling], len(names)))
    return LevelMap(
        level=level,
        names=names,
        parents=() if above is None else tuple(above.tolist()),
        images=tuple(np.bincount(true, minlength=len(names)).tolist()),
        correct=_rows(correct),
        siblings=_rows(siblings),
        taken=tuple(taken),
    )


def _rows(counts: Sequence[Ids]) -> tuple[tuple[int, ...], ...]:
    """(resolutions, classes) to one tuple a class."""
    return tuple(tuple(row) for row in np.stack(counts, axis=1).tolist())


def _pairs(true: Ids, named: Ids, classes: int) -> tuple[Taken, ...]:
    pairs, images = np.unique(true * classes + named, return_counts=True)
    # Equal counts stay in the hierarchy's order.
    order = np.argsort(-images, kind="stable")[:MOST_PAIRS]
    return tuple(
        Taken(int(pairs[i]) // classes, int(pairs[i]) % classes, int(images[i])) for i in order
    )
