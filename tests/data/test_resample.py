"""The one definition of resolution: the canonical resizer against Pillow's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from c2f_data.errors import ConfigError
from c2f_data.resample import (
    ResampleSpec,
    center_crop,
    enlarge,
    limit_threads,
    reduce,
    reduce_all,
    reduced_size,
    to_input,
)

SPEC = ResampleSpec()
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
TORCH_KERNELS = ("bicubic", "bilinear")


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """The hardest image for a resizer: every pixel on its own, black and white among them."""
    values = np.random.default_rng(seed).integers(-80, 336, (height, width, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def by_pillow(pixels: NDArray[np.uint8], size: tuple[int, int], kernel: str) -> NDArray[np.int64]:
    """Pillow's direct resize to (height, width).

    From version 13 on Pillow filters tall images columns first, and the pass in between clips the
    overshoot of bicubic elsewhere; for those its rows-first order is asked for pass by pass.
    """
    image = Image.fromarray(pixels)
    if image.height > 2 * image.width:
        image = image.resize((size[1], image.height), FILTERS[kernel])
    return np.asarray(image.resize((size[1], size[0]), FILTERS[kernel])).astype(np.int64)


def generated(height: int, width: int) -> NDArray[np.uint8]:
    """An image by whole-number arithmetic alone: the same one on every machine."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * x * (3 + c) + y * y * 5 + x * y * (7 - c) + x // 9 * 40 * c for c in range(3)]
    return (np.stack(planes, axis=2) % 256).astype(np.uint8)


def by_formula(pixels: NDArray[np.uint8], resolution: int) -> NDArray[np.float64]:
    """Lanczos with three lobes, widened by the factor of reduction, of a square image."""

    def weights(native: int) -> NDArray[np.float64]:
        factor = native / resolution
        centres = (np.arange(resolution) + 0.5) * factor
        t = (np.arange(native) + 0.5 - centres[:, None]) / factor
        kernel = np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)
        return kernel / kernel.sum(axis=1, keepdims=True)

    w = weights(pixels.shape[0])
    # Between the two passes the values are clipped, as everything is uint8 there.
    across = np.einsum("jx,yxc->yjc", w, pixels.astype(np.float64)).clip(0, 255)
    return np.einsum("iy,yjc->ijc", w, across).clip(0, 255)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@settings(max_examples=80)
@given(st.integers(3, 160), st.integers(3, 160), st.data(), st.sampled_from(TORCH_KERNELS))
def test_a_reduction_is_pillows_within_two_grey_levels(
    height: int, width: int, data: st.DataObject, kernel: str
) -> None:
    r = data.draw(st.integers(2, min(height, width) - 1), "resolution")
    pixels = noise(height, width, data.draw(st.integers(0, 99), "seed"))
    got = reduce(pixels, r, ResampleSpec(filter=kernel))  # type: ignore[arg-type]
    assert np.abs(got - by_pillow(pixels, got.shape[:2], kernel)).max() <= 2
    assert (got.dtype, min(got.shape[:2])) == (np.uint8, r)


@pytest.mark.parametrize("shape", [(375, 500), (500, 375), (40, 160), (160, 40)])
def test_an_enlargement_is_pillows_within_two_grey_levels(shape: tuple[int, int]) -> None:
    small = reduce(noise(*shape), 20, SPEC)
    got = enlarge(small, SPEC)
    assert np.abs(got - by_pillow(small, got.shape[:2], "bicubic")).max() <= 2
    assert min(got.shape[:2]) == 512


def test_without_antialiasing_a_reduction_would_be_far_from_pillows() -> None:
    pixels = noise(120, 160)
    got = reduce(pixels, 20, ResampleSpec(antialias=False))
    assert np.abs(got - by_pillow(pixels, (20, 27), "bicubic")).max() > 50


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_the_shorter_side_is_exact_and_the_longer_one_rounded_half_up(
    height: int, width: int, r: int
) -> None:
    h, w = reduced_size(height, width, r)
    short, long = sorted((height, width))
    exact_times_two = 2 * long * r  # over 2 * short
    other = max(h, w)
    assert min(h, w) == r
    assert h == w == r or (h < w) == (height < width)
    assert (2 * other - 1) * short <= exact_times_two < (2 * other + 1) * short
    assert reduced_size(width, height, r) == (w, h)


@pytest.mark.parametrize(
    ("native", "r", "size"),
    [
        ((500, 375), 100, (133, 100)),
        ((4, 5), 2, (2, 3)),
        ((8, 9), 4, (4, 5)),
        ((10, 10), 7, (7, 7)),
    ],
)
def test_sides_of_known_images(native: tuple[int, int], r: int, size: tuple[int, int]) -> None:
    assert reduced_size(*native, r) == size
    assert reduce(noise(*native), r, SPEC).shape[:2] == size


@pytest.mark.parametrize("r", [30, 31, 1000])
def test_nothing_is_enlarged_above_native(r: int) -> None:
    pixels = noise(30, 44)
    assert reduce(pixels, r, SPEC) is pixels


def test_a_flat_image_stays_flat_and_a_turned_image_turns_its_result() -> None:
    flat = np.full((90, 70, 3), (0, 128, 255), np.uint8)
    assert (reduce(flat, 11, SPEC) == (0, 128, 255)).all()
    pixels = noise(90, 70)
    turned = reduce(np.ascontiguousarray(pixels.transpose(1, 0, 2)), 13, SPEC)
    difference = turned.transpose(1, 0, 2).astype(int) - reduce(pixels, 13, SPEC)
    # The two passes round in between, in the other order.
    assert np.abs(difference).max() <= 1


