"""Noise and JPEG after the reduction: what they do to pixels, and that the order never matters."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from shards_cases import RESOLUTIONS, levels, make_index, open_rgb, picture, tree

from c2f_data import degrade as degradations
from c2f_data.decode import decode_file
from c2f_data.degrade import add_noise, degrade, through_jpeg
from c2f_data.errors import ImageError
from c2f_data.resample import ResampleSpec, reduce, reduce_all
from c2f_data.resample_spec import Reduction
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import make_plan
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards

FULL = Reduction(filter="box", engine="pillow", noise=6.0, noise_seed=5, jpeg=60)


def flat(value: int, side: int = 200) -> NDArray[np.uint8]:
    return np.full((side, side, 3), value, np.uint8)


def added(deviation: float, value: int = 128, seed: int = 0) -> NDArray[np.int64]:
    return add_noise(flat(value), deviation, seed).astype(np.int64) - value


@pytest.mark.parametrize(
    ("deviation", "off"), [(0.5, 0.03), (1.0, 0.002), (3.0, 0.002), (10.0, 0.002), (30.0, 0.005)]
)
def test_noise_has_the_mean_and_the_deviation_that_are_asked_for(
    deviation: float, off: float
) -> None:
    noise = added(deviation)
    n = noise.size
    expected = deviation**2 + 1 / 12  # rounding to whole grey levels
    assert abs(noise.mean()) < 4 * np.sqrt(expected / n)
    # The variance of a sample of n: four of its own deviations, and what 1/12 is off at half a
    # grey level, or is clipped at thirty.
    assert abs(noise.var() / expected - 1) < 4 * np.sqrt(2 / n) + off


def test_noise_is_gaussian_and_every_value_is_on_its_own() -> None:
    noise = added(10.0).astype(np.float64)
    for deviations, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027)):
        outside = float((np.abs(noise) > 10 * deviations + 0.5).mean())
        # Half a grey level of rounding moves the border by a twentieth of a deviation.
        assert 0.7 * share < outside < 1.1 * share
    rows, columns, colours = noise[1:], noise[:, 1:], noise[:, :, 1:]
    for a, b in (
        (rows, noise[:-1]),
        (columns, noise[:, :-1]),
        (colours, noise[:, :, :-1]),
    ):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_noise_ends_at_black_and_white() -> None:
    for value in (0, 255):
        noisy = add_noise(flat(value), 20.0, 0)
        assert noisy.dtype == np.uint8
        share = float((noisy == value).mean())
        assert 0.45 < share < 0.55  # one half is clipped, and nothing comes round at the other end
        assert np.abs(noisy.astype(int) - value).max() < 100


def test_noise_depends_on_the_pixels_and_the_seed_alone() -> None:
    pixels = picture(0)
    noisy = add_noise(pixels, 5.0, 1)
    add_noise(picture(1), 9.0, 1)
    np.testing.assert_array_equal(add_noise(pixels.copy(), 5.0, 1), noisy)
    np.testing.assert_array_equal(add_noise(np.asfortranarray(pixels), 5.0, 1), noisy)
    other = pixels.copy()
    other[0, 0, 0] ^= 1
    for changed in (add_noise(pixels, 5.0, 2), add_noise(other, 5.0, 1)):
        assert float((changed != noisy).mean()) > 0.5
    turned = add_noise(flat(9).reshape(100, 400, 3), 5.0, 1)
    assert not np.array_equal(turned.ravel(), add_noise(flat(9), 5.0, 1).ravel())


def test_the_noise_of_a_version_is_that_of_the_next() -> None:
    assert added(10.0)[0, :3].ravel().tolist() == [2, 1, -12, -9, 1, -8, -3, -5, 9]


def test_an_image_of_an_odd_number_of_values() -> None:
    for shape in ((1, 1, 3), (3, 3, 3), (2, 5, 3)):
        assert add_noise(np.full(shape, 100, np.uint8), 5.0, 0).shape == shape


@pytest.mark.parametrize("quality", [1, 40, 75, 100])
def test_jpeg_is_pillows_own(quality: int) -> None:
    pixels = picture(2, 41, 57)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2)
    got = through_jpeg(pixels, quality)
    np.testing.assert_array_equal(got, np.asarray(Image.open(buffer)))
    assert (got.dtype, got.flags.writeable) == (np.uint8, True)


def test_jpeg_loses_more_at_a_lower_quality() -> None:
    pixels = picture(3)
    lost = [np.abs(through_jpeg(pixels, q).astype(int) - pixels).mean() for q in (95, 60, 20, 5)]
    assert lost == sorted(lost)
    assert lost[0] < lost[-1]


def test_an_image_too_long_for_jpeg_is_a_clear_error() -> None:
    with pytest.raises(ImageError, match="65536 x 2 pixels"):
        through_jpeg(np.zeros((2, 65536, 3), np.uint8), 50)


def test_noise_comes_before_jpeg() -> None:
    pixels = picture(4)
    got = degrade(pixels, Reduction(noise=6.0, noise_seed=5, jpeg=60))
    np.testing.assert_array_equal(got, through_jpeg(add_noise(pixels, 6.0, 5), 60))


def test_what_is_not_asked_for_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No copy, no look at the pixels: the very array goes through."""

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(degradations, "add_noise", never)
    monkeypatch.setattr(degradations, "through_jpeg", never)
    pixels = picture(0)
    assert degrade(pixels, Reduction()) is pixels


