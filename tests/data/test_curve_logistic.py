"""The fitted curve: right where the truth is a logistic, and honest where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from benchmarks.curves import CURVES, Accuracy, crossing_of, geometric_grid, logistic
from c2f_data.artefacts import from_plain, to_plain
from c2f_data.curve import logistic as module
from c2f_data.curve.logistic import LogisticFit, fit_logistic
from c2f_data.curve.points import AccuracyPoint

GRID = geometric_grid(20)


def point(r: int, n: int, correct: int, balanced: float | None = None) -> AccuracyPoint:
    return AccuracyPoint(r, False, n, correct, n, 0.0, 1.0, balanced)


def drawn(curve: Accuracy, n: int, seed: int, grid: Sequence[int] = GRID) -> list[AccuracyPoint]:
    """Independent binomial counts."""
    share = curve(np.asarray(grid, np.float64))
    counts = np.random.default_rng(seed).binomial(n, share)
    return [point(r, n, int(k)) for r, k in zip(grid, counts, strict=True)]


def exact(curve: Accuracy, grid: Sequence[int] = GRID, n: int = 1_000_000) -> list[AccuracyPoint]:
    """Counts without luck."""
    share = curve(np.asarray(grid, np.float64))
    return [point(r, n, round(float(p) * n)) for r, p in zip(grid, share, strict=True)]


def fitted(points: Sequence[AccuracyPoint]) -> LogisticFit:
    fit = fit_logistic(points)
    assert fit is not None
    return fit


@pytest.mark.parametrize(
    ("middle", "width", "lapse", "guess"),
    [(60, 0.35, 0.05, 0.01), (60, 0.15, 0.2, 0.1), (40, 0.6, 0.03, 0.05), (150, 0.25, 0.1, 0.3)],
)
def test_a_known_curve_is_found_again(
    middle: float, width: float, lapse: float, guess: float
) -> None:
    fit = fitted(exact(logistic(middle, width, lapse, guess)))
    assert 2**fit.log2_midpoint == pytest.approx(middle, rel=0.01)
    assert fit.width == pytest.approx(width, rel=0.02)
    assert (fit.lapse, fit.guess) == pytest.approx((lapse, guess), abs=0.005)
    assert fit.deviance < 1
    assert (fit.n_points, fit.degrees_of_freedom) == (len(GRID), len(GRID) - 4)


@pytest.mark.parametrize("name", ["logistic", "steep", "shallow", "high", "low", "lapse"])
def test_the_likelihood_is_the_greatest_one(name: str) -> None:
    curve = CURVES[name]
    for seed in range(5):
        points = drawn(curve, 500, seed)
        fit = fitted(points)

        def log_likelihood(
            accuracy: Sequence[float], points: list[AccuracyPoint] = points
        ) -> float:
            logs = [binom.logpmf(p.correct, p.n, a) for p, a in zip(points, accuracy, strict=True)]
            return float(np.sum(logs))

        best = log_likelihood([fit.accuracy(p.resolution) for p in points])
        assert best >= log_likelihood(list(curve(np.asarray(GRID, np.float64)))) - 1e-6
        saturated = log_likelihood([p.accuracy for p in points])
        assert fit.deviance == pytest.approx(2 * (saturated - best), abs=1e-3)


def test_more_starts_would_find_nothing_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ladders of uneven steps, whose likelihood has several peaks."""
    for seed in (3, 8, 11):  # one start alone misses the peak of 11
        random = np.random.default_rng(seed)
        grid = geometric_grid(int(random.integers(5, 20)))
        counts = random.binomial(1000, np.sort(random.random(len(grid)))[::-1])
        points = [point(r, 1000, int(k)) for r, k in zip(grid, counts, strict=True)]
        found = fitted(points).deviance
        with monkeypatch.context() as patch:
            patch.setattr(module, "STARTS", 40)
            assert found < fitted(points).deviance + 0.02


@pytest.mark.parametrize("name", ["logistic", "steep", "high", "low", "lapse"])
def test_the_crossing_of_the_fit_is_near_the_true_one(name: str) -> None:
    found = fitted(drawn(CURVES[name], 2000, 3)).crossing(0.8)
    assert found == pytest.approx(crossing_of(CURVES[name], 0.8), rel=0.06)


