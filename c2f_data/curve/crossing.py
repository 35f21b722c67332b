"""Where a curve falls below its threshold, read off measured points.

The definition (Huo et al. 2019, section 2): lower the resolution step by step; the resolution at
which the accuracy drops below the threshold is the answer. On a grid that answer is off by up to a
grid step, so a crossing carries the bracket (the last point at or above the threshold, the first
one below it) and an interval for the resolution at which the population's accuracy crosses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from c2f_data.curve.margins import CONFIDENCE, Criterion, Right, paired_margin
from c2f_data.predictions import Predictions

# A crossing this close to the highest resolution the network can see says as much about the
# network's input as about the images.
CAP_MARGIN = 0.10


class Outcome(StrEnum):
    """How a threshold and a curve met, going down from native resolution."""

    CROSSED = "crossed"
    NEVER_BELOW = "never below"
    BELOW_AT_NATIVE = "below at native resolution"
    BELOW_AT_START = "below at start"
    NOT_MONOTONE = "not monotone"

    @property
    def has_answer(self) -> bool:
        """Whether there is a resolution at which the level is lost."""
        return self not in (Outcome.NEVER_BELOW, Outcome.BELOW_AT_NATIVE)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a level's accuracy falls below its threshold.

    Attributes:
        level: whose accuracy fell.
        next_level: the coarser level that the resolution is for.
        outcome: how curve and threshold met.
        threshold: the accuracy asked for, in (0, 1), as an absolute value; with ``relative``
            this is ``factor`` times the accuracy at native resolution.
        factor: what the user asked for, in (0, 1).
        relative: the threshold was given as a share of the accuracy at native resolution.
        resolution: the answer in pixels, first grid point below the threshold; None without one.
        upper: the grid point above it, where the accuracy was still at or above the threshold;
            None where it was not, as can happen for an answer at the start.
        interval_low, interval_high: between them the population's accuracy crosses, with
            ``confidence``; None where that side stays open.
        limited_by_input: the answer lies within 10 % of the highest resolution that the
            network's input can show.
        largest_threshold: with no answer at native resolution, the largest threshold (a multiple
            of 0.01) that the native accuracy would meet.
        confidence: of the interval.
        images_evaluated: answers that the search asked for, over all resolutions.
    """

    level: str
    next_level: str
    outcome: Outcome
    threshold: float
    factor: float
    relative: bool
    resolution: int | None
    upper: int | None
    interval_low: int | None
    interval_high: int | None
    limited_by_input: bool
    largest_threshold: float | None
    confidence: float = CONFIDENCE
    images_evaluated: int = 0

    @property
    def bracket(self) -> tuple[int | None, int | None]:
        """(resolution, upper): below the threshold, and the last point that was not."""
        return self.resolution, self.upper

    @property
    def interval(self) -> tuple[int | None, int | None]:
        """(low, high) in pixels; None where that side stays open."""
        return self.interval_low, self.interval_high