def test_threads_and_memory_layout_do_not_change_a_byte(threads: None) -> None:
    pixels, reduced, inputs = noise(300, 401), set(), set()
    wider = np.concatenate([pixels, pixels], axis=1)
    for number in (1, 2):
        torch.set_num_threads(number)
        for layout in (
            pixels,
            np.asfortranarray(pixels),
            wider[:, :401],
            pixels[::-1].copy()[::-1],
        ):
            small = reduce(layout, 37, SPEC)
            reduced.add(small.tobytes())
            inputs.add(to_input(small, SPEC).tobytes())
    assert (len(reduced), len(inputs)) == (1, 1)
    limit_threads()
    assert torch.get_num_threads() == 1


def test_each_resolution_is_made_from_the_full_image() -> None:
    pixels = noise(100, 130)
    resolutions = (200, 64, 32, 16)
    for r, got in zip(resolutions, reduce_all(pixels, resolutions, SPEC), strict=True):
        np.testing.assert_array_equal(got, reduce(pixels, r, SPEC))
    cascade = reduce(reduce(pixels, 32, SPEC), 16, SPEC)
    assert not np.array_equal(cascade, reduce(pixels, 16, SPEC))


def test_the_input_is_the_middle_of_the_enlarged_image() -> None:
    spec = ResampleSpec(enlarge_to=64, crop=56)
    for shape in ((20, 30), (30, 20), (64, 64), (200, 64)):
        big = enlarge(noise(*shape), spec)
        top, left = (big.shape[0] - 56) // 2, (big.shape[1] - 56) // 2
        got = to_input(noise(*shape), spec)
        np.testing.assert_array_equal(got, big[top : top + 56, left : left + 56])
        assert got.shape == (56, 56, 3)
    native = noise(64, 90)
    assert enlarge(native, spec) is native
    assert center_crop(np.arange(25).reshape(5, 5), 2).tolist() == [[6, 7], [11, 12]]


def test_squashing_ignores_the_aspect() -> None:
    spec = ResampleSpec(enlarge_to=64, crop=56, fit="squash")
    assert enlarge(noise(20, 60), spec).shape == (64, 64, 3)


def test_the_papers_geometry_at_another_input_size() -> None:
    assert ResampleSpec.for_input(448) == SPEC
    assert ResampleSpec.for_input(224) == ResampleSpec(enlarge_to=256, crop=224)
    for crop in range(8, 600):
        spec = ResampleSpec.for_input(crop)
        assert 0 <= spec.enlarge_to - crop * 8 / 7 < 1


@pytest.mark.parametrize(("crop", "side"), [(7, 8), (65, 64), (64, 5000)])
def test_a_crop_that_does_not_fit_is_refused(crop: int, side: int) -> None:
    with pytest.raises(ConfigError, match=f"input {crop} px cropped from {side} px"):
        ResampleSpec(crop=crop, enlarge_to=side)


@pytest.mark.parametrize(
    ("spec", "digest"),
    [
        (ResampleSpec(enlarge_to=64, crop=56), "4621d08a12a08c39"),
        (ResampleSpec(enlarge_to=64, crop=56, fit="squash"), "fc9a13e4780dc1d2"),
        (ResampleSpec(enlarge_to=64, crop=56, filter="bilinear"), "48da99e389f96eb8"),
    ],
)
def test_the_canonical_pixels_are_what_they_have_always_been(
    spec: ResampleSpec, digest: str
) -> None:
    content = hashlib.sha256()
    for shape in ((90, 121), (121, 90), (64, 64), (200, 31)):
        for small in reduce_all(generated(*shape), (40, 17, 5), spec):
            content.update(small.tobytes() + to_input(small, spec).tobytes())
    assert content.hexdigest()[:16] == digest


@pytest.mark.parametrize("kernel", sorted(FILTERS))
@pytest.mark.parametrize("shape", [(90, 70), (70, 90), (160, 40), (64, 64)])
def test_the_engine_pillow_gives_pillows_own_pixels(kernel: str, shape: tuple[int, int]) -> None:
    spec = ResampleSpec(filter=kernel, engine="pillow", enlarge_to=96, crop=56)  # type: ignore[arg-type]
    native = Image.fromarray(noise(*shape))
    small = reduce(noise(*shape), 19, spec)
    height, width = small.shape[:2]
    assert min(height, width) == 19
    np.testing.assert_array_equal(small, native.resize((width, height), FILTERS[kernel]))
    big = enlarge(small, spec)
    size = (big.shape[1], big.shape[0])
    upwards = FILTERS["bicubic" if kernel == "box" else kernel]
    np.testing.assert_array_equal(big, Image.fromarray(small).resize(size, upwards))
    assert small.flags.writeable
    assert small.flags.c_contiguous


def test_a_box_takes_the_mean_of_each_block() -> None:
    spec = ResampleSpec(filter="box", engine="pillow")
    pixels = noise(60, 84)
    got = reduce(pixels, 15, spec)
    # Along the rows, then down the columns; each pass rounds its means half up.
    along = np.floor(pixels.reshape(60, 21, 4, 3).mean(axis=2) + 0.5)
    np.testing.assert_array_equal(got, np.floor(along.reshape(15, 4, 21, 3).mean(axis=1) + 0.5))
    assert np.abs(got - pixels.reshape(15, 4, 21, 4, 3).mean(axis=(1, 3))).max() <= 1


def test_lanczos_is_three_lobes_of_a_windowed_sinc() -> None:
    pixels = noise(60, 60)
    got = reduce(pixels, 17, ResampleSpec(filter="lanczos", engine="pillow"))
    assert np.abs(got - by_formula(pixels, 17)).max() <= 1.5
    assert np.abs(by_formula(pixels, 17) - reduce(pixels, 17, SPEC)).max() > 5
