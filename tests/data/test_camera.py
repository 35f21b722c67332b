"""Resolution and distance, by a pinhole camera."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from c2f_data.camera import Camera
from c2f_data.errors import ConfigError

POSITIVE = st.floats(1e-3, 1e6)


def test_a_bird_of_twenty_centimetres() -> None:
    """2000 px a metre at 1 m: 0.2 m at 5 m are 80 px, half of an image of 160 px."""
    camera = Camera(pixels_per_metre=2000, object_metres=0.2, share=0.5)
    assert camera.resolution(5) == pytest.approx(160)
    assert camera.distance(160) == pytest.approx(5)
    assert camera.distance(80) == pytest.approx(10)
    assert Camera(2000, 0.2).distance(80) == pytest.approx(5)


@given(POSITIVE, POSITIVE, st.floats(0.01, 1), POSITIVE)
def test_distance_and_resolution_undo_each_other(
    f: float, size: float, share: float, r: float
) -> None:
    camera = Camera(f, size, share)
    assert camera.resolution(camera.distance(r)) == pytest.approx(r)
    # What the object covers by the lens is what it covers in the image.
    assert f * size / camera.distance(r) == pytest.approx(share * r)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_numbers_that_are_not_positive_are_refused(value: float) -> None:
    for make in (
        lambda: Camera(value, 0.2),
        lambda: Camera(2000, value),
        lambda: Camera(2000, 0.2, value),
        lambda: Camera(2000, 0.2).distance(value),
        lambda: Camera(2000, 0.2).resolution(value),
    ):
        with pytest.raises(ConfigError, match=f"{value:g}"):
            make()


def test_a_subject_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"1\.2"):
        Camera(2000, 0.2, 1.2)
