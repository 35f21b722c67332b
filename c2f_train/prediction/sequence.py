"""Frames of one object that comes nearer: one answer, refined as pixels are gained.

Assumption: all frames show the same object, and it is in the hierarchy. The frame with the most
usable pixels so far counts fully, every other one counts kappa of a frame:

    log p(c) = log p_best(c) + kappa_n sum over the others of log p_f(ancestor of c) - log Z

kappa = 1 were right for frames that err independently (naive Bayes). Those of one object in one
light and pose do not, so their evidence is tempered, by a power of the likelihood (Grünwald 2012,
ALT, "The safe Bayesian"). kappa is found by maximum likelihood, between 0 and 1, on held-out
images, each reduced to every measured resolution: frames that share everything but their pixels,
the most dependent there are. With n others, more than the fit had, all of them together never count
for more than they did there: kappa_n = kappa min(1, others in the fit / n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize_scalar

from c2f_data.taxonomy import Taxonomy
from c2f_train.prediction.pool import Ids, Scores, pool, spread


@dataclass
class Frames:
    """What the frames so far say, in memory that does not grow with their number.

    Attributes:
        kappa: what a frame counts beside the best. others: frames beside the best in the fit.
    """

    taxonomy: Taxonomy
    kappa: float
    others: int
    _sums: dict[int, Scores] = field(default_factory=dict)
    _count: int = 0
    _best: tuple[int, int, Scores] | None = None

    def add(self, usable: int, allowed: int, classes: Scores) -> bool:
        """Take one frame in.

        Args:
            usable: its usable resolution in pixels.
            allowed: finest level that it may name.
            classes: (1, K_allowed) its own probabilities.

        Returns:
            Whether it is the best so far; of equal ones the latest is.
        """
        scores = np.log(np.maximum(classes, 1e-300))
        self._sums[allowed] = self._sums.get(allowed, np.zeros_like(scores)) + scores
        self._count += 1
        better = self._best is None or usable >= self._best[0]
        if better:
            self._best = (usable, allowed, scores)
        return better

    def fused(self) -> Scores:
        """(1, K) probabilities of the classes of the level that the best frame may name."""
        assert self._best is not None
        _, allowed, best = self._best
        kappa = self.kappa * min(1.0, self.others / max(1, self._count - 1))
        # No frame may name a finer level than the best.
        sums = [
            spread(self.taxonomy, level, allowed, scores)
            for level, scores in self._sums.items()
            if level <= allowed
        ]
        return pool([best, *sums], [1 - kappa, *(kappa for _ in sums)])


def fuse(
    taxonomy: Taxonomy, allowed: Sequence[int], frames: Sequence[Scores], kappa: float
) -> Scores:
    """The same for many sequences of equal make at once; the first frame is the best.

    Args:
        allowed: of each frame, its finest level.
        frames: (n, K_allowed) probabilities each.
    """
    scores = [np.log(np.maximum(each, 1e-300)) for each in frames]
    others = [
        spread(taxonomy, level, allowed[0], each)
        for level, each in zip(allowed[1:], scores[1:], strict=True)
    ]
    return pool([scores[0], *others], [1.0, *(kappa for _ in others)])


def fit_kappa(
    taxonomy: Taxonomy, allowed: Sequence[int], frames: Sequence[Scores], true: Ids
) -> float:
    """kappa of maximum likelihood, to four decimals. Args: true: (n,) at the best's level."""

    def loss(kappa: float) -> float:
        own = fuse(taxonomy, allowed, frames, kappa)[np.arange(true.size), true]
        return float(-np.log(np.maximum(own, 1e-300)).mean())

    found = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-5})
    # The search stays inside; the ends are as good as anything.
    best = min((0.0, float(found.x), 1.0), key=loss)
    return round(best, 4)
