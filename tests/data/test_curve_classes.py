"""Each class's curve, and which classes are lost first, on counts made by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from curve_cases import BIRDS, sweep
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from benchmarks.curves import crossing_of, draw_answers, geometric_grid, logistic
from c2f_data.artefacts import from_plain, to_plain
from c2f_data.curve.classes import ClassCurve, ClassLoss, Ranking, class_curves, fails_first
from c2f_data.curve.margins import wilson
from c2f_data.errors import ArtefactError, ConfigError, TaxonomyError
from c2f_data.taxonomy import Taxonomy

GRID = (100, 50, 25)


def curve(name: str, n: int, *correct: int, parent: str | None = "P", **more: object) -> ClassCurve:
    answered = more.get("answered", correct)
    assert isinstance(answered, tuple)
    return ClassCurve("species", name, parent, n, correct, answered, GRID)


def names(ranking: Ranking) -> list[str]:
    return [loss.name for loss in ranking.ranked]


def loss(ranking: Ranking, name: str) -> ClassLoss:
    return next(loss for loss in ranking.ranked if loss.name == name)


def test_curves_count_each_class_at_each_level() -> None:
    predictions = sweep(
        [0, 0, 1, 3, 3, 3], [[0, 0, 1, 3, 3, 3], [0, 1, 1, 3, 4, 4], [2, 2, 2, 2, 2, 3]]
    )
    found = class_curves(predictions, BIRDS, "species")
    assert found == (
        ClassCurve("species", "herring", "Larus", 2, (2, 1, 0), (2, 1, 0), GRID),
        ClassCurve("species", "mew", "Larus", 1, (1, 1, 0), (1, 2, 0), GRID),
        ClassCurve("species", "raven", "Corvus", 3, (3, 1, 1), (3, 1, 1), GRID),
    )
    assert class_curves(predictions, BIRDS, "genus") == (
        ClassCurve("genus", "Larus", "Gulls", 3, (3, 3, 0), (3, 3, 0), GRID),
        ClassCurve("genus", "Corvus", "Crows", 3, (3, 3, 1), (3, 3, 1), GRID),
    )
    # The tern that the others are taken for is a gull.
    assert class_curves(predictions, BIRDS, "family")[0] == ClassCurve(
        "family", "Gulls", None, 3, (3, 3, 3), (3, 3, 5), GRID
    )
    assert found[2].accuracy == (1, 1 / 3, 1 / 3)
    assert found[2].intervals() == (wilson(3, 3), wilson(1, 3), wilson(1, 3))
    assert found[1].precision == (1, 0.5, None)


def test_two_genera_of_one_name_are_two_classes() -> None:
    prunella = Taxonomy(
        "both",
        ("kingdom", "genus", "species"),
        (("Birds", "Prunella", "dunnock"), ("Plants", "Prunella", "self-heal")),
    )
    predictions = sweep([0, 1, 1], [[0, 1, 1], [0, 0, 0]], taxonomy=prunella)
    assert [c.parent for c in class_curves(predictions, prunella, "species")] == [
        "Prunella (Birds)",
        "Prunella (Plants)",
    ]


def test_the_class_that_falls_at_the_highest_resolution_comes_first() -> None:
    ranking = fails_first(
        [
            curve("late", 100, 95, 90, 20),
            curve("never", 100, 95, 90, 85),
            curve("weak", 100, 40, 30, 20),
            curve("early", 100, 95, 30, 20),
        ],
        0.8,
        prior_images=0,
    )
    assert names(ranking) == ["weak", "early", "late", "never"]
    assert [loss.resolution for loss in ranking.ranked] == [100, 50, 25, None]
    assert [loss.at_native for loss in ranking.ranked] == [True, False, False, False]
    assert (ranking.level, ranking.threshold, ranking.too_few) == ("species", 0.8, ())


def test_native_resolution_comes_before_a_reduced_one_of_the_same_number() -> None:
    at = (100, 100, 25)
    low = ClassCurve("species", "low", "P", 50, (50, 10, 0), (50, 10, 0), at)
    native = ClassCurve("species", "native", "P", 50, (30, 30, 30), (30, 30, 30), at)
    ranking = fails_first([low, native], 0.8, prior_images=0)
    assert names(ranking) == ["native", "low"]
    assert [loss.resolution for loss in ranking.ranked] == [100, 100]


def test_equal_resolutions_are_ranked_by_area_and_equal_areas_by_name() -> None:
    curves = [
        curve("b", 10, 10, 5, 2),
        curve("a", 10, 10, 5, 2),
        curve("worse", 10, 9, 5, 1),
    ]
    ranking = fails_first(curves, 0.8, prior_images=0)
    assert names(ranking) == ["worse", "a", "b"]
    # Trapezoids over two octaves: (1.0 + 0.5) / 2 and (0.5 + 0.2) / 2.
    assert loss(ranking, "a").area == pytest.approx((0.75 + 0.35) / 2)


def test_a_rise_on_the_way_down_is_pooled() -> None:
    # 0.7 at 50 px and 0.94 at 25 px pool to 0.82: by chance below, not lost.
    ranking = fails_first([curve("luck", 50, 50, 35, 47)], 0.8, prior_images=0)
    assert loss(ranking, "luck").resolution is None
    ranking = fails_first([curve("lost", 50, 50, 30, 47)], 0.8, prior_images=0)
    assert loss(ranking, "lost").resolution == 50


def test_relative_thresholds_are_shares_of_the_class_s_own_accuracy() -> None:
    curves = [curve("weak", 100, 50, 45, 30), curve("strong", 100, 100, 70, 60)]
    assert names(fails_first(curves, 0.8, prior_images=0)) == ["weak", "strong"]
    ranking = fails_first(curves, 0.8, relative=True, prior_images=0)
    assert [(loss.name, loss.resolution) for loss in ranking.ranked] == [
        ("strong", 50),
        ("weak", 25),
    ]
    assert not any(loss.at_native for loss in ranking.ranked)


def test_a_class_that_is_never_right_is_lost_at_native_under_any_threshold() -> None:
    for relative in (False, True):
        ranking = fails_first([curve("never", 9, 0, 0, 0)], 0.5, relative=relative, prior_images=0)
        assert (loss(ranking, "never").resolution, loss(ranking, "never").at_native) == (100, True)


def test_accuracies_are_taken_towards_the_siblings_as_the_formula_says() -> None:
    curves = [
        curve("one", 6, 3, 3, 3),
        curve("sibling", 30, 27, 27, 27),
        curve("stranger", 64, 32, 32, 32, parent="Q"),
    ]
    level = (3 + 27 + 32) / 100
    siblings = (27 + 5 * level) / (30 + 5)
    expected = (3 + 5 * siblings) / (6 + 5)
    ranking = fails_first(curves, 0.5)
    assert loss(ranking, "one").native == pytest.approx(expected)
    # An only child is taken towards the level.
    assert loss(ranking, "stranger").native == pytest.approx((32 + 5 * level) / (64 + 5))


def test_at_the_coarsest_level_all_classes_are_siblings() -> None:
    curves = [curve("a", 10, 2, 2, 2, parent=None), curve("b", 10, 8, 8, 8, parent=None)]
    expected = (2 + 5 * (8 + 5 * 0.5) / 15) / 15
    assert loss(fails_first(curves, 0.5), "a").native == pytest.approx(expected)


def test_one_unlucky_image_does_not_top_the_list() -> None:
    steady = [curve(f"c{i}", 40, 38, 36, 10) for i in range(4)]
    ranking = fails_first([*steady, curve("unlucky", 1, 0, 0, 0)], 0.8)
    assert [loss.name for loss in ranking.too_few] == ["unlucky"]
    assert "unlucky" not in names(ranking)
    # Five images, three of them right at 50 px: its siblings' 90 % carry it over 70 %.
    small = curve("small", 5, 5, 3, 1)
    assert loss(fails_first([*steady, small], 0.7), "small").resolution == 25
    assert loss(fails_first([*steady, small], 0.7, prior_images=0), "small").resolution == 50


def test_few_is_fewer_than_five_and_may_be_chosen() -> None:
    curves = [curve("four", 4, 4, 4, 0), curve("five", 5, 5, 5, 0)]
    assert [loss.name for loss in fails_first(curves, 0.5).too_few] == ["four"]
    assert fails_first(curves, 0.5, few=1).too_few == ()


def test_an_answer_for_everything_is_marked() -> None:
    curves = [
        curve("magnet", 20, 20, 20, 20, answered=(20, 40, 90)),
        curve("known", 20, 20, 20, 20, answered=(20, 22, 24)),
        # Answered for everything only after it has been lost.
        curve("fallen", 20, 20, 20, 5, answered=(20, 25, 90)),
        curve("never held", 20, 4, 4, 4, answered=(90, 90, 90)),
    ]
    ranking = fails_first(curves, 0.8, prior_images=0)
    marked = {loss.name for loss in ranking.ranked if loss.by_default}
    assert marked == {"magnet"}


def population(seed: int) -> tuple[list[ClassCurve], dict[str, float]]:
    """Forty genera of one to five species, six images each, and where each truly falls to 0.6."""
    random, grid = np.random.default_rng(seed), tuple(geometric_grid(20))
    curves, truth = [], {}
    for genus in range(40):
        place = random.normal(0, 0.4)
        for _ in range(int(random.integers(1, 6))):
            middle = 60 * 2 ** (place + random.normal(0, 0.3))
            accuracy = logistic(middle, 0.35, lapse=random.uniform(0, 0.3))
            right = tuple(draw_answers(accuracy, grid, 6, random).sum(axis=1).tolist())
            name = f"{len(curves):03}"
            truth[name] = crossing_of(accuracy, 0.6) or grid[0]
            curves.append(ClassCurve("species", name, f"{genus}", 6, right, right, grid))
    return curves, truth


def test_with_few_images_the_ranking_is_nearer_to_the_truth_than_without_siblings() -> None:
    gain = []
    for seed in range(8):
        curves, truth = population(seed)
        alone, together = (
            spearmanr([-truth[name] for name in names(ranking)], range(len(curves))).statistic
            for ranking in (fails_first(curves, 0.6, prior_images=m) for m in (0, 5))
        )
        gain.append(together - alone)
    assert np.mean(gain) > 0.04
    assert min(gain) > 0


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from("PQ")), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
    st.sampled_from([0.0, 2.5, 5.0]),
    st.booleans(),
)
def test_no_order_of_the_classes_changes_the_ranking(
    made: list[tuple[int, str]], random: Random, prior: float, relative: bool
) -> None:
    curves = [
        curve(f"c{i}", n, *(random.randint(0, n) for _ in GRID), parent=parent)
        for i, (n, parent) in enumerate(made)
    ]
    ranking = fails_first(curves, 0.6, prior_images=prior, relative=relative)
    random.shuffle(curves)
    assert fails_first(curves, 0.6, prior_images=prior, relative=relative) == ranking
    assert len(ranking.ranked) + len(ranking.too_few) == len(curves)
    heights = [loss.resolution or 0 for loss in ranking.ranked]
    assert all(upper >= lower for upper, lower in pairwise(heights))
    assert all(0 <= loss.area <= 1 + 1e-12 for loss in ranking.ranked + ranking.too_few)


def test_curves_and_rankings_are_stored_and_read_back() -> None:
    curves = class_curves(sweep([0, 0, 3], [[0, 0, 3], [0, 1, 3]]), BIRDS, "species")
    assert all(from_plain(to_plain(c), ClassCurve, "here") == c for c in curves)
    ranking = fails_first(curves, 0.6, few=2)
    assert from_plain(to_plain(ranking), Ranking, "here") == ranking


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_is_between_0_and_1(threshold: float) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        fails_first([curve("a", 5, 5, 5, 5)], threshold)


def test_curves_that_do_not_go_together_are_refused() -> None:
    one = curve("a", 5, 5, 5, 5)
    for curves in ([], [one, replace(one, level="genus")], [one, replace(one, resolutions=(9,))]):
        with pytest.raises(ConfigError, match="class curves"):
            fails_first(curves, 0.5)
    with pytest.raises(ConfigError, match="prior_images"):
        fails_first([one], 0.5, prior_images=-1)


def test_predictions_that_do_not_go_together_are_refused() -> None:
    native, half, quarter = sweep([0, 3], [[0, 3], [0, 3], [0, 3]])
    other = sweep([0, 1], [[0, 3], [0, 3]])[1]
    for wrong, words in (
        ([], "no predictions"),
        ([half, quarter], "native"),
        ([native, quarter, half], "descending"),
        ([native, native], "native"),
        ([native, replace(half, image_ids=("0.jpg", "7.jpg"))], "not the images"),
        ([native, half.rows(np.array([0]))], "not the images"),
        ([native, other], "not the classes"),
    ):
        with pytest.raises(ConfigError, match=words):
            class_curves(wrong, BIRDS, "species")
    for broken in (
        replace(half, predicted=half.predicted + 6),
        replace(half, predicted=half.predicted - 1),
        replace(half, levels=("order", "genus", "species")),
    ):
        with pytest.raises(ArtefactError, match="another hierarchy than birds"):
            class_curves([native, broken], BIRDS, "species")
    with pytest.raises(TaxonomyError, match="order"):
        class_curves([native], BIRDS, "order")