def test_only_reduced_images_are_degraded() -> None:
    pixels = picture(0)
    for r in (40, 41, 300):
        assert reduce(pixels, r, FULL) is pixels
    for part in (Reduction(noise=6.0), Reduction(jpeg=60)):
        plain = reduce(pixels, 39, Reduction())
        np.testing.assert_array_equal(reduce(pixels, 39, part), degrade(plain, part))
        assert not np.array_equal(reduce(pixels, 39, part), plain)


def test_an_image_at_a_resolution_is_the_same_in_any_order() -> None:
    images, resolutions = [picture(k) for k in range(3)], (30, 17, 9, 4)
    spec = ResampleSpec.for_input(56, reduction=FULL)
    swept = {
        (k, r): small
        for k, image in enumerate(images)
        for r, small in zip(resolutions, reduce_all(image, resolutions, spec), strict=True)
    }
    for r in reversed(resolutions):
        for k in (2, 0, 1):
            np.testing.assert_array_equal(reduce(images[k], r, FULL), swept[k, r])


@pytest.mark.parametrize("jobs", [1, 2])
def test_shards_hold_the_degraded_pixels(tmp_path: Path, jobs: int) -> None:
    index = make_index(tmp_path)
    folder = tmp_path / "shards"
    write_shards(index, levels(), FULL, folder, jobs=jobs)
    reader = ShardReader(folder)
    assert reader.manifest.reduction == FULL
    assert verify(folder, decode=True) == []
    for split in reader.splits:
        for i, position in enumerate(index.positions(split)):
            full = decode_file(index.path(int(position))).pixels
            np.testing.assert_array_equal(reader.pixels(split, i, "species"), full)
            for level, r in RESOLUTIONS.items():
                stored = open_rgb(reader.read(split, i, level))
                np.testing.assert_array_equal(stored, reduce(full, r, FULL))
    before = tree(folder)
    write_shards(index, levels(), ResampleSpec.for_input(224, reduction=FULL), folder)
    assert tree(folder) == before  # the input's geometry is not in the plan


@pytest.mark.parametrize(
    "change",
    [
        lambda: Reduction(noise=6.0),
        lambda: Reduction(noise=6.0, noise_seed=1),
        lambda: Reduction(jpeg=60),
        lambda: Reduction(jpeg=61),
        lambda: Reduction(engine="pillow"),
        lambda: Reduction(filter="box", engine="pillow"),
    ],
)
def test_every_part_makes_another_plan(tmp_path: Path, change: Callable[[], Reduction]) -> None:
    index = make_index(tmp_path)
    plans = {make_plan(index, levels(), spec).fingerprint for spec in (Reduction(), FULL, change())}
    assert len(plans) == 3
