"""The statistics of a calibration, on counts chosen so that the right answer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from c2f_data.curve import (
    Criterion,
    Crossing,
    Outcome,
    accuracy_curve,
    accuracy_point,
    locate_crossing,
    paired_margin,
    wilson,
)
from c2f_data.predictions import Predictions

N, CAP = 1000, 200
GRID = (CAP, 150, 120, 100, 80, 60, 40)


def measured(
    species: Sequence[NDArray[np.bool_]],
    genus: Sequence[NDArray[np.bool_]] | None = None,
    grid: Sequence[int] = GRID,
) -> list[Predictions]:
    """Predictions that are right where the arrays say so; the first resolution is native."""
    found = []
    for step, (right, coarse) in enumerate(zip(species, genus or species, strict=True)):
        columns = np.stack([np.ones_like(right), coarse, right], axis=1)
        found.append(
            Predictions(
                resolution=grid[step],
                native=step == 0,
                levels=("family", "genus", "species"),
                image_ids=tuple(str(i) for i in range(right.size)),
                true=np.ones(columns.shape, np.int64),
                predicted=columns.astype(np.int64),
                confidence=np.full(columns.shape, 0.5),
                reduced=np.full(right.size, step > 0),
            )
        )
    return found


def easiest(*shares: float, n: int = N) -> list[NDArray[np.bool_]]:
    """At each resolution the same easiest images are right."""
    return [np.arange(n) < round(share * n) for share in shares]


def cross(predictions: list[Predictions], factor: float = 0.8, **changes: object) -> Crossing:
    options: dict[str, object] = {"relative": False, "start": None, "cap": CAP} | changes
    return locate_crossing(predictions, "species", "genus", factor, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 5, 100, 5794])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.8, 1.0])
def test_wilson_is_the_closed_formula(n: int, share: float) -> None:
    k, z = round(share * n), 1.959963984540054
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson(k, n) == pytest.approx((middle - half, middle + half), abs=1e-12)
    test = binomtest(k, n)
    for confidence in (0.5, 0.95, 0.995):
        theirs = test.proportion_ci(confidence_level=confidence, method="wilson")
        assert wilson(k, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-14)


def test_wilson_of_a_published_example() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:857), table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_points_count_each_level_on_its_own() -> None:
    predictions = measured(easiest(0.9, 0.5, n=40), easiest(1.0, 0.75, n=40))
    point = accuracy_point(predictions[1], "genus")
    assert (point.resolution, point.native, point.n, point.correct) == (150, False, 40, 30)
    assert (point.accuracy, point.reduced) == (0.75, 40)
    assert (point.low, point.high) == wilson(30, 40)
    curve = accuracy_curve(predictions, "species")
    assert [p.correct for p in curve.points] == [36, 20]
    assert curve.native.native
    assert curve.native.reduced == 0


def test_the_answer_is_the_first_point_below_with_its_bracket_and_range() -> None:
    found = cross(measured(easiest(0.95, 0.9, 0.81, 0.79, 0.7, 0.5, 0.2)))
    assert (found.outcome, found.resolution, found.upper) == (Outcome.CROSSED, 100, 120)
    # 81 % and 79 % of 1000 can't be told from 80 %; 90 % and 70 % can.
    assert (found.interval_low, found.interval_high) == (80, 150)
    assert (found.threshold, found.largest_threshold) == (0.8, None)
    assert not found.limited_by_input


def test_an_accuracy_on_the_threshold_is_not_below_it() -> None:
    found = cross(measured(easiest(0.9, 0.8, 0.799)))
    assert (found.resolution, found.upper) == (120, 150)


def test_a_side_of_the_range_that_no_point_settles_stays_open() -> None:
    found = cross(measured(easiest(0.81, 0.79)))
    assert (found.resolution, found.interval_low, found.interval_high) == (150, None, None)


def test_never_below() -> None:
    found = cross(measured(easiest(0.95, 0.9, 0.81)))
    assert found.outcome is Outcome.NEVER_BELOW
    assert (found.resolution, found.upper, found.interval_low) == (None, None, None)
    assert not found.outcome.has_answer


@pytest.mark.parametrize("k", range(1, 101))
def test_below_at_native_names_the_largest_threshold_that_would_be_met(k: int) -> None:
    found = cross(measured(easiest(k / 100, 0.0, n=100)), 0.999)
    largest = found.largest_threshold
    if k == 100:
        assert (found.outcome, largest) == (Outcome.CROSSED, None)
        return
    assert (found.outcome, found.resolution) == (Outcome.BELOW_AT_NATIVE, None)
    assert largest == k / 100
    assert cross(measured(easiest(k / 100, 0.0, n=100)), largest).outcome is Outcome.CROSSED


def test_below_at_native_with_nothing_right_names_no_threshold() -> None:
    assert cross(measured(easiest(0.004, 0.0))).largest_threshold is None


@given(st.integers(1, 400), st.data())
def test_the_largest_threshold_is_met_and_the_next_one_is_not(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n - 1), "correct")
    right = np.arange(n) < correct
    largest = cross(measured([right, right]), 0.9999).largest_threshold or 0.0
    assert largest <= correct / n < largest + 0.01 + 1e-12


def test_a_coarser_level_goes_on_from_the_finer_answer() -> None:
    species = easiest(0.9, 0.85, 0.79, 0.6, 0.5, 0.3, 0.1)
    # Below at native resolution already, yet above where the search starts.
    genus = easiest(0.79, 0.85, 0.85, 0.84, 0.83, 0.7, 0.4)
    predictions = measured(species, genus)
    r_med = cross(predictions).resolution
    assert r_med == 120
    found = locate_crossing(
        predictions, "genus", "family", 0.8, relative=False, start=r_med, cap=CAP
    )
    assert (found.outcome, found.resolution, found.upper) == (Outcome.CROSSED, 60, 80)


@pytest.mark.parametrize(("above", "upper"), [(0.85, 150), (0.75, None)])
def test_below_at_the_start_the_start_is_the_answer(above: float, upper: int | None) -> None:
    found = cross(measured(easiest(0.9, above, 0.7, 0.6)), start=120)
    assert (found.outcome, found.resolution, found.upper) == (Outcome.BELOW_AT_START, 120, upper)


def test_a_start_between_two_points_goes_on_from_the_lower_one() -> None:
    found = cross(measured(easiest(0.9, 0.7, 0.85, 0.6)), start=149)
    assert (found.outcome, found.resolution) == (Outcome.CROSSED, 100)


def test_a_rise_beyond_chance_is_called_not_monotone_and_scatter_is_not() -> None:
    rises = cross(measured(easiest(0.95, 0.7, 0.9, 0.5)))
    assert (rises.outcome, rises.resolution) == (Outcome.NOT_MONOTONE, 150)
    assert rises.outcome.has_answer
    for later in (0.81, 0.79):
        assert cross(measured(easiest(0.95, 0.795, later, 0.5))).outcome is Outcome.CROSSED
    # Far above the threshold, but so few images that chance explains it.
    few = measured(easiest(1.0, 0.75, 1.0, 0.5, n=8))
    assert cross(few).outcome is Outcome.CROSSED


@pytest.mark.parametrize(("cap", "limited"), [(166, True), (167, False)])
def test_an_answer_within_a_tenth_of_the_cap_is_marked(cap: int, limited: bool) -> None:
    found = cross(measured(easiest(0.95, 0.7)), cap=cap)
    assert found.limited_by_input is limited


def test_a_relative_threshold_is_a_share_of_native_accuracy() -> None:
    predictions = measured(easiest(0.5, 0.48, 0.41, 0.39, 0.3))
    assert cross(predictions).outcome is Outcome.BELOW_AT_NATIVE
    found = cross(predictions, relative=True)
    assert (found.outcome, found.resolution, found.upper) == (Outcome.CROSSED, 100, 120)
    assert (found.threshold, found.factor, found.relative) == (0.4, 0.8, True)


def test_paired_images_narrow_the_range_of_a_relative_threshold() -> None:
    predictions = measured(easiest(0.9, 0.75, 0.693, 0.6))
    paired = cross(predictions, 0.8, relative=True)
    absolute = cross(predictions, 0.72)
    assert paired.resolution == absolute.resolution == 120
    assert (paired.interval_low, paired.interval_high) == (120, 150)
    assert absolute.interval_low == 100


def test_the_paired_margin_covers_the_truth() -> None:
    random = np.random.default_rng(7)
    for n, native_share, kept, gained in ((300, 0.85, 0.8, 0.1), (60, 0.6, 0.7, 0.2)):
        factor = 0.8
        truth = native_share * kept + (1 - native_share) * gained - factor * native_share
        covered = 0
        for _ in range(300):
            native = random.random(n) < native_share
            reduced = np.where(native, random.random(n) < kept, random.random(n) < gained)
            low, high = paired_margin(reduced, native, factor)
            covered += low <= truth <= high
        # 0.95 asked for; 0.90 is four standard deviations of 300 draws below.
        assert covered >= 0.90 * 300
        assert covered < 300


def test_the_paired_margin_does_not_collapse_where_all_images_agree() -> None:
    right = np.ones(50, np.bool_)
    low, high = paired_margin(right, right, 1.0)
    assert low < 0 < high
    assert high - low > 0.01


def test_the_interval_of_a_balanced_accuracy_is_wilsons_for_classes_alike() -> None:
    classes = np.repeat(np.arange(4), 8)
    right = np.ones(32, np.bool_)
    balanced = Criterion(0.8, classes=classes)
    assert balanced.interval(right) == wilson(32, 32)
    assert balanced.interval(~right) == wilson(0, 32)
    right[::4] = False
    assert balanced.interval(right) == pytest.approx(wilson(24, 32))
    # Three easy classes of many images, and a hard one of few, which decides how sure it is.
    classes = np.repeat(np.arange(4), (100, 100, 100, 4))
    right = np.array([True] * 300 + [True, False, True, False])
    low, high = Criterion(0.8, classes=classes).interval(right)
    assert low < 0.875 - 1.96 * (0.25 / 4) ** 0.5 / 4 < 0.875 < high


def test_the_interval_of_a_balanced_accuracy_covers_the_truth() -> None:
    random = np.random.default_rng(0)
    shares = np.array([0.99, 0.95, 0.9, 0.6, 0.97])
    counts = np.array([40, 25, 30, 10, 6])
    classes = np.repeat(np.arange(5), counts)
    balanced = Criterion(0.8, classes=classes)
    inside = 0
    for _ in range(500):
        low, high = balanced.interval(random.random(classes.size) < shares[classes])
        inside += low <= shares.mean() <= high
    assert inside >= 0.93 * 500
