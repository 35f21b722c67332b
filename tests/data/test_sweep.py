"""The resolutions of a sweep, and the cap that the network's input sets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2f_data.errors import ConfigError
from c2f_data.resample import ResampleSpec, ResolutionSweep, input_cap


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "the sweep is empty"),
        ((64, 96, 32), "not descending: 96 px follows 64 px"),
        ((64, 64), "not descending: 64 px follows 64 px"),
        ((64, 1), "down to 1 px"),
        ((64, 0, -3), "down to -3 px"),
    ],
)
def test_a_sweep_without_meaning_is_refused(values: tuple[int, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        ResolutionSweep(values)
    assert caught.value.hint


def test_a_sweep_above_the_cap_is_refused_with_the_reason() -> None:
    sweep = ResolutionSweep((400, 200, 100))
    with pytest.raises(ConfigError, match="starts at 400 px, but the network's input ends at 375"):
        sweep.check_cap(375, "the network's input")
    sweep.check_cap(400, "the network's input")


@given(st.integers(3, 4096), st.data())
def test_a_geometric_sweep_descends_below_the_cap_in_equal_ratios(
    cap: int, data: st.DataObject
) -> None:
    lowest = data.draw(st.integers(2, cap - 1), "lowest")
    points = data.draw(st.integers(2, 40), "points")
    values = ResolutionSweep.geometric(cap, lowest=lowest, points=points).resolutions
    assert 1 <= len(values) <= points
    assert values[-1] == lowest
    assert values[0] < cap
    assert all(a > b for a, b in pairwise(values))
    ratio = (cap / lowest) ** (1 / points)
    for before, after in pairwise((cap, *values)):
        assert after >= (before - 0.5) / ratio - 0.5 - 1e-9 or before == after + 1
    if len(values) == points:
        exact = [cap / ratio**i for i in range(1, points + 1)]
        np.testing.assert_allclose(values, exact, atol=0.5 + 1e-6)


@pytest.mark.parametrize(("cap", "lowest"), [(12, 12), (5, 12)])
def test_images_too_small_to_sweep_are_refused(cap: int, lowest: int) -> None:
    with pytest.raises(ConfigError, match=f"images of {cap} px leave nothing"):
        ResolutionSweep.geometric(cap, lowest=lowest)


def test_the_cap_is_the_smaller_of_median_native_side_and_enlarged_side() -> None:
    assert input_cap(np.array([300, 375, 400]), ResampleSpec()) == 375
    assert input_cap(np.array([300, 375, 376, 400]), ResampleSpec()) == 375
    assert input_cap(np.array([900, 1000, 2000]), ResampleSpec()) == 512
    assert input_cap(np.array([900]), ResampleSpec.for_input(224)) == 256
