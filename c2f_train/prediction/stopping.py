"""How deep an answer goes: down the most probable children while they are probable enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2f_data.calibration import LevelResolution
from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation.hierarchy_metrics import ancestry
from c2f_train.prediction.pool import Ids, Scores


@dataclass(frozen=True, slots=True)
class Descent:
    """The most probable child of the most probable child ..., whether it is to be named or not.

    Attributes:
        classes: (n, depth) class ids, coarse to fine: always one path of the hierarchy.
        confidence: (n, depth) their probabilities, never rising from coarse to fine.
    """

    classes: Ids
    confidence: Scores

    def depth(self, threshold: float) -> Ids:
        """(n,) how many levels are named: down to the deepest that clears the threshold."""
        return np.asarray((self.confidence >= threshold).sum(axis=1), np.int64)

    def right(self, true: Ids) -> Ids:
        """(n,) how many levels of the descent are right. Args: true: (n, levels) class ids."""
        agree = self.classes == true[:, : self.classes.shape[1]]
        # On a path nothing is right below something wrong.
        return np.asarray(agree.sum(axis=1), np.int64)


def descend(taxonomy: Taxonomy, nodes: Sequence[Scores]) -> Descent:
    """The descent for each image. Of equally probable children the first is taken.

    A higher threshold stops on the same descent, only earlier: the rule is monotone in it.

    Args:
        nodes: (n, K_level) probabilities of a level's nodes each, coarse to fine.
    """
    here = nodes[0].argmax(axis=1)
    classes, confidence = [here], [nodes[0].max(axis=1)]
    for level in range(1, len(nodes)):
        parents = ancestry(taxonomy, level)[:, level - 1]
        below = np.where(parents[None] == here[:, None], nodes[level], -1.0)
        here = below.argmax(axis=1)
        classes.append(here)
        confidence.append(below.max(axis=1))
    return Descent(np.stack(classes, axis=1), np.stack(confidence, axis=1))


def allowed_level(levels: Sequence[LevelResolution], usable: int) -> int:
    """Position of the finest level that the calibration allows at a resolution.

    A level may be named down to the resolution of the next coarser level: the finest from r_med
    upwards, the next from r_low upwards. The coarsest may always be named.

    Args:
        levels: with their resolutions, coarse to fine; a level without one limits nothing.
        usable: shorter side in pixels of what is to be seen in the image.
    """
    finest = 0
    for level in range(1, len(levels)):
        needed = levels[level - 1].resolution
        if needed is not None and usable < needed:
            break
        finest = level
    return finest


def ranked(shares: NDArray[np.float64], count: int) -> Ids:
    """Ids of the ``count`` most probable of (K,) classes, best first; of equal ones the first."""
    return np.asarray(np.argsort(-shares, kind="stable")[:count], np.int64)
