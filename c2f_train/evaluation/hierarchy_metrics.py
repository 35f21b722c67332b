"""How wrong answers are in a hierarchy: paths, heights of common ancestors, sets of ancestors.

Pure functions of class ids; no network. A level's classes are nodes of a tree with one unnamed
root above the coarsest level. Levels are numbered from 0, the coarsest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2f_data.taxonomy import Taxonomy

Ids = NDArray[np.int64]


def ancestry(taxonomy: Taxonomy, level: int) -> Ids:
    """(classes of the level, level + 1) ids of each class and its ancestors, coarse to fine."""
    _, first = np.unique(taxonomy.codes[:, level], return_index=True)
    return np.asarray(taxonomy.codes[first, : level + 1], np.int64)


def ancestor_heights(taxonomy: Taxonomy, level: int, true: Ids, predicted: Ids) -> Ids:
    """Heights of the lowest common ancestors of true and predicted classes of one level.

    0: the same class; 1: the same parent; level + 1: nothing but the root in common.

    Args:
        true: (n,) class ids.
        predicted: (n,) class ids, or (n, k) for k answers an image.

    Returns:
        The shape of ``predicted``.
    """
    paths = ancestry(taxonomy, level)
    own = paths[true].reshape(len(true), *(1,) * (predicted.ndim - 1), level + 1)
    # In a tree two paths agree down to some level and nowhere below it.
    return np.asarray((own != paths[predicted]).sum(axis=-1), np.int64)


def mistake_severity(heights: Ids) -> float | None:
    """Mean height of the lowest common ancestor over wrong answers; None: no answer is wrong.

    Bertinetto et al. 2020 (CVPR, "Making better mistakes"), section 3, where it is the
    hierarchical distance of a mistake.

    Args:
        heights: (n,) of the first answers, see :func:`ancestor_heights`.
    """
    wrong = heights[heights > 0]
    return float(wrong.mean()) if wrong.size else None


def distance_of_top(heights: Ids) -> float:
    """Mean height over all images and their k best answers, right ones (height 0) among them.

    "Average hierarchical distance of top-k" of Bertinetto et al. 2020.

    Args:
        heights: (n, k) or, for the best answer alone, (n,).
    """
    return float(heights.mean())


def consistent(taxonomy: Taxonomy, predicted: Ids) -> NDArray[np.bool_]:
    """(n,) whether the answers of all levels are one path of the hierarchy.

    The inconsistent-path ratio is the share of images without one: some level's answer is not the
    parent of the next finer level's answer. It needs no true labels. (Metric of that name in
    Intel's Geti for hierarchical labels.)

    Args:
        predicted: (n, levels) class ids, coarse to fine.
    """
    good = np.ones(len(predicted), np.bool_)
    for level in range(1, len(taxonomy.levels)):
        parents = ancestry(taxonomy, level)[:, level - 1]
        good &= parents[predicted[:, level]] == predicted[:, level - 1]
    return good


def full_path(true: Ids, predicted: Ids) -> NDArray[np.bool_]:
    """(n,) whether every level's answer is right. Args: (n, levels) class ids each."""
    return np.asarray((true == predicted).all(axis=1))


@dataclass(frozen=True, slots=True)
class SetScores:
    """Hierarchical precision, recall and F1, in [0, 1]."""

    precision: float
    recall: float
    f1: float


def set_scores(taxonomy: Taxonomy, true: Ids, predicted: Ids) -> SetScores:
    """Precision and recall of sets of classes: each answer counts with all its ancestors.

    ``hP = sum |P & T| / sum |P|`` and ``hR = sum |P & T| / sum |T|`` over the images, with T the
    classes on the true path and P the answers of all levels and their ancestors; F1 is their
    harmonic mean. Kiritchenko et al. 2005; Silla and Freitas 2011 (Data Mining and Knowledge
    Discovery 22:31, section 5.2). Answers on one path give P as many classes as T, so that the
    three are equal; answers that contradict each other make P larger and precision smaller.

    Args:
        true, predicted: (n, levels) class ids, coarse to fine.
    """
    levels = len(taxonomy.levels)
    paths = [ancestry(taxonomy, level)[predicted[:, level]] for level in range(levels)]
    common = size = 0
    for level in range(levels):
        named = np.sort(np.stack([path[:, level] for path in paths[level:]], axis=1), axis=1)
        size += len(named) + int((np.diff(named, axis=1) != 0).sum())
        common += int((named == true[:, level, None]).any(axis=1).sum())
    precision, recall = common / size, common / true.size
    both = precision + recall
    return SetScores(precision, recall, 2 * precision * recall / both if both else 0.0)


def macro_precision(true: Ids, predicted: Ids) -> float:
    """Mean over classes of the share of right ones among the images that were given the class.

    Over the classes that occur in truth or answers; one that is never answered has precision 0.

    Args:
        true, predicted: (n,) class ids.
    """
    count = int(max(true.max(), predicted.max())) + 1
    given = np.bincount(predicted, minlength=count)
    right = np.bincount(predicted[true == predicted], minlength=count)
    there = (given > 0) | (np.bincount(true, minlength=count) > 0)
    return float((right[there] / np.maximum(given[there], 1)).mean())


def weighted_precision(taxonomy: Taxonomy, true: Ids, predicted: Ids) -> float:
    """Macro precision of each level, weighted by the level's share of all classes.

    (Weighted hierarchical precision in Intel's Geti.) Args: (n, levels) class ids each.
    """
    counts = np.array([taxonomy.count(level) for level in taxonomy.levels], np.float64)
    each = [macro_precision(true[:, i], predicted[:, i]) for i in range(len(counts))]
    return float(counts @ np.array(each) / counts.sum())
