"""How far an accuracy lies from its threshold, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from c2f_data.errors import ConfigError

CONFIDENCE = 0.95
# What the confidence leaves for errors is divided by this where one point has to stand alone.
STRICTER = 20

Right = NDArray[np.bool_]


def wilson(correct: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927, JASA 22:209).

    Args:
        correct, n: counts; no whole numbers where n is an effective number.

    The plain formula: a search asks for it at every look, and the test of a binomial share that
    scipy ties it to takes a hundred times as long.
    """
    z, share = _z(confidence), correct / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    low, high = ((middle + side) / (1 + z * z / n) for side in (-half, half))
    # Rounding must not move an end that is exact.
    return 0.0 if correct == 0 else low, 1.0 if correct == n else high


@cache
def _z(confidence: float) -> float:
    """How many standard deviations to either side a confidence takes; 1.96 for 0.95."""
    return float(ndtri(0.5 + confidence / 2))


def paired_margin(
    reduced: Right, native: Right, factor: float, confidence: float = CONFIDENCE
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
    half = _z(confidence) * variance**0.5
    return mean - half, mean + half


@dataclass(frozen=True)
class Criterion:
    """What "below the threshold" means.

    Attributes:
        factor: the threshold in (0, 1): an accuracy, or a share of native accuracy.
        native: (n,) right at native resolution, where the threshold is a share of its accuracy.
        classes: (n,) class of each image, where accuracy is the mean of the classes' accuracies
            (class-balanced); None: the share of right images.
        confidence: of the intervals.

    Raises:
        ConfigError: a threshold or a confidence outside (0, 1).
    """

    factor: float
    native: Right | None = None
    classes: NDArray[np.int64] | None = None
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        for what, value in (("threshold", self.factor), ("confidence", self.confidence)):
            try:
                inside = 0 < value < 1
            except TypeError:
                inside = False
            if not inside:
                raise ConfigError(f"{what} {value}", "Give a number between 0 and 1.")

    def check_classes(self, n: int) -> None:
        """Raises ConfigError where the classes are not those of n images."""
        if self.classes is not None and np.shape(self.classes) != (n,):
            raise ConfigError(
                f"classes of shape {np.shape(self.classes)} for {n} images",
                "Give one for each image.",
            )

    @property
    def threshold(self) -> float:
        """The threshold as an accuracy."""
        return self.factor if self.native is None else self.factor * self.accuracy(self.native)

    def accuracy(self, right: Right) -> float:
        """Accuracy on all images, class-balanced or not."""
        if self.classes is None:
            return float(np.mean(right))
        return float(np.mean(_class_means(right, self.classes)[0]))

    def interval(self, right: Right) -> tuple[float, float]:
        """Wilson's interval of the accuracy, for balanced accuracy of an effective number."""
        if self.classes is None:
            return wilson(int(right.sum()), right.size, self.confidence)
        share, n = _effective(right, self.classes)
        return wilson(share * n, n, self.confidence)

    def margin(self, right: Right) -> tuple[float, float]:
        """Interval of the accuracy minus the threshold; it is sure where 0 is outside."""
        if self.native is None:
            low, high = self.interval(right)
            return low - self.factor, high - self.factor
        if self.classes is None:
            return paired_margin(right, self.native, self.factor, self.confidence)
        difference = right - self.factor * self.native
        return _stratified(difference, self.classes, self.confidence)

    def surely(self, right: Right, *, below: bool) -> bool:
        """Whether accuracy is surely on that side of the threshold."""
        low, high = self.margin(right)
        return high < 0 if below else low > 0

    @property
    def strict(self) -> Criterion:
        """The same question at a higher confidence: 0.9975 instead of 0.95."""
        return replace(self, confidence=1 - (1 - self.confidence) / STRICTER)


def _class_means(
    values: NDArray[np.generic], classes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    counts = np.bincount(classes)
    sums = np.bincount(classes, weights=np.asarray(values, np.float64))
    there = counts > 0
    return sums[there] / counts[there], counts[there]


def _stratified(
    values: NDArray[np.float64], classes: NDArray[np.int64], confidence: float
) -> tuple[float, float]:
    """Normal interval of the mean of class means."""
    mean, variance, _ = _of_classes(values, classes)
    half = _z(confidence) * variance**0.5
    return mean - half, mean + half


def _effective(right: Right, classes: NDArray[np.int64]) -> tuple[float, float]:
    """Balanced accuracy, and the number of images whose plain accuracy would be as unsure.

    It is never more than if all classes were equally hard: the variance within classes that are
    all right, or nearly, is too small to believe, and an interval from it would collapse.
    """
    mean, variance, counts = _of_classes(right.astype(np.float64), classes)
    alike = counts.size**2 / float(np.sum(1 / counts))
    return mean, min(alike, mean * (1 - mean) / variance) if variance > 0 else alike


def _of_classes(
    values: NDArray[np.float64], classes: NDArray[np.int64]
) -> tuple[float, float, NDArray[np.int64]]:
    """Mean of the classes' means, its variance, and how many images each class has.

    Each class's variance is its own, taken towards that of all images as if by one more image:
    a class whose few images all agree is not thereby known exactly.
    """
    means, counts = _class_means(values, classes)
    squares, _ = _class_means(values**2, classes)
    pooled = float(np.var(values))
    within = (counts * (squares - means**2) + pooled) / (counts + 1)
    variance = float(np.sum(within / counts)) / counts.size**2
    return float(np.mean(means)), variance, counts
