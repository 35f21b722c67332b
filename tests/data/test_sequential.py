"""The early stop: its formula against a plain posterior, and its errors against its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from c2f_data.curve.sequential import is_below


def excluded(count: int, right: int, seen: int, total: int, error: float) -> bool:
    """Prior over posterior, with the posterior by Bayes' rule over all counts."""
    likelihood = hypergeom.pmf(right, total, np.arange(total + 1), seen)
    posterior = likelihood / likelihood.sum()
    return bool(posterior[count] == 0 or (1 / (total + 1)) / posterior[count] >= 1 / error)


@given(st.integers(1, 40), st.floats(0.02, 0.98), st.sampled_from([0.05, 0.3]), st.data())
def test_it_is_the_prior_posterior_ratio_over_every_count(
    total: int, threshold: float, error: float, data: st.DataObject
) -> None:
    seen = data.draw(st.integers(0, total))
    right = data.draw(st.integers(0, seen))
    possible = [k for k in range(total + 1) if not excluded(k, right, seen, total, error)]
    said = is_below(right, seen, total, threshold, error)
    sides = {k / total < threshold for k in possible}
    if said is None:
        assert sides == {True, False}
    else:
        assert sides == {said}


@pytest.mark.parametrize("threshold", [0.8, 1 / 3, 0.1 + 0.2, 0.29])
def test_all_images_always_decide_and_equality_is_not_below(threshold: float) -> None:
    for total in (1, 3, 10, 100, 300):
        for right in range(total + 1):
            assert is_below(right, total, total, threshold, 0.01) == (right / total < threshold)


def test_counting_ends_when_the_rest_can_not_change_it() -> None:
    assert is_below(8, 8, 10, 0.8, 1e-12) is False
    assert is_below(0, 3, 10, 0.8, 1e-12) is True
    assert is_below(0, 0, 10, 0.8, 0.01) is None


@pytest.mark.parametrize(("right", "total"), [(79, 100), (80, 100), (390, 500), (410, 500)])
def test_it_seldom_errs_however_often_one_looks(right: int, total: int) -> None:
    """Just above and below the threshold, a look after every image: at most 5 % of runs err."""
    random, wrong, runs, error = np.random.default_rng(1), 0, 400, 0.05
    truth = right / total < 0.8
    for _ in range(runs):
        drawn = np.cumsum(random.permutation(np.arange(total) < right))
        answers = (is_below(int(s), i + 1, total, 0.8, error) for i, s in enumerate(drawn))
        wrong += next(answer for answer in answers if answer is not None) != truth
    # Three standard deviations of a binomial count above its promise.
    assert wrong <= runs * error + 3 * math.sqrt(runs * error * (1 - error))


def test_it_stops_early_where_the_accuracy_is_clear() -> None:
    assert is_below(31, 32, 5000, 0.8, 0.01) is None
    assert is_below(63, 64, 5000, 0.8, 0.01) is False
    assert is_below(8, 32, 5000, 0.8, 0.01) is True
