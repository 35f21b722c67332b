"""Runs side by side: the tests, their correction, and what can't be paired."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from report_samples import Page, build
from scipy.stats import binomtest, chi2

from c2f_data.calibration import LevelResolution
from c2f_data.curve import wilson
from c2f_train.config import TrainConfig
from c2f_train.report import render
from c2f_train.report.ablations import ablations
from c2f_train.report.comparison import compare_runs, newcombe
from c2f_train.report.run_answers import LevelAnswers, RunAnswers

N = 400


@cache
def levels() -> tuple[LevelResolution, ...]:
    return samples.calibration(samples.taxonomy(), n=600).levels


def answers(
    label: str,
    *,
    model: str = "mlph",
    wrong: int = 100,
    first: int = 0,
    n: int = N,
    hierarchy: str = "ab" * 32,
    seed: int = 0,
) -> RunAnswers:
    """A run that is wrong on ``wrong`` images, at every level the same ones, from ``first`` on."""
    result = samples.run(levels(), name=label, config=TrainConfig(model=model, seed=seed))
    right = np.ones(n, np.bool_)
    right[first : first + wrong] = False
    ids = tuple(f"image {i}" for i in range(n))
    names = [level.name for level in result.levels]
    return RunAnswers(
        label,
        result,
        hierarchy,
        {
            name: LevelAnswers(name, "own", 50, False, ids, np.zeros(n, np.int64), right)
            for name in names
        },
    )


def test_paired_tests_are_exact_where_small_and_corrected() -> None:
    main = answers("main", wrong=100)
    others = [answers("near", wrong=110), answers("far", wrong=150)]
    found = compare_runs(main, others)
    assert (len(found.differences), found.tests) == (6, 6)
    near, far = found.differences[0], found.differences[3]
    assert near.test is not None
    assert far.test is not None
    assert (near.level, near.second, far.second) == ("species", "near", "far")
    assert (near.test.only_first, near.test.only_second) == (10, 0)
    assert near.test.method == "exact binomial"
    assert near.test.p == pytest.approx(binomtest(0, 10).pvalue)
    assert far.test.method == "chi-square"
    assert far.test.p == pytest.approx(chi2.sf((50 - 1) ** 2 / 50, 1))
    # Six tests: the three smallest p are multiplied by 6, 5 and 4, the others by 3, 2 and 1.
    assert far.p_holm == pytest.approx(6 * far.test.p)
    assert near.p_holm == pytest.approx(3 * near.test.p)
    assert near.difference is not None
    assert near.difference.value == pytest.approx(10 / N)
    assert near.difference.low < 10 / N < near.difference.high
    assert near.beyond_chance


def test_other_images_are_not_paired() -> None:
    found = compare_runs(answers("main"), [answers("less", n=300), answers("same")])
    row = found.differences[0]
    assert row.test is None
    assert row.p_holm is None
    assert row.beyond_chance is None
    assert row.reason == "other test images: 400 and 300, of which 300 are the same"
    assert row.difference == newcombe(np.arange(400) >= 100, np.arange(300) >= 100)
    assert found.tests == 3
    text = Page(render(replace(build(samples.calibration(samples.taxonomy())), comparison=found)))
    assert "not testedother test images: 400 and 300" in text.text
    assert "within chance" in text.text


def with_crop(run: RunAnswers, crop: str | None) -> RunAnswers:
    return replace(run, result=replace(run.result, crop=crop))


def test_a_pair_that_saw_other_parts_of_the_images_says_so() -> None:
    main, boxes = with_crop(answers("main"), "none"), with_crop(answers("boxes"), "bbox")
    old = with_crop(answers("old"), None)
    found = compare_runs(main, [boxes, old])
    assert found.tests == 6  # they are the same photographs
    assert found.notes == (
        "run main, and run boxes: of each image they saw another part, so a difference is not "
        "that of the models alone",
    )
    text = Page(render(replace(build(samples.calibration(samples.taxonomy())), comparison=found)))
    assert "of each image they saw another part" in text.text
    assert compare_runs(boxes, [with_crop(answers("more"), "bbox")]).notes == ()


def test_ablations_say_where_the_images_were_cut_in_other_ways() -> None:
    whole, cut = with_crop(answers("whole"), "none"), with_crop(answers("cut"), "bbox")
    flat = with_crop(answers("flat", model="mlp"), "bbox")
    assert ablations([whole, flat], ["cub"])[1].settings == ("crop",)
    nearest = ablations([whole, cut, flat], ["cub"])[1]
    assert nearest.row is not None
    assert (nearest.row.first, nearest.settings) == ("cut", ())


def test_the_order_of_the_images_does_not_matter() -> None:
    main, other = answers("main"), answers("other", wrong=130)
    turned = {
        name: replace(
            given,
            image_ids=given.image_ids[::-1],
            true=given.true[::-1],
            right=given.right[::-1],
        )
        for name, given in other.levels.items()
    }
    straight = compare_runs(main, [other]).differences
    assert compare_runs(main, [replace(other, levels=turned)]).differences == straight


def test_other_classes_give_no_difference_and_other_labels_no_test() -> None:
    row = compare_runs(answers("main"), [answers("other", hierarchy="cd" * 32)]).differences[0]
    assert (row.difference, row.test) == (None, None)
    assert "hierarchies differ" in row.reason
    other = answers("other")
    labels = {k: replace(v, true=v.true + 1) for k, v in other.levels.items()}
    row = compare_runs(answers("main"), [replace(other, levels=labels)]).differences[0]
    assert row.test is None
    assert "other labels" in row.reason


# Newcombe 1998, Table II: the eight examples of method 10.
@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0000),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_newcombes_own_examples(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    found = newcombe(np.arange(m) < a, np.arange(n) < b)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.lists(st.booleans(), min_size=1))
def test_an_unpaired_interval_holds_its_difference(one: list[bool], other: list[bool]) -> None:
    first, second = np.array(one), np.array(other)
    found, turned = newcombe(first, second), newcombe(second, first)
    assert found.low <= found.value <= found.high
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    widths = sum(high - low for low, high in map(_wilson, (first, second)))
    assert found.high - found.low <= widths + 1e-9


def _wilson(right: NDArray[np.bool_]) -> tuple[float, float]:
    return wilson(int(right.sum()), right.size)


def test_ablations_take_the_runs_that_differ_least() -> None:
    runs = [
        answers("full", wrong=60),
        answers("flat 1", model="mlp", wrong=90, seed=1),
        answers("flat 0", model="mlp", wrong=70),
        answers("bi", model="hbp", wrong=71),
    ]
    trilinear, hierarchy = ablations(runs, ["cub", "cars"])
    assert trilinear.row is not None
    assert hierarchy.row is not None
    assert (trilinear.row.first, trilinear.row.second) == ("flat 0", "bi")
    assert (hierarchy.row.first, hierarchy.row.second) == ("full", "flat 0")
    assert hierarchy.settings == ()
    assert [one.points for one in trilinear.paper] == [0.2, 0.2]
    assert [one.points for one in hierarchy.paper] == [0.3, 0.2]
    smaller, larger = sorted(row.test.p for row in (trilinear.row, hierarchy.row) if row.test)
    assert hierarchy.row.p_holm == pytest.approx(2 * smaller)
    assert trilinear.row.p_holm == pytest.approx(larger)
    only = ablations(runs[:2], ["cub"])
    assert only[0].row is None
    assert only[1].settings == ("seed",)
    assert ablations(runs[:1], ["cub"]) == ()
    page = replace(build(samples.calibration(samples.taxonomy())), ablations=only)
    text = Page(render(page)).text
    assert "no such runs" in text
    assert "the two runs differ in seed" in text


def test_holm_keeps_the_order_of_p() -> None:
    found = compare_runs(answers("main"), [answers(f"{i}", wrong=100 + 9 * i) for i in range(5)])
    both = sorted((row.test.p, row.p_holm) for row in found.differences if row.test)
    assert all(a[1] <= b[1] for a, b in pairwise(both))  # type: ignore[operator]
    assert all(p <= holm for p, holm in both)  # type: ignore[operator]
