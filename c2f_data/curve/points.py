"""Accuracy at one resolution, and down a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from c2f_data.curve.margins import Criterion, wilson
from c2f_data.predictions import Predictions


@dataclass(frozen=True, slots=True)
class AccuracyPoint:
    """Accuracy at one resolution.

    Attributes:
        resolution: shorter side in pixels.
        native: measured on the untouched images.
        n: images measured.
        correct: images right.
        reduced: images that were larger than ``resolution``, so really reduced.
        low, high: 95 % interval of the accuracy (Wilson score; where balanced, of an effective
            number of images).
        balanced: the mean of the classes' accuracies, where that is what was asked for.
    """

    resolution: int
    native: bool
    n: int
    correct: int
    reduced: int
    low: float
    high: float
    balanced: float | None = None

    @property
    def accuracy(self) -> float:
        """Share of the images that are right in [0, 1]; balanced where that was asked for."""
        return self.correct / self.n if self.balanced is None else self.balanced


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Accuracy of one level's classifier down the sweep, highest resolution first."""

    level: str
    points: tuple[AccuracyPoint, ...]

    @property
    def native(self) -> AccuracyPoint:
        """The point at native resolution."""
        return self.points[0]

    def at(self, resolution: int) -> AccuracyPoint | None:
        """The point at a resolution; None where it was not measured on all images."""
        return next((p for p in self.points if p.resolution == resolution), None)


def accuracy_point(predictions: Predictions, level: str, balanced: bool = False) -> AccuracyPoint:
    """A level's accuracy at one resolution."""
    right = predictions.correct(level)
    mean = None
    if balanced:
        criterion = Criterion(0.5, classes=predictions.classes(level))
        mean, (low, high) = criterion.accuracy(right), criterion.interval(right)
    else:
        low, high = wilson(int(right.sum()), right.size)
    return AccuracyPoint(
        resolution=predictions.resolution,
        native=predictions.native,
        n=right.size,
        correct=int(np.sum(right)),
        reduced=int(predictions.reduced.sum()),
        low=low,
        high=high,
        balanced=mean,
    )


def accuracy_curve(
    predictions: Sequence[Predictions], level: str, balanced: bool = False
) -> CalibrationCurve:
    """A level's curve from the predictions at every resolution, highest first."""
    return CalibrationCurve(level, tuple(accuracy_point(p, level, balanced) for p in predictions))
