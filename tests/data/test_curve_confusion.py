"""What is taken for what as r falls, on images that can be counted by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from curve_cases import BIRDS, sweep
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from c2f_data.artefacts import from_plain, to_plain
from c2f_data.curve.confusion import Confused, ErrorShare, error_shares, growing
from c2f_data.curve.margins import wilson
from c2f_data.errors import ConfigError, TaxonomyError

HERRING, MEW, TERN, RAVEN, ROOK, JACKDAW = range(6)


def test_pairs_that_grow_are_named_with_their_counts() -> None:
    true = [HERRING] * 6 + [RAVEN] * 4
    native = [HERRING] * 4 + [MEW, MEW] + [RAVEN] * 3 + [ROOK]
    reduced = [MEW] * 4 + [MEW, HERRING] + [TERN] + [RAVEN] * 3
    first, second = growing(*sweep(true, [native, reduced]), "species", BIRDS)
    assert (first.true, first.predicted, first.siblings, first.n) == ("herring", "mew", True, 6)
    assert (first.native, first.reduced, first.gained, first.lost) == (2, 5, 4, 1)
    assert (first.growth, first.resolution, first.level) == (3, 50, "species")
    assert first.p_value == pytest.approx(binomtest(4, 5, alternative="greater").pvalue)
    assert (second.true, second.predicted, second.siblings) == ("raven", "tern", False)
    assert (second.native, second.reduced, second.p_value) == (0, 1, 0.5)
    # Raven taken for rook fell from 1 to 0: no growth, but one of the three pairs tested.
    assert first.p_adjusted == pytest.approx(3 * first.p_value)
    assert second.p_adjusted == pytest.approx(3 / 2 * 0.5)


def test_images_that_are_wrong_in_the_same_way_at_both_say_nothing() -> None:
    true, wrong = [HERRING] * 5, [MEW] * 5
    assert growing(*sweep(true, [wrong, wrong]), "species", BIRDS) == ()
    assert growing(*sweep(true, [true, true]), "species", BIRDS) == ()
    assert growing(*sweep(true, [wrong, true]), "species", BIRDS) == ()


def test_the_test_is_paired() -> None:
    """Two of five images either way; the same images or others make the difference."""
    true = [HERRING] * 20
    native = [MEW] * 5 + [HERRING] * 15
    same = [MEW] * 11 + [HERRING] * 9
    moved = [HERRING] * 5 + [MEW] * 11 + [HERRING] * 4
    (kept,) = growing(*sweep(true, [native, same]), "species", BIRDS)
    (swapped,) = growing(*sweep(true, [native, moved]), "species", BIRDS)
    assert kept.growth == swapped.growth == 6
    assert kept.p_value == pytest.approx(0.5**6)
    assert swapped.p_value == pytest.approx(binomtest(11, 16, alternative="greater").pvalue)


def test_equal_growth_is_ordered_by_the_surer_one_then_by_the_hierarchy() -> None:
    true = [HERRING] * 4 + [RAVEN] * 2 + [ROOK] * 2
    native = [HERRING] * 3 + [MEW] + [RAVEN] * 2 + [ROOK] * 2
    reduced = [MEW] * 3 + [HERRING] + [JACKDAW] * 2 + [JACKDAW] * 2
    found = growing(*sweep(true, [native, reduced]), "species", BIRDS)
    # Two images more each: three against one, two against none, two against none.
    assert [(c.true, c.growth) for c in found] == [("raven", 2), ("rook", 2), ("herring", 2)]


def test_coarser_levels_have_their_own_pairs_and_the_coarsest_no_siblings() -> None:
    predictions = sweep([HERRING, HERRING, RAVEN], [[0, 0, 3], [TERN, RAVEN, RAVEN]])
    genus = growing(*predictions, "genus", BIRDS)
    assert [(c.true, c.predicted, c.siblings) for c in genus] == [
        ("Larus", "Sterna", True),
        ("Larus", "Corvus", False),
    ]
    (family,) = growing(*predictions, "family", BIRDS)
    assert (family.true, family.predicted, family.siblings) == ("Gulls", "Crows", None)


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=60))
def test_the_counts_are_those_of_a_plain_loop(images: list[tuple[int, int, int]]) -> None:
    true, native, reduced = ([row[i] for row in images] for i in range(3))
    names = BIRDS.names[-1]
    before = Counter((t, a) for t, a in zip(true, native, strict=True) if t != a)
    after = Counter((t, b) for t, b in zip(true, reduced, strict=True) if t != b)
    found = growing(*sweep(true, [native, reduced]), "species", BIRDS)
    assert {(c.true, c.predicted): (c.native, c.reduced, c.n) for c in found} == {
        (names[t], names[o]): (before[t, o], after[t, o], true.count(t))
        for t, o in after
        if after[t, o] > before[t, o]
    }
    for c in found:
        t, o = names.index(c.true), names.index(c.predicted)
        assert c.gained == sum(row[0] == t and row[2] == o and row[1] != o for row in images)
        assert c.lost == c.gained - c.growth
        exact = binomtest(c.gained, c.gained + c.lost, alternative="greater").pvalue
        assert c.p_value == pytest.approx(exact)
        assert c.p_value <= c.p_adjusted <= 1
    assert [c.growth for c in found] == sorted((c.growth for c in found), reverse=True)


def test_luck_alone_is_seldom_called_growth() -> None:
    """The same error rate at both resolutions: unadjusted, every third run would raise an alarm."""
    alarms = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        true = random.integers(0, 6, 300)
        rows = [np.where(random.random(300) < 0.6, true, random.integers(0, 6, 300))] * 2
        rows = [np.where(random.random(300) < 0.7, row, random.integers(0, 6, 300)) for row in rows]
        found = growing(*sweep(true.tolist(), [r.tolist() for r in rows]), "species", BIRDS)
        alarms += any(c.p_adjusted < 0.05 for c in found)
    assert alarms <= 2


def test_errors_inside_the_genus_are_told_from_the_others() -> None:
    true = [HERRING, HERRING, RAVEN, RAVEN, TERN]
    native = [HERRING, MEW, RAVEN, RAVEN, TERN]
    reduced = [MEW, TERN, ROOK, HERRING, HERRING]
    at_native, at_half = error_shares(sweep(true, [native, reduced]), "species", BIRDS)
    assert (at_native.native, at_native.errors, at_native.inside, at_native.share) == (
        True,
        1,
        1,
        1,
    )
    assert (at_half.resolution, at_half.n, at_half.errors, at_half.inside) == (50, 5, 5, 2)
    assert (at_half.low, at_half.high) == wilson(2, 5)
    # Of the five other species one, one, two, two and none are of the same genus.
    assert at_half.by_chance == pytest.approx((1 + 1 + 2 + 2 + 0) / 5 / 5)
    _, family = error_shares(sweep(true, [native, reduced]), "species", BIRDS, "family")
    assert (family.within, family.inside) == ("family", 4)
    assert family.by_chance == pytest.approx(2 / 5)


def test_without_errors_there_is_no_share() -> None:
    (found,) = error_shares(sweep([0, 3], [[0, 3]]), "species", BIRDS)
    assert (found.errors, found.inside, found.n) == (0, 0, 2)
    assert (found.share, found.low, found.high, found.by_chance) == (None, None, None, None)


def test_random_answers_stay_inside_as_often_as_by_chance() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 6, 20_000)
    answers = (true + random.integers(1, 6, 20_000)) % 6
    (found,) = error_shares(sweep(true.tolist(), [answers.tolist()]), "species", BIRDS)
    assert found.share == pytest.approx(found.by_chance, abs=0.01)


def test_only_a_coarser_level_holds_errors() -> None:
    predictions = sweep([0], [[1]])
    for level, within in (("family", None), ("species", "species"), ("genus", "species")):
        with pytest.raises(ConfigError, match=f"errors of level '{level}'"):
            error_shares(predictions, level, BIRDS, within)
    with pytest.raises(TaxonomyError, match="order"):
        error_shares(predictions, "species", BIRDS, "order")


def test_the_two_are_of_the_same_images_and_native_comes_first() -> None:
    native, half = sweep([0, 3], [[0, 3], [1, 3]])
    with pytest.raises(ConfigError, match="native"):
        growing(half, native, "species", BIRDS)
    with pytest.raises(ConfigError, match="not the images"):
        growing(native, replace(half, image_ids=("7.jpg", "8.jpg")), "species", BIRDS)


def test_both_are_stored_and_read_back() -> None:
    predictions = sweep([0, 0, 3], [[0, 0, 3], [1, 2, 3]])
    for confused in growing(*predictions, "species", BIRDS):
        assert from_plain(to_plain(confused), Confused, "here") == confused
    for shares in error_shares(predictions, "species", BIRDS):
        assert from_plain(to_plain(shares), ErrorShare, "here") == shares
