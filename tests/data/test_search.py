"""The search finds what the full sweep finds, covers the truth, and measures far less."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.calibration import run_curve
from benchmarks.curves import ALIKE, CURVES, PLATEAUS, draw_answers, geometric_grid
from c2f_data.curve import Criterion, CrossingSearch, Outcome, find_crossing
from c2f_data.curve.answers import batch_size, image_order
from c2f_data.curve.crossing import Measured, Question, interval_end, read_crossing
from c2f_data.errors import ConfigError

GRID = (224, 160, 112, 80, 56, 40, 28, 20)
N = 400
Answers = NDArray[np.bool_]


def easiest(*shares: float, n: int = N) -> Answers:
    """(resolutions, n): at each resolution the same easiest images are right."""
    return np.arange(n)[None, :] < np.round(np.asarray(shares) * n)[:, None]


class Scorer:
    """Answers from an array; refuses to be asked twice for an image at a resolution."""

    def __init__(self, answers: Answers, grid: tuple[int, ...] = GRID) -> None:
        self.answers = answers
        self.grid = grid
        self.asked: Counter[tuple[int, int]] = Counter()

    def __call__(self, resolution: int, images: NDArray[np.int64]) -> Answers:
        self.asked.update((resolution, int(i)) for i in images)
        return self.answers[self.grid.index(resolution)][images]

    def per_resolution(self) -> dict[int, int]:
        return dict(Counter(r for r, _ in self.asked))


FALLING = easiest(0.98, 0.95, 0.9, 0.85, 0.7, 0.5, 0.3, 0.1)


def test_the_answer_its_bracket_and_its_interval() -> None:
    scorer = Scorer(FALLING)
    found = find_crossing(scorer, GRID, 0.8, N)
    assert (found.outcome, found.bracket, found.interval) == (Outcome.CROSSED, (56, 80), (56, 80))
    assert (found.threshold, found.relative, found.confidence) == (0.8, False, 0.95)
    assert found.images_evaluated == sum(scorer.asked.values())
    assert set(scorer.asked.values()) == {1}
    # Native, the answer and its neighbour are measured whole, clear resolutions are not.
    counts = scorer.per_resolution()
    assert (counts[224], counts[80], counts[56]) == (N, N, N)
    assert counts[20] < N / 4
    assert found.images_evaluated < 0.6 * N * len(GRID)


def test_the_interval_reaches_as_far_as_the_images_leave_doubt() -> None:
    slowly = easiest(0.98, 0.95, 0.83, 0.82, 0.79, 0.78, 0.3, 0.1)
    found = find_crossing(Scorer(slowly), GRID, 0.8, N)
    assert (found.bracket, found.interval) == ((56, 80), (28, 160))
    bold = find_crossing(Scorer(slowly), GRID, 0.8, N, confidence=0.5)
    assert bold.interval == (40, 80)


@pytest.mark.parametrize(
    ("shares", "outcome", "largest"),
    [
        ((0.9,) * 8, Outcome.NEVER_BELOW, None),
        ((0.7,) * 8, Outcome.BELOW_AT_NATIVE, 0.7),
    ],
)
def test_no_crossing_is_seen_at_once(
    shares: tuple[float, ...], outcome: Outcome, largest: float | None
) -> None:
    found = find_crossing(Scorer(easiest(*shares)), GRID, 0.8, N)
    assert (found.outcome, found.resolution, found.interval) == (outcome, None, (None, None))
    assert found.largest_threshold == largest
    assert found.images_evaluated <= 2 * N


def test_a_hollow_above_the_bracket_is_found_and_the_first_crossing_counts() -> None:
    hollow = easiest(0.98, 0.5, 0.55, 0.95, 0.95, 0.93, 0.3, 0.1)
    found = find_crossing(Scorer(hollow), GRID, 0.8, N)
    assert (found.outcome, found.bracket) == (Outcome.NOT_MONOTONE, (160, 224))


def test_relative_thresholds_use_the_accuracy_at_native() -> None:
    found = find_crossing(Scorer(FALLING * easiest(0.8)), GRID, 0.8, N, relative=True)
    assert found.threshold == pytest.approx(0.64)
    assert (found.bracket, found.relative) == ((40, 56), True)


def test_balanced_accuracy_counts_classes_not_images() -> None:
    # Class 0 has 90 % of the images and never fails; class 1 fails from 80 px on.
    classes = (np.arange(N) >= 0.9 * N).astype(np.int64)
    answers = np.ones((8, N), np.bool_)
    answers[3:, classes == 1] = False
    assert find_crossing(Scorer(answers), GRID, 0.8, N).outcome is Outcome.NEVER_BELOW
    found = find_crossing(Scorer(answers), GRID, 0.8, N, classes=classes)
    assert (found.outcome, found.bracket) == (Outcome.CROSSED, (80, 112))


def test_refining_halves_the_bracket_at_whole_pixels() -> None:
    asked = []

    def score(r: int, images: NDArray[np.int64]) -> Answers:
        asked.append(r)
        return images < (0.95 if r >= 67 else 0.4) * N

    found = find_crossing(score, GRID, 0.8, N, refine=10)
    assert (found.bracket, found.interval) == ((66, 67), (66, 67))
    assert {68, 62, 65, 66, 67} <= set(asked)
    assert find_crossing(score, GRID, 0.8, N, refine=2).bracket == (62, 68)


def test_a_full_curve_measures_everything() -> None:
    scorer = Scorer(FALLING)
    found = find_crossing(scorer, GRID, 0.8, N, full_curve=True)
    assert found.images_evaluated == N * len(GRID) == sum(scorer.asked.values())


def test_two_levels_of_one_search_share_what_is_measured() -> None:
    scorer = Scorer(FALLING)
    search = CrossingSearch(scorer, GRID, N)
    species = search.find(0.8, Question("species", "genus"))
    genus = search.find(0.4, Question("genus", "family", start=species.resolution))
    assert (species.resolution, genus.resolution) == (56, 28)
    assert genus.outcome is Outcome.CROSSED
    assert set(scorer.asked.values()) == {1}
    assert search.measured[224] == N
    again = search.find(0.8, Question("genus", "family", start=56))
    assert (again.outcome, again.resolution) == (Outcome.BELOW_AT_START, 56)


def test_a_start_off_the_grid_is_where_the_search_goes_on() -> None:
    def score(r: int, images: NDArray[np.int64]) -> Answers:
        return images < (0.95 if r >= 50 else 0.4) * N

    search = CrossingSearch(score, GRID, N)
    assert search.find(0.8, Question(start=62)).bracket == (40, 56)
    assert 62 in search.measured


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8), st.integers(0, 5))
@settings(max_examples=150)
def test_on_a_falling_curve_it_is_the_full_sweeps_answer(counts: list[int], seed: int) -> None:
    answers = np.arange(60)[None, :] < np.sort(counts)[::-1][:, None]
    found = find_crossing(Scorer(answers), GRID, 0.8, 60, seed=seed)
    points = [Measured(r, a) for r, a in zip(GRID, answers, strict=True)]
    swept = read_crossing(points, Criterion(0.8), Question())
    assert (found.outcome, found.bracket, found.interval) == (
        swept.outcome,
        swept.bracket,
        swept.interval,
    )


@pytest.mark.parametrize("name", CURVES)
def test_the_interval_covers_and_the_cost_stays_low(name: str) -> None:
    """200 runs; the tolerance is three standard deviations of a binomial share of 0.93."""
    runs = 200
    row = run_curve(name, CURVES[name], n=500, points=28, runs=runs, seed=1)
    assert row.cost_fraction <= 0.35
    assert row.same_grid_answer >= 0.95
    if row.truth is not None:
        assert (row.coverage or 0.0) >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / runs)
        assert (row.width_ratio or 9.0) <= 1.5


@pytest.mark.parametrize("points", [12, 16])
def test_a_coarse_grid_costs_at_most_six_tenths(points: int) -> None:
    for name, curve in CURVES.items():
        assert run_curve(name, curve, 500, points, runs=10, seed=2).cost_fraction <= 0.6


def test_an_interval_from_interpolation_would_fail_this_check() -> None:
    """The check can fail: a bracket alone covers far less often than it would have to."""
    curve, runs, covered = CURVES["shallow"], 100, 0
    grid = geometric_grid(28)
    for run in range(runs):
        answers = draw_answers(curve, grid, 500, np.random.default_rng([3, run]))
        low, high = find_crossing(
            lambda r, images, a=answers: a[grid.index(r)][images], grid, 0.8, 500
        ).bracket
        covered += (low or 0) <= 157.06 <= (high or 0)
    assert covered < 0.8 * runs


def test_one_seed_one_order_and_batches_that_grow_with_the_set() -> None:
    assert sorted(image_order(50, 3)) == list(range(50))
    assert (image_order(50, 3) == image_order(50, 3)).all()
    assert (image_order(50, 3) != image_order(50, 4)).any()
    assert [batch_size(n) for n in (10, 2048, 5794, 100_000)] == [32, 32, 91, 1563]


def all_right(r: int, images: NDArray[np.int64]) -> Answers:
    return np.ones(images.size, np.bool_)


def too_few(r: int, images: NDArray[np.int64]) -> Answers:
    return np.ones(images.size - 1, np.bool_)


@pytest.mark.parametrize(
    ("grid", "threshold", "n", "score", "said"),
    [
        ((), 0.8, 10, None, "a grid of nothing"),
        ((64,), 0.8, 10, None, "a grid of 64"),
        ((64, 64), 0.8, 10, None, "a grid of 64, 64"),
        ((64, 80), 0.8, 10, None, "a grid of 64, 80"),
        ((64, 0), 0.8, 10, None, "resolution in pixels: 0"),
        ((64.5, 32), 0.8, 10, None, "resolution in pixels: 64.5"),
        (("64", "32"), 0.8, 10, None, "resolution in pixels: '64'"),
        ((64, 32), 0.8, 0, None, "number of images: 0"),
        ((64, 32), 0.8, 2.5, None, "number of images: 2.5"),
        ((64, 32), math.nan, 10, None, "threshold nan"),
        ((64, 32), "0.8", 10, None, "threshold 0.8"),
        ((64, 32), 0.0, 10, None, "threshold 0"),
        ((64, 32), 1.0, 10, None, "threshold 1"),
        ((64, 32), 0.8, 10, too_few, "answers for 10 images"),
    ],
)
def test_what_makes_no_sense_is_refused(
    grid: Any,
    threshold: Any,
    n: Any,
    score: Callable[[int, NDArray[np.int64]], Answers] | None,
    said: str,
) -> None:
    with pytest.raises(ConfigError, match=said):
        find_crossing(score or all_right, grid, threshold, n)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"confidence": 1.0}, "confidence 1"),
        ({"seed": -1}, "seed: -1"),
        ({"refine": -1}, "refine"),
        ({"classes": np.zeros(9, np.int64)}, "classes of shape"),
        ({"threshold": 1.0, "relative": True}, "threshold 1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_first_image(
    options: dict[str, Any], said: str
) -> None:
    scorer = Scorer(FALLING)
    with pytest.raises(ConfigError, match=said):
        find_crossing(scorer, GRID, **{"threshold": 0.8, "n_images": N, **options})
    assert not scorer.asked


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (lambda n: np.full(n, 0.7), "gave 0.7 for an image"),  # a share is no truth value
        (lambda n: [2] * n, "gave 2 for an image"),
        (lambda n: ["True"] * n, "gave 'True' for an image"),
        (lambda n: [math.nan] * n, "gave nan for an image"),
        (lambda _: None, "gave NoneType for 10 images"),
        (lambda _: True, r"gave \(\) answers for 10 images"),
        (lambda n: np.ones((n, 1), np.bool_), r"gave \(10, 1\) answers"),
        (lambda _: [[True], [True, False]], "gave list for 10 images"),
    ],
)
def test_answers_that_are_not_right_or_wrong_are_refused(
    answers: Callable[[int], Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=f"at 64 px the scorer {said}"):
        find_crossing(lambda _, images: answers(images.size), (64, 32), 0.8, 10)


@pytest.mark.parametrize("kind", [list, np.asarray, lambda a: np.asarray(a, np.int8)])
def test_scorers_may_give_lists_and_ones_and_sort_their_positions(
    kind: Callable[[Answers], Any],
) -> None:
    def score(r: int, images: NDArray[np.int64]) -> Any:
        answers = kind(FALLING[GRID.index(r)][images])
        images.sort()
        return answers

    expected = find_crossing(Scorer(FALLING), GRID, 0.8, N)
    assert find_crossing(score, np.asarray(GRID), np.float64(0.8), np.int64(N)) == expected


@pytest.mark.parametrize(
    ("sure", "end"),
    [
        ("S...", None),  # the bracket's own point was chosen for its side: it, too, needs another
        ("SS..", 0),
        ("!...", 0),
        (".SS.", 1),
        (".S.SS", 3),  # one lucky point among unsure ones does not count
        ("..S", 2),  # unless the grid ends there
        (".!..", 1),  # or it is sure beyond luck
        (".S..", None),
        ("....", None),
        ("", None),
    ],
)
def test_where_an_interval_ends(sure: str, end: int | None) -> None:
    found = interval_end(range(len(sure)), lambda i: sure[i] in "S!", lambda i: sure[i] == "!")
    assert found == end


def test_a_point_that_only_confirms_another_one_gets_few_images() -> None:
    falling = easiest(0.99, 0.98, 0.84, 0.81, 0.79, 0.76, 0.1, 0.02)
    scorer = Scorer(falling)
    found = find_crossing(scorer, GRID, 0.8, N)
    assert (found.bracket, found.interval) == ((56, 80), (40, 112))
    counts = scorer.per_resolution()
    assert counts[112] == counts[40] == N
    assert counts[160] < N / 2 > counts[28]


@pytest.mark.parametrize("alike", [0.0, ALIKE])
@pytest.mark.parametrize("name", PLATEAUS)
def test_on_a_plateau_at_the_threshold_the_interval_still_covers(name: str, alike: float) -> None:
    """Whether an image's luck is its own at each resolution or partly the same at all of them."""
    grid, runs, covered = geometric_grid(28), 200, 0
    for run in range(runs):
        answers = draw_answers(PLATEAUS[name], grid, 500, np.random.default_rng([3, run]), alike)
        low, high = find_crossing(
            lambda r, images, a=answers: a[grid.index(r)][images], grid, 0.8, 500, seed=run
        ).interval
        covered += (low or 12) <= 60 <= (high or 448)
    assert covered >= 0.93 * runs
