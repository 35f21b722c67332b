"""The expected calibration error, beside a plain loop over bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from c2f_data.confidence import expected_calibration_error


def plain_loop(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int) -> float:
    total = 0.0
    for b in range(bins):
        inside = [
            (c, r)
            for c, r in zip(confidence, right, strict=True)
            if (b / bins < c or b == 0) and (c <= (b + 1) / bins or b == bins - 1)
        ]
        if inside:
            accuracy = sum(r for _, r in inside) / len(inside)
            mean = sum(c for c, _ in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - mean)
    return total


@given(
    st.lists(
        # Every edge of 15 and of 4 bins, and what lies between.
        st.tuples(st.floats(0, 1) | st.sampled_from([k / 60 for k in range(61)]), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([1, 4, 15]),
)
def test_it_is_what_a_plain_loop_gives(rows: list[tuple[float, bool]], bins: int) -> None:
    confidence = np.asarray([c for c, _ in rows])
    right = np.asarray([r for _, r in rows])
    found = expected_calibration_error(confidence, right, bins)
    assert found == pytest.approx(plain_loop(confidence, right, bins), abs=1e-12)


def test_known_values() -> None:
    right = np.asarray([True, True, True, False])
    assert expected_calibration_error(np.full(4, 0.75), right) == 0
    assert expected_calibration_error(np.full(4, 0.95), right) == pytest.approx(0.2)
    # Too sure here and not sure enough there do not cancel out, except in one bin.
    mixed = np.asarray([0.5, 0.5, 1.0, 1.0])
    assert expected_calibration_error(mixed, right) == pytest.approx(0.5)
    assert expected_calibration_error(mixed, right, bins=1) == 0


@pytest.mark.parametrize("confidence", [[], [0.5], [0.5, 1.1], [0.5, float("nan")]])
def test_what_makes_no_sense_is_refused(confidence: list[float]) -> None:
    with pytest.raises(ValueError, match="confidence"):
        expected_calibration_error(np.asarray(confidence), np.asarray([True, False]))
    with pytest.raises(ValueError, match="0 bins"):
        expected_calibration_error(np.asarray([0.5]), np.asarray([True]), bins=0)
