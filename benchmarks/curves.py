"""Simulated classifiers whose accuracy at every resolution is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

# Probability of a right answer at a resolution in pixels.
Accuracy = Callable[[NDArray[np.float64]], NDArray[np.float64]]

NATIVE, LOWEST = 448, 12
# How alike one image's luck is at two resolutions: what is right at 80 px is mostly right at 90.
ALIKE = 0.8


def logistic(middle: float, width: float, lapse: float = 0.05, guess: float = 0.005) -> Accuracy:
    """Four-parameter logistic in log2 r: ``guess`` far below ``middle`` px, 1 - ``lapse`` above."""

    def accuracy(r: NDArray[np.float64]) -> NDArray[np.float64]:
        return guess + (1 - guess - lapse) * expit((np.log2(r) - np.log2(middle)) / width)

    return accuracy


def step(at: float, above: float, below: float) -> Accuracy:
    """One accuracy from ``at`` px upwards, another one under it."""
    return lambda r: np.where(r >= at, above, below)


def dip(base: Accuracy, at: float, width: float, depth: float) -> Accuracy:
    """A curve with a hollow around ``at`` px: it falls, comes back, and falls for good."""

    def accuracy(r: NDArray[np.float64]) -> NDArray[np.float64]:
        hollow = depth * np.exp(-(((np.log2(r) - np.log2(at)) / width) ** 2))
        return np.maximum(base(r) - hollow, 0.0)

    return accuracy


# The curves that cross 0.8, from steep to shallow, early and late, with a high lapse rate and with
# a hollow; the last two have no crossing.
CURVES: Mapping[str, Accuracy] = {
    "logistic": logistic(60, 0.35),
    "steep": logistic(60, 0.15),
    "shallow": logistic(60, 0.9, lapse=0.03),
    "high": logistic(250, 0.25, lapse=0.04),
    "low": logistic(14, 0.3),
    "lapse": logistic(60, 0.35, lapse=0.15),
    "step": step(70, 0.93, 0.4),
    "not monotone": dip(logistic(40, 0.25), at=130, width=0.45, depth=0.35),
    "flat above": logistic(2, 0.3),
    "flat below": logistic(60, 0.35, lapse=0.4),
}


# Curves that stay on the threshold itself for a while: no search can be cheap there, and which
# resolution of the plateau is the first one below is luck, but the interval has to cover its end.
PLATEAUS: Mapping[str, Accuracy] = {
    "plateau": lambda r: np.where(r >= 200, 0.95, np.where(r >= 60, 0.8, 0.4)),
    "short plateau": lambda r: np.where(r >= 100, 0.95, np.where(r >= 60, 0.8, 0.4)),
}


def crossing_of(curve: Accuracy, threshold: float) -> float | None:
    """The highest resolution in pixels at which the curve falls through the threshold."""
    grid = np.geomspace(NATIVE, LOWEST, 4001)
    below = np.flatnonzero(curve(grid) < threshold)
    if below.size == 0 or below[0] == 0:
        return None
    high, low = float(grid[below[0] - 1]), float(grid[below[0]])

    def excess(r: float) -> float:
        return float(curve(np.asarray(r))) - threshold

    return float(brentq(excess, low, high)) if excess(high) > 0 else high


def geometric_grid(points: int) -> list[int]:
    """Resolutions in pixels, descending in equal ratios."""
    return sorted({round(r) for r in np.geomspace(NATIVE, LOWEST, points)}, reverse=True)


def draw_answers(
    curve: Accuracy,
    grid: Sequence[int],
    n: int,
    random: np.random.Generator,
    alike: float = ALIKE,
) -> NDArray[np.bool_]:
    """(resolutions, n) right or wrong, paired: an image keeps part of its luck at every r."""
    own = random.standard_normal(n)
    noise = random.standard_normal((len(grid), n))
    luck = np.sqrt(alike) * own + np.sqrt(1 - alike) * noise
    share = np.clip(curve(np.asarray(grid, np.float64)), 1e-12, 1 - 1e-12)
    return np.asarray(luck < norm.ppf(share)[:, None])