@dataclass(frozen=True)
class Measured:
    """One resolution, measured on all images.

    Attributes:
        right: (n,) whether each image's answer was right; the same images in the same order at
            every resolution.
    """

    resolution: int
    right: Right


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a curve besides its threshold.

    Attributes:
        level, next_level: whose accuracy it is, and the level that the answer is for.
        start: resolution in pixels to go on from (the finer level's answer); None: from the top.
        cap: highest resolution in pixels that the network's input can show; None: not known.
    """

    level: str = ""
    next_level: str = ""
    start: int | None = None
    cap: int | None = None


def locate_crossing(
    predictions: Sequence[Predictions],
    level: str,
    next_level: str,
    factor: float,
    *,
    relative: bool,
    start: int | None,
    cap: int,
    balanced: bool = False,
    confidence: float = CONFIDENCE,
) -> Crossing:
    """Read a level's crossing off predictions at every measured resolution.

    Args:
        predictions: native first, then descending, of the same images.
        level, next_level: whose accuracy is read, and the level that the answer is for.
        factor: threshold in (0, 1), absolute, or a share of native accuracy if ``relative``.
        start, cap: see :class:`Question`.
        balanced: accuracy is the mean of the classes' accuracies.
    """
    points = [Measured(p.resolution, p.correct(level)) for p in predictions]
    criterion = Criterion(
        factor,
        native=points[0].right if relative else None,
        classes=predictions[0].classes(level) if balanced else None,
        confidence=confidence,
    )
    return read_crossing(points, criterion, Question(level, next_level, start, cap))


def read_crossing(
    points: Sequence[Measured],
    criterion: Criterion,
    question: Question,
    *,
    images_evaluated: int | None = None,
) -> Crossing:
    """Read a crossing off fully measured points, from the top down.

    Where a search left points out, the neighbours of the answer must be there; what lies between
    others is taken to be on their side.

    Args:
        points: highest resolution first; the first one is native.
        images_evaluated: what finding them cost; None: all of these points.
    """
    accuracy = [criterion.accuracy(point.right) for point in points]
    margins = [criterion.margin(point.right) for point in points]
    first = start_position([point.resolution for point in points], question.start)
    answer = next((i for i in range(first, len(points)) if accuracy[i] < criterion.threshold), None)
    outcome = _outcome(answer, first, points, margins, question)
    resolution = points[answer].resolution if answer is not None and outcome.has_answer else None
    upper = answer - 1 if answer and resolution is not None else None
    low, high = (None, None) if resolution is None else _interval(points, criterion, answer or 0)
    cap = question.cap
    return Crossing(
        level=question.level,
        next_level=question.next_level,
        outcome=outcome,
        threshold=criterion.threshold,
        factor=criterion.factor,
        relative=criterion.native is not None,
        resolution=resolution,
        upper=points[upper].resolution
        if upper is not None and accuracy[upper] >= criterion.threshold
        else None,
        interval_low=low,
        interval_high=high,
        limited_by_input=cap is not None
        and resolution is not None
        and resolution >= (1 - CAP_MARGIN) * cap,
        largest_threshold=largest_threshold(accuracy[0])
        if outcome is Outcome.BELOW_AT_NATIVE
        else None,
        confidence=criterion.confidence,
        images_evaluated=sum(p.right.size for p in points)
        if images_evaluated is None
        else images_evaluated,
    )


def start_position(resolutions: Sequence[int], start: int | None) -> int:
    """Position of the first resolution at or below ``start``, never the native one."""
    if start is None:
        return 0
    return next(i for i, r in enumerate(resolutions) if i > 0 and r <= start)


def _outcome(
    answer: int | None,
    first: int,
    points: Sequence[Measured],
    margins: Sequence[tuple[float, float]],
    question: Question,
) -> Outcome:
    if answer is None:
        return Outcome.NEVER_BELOW
    if answer == 0:
        return Outcome.BELOW_AT_NATIVE
    if answer == first and question.start is not None:
        return Outcome.BELOW_AT_START
    if any(_rises(points, margins, answer, later) for later in range(answer + 1, len(points))):
        return Outcome.NOT_MONOTONE
    return Outcome.CROSSED


def _rises(
    points: Sequence[Measured], margins: Sequence[tuple[float, float]], answer: int, later: int
) -> bool:
    """Accuracy comes back over the threshold at a lower resolution, beyond chance.

    Just below a crossing the points scatter about the threshold; only a rise that a paired test
    on the same images confirms, to a point surely above the threshold, is a violation.
    """
    low, _ = paired_margin(points[later].right, points[answer].right, 1.0)
    return margins[later][0] > 0 and low > 0


def _interval(
    points: Sequence[Measured], criterion: Criterion, answer: int
) -> tuple[int | None, int | None]:
    """(low, high): the ends of the interval, outwards from the answer; None: that side is open."""

    def end(outwards: Sequence[int], *, below: bool) -> int | None:
        found = interval_end(
            outwards,
            sure=lambda i: criterion.surely(points[i].right, below=below),
            very_sure=lambda i: criterion.strict.surely(points[i].right, below=below),
        )
        return None if found is None else points[found].resolution

    low = end(range(answer, len(points)), below=True)
    return low, end(range(answer - 1, -1, -1), below=False)


def interval_end(
    outwards: Sequence[int],
    sure: Callable[[int], bool],
    very_sure: Callable[[int], bool],
    confirms: Callable[[int], bool] | None = None,
) -> int | None:
    """Where one side of the interval ends: the nearest point that is surely on its side.

    An end is wrong where a point on the wrong side of the true crossing is taken for sure. Each
    point has half of what the confidence leaves for that; accuracy moves away from the threshold
    on either side, so the point next to the crossing has nearly all of the risk. But accuracy may
    also stay at the threshold over several points, and then any of them may seem sure by luck, the
    bracket's own most of all, as it was chosen for lying on that side. So a point counts only if
    it is sure at a higher confidence, or if the next one outwards is sure, too.

    Args:
        outwards: positions of the points on one side, the bracket's own first.
        sure: whether a point is surely on that side; asked for no more points than needed.
        very_sure: the same at a higher confidence (:attr:`Criterion.strict`).
        confirms: the same as ``sure`` of a next one outwards, for a search that need not measure
            it whole.
    """
    confirms = confirms or sure
    for place, i in enumerate(outwards):
        if sure(i) and (i == outwards[-1] or very_sure(i) or confirms(outwards[place + 1])):
            return i
    return None


def largest_threshold(accuracy: float) -> float | None:
    """The largest multiple of 0.01 that an accuracy meets; None where that is 0."""
    largest = int(np.floor(accuracy * 100 + 1e-9)) / 100
    return largest if largest > 0 else None
