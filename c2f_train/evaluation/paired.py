"""Two answers to the same images: the difference of their accuracies, and whether it is chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from c2f_data.calibration import LevelResolution
from c2f_data.curve import paired_margin
from c2f_train.evaluation.answers import Answers
from c2f_train.evaluation.matrix import Estimate

# With fewer discordant images the chi-square distribution is a poor approximation.
EXACT_BELOW = 25

Method = Literal["exact binomial", "chi-square"]


@dataclass(frozen=True, slots=True)
class McNemar:
    """A test of McNemar (1947, Psychometrika 12:153).

    Attributes:
        only_first, only_second: images that one of the two alone names rightly.
        method: ``exact binomial`` below 25 such images, else ``chi-square`` with continuity
            correction (Edwards 1948, Psychometrika 13:185).
        p: two-sided probability of so uneven a split, or a more uneven one, by chance.
    """

    only_first: int
    only_second: int
    method: Method
    p: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's test. Args: (n,) whether each of the two was right, image by image."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    if discordant < EXACT_BELOW:
        p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
        return McNemar(only_first, only_second, "exact binomial", p)
    # An even split stays even under the correction.
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / discordant
    return McNemar(only_first, only_second, "chi-square", float(chi2.sf(statistic, 1)))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """p values corrected for their number (Holm 1979, Scandinavian J. of Statistics 6:65).

    The smallest is multiplied by their number, the next by one less, and so on; none becomes
    smaller than one before it, nor larger than 1.
    """
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    raised = np.minimum(np.maximum.accumulate(np.asarray(p, float)[order] * factors), 1.0)
    corrected = np.empty(len(p))
    corrected[order] = raised
    return tuple(corrected.tolist())


def difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Estimate:
    """Accuracy of the first minus that of the second on the same images, paired 95 % interval."""
    # A factor of 1: the difference itself.
    low, high = paired_margin(first, second, 1.0)
    return Estimate(float(first.mean() - second.mean()), max(low, -1.0), min(high, 1.0))


@dataclass(frozen=True, slots=True)
class RollUp:
    """A level's own classifier against the finest one's rolled-up answers, on the same images.

    Attributes:
        images: the level whose resolution the images have.
        difference: accuracy of the own classifier minus that of the rolled-up answers.
        test: McNemar's; ``only_first`` counts the images that the own classifier alone names
            rightly.
        p_holm: its p after Holm's correction for all rows of one evaluation.
    """

    level: str
    images: str
    resolution: int | None
    native: bool
    difference: Estimate
    test: McNemar
    p_holm: float


def roll_ups(levels: Sequence[LevelResolution], answers: Sequence[Answers]) -> tuple[RollUp, ...]:
    """Every coarser level at every resolution, fine to coarse; empty without both kinds.

    Args:
        levels: of the images, coarse to fine.
        answers: at each level's resolution, coarse to fine.
    """
    rows = []
    for level in reversed(levels[:-1]):
        for shown, given in zip(reversed(levels), reversed(answers), strict=True):
            own, rolled = given.column(level.name, "own"), given.column(level.name, "rolled-up")
            if own is None or rolled is None:
                continue
            test = mcnemar(own.right, rolled.right)
            rows.append(
                RollUp(
                    level.name,
                    shown.name,
                    shown.resolution,
                    shown.native,
                    difference(own.right, rolled.right),
                    test,
                    test.p,
                )
            )
    corrected = holm([row.test.p for row in rows])
    return tuple(replace(row, p_holm=p) for row, p in zip(rows, corrected, strict=True))
