"""Paired tests of runs: by their definitions, and what can't be compared."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2f_train.evaluation.paired import EXACT_BELOW, holm, mcnemar


def table(both: int, only_first: int, only_second: int, neither: int) -> tuple[object, object]:
    cells = ((1, 1, both), (1, 0, only_first), (0, 1, only_second), (0, 0, neither))
    rows = np.array([[a, b] for a, b, count in cells for _ in range(count)], np.bool_)
    return rows[:, 0], rows[:, 1]


@given(st.integers(0, EXACT_BELOW - 1), st.integers(0, EXACT_BELOW - 1), st.integers(0, 3))
def test_few_discordant_images_are_tested_exactly(b: int, c: int, both: int) -> None:
    if not 0 < b + c < EXACT_BELOW:
        return
    test = mcnemar(*table(both, b, c, 2))
    tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1)) / 2 ** (b + c)
    assert (test.only_first, test.only_second, test.method) == (b, c, "exact binomial")
    assert test.p == pytest.approx(min(1.0, 2 * tail))


@given(st.integers(0, 400), st.integers(0, 400))
def test_many_are_tested_by_chi_square_with_continuity(b: int, c: int) -> None:
    if b + c < EXACT_BELOW:
        return
    test = mcnemar(*table(5, b, c, 5))
    statistic = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    assert test.method == "chi-square"
    assert test.p == pytest.approx(math.erfc(math.sqrt(statistic / 2)))
    assert mcnemar(*table(5, c, b, 5)).p == test.p


def test_runs_that_agree_everywhere_do_not_differ() -> None:
    test = mcnemar(*table(10, 0, 0, 3))
    assert (test.only_first, test.only_second, test.p) == (0, 0, 1.0)


def test_the_exact_test_is_near_the_other_where_they_meet() -> None:
    exact, chi = mcnemar(*table(0, 17, 7, 0)), mcnemar(*table(0, 18, 7, 0))
    assert (exact.method, chi.method) == ("exact binomial", "chi-square")
    assert exact.p == pytest.approx(0.0639, abs=1e-4)
    assert chi.p == pytest.approx(0.0455, abs=1e-4)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.6]) == (0.6,)
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p: list[float], alpha: float) -> None:
    corrected = holm(p)
    assert all(a >= b for a, b in zip(corrected, p, strict=True))
    rejected: set[int] = set()
    for step, position in enumerate(sorted(range(len(p)), key=lambda i: (p[i], i))):
        if p[position] * (len(p) - step) > alpha:
            break
        rejected.add(position)
    assert {i for i, value in enumerate(corrected) if value <= alpha} == rejected
