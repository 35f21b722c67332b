"""The promise holds: simulated models, many draws of held-out images, a binomial tolerance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from c2f_data.errors import ConfigError
from c2f_train.prediction.guarantee import (
    CERTAINTY,
    CURVE,
    fewest_answers,
    guarantee,
    risk_curve,
)

LEVELS = 3


def draw(
    random: np.random.Generator, n: int, honesty: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities along the descent of n images, and how many levels are right.

    A level is right with the probability that is said, raised to the power ``honesty``: 1 means
    what it says, above 1 is too sure. No more than float noise depends on n.
    """
    said = np.cumprod(1 - random.beta(0.6, 6, (n, LEVELS)), axis=1)
    steps = np.divide(said, np.concatenate([np.ones((n, 1)), said[:, :-1]], axis=1)) ** honesty
    right = np.cumprod(random.random((n, LEVELS)) < steps, axis=1).sum(axis=1)
    return said, right


@pytest.mark.parametrize("honesty", [0.5, 1.0, 1.3, 3.0])
@pytest.mark.parametrize("asked", [0.8, 0.9])
def test_it_is_broken_no_more_often_than_it_says(honesty: float, asked: float) -> None:
    """The true share of wrong answers at the chosen threshold, from 100,000 images."""
    random = np.random.default_rng([int(10 * honesty), int(100 * asked)])
    said, right = draw(random, 100_000, honesty)
    broken, runs = 0, 200
    for _ in range(runs):
        found = guarantee(*draw(random, 150, honesty), asked, 100)
        if found.holds:
            depth = (said >= found.threshold).sum(axis=1)
            wrong = (depth > right).sum() / (depth > 0).sum()
            broken += int(wrong > found.risk)
    # Were it broken in 5 % of the runs, more than this many would be seen once in a thousand times.
    assert broken <= binom.ppf(0.999, runs, 1 - CERTAINTY)


def test_it_promises_something_where_it_can() -> None:
    """A test that never passes would keep every promise: honest models do pass, dishonest raise."""
    random = np.random.default_rng(1)
    kept = [guarantee(*draw(random, 400, 1.0), 0.9, 100) for _ in range(50)]
    assert sum(found.holds for found in kept) >= 45
    sure = [guarantee(*draw(random, 400, 2.0), 0.9, 100) for _ in range(50)]
    assert sum(found.holds and found.threshold > 0.9 for found in sure) >= 25
    wild = [guarantee(*draw(random, 400, 40.0), 0.9, 100) for _ in range(50)]
    assert not any(found.holds for found in wild)


def test_too_few_images_are_said() -> None:
    for n, holds in ((38, False), (39, True)):
        found = guarantee(np.full((n, 1), 0.99), np.ones(n, np.int64), 0.9, 64)
        assert found.holds == holds
    few = guarantee(np.full((10, 1), 0.99), np.ones(10, np.int64), 0.9, 64)
    assert "too few for 10 %, which needs 39" in few.statement
    assert few.threshold == 0.9
    none = guarantee(np.zeros((0, 1)), np.zeros(0, np.int64), 0.9, 64)
    assert (none.holds, none.n, none.answered) == (False, 0, 0)
    assert fewest_answers(0.1) == 39


def test_the_sentence_has_the_figures() -> None:
    confidence = np.full((200, 2), 0.95)
    confidence[:20] = 0.5
    right = np.full(200, 2, np.int64)
    right[20:25] = 1
    found = guarantee(confidence, right, 0.9, 64)
    assert (found.n, found.answered, found.wrong) == (200, 180, 5)
    assert found.statement == (
        "wrong at most 10 % of the time, with 95 % confidence (5 of 180 answers on 200 held-out "
        "images were wrong)"
    )
    right[20:80] = 0
    broken = guarantee(confidence, right, 0.9, 64)
    assert broken.statement.startswith("no promise of 10 %: 60 of 180")


@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_the_curve_is_counted_and_never_grows(seed: int, n: int) -> None:
    confidence, right = draw(np.random.default_rng(seed), n, 2.0)
    curve = risk_curve(confidence, right)
    assert [point.threshold for point in curve] == list(CURVE)
    for point in curve:
        depth = [sum(c >= point.threshold for c in row) for row in confidence.tolist()]
        assert point.answered == sum(d > 0 for d in depth)
        assert point.wrong == sum(d > r for d, r in zip(depth, right.tolist(), strict=True))
        assert point.named == tuple(sum(d > level for d in depth) for level in range(LEVELS))
    assert all(b.wrong <= a.wrong for a, b in pairwise(curve))
    assert all(b.answered <= a.answered for a, b in pairwise(curve))


@pytest.mark.parametrize("asked", [0.0, 1.0, -1.0, float("nan")])
def test_no_probability_is_refused(asked: float) -> None:
    with pytest.raises(ConfigError, match="confidence"):
        guarantee(np.ones((3, 1)), np.ones(3, np.int64), asked, 10)
