"""A smooth curve through measured points, to be drawn as a fit. No answer is ever read off it.

Accuracy as a logistic function of log2 r with four parameters:

    p(r) = guess + (1 - guess - lapse) / (1 + exp(-(log2 r - log2_midpoint) / width))

A real curve need not have this shape (it may have a hollow, or two slopes, one for each kind of
detail that is lost). So a crossing is always taken from measured points, and the fit says how far
off it is: its deviance, against the degrees of freedom that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit, xlogy
from scipy.stats import chi2

from c2f_data.curve.points import AccuracyPoint

PARAMETERS = 4
FEWEST_RESOLUTIONS = 5
# A fall that a constant accuracy explains at this level has no midpoint and no width.
FLAT_LEVEL = 0.05
# The steepest fit is over in a small part of the closest two points, so that a step is a step.
STEEPEST = 1 / 20
STARTS = 6
EDGE = 1e-9  # keeps logarithms finite

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """The logistic of greatest likelihood, between the resolutions that were measured.

    Attributes:
        guess: accuracy far below the midpoint, in [0, 1]. Where the sweep ends before the curve
            levels out, this is an extrapolation.
        lapse: share of errors far above the midpoint, in [0, 1].
        log2_midpoint: log2 of the resolution in pixels half-way between the two.
        width: in octaves (log2 px), more than 0; the middle half of the fall takes 2.2 widths.
        deviance: twice the log-likelihood that the measured shares have over the fitted ones.
        n_points: points fitted.
        lowest, highest: measured resolutions in pixels; outside them the fit says nothing.
    """

    guess: float
    lapse: float
    log2_midpoint: float
    width: float
    deviance: float
    n_points: int
    lowest: int
    highest: int

    @property
    def degrees_of_freedom(self) -> int:
        """Points less parameters; a good fit's deviance is about as large, or smaller."""
        return self.n_points - PARAMETERS

    @property
    def p_value(self) -> float:
        """Chance of so large a deviance if the curve has this shape (chi-squared).

        The points share their images and therefore much of their luck, which moves the whole
        curve and not its shape. So the true chance is smaller: a small value still means that the
        shape is wrong, a large one says little.
        """
        return float(chi2.sf(self.deviance, self.degrees_of_freedom))

    def accuracy(self, r: float) -> float:
        """Fitted accuracy at a resolution in pixels; never falls as r grows."""
        rise = expit((np.log2(r) - self.log2_midpoint) / self.width)
        return float(self.guess + max(1 - self.guess - self.lapse, 0.0) * rise)

    def crossing(self, threshold: float) -> float | None:
        """Where the fit falls through an accuracy, in pixels; None outside the measured range."""
        if not self.accuracy(self.lowest) < threshold <= self.accuracy(self.highest):
            return None
        share = (threshold - self.guess) / (1 - self.guess - self.lapse)
        r = 2 ** (self.log2_midpoint + self.width * float(logit(share)))
        return float(np.clip(r, self.lowest, self.highest))


def fit_logistic(points: Sequence[AccuracyPoint]) -> LogisticFit | None:
    """Fit by maximum likelihood on the binomial counts; the order of the points is no matter.

    Class-balanced accuracies count as ``accuracy * n`` right images.

    Args:
        points: measured on all images. (Counts of a point that was stopped early are biased.)

    Returns:
        None with fewer than :data:`FEWEST_RESOLUTIONS` different resolutions, and where accuracy
        does not fall with r beyond chance (likelihood ratio against a constant): there is nothing
        to identify a midpoint by then.
    """
    if len({point.resolution for point in points}) < FEWEST_RESOLUTIONS:
        return None
    rows = sorted((point.resolution, point.n, point.accuracy) for point in points)
    resolutions, n, share = np.asarray(rows, np.float64).T
    data = _Counts(np.log2(resolutions), n, share * n)
    found = min((_climb(start, data) for start in _starts(data)), key=lambda result: result[0])
    negative, (guess, span, midpoint, log_width) = found
    pooled = np.full(n.size, data.right.sum() / n.sum())
    if 2 * (_negative(pooled, data) - negative) < chi2.isf(FLAT_LEVEL, PARAMETERS - 1):
        return None
    return LogisticFit(
        guess=float(guess),
        lapse=float((1 - guess) * (1 - span)),
        log2_midpoint=float(midpoint),
        width=float(np.exp(log_width)),
        deviance=max(2 * (negative - _negative(share, data)), 0.0),
        n_points=len(rows),
        lowest=rows[0][0],
        highest=rows[-1][0],
    )


