"""What can be promised about wrong answers, from images that were held out of training.

The rule has one dial, the threshold: a node is named if its probability is at least that. Asked
for a confidence C, an answer should be wrong at most 1 - C of the time. Whether a threshold keeps
this is tested on held-out images ("learn then test": Angelopoulos, Bates, Candès, Jordan and Lei
2021, arXiv 2110.01052, section 2): of the m images that get an answer, the number of wrong ones is
binomial, so P(Bin(m, 1 - C) <= wrong) is a valid p-value of "it is wrong more often than 1 - C".
Three thresholds are tested: C itself, and half and a quarter of its distance from 1. Holm's
correction keeps the probability that any of them passes wrongly below 5 %. The lowest that passes
is used.

An answer is wrong if its deepest named node is not on the true path. That images without an answer
don't count makes the promise stronger: it is about the answers that a user sees (selective risk;
Geifman and El-Yaniv 2017, NeurIPS, section 2).

It holds for images like the held-out ones, at the resolution they were tested at, and for a C that
was chosen without looking at them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import numpy as np
from scipy.stats import binom

from c2f_data.errors import ConfigError
from c2f_train.evaluation.paired import holm
from c2f_train.prediction.pool import Ids, Scores

CERTAINTY = 0.95
# Candidates: 1 - (1 - C) times each of these.
SHARES = (1.0, 0.5, 0.25)
# Thresholds of the risk-coverage curve.
CURVE = tuple(
    round(float(x), 4) for x in (*np.arange(0, 0.9, 0.05), *np.arange(0.9, 0.995, 0.01), 0.995)
)


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What held-out images say about the answers at a chosen confidence.

    Attributes:
        confidence: C, as it was asked for.
        threshold: what a node's probability has to reach; above C where C itself did not pass.
        risk: 1 - C, the share of wrong answers that is promised not to be exceeded.
        certainty: of the promise.
        holds: whether a threshold passed. If none did, there is no promise.
        n: held-out images of the test; answered: those of them that get an answer.
        wrong: how many of these answers are wrong.
        resolution: shorter side in pixels of these images; their median for native ones.
        images: what they are, in words.
    """

    confidence: float
    threshold: float
    risk: float
    certainty: float
    holds: bool
    n: int
    answered: int
    wrong: int
    resolution: int
    images: str = "held-out images"

    @property
    def statement(self) -> str:
        """In one sentence, for people."""
        seen = f"{self.wrong:,} of {self.answered:,} answers on {self.n:,} {self.images}"
        if self.holds:
            return (
                f"wrong at most {100 * self.risk:g} % of the time, with {100 * self.certainty:g} % "
                f"confidence ({seen} were wrong)"
            )
        needed = fewest_answers(self.risk)
        if self.answered < needed:
            return (
                f"no promise: {self.answered:,} answers are too few for {100 * self.risk:g} %, "
                f"which needs {needed:,} ({self.wrong:,} were wrong; {self.images})"
            )
        return f"no promise of {100 * self.risk:g} %: {seen} were wrong"


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """The stopping rule at one threshold, on held-out images.

    Attributes:
        answered: images that get an answer. wrong: answers that are wrong.
        named: images whose answer reaches a level, coarse to fine.
    """

    threshold: float
    answered: int
    wrong: int
    named: tuple[int, ...]


def check_confidence(confidence: float) -> None:
    """Raises ConfigError: not a probability that a promise can be made about."""
    if not 0 < confidence < 1:
        raise ConfigError(
            f"confidence {confidence:g}", "Give a probability between 0 and 1, for example 0.9."
        )


def fewest_answers(risk: float) -> int:
    """Answers, all of them right, that the test of a risk needs to pass."""
    return ceil(log((1 - CERTAINTY) / len(SHARES)) / log(1 - risk))


def guarantee(
    confidence: Scores, right: Ids, asked: float, resolution: int, images: str = "held-out images"
) -> Guarantee:
    """The lowest threshold at or above ``asked`` that passes, and what it was tested on.

    Args:
        confidence: (n, depth) probabilities along the descent, see
            :class:`c2f_train.prediction.stopping.Descent`.
        right: (n,) how many levels of it are right.
        asked: C, in (0, 1).
        resolution: of the images, in pixels.
        images: what they are, in words.

    Raises:
        ConfigError: C is no probability.
    """
    check_confidence(asked)
    risk = 1 - asked
    thresholds = [asked + risk * (1 - share) for share in SHARES]
    counts = [_counts(confidence, right, threshold) for threshold in thresholds]
    p = holm([float(binom.cdf(wrong, answered, risk)) for answered, wrong in counts])
    passed = [i for i, value in enumerate(p) if value <= 1 - CERTAINTY]
    chosen = passed[0] if passed else 0
    return Guarantee(
        confidence=asked,
        threshold=thresholds[chosen],
        risk=round(risk, 10),
        certainty=CERTAINTY,
        holds=bool(passed),
        n=right.size,
        answered=counts[chosen][0],
        wrong=counts[chosen][1],
        resolution=resolution,
        images=images,
    )


def _counts(confidence: Scores, right: Ids, threshold: float) -> tuple[int, int]:
    """Images that get an answer, and how many of these are wrong."""
    depth = (confidence >= threshold).sum(axis=1)
    return int((depth > 0).sum()), int((depth > right).sum())


def risk_curve(confidence: Scores, right: Ids) -> tuple[RiskPoint, ...]:
    """Risk and coverage of the rule at the thresholds of CURVE, ascending."""
    points = []
    for threshold in CURVE:
        answered, wrong = _counts(confidence, right, threshold)
        named = (confidence >= threshold).sum(axis=0)
        points.append(RiskPoint(threshold, answered, wrong, tuple(int(x) for x in named)))
    return tuple(points)
