"""The statistics of a calibration: accuracy points, curves and crossings. No network here.

The definition (Huo et al. 2019, section 2): lower the resolution step by step; the resolution at
which the accuracy drops below the threshold is the answer. On a grid that answer is off by up to a
grid step, so a crossing carries the bracket (the last point at or above the threshold, the first
one below it), and the range of resolutions that the points' intervals leave possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from c2f_data.predictions import Predictions

CONFIDENCE = 0.95
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
        return self not in (Outcome.NEVER_BELOW, Outcome.BELOW_AT_NATIVE)


@dataclass(frozen=True, slots=True)
class AccuracyPoint:
    """Accuracy at one resolution.

    Attributes:
        resolution: shorter side in pixels.
        native: measured on the untouched images.
        n: images measured.
        correct: images right.
        reduced: images that were larger than ``resolution``, so really reduced.
        low, high: Wilson score interval of the accuracy, 95 %.
    """

    resolution: int
    native: bool
    n: int
    correct: int
    reduced: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        return self.correct / self.n


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Accuracy of one level's classifier down the sweep, highest resolution first."""

    level: str
    points: tuple[AccuracyPoint, ...]

    @property
    def native(self) -> AccuracyPoint:
        return self.points[0]


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
        interval_low, interval_high: the resolutions between which the crossing lies as far as
            the points' 95 % intervals can tell (pointwise); None where that side stays open.
        limited_by_input: the answer lies within 10 % of the highest resolution that the
            network's input can show.
        largest_threshold: with no answer at native resolution, the largest threshold (a multiple
            of 0.01) that the native accuracy would meet.
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


def wilson(correct: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927, JASA 22:209)."""
    interval = binomtest(correct, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def accuracy_point(predictions: Predictions, level: str) -> AccuracyPoint:
    """Count a level's right answers at one resolution."""
    right = predictions.correct(level)
    low, high = wilson(int(right.sum()), right.size)
    return AccuracyPoint(
        resolution=predictions.resolution,
        native=predictions.native,
        n=right.size,
        correct=int(right.sum()),
        reduced=int(predictions.reduced.sum()),
        low=low,
        high=high,
    )


def accuracy_curve(predictions: Sequence[Predictions], level: str) -> CalibrationCurve:
    """A level's curve from the predictions at every resolution, highest first."""
    return CalibrationCurve(level, tuple(accuracy_point(p, level) for p in predictions))


def paired_margin(
    reduced: NDArray[np.bool_],
    native: NDArray[np.bool_],
    factor: float,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of accuracy(r) - factor * accuracy(native) on the same images.

    Both accuracies come from the same n images, so their errors are correlated; the variance is
    that of the per-image difference, with half an image added to each of the four cells of the
    paired table (the adjustment of Agresti & Min 2005, Statistics in Medicine 24:729, which keeps
    the interval from collapsing when all images agree).

    Args:
        reduced: (n,) right at the lower resolution.
        native: (n,) right at native resolution.
        factor: the relative threshold, in (0, 1).
    """
    cells = np.array(
        [
            np.sum(reduced & native),
            np.sum(reduced & ~native),
            np.sum(~reduced & native),
            np.sum(~reduced & ~native),
        ],
        dtype=np.float64,
    )
    values = np.array([1.0 - factor, 1.0, -factor, 0.0])
    weights = (cells + 0.5) / (cells.sum() + 2.0)
    mean = float(weights @ values)
    variance = float(weights @ (values - mean) ** 2) / (cells.sum() + 2.0)
    half = float(norm.ppf(0.5 + confidence / 2)) * variance**0.5
    return mean - half, mean + half


def locate_crossing(
    predictions: Sequence[Predictions],
    level: str,
    next_level: str,
    factor: float,
    *,
    relative: bool,
    start: int | None,
    cap: int,
) -> Crossing:
    """Read a level's crossing off the measured points.

    Args:
        predictions: at every measured resolution, native first, then descending.
        level, next_level: whose accuracy is read, and the level that the answer is for.
        factor: threshold in (0, 1), absolute, or a share of native accuracy if ``relative``.
        start: resolution in pixels to go on from (the finer level's answer); None: from native.
        cap: highest resolution that the network's input can show, in pixels.
    """
    curve = accuracy_curve(predictions, level)
    threshold = factor * curve.native.accuracy if relative else factor
    right = [p.correct(level) for p in predictions]
    margins = [
        paired_margin(c, right[0], factor)
        if relative
        else (point.low - threshold, point.high - threshold)
        for c, point in zip(right, curve.points, strict=True)
    ]
    first = _start_position(curve, start)
    below = [i for i in range(first, len(right)) if curve.points[i].accuracy < threshold]
    answer = below[0] if below else None
    outcome = _outcome(answer, first, start, right, margins)
    low, high = _possible_range(curve, margins, first)
    resolution = (
        curve.points[answer].resolution if answer is not None and outcome.has_answer else None
    )
    upper = curve.points[answer - 1] if answer and resolution is not None else None
    return Crossing(
        level=level,
        next_level=next_level,
        outcome=outcome,
        threshold=threshold,
        factor=factor,
        relative=relative,
        resolution=resolution,
        upper=upper.resolution if upper and upper.accuracy >= threshold else None,
        interval_low=low if resolution is not None else None,
        interval_high=high if resolution is not None else None,
        limited_by_input=resolution is not None and resolution >= (1 - CAP_MARGIN) * cap,
        largest_threshold=_largest(curve) if outcome is Outcome.BELOW_AT_NATIVE else None,
    )


def _start_position(curve: CalibrationCurve, start: int | None) -> int:
    if start is None:
        return 0
    return next(i for i, p in enumerate(curve.points) if not p.native and p.resolution <= start)


def _outcome(
    answer: int | None,
    first: int,
    start: int | None,
    right: Sequence[NDArray[np.bool_]],
    margins: Sequence[tuple[float, float]],
) -> Outcome:
    if answer is None:
        return Outcome.NEVER_BELOW
    if answer == 0:
        return Outcome.BELOW_AT_NATIVE
    if answer == first and start is not None:
        return Outcome.BELOW_AT_START
    if any(_rises(right[answer], right[i], margins[i]) for i in range(answer + 1, len(right))):
        return Outcome.NOT_MONOTONE
    return Outcome.CROSSED


def _rises(
    crossed: NDArray[np.bool_], later: NDArray[np.bool_], margin: tuple[float, float]
) -> bool:
    """Accuracy comes back over the threshold at a lower resolution, beyond chance.

    Just below a crossing the points scatter about the threshold; only a rise that a paired test
    on the same images confirms, to a point surely above the threshold, is a violation.
    """
    low, _ = paired_margin(later, crossed, 1.0)
    return margin[0] > 0 and low > 0


def _possible_range(
    curve: CalibrationCurve, margins: Sequence[tuple[float, float]], first: int
) -> tuple[int | None, int | None]:
    """(low, high): first point surely below, last point of the run from the top surely above."""
    low = next(
        (curve.points[i].resolution for i in range(first, len(margins)) if margins[i][1] < 0), None
    )
    high = None
    for i in range(len(margins)):
        if margins[i][0] <= 0:
            break
        high = curve.points[i].resolution
    return low, high


def _largest(curve: CalibrationCurve) -> float | None:
    # In whole numbers: 0.29 * 100 is 28.999999999999996.
    largest = curve.native.correct * 100 // curve.native.n / 100
    return largest if largest > 0 else None