@dataclass(frozen=True)
class _Counts:
    """log2 r, images and right images, (points,) each, in ascending order of r."""

    x: Floats
    n: Floats
    right: Floats

    @property
    def gaps(self) -> Floats:
        """Octaves between neighbouring resolutions, none of them 0."""
        return np.diff(np.unique(self.x))

    @property
    def widths(self) -> tuple[float, float]:
        """The steepest and the shallowest fall that can be told from a step and from a line."""
        return float(self.gaps.min()) * STEEPEST, float(self.gaps.sum())


def _negative(p: Floats, data: _Counts) -> float:
    """Negative log-likelihood, without the binomial coefficients."""
    p = np.clip(p, EDGE, 1 - EDGE)
    return -float(np.sum(xlogy(data.right, p) + xlogy(data.n - data.right, 1 - p)))


def _starts(data: _Counts) -> Floats:
    """(STARTS, 4) best places to climb from, out of a grid of midpoints and widths.

    Given these two the curve is linear in the other parameters: least squares is near enough.
    """
    places = np.unique(data.x)
    midpoints = np.concatenate([places, (places[1:] + places[:-1]) / 2])
    m, w = (a.ravel() for a in np.meshgrid(midpoints, np.geomspace(*data.widths, 12)))
    rise = expit((data.x - m[:, None]) / w[:, None])  # (places, points)
    weight, share = data.n / data.n.sum(), data.right / data.n
    middle = rise @ weight
    off = rise - middle[:, None]
    slope = (off * weight) @ share / np.maximum((off**2) @ weight, EDGE)
    guess = np.clip(weight @ share - slope * middle, 0.01, 0.98)
    top = np.clip(guess + np.maximum(slope, 0.0), guess + 0.01, 0.995)
    p = guess[:, None] + (top - guess)[:, None] * rise
    order = np.argsort([_negative(row, data) for row in p], kind="stable")[:STARTS]
    # The span is the rise as a share of all that is left above the guess, so that any two numbers
    # in [0, 1] make a curve.
    starts = np.stack([guess, (top - guess) / (1 - guess), m, np.log(w)], axis=1)
    return np.asarray(starts[order])


def _climb(start: Floats, data: _Counts) -> tuple[float, Floats]:
    """The nearest maximum of the likelihood: (negative log-likelihood, parameters)."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        guess, span, midpoint, log_width = parameters
        z = (data.x - midpoint) / np.exp(log_width)
        rise = expit(z)
        p = np.clip(guess + (1 - guess) * span * rise, EDGE, 1 - EDGE)
        by_p = (data.n - data.right) / (1 - p) - data.right / p
        steep = (1 - guess) * span * rise * (1 - rise)
        by_parameter = (
            1 - span * rise,
            (1 - guess) * rise,
            -steep / np.exp(log_width),
            -steep * z,
        )
        gradient = np.asarray([by_p @ column for column in by_parameter])
        return _negative(p, data) / data.n.sum(), gradient / data.n.sum()

    steepest, shallowest = data.widths
    octave = 1.0  # a curve that is still falling at the end has its midpoint outside
    bounds = [
        (0.0, 1.0),
        (0.0, 1.0),
        (data.x[0] - octave, data.x[-1] + octave),
        (np.log(steepest), np.log(shallowest)),
    ]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13}
    )
    return float(found.fun) * float(data.n.sum()), np.asarray(found.x)