def test_the_deviance_is_as_large_as_the_degrees_of_freedom_where_the_shape_is_right() -> None:
    fits = [fitted(drawn(CURVES["logistic"], 500, seed)) for seed in range(60)]
    ratio = np.mean([fit.deviance / fit.degrees_of_freedom for fit in fits])
    assert 0.85 < ratio < 1.15  # standard error 0.05
    assert sum(fit.p_value < 0.01 for fit in fits) <= 4


def test_a_curve_with_a_hollow_is_fitted_and_its_deviance_says_that_it_does_not_fit() -> None:
    fit = fitted(drawn(CURVES["not monotone"], 1000, 0))
    assert fit.p_value < 1e-9


def test_a_step_stays_a_step() -> None:
    grid = [224, 160, 112, 80, 56, 40, 28]
    fit = fitted([point(r, 400, 360 if r >= 80 else 40) for r in grid])
    assert 56 < 2**fit.log2_midpoint < 80
    assert fit.accuracy(80) == pytest.approx(0.9, abs=1e-3)
    assert fit.accuracy(56) == pytest.approx(0.1, abs=1e-3)
    assert 56 < (fit.crossing(0.8) or 0) < 80
    assert fit.deviance < 0.1


@pytest.mark.parametrize("correct", [0, 37, 100])
def test_a_flat_curve_has_no_fit(correct: int) -> None:
    assert fit_logistic([point(r, 100, correct) for r in GRID]) is None


def test_a_curve_that_rises_on_the_way_down_has_no_fit() -> None:
    assert fit_logistic([point(r, 1000, 900 - 2 * r) for r in GRID]) is None


def test_a_fall_within_chance_has_no_fit_and_one_beyond_it_has() -> None:
    def two_halves(above: int, below: int) -> list[AccuracyPoint]:
        return [point(r, 100, above if r > 70 else below) for r in GRID]

    assert fit_logistic(two_halves(52, 50)) is None
    assert fit_logistic(two_halves(60, 40)) is not None


def test_five_different_resolutions_are_needed() -> None:
    points = drawn(CURVES["logistic"], 1000, 0, [224, 112, 56, 28, 14])
    assert fit_logistic(points) is not None
    assert fit_logistic(points[:-1]) is None
    assert fit_logistic([*points[:-1], points[0]]) is None
    assert fit_logistic([]) is None


def test_nothing_is_said_outside_the_measured_range() -> None:
    fit = fitted(exact(logistic(60, 0.35), [224, 160, 112, 90, 70, 60]))
    assert (fit.lowest, fit.highest) == (60, 224)
    for threshold in (-1.0, 0.0, 0.2, 0.949, 1.0, 2.0):
        assert fit.crossing(threshold) is None
    for threshold in (0.5, 0.6, 0.8, 0.9):
        r = fit.crossing(threshold)
        assert r is not None
        assert 60 <= r <= 224
        assert fit.accuracy(r) == pytest.approx(threshold, abs=1e-9)


def test_balanced_accuracies_are_what_is_fitted() -> None:
    plain = drawn(CURVES["logistic"], 1000, 1)
    balanced = [point(p.resolution, p.n, 0, p.accuracy) for p in plain]
    assert fit_logistic(balanced) == fit_logistic(plain)


def test_a_fit_is_stored_and_read_back() -> None:
    fit = fitted(drawn(CURVES["logistic"], 300, 2))
    assert from_plain(to_plain(fit), LogisticFit, "here") == fit


COUNTS = st.lists(st.integers(0, 40), min_size=len(GRID), max_size=len(GRID))


@settings(max_examples=60)
@given(COUNTS, st.randoms(use_true_random=False))
def test_whatever_the_counts_the_fit_never_falls_and_no_order_changes_it(
    counts: list[int], random: Random
) -> None:
    points = [point(r, 40, k) for r, k in zip(GRID, sorted(counts, reverse=True), strict=True)]
    points[3], points[12] = point(GRID[3], 40, counts[0]), point(GRID[12], 40, counts[1])
    fit = fit_logistic(points)
    random.shuffle(points)
    assert fit_logistic(points) == fit
    if fit is not None:
        accuracy = [fit.accuracy(r) for r in sorted(GRID)]
        assert all(low <= high for low, high in pairwise(accuracy))
        assert min(accuracy) >= 0
        assert max(accuracy) <= 1
        assert fit.width > 0
        assert fit.deviance >= 0
