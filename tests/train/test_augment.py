"""RandAugment: Pillow's operations as an oracle, and draws that depend on nothing but their key."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from c2f_data.resample import ResampleSpec
from c2f_train.augment import BLEND, OPERATIONS_BY_NAME, RandAugment, augmentation
from c2f_train.config import TrainConfig
from c2f_train.data import TrainingImages

ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "colour": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}


def image(seed: int = 0, low: int = 30, high: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (24, 24, 3), dtype=np.uint8)


def apply(name: str, pixels: np.ndarray, strength: float) -> np.ndarray:
    planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    found = OPERATIONS_BY_NAME[name](planes, strength)
    assert found.dtype == torch.uint8
    assert found.shape == planes.shape
    return found.permute(1, 2, 0).numpy()


def far(mine: np.ndarray, theirs: Image.Image) -> int:
    return int(np.abs(mine.astype(int) - np.asarray(theirs).astype(int)).max())


@pytest.mark.parametrize("name", ENHANCERS)
@pytest.mark.parametrize("strength", [-0.9, -0.3, 0.5, 0.9])
def test_blends_are_pillows(name: str, strength: float) -> None:
    theirs = ENHANCERS[name](Image.fromarray(image())).enhance(1 + BLEND * strength)
    assert far(apply(name, image(), strength), theirs) <= 2  # Pillow rounds its greys


def test_tables_are_pillows() -> None:
    picture = Image.fromarray(image())
    assert far(apply("equalize", image(), 1.0), ImageOps.equalize(picture)) == 0
    assert far(apply("autocontrast", image(), 1.0), ImageOps.autocontrast(picture)) <= 1
    assert far(apply("posterize", image(), 1.0), ImageOps.posterize(picture, 4)) == 0
    assert far(apply("solarize", image(), 0.5), ImageOps.solarize(picture, 128)) == 0


@pytest.mark.parametrize("name", OPERATIONS_BY_NAME)
def test_a_flat_image_breaks_nothing(name: str) -> None:
    flat = np.full((9, 9, 3), 77, np.uint8)
    found = apply(name, flat, 0.9)
    if name in ("autocontrast", "equalize", "contrast", "colour", "sharpness", "identity"):
        assert (found == 77).all()


@pytest.mark.parametrize("name", OPERATIONS_BY_NAME)
def test_no_strength_is_no_change(name: str) -> None:
    if name not in ("autocontrast", "equalize"):  # which have none
        assert (apply(name, image(), 0.0) == image()).all()


def test_shifts_and_turns_go_where_they_should() -> None:
    pixels = np.full((20, 20, 3), 128, np.uint8)
    pixels[10, 10] = 255
    shifted = apply("shift x", pixels, 2 / (20 * 0.45))  # by 2 px of 20
    assert np.unravel_index(shifted[:, :, 0].argmax(), (20, 20)) == (10, 8)
    down = apply("shift y", pixels, -2 / (20 * 0.45))
    assert np.unravel_index(down[:, :, 0].argmax(), (20, 20)) == (12, 10)
    pixels = np.full((21, 21, 3), 128, np.uint8)
    pixels[10, 19] = 255
    turned = apply("rotate", pixels, 1.0)[:, :, 0].astype(float) - 128  # by 30 degrees
    rows, columns = (turned * grid for grid in np.mgrid[-10:11, -10:11])
    angle = np.degrees(np.arctan2(rows.sum(), columns.sum()))
    assert abs(abs(angle) - 30) < 3


def test_a_draw_depends_on_its_key_alone() -> None:
    change = RandAugment(9)
    pixels = torch.from_numpy(image())
    keys = [(1, epoch, position) for epoch in (1, 2) for position in range(8)]
    first = [change(pixels, key) for key in keys]
    torch.manual_seed(3)
    again = [RandAugment(9)(pixels, key) for key in reversed(keys)]
    assert all(torch.equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert len({bytes(x.contiguous().numpy()) for x in first}) > 10
    assert not torch.equal(first[0], change(pixels, (2, 1, 0))) or not torch.equal(
        first[1], change(pixels, (2, 1, 1))
    )


def test_the_crop_stays_the_same_with_it() -> None:
    """What is augmented is the crop that the other recipe sees."""

    class Pictures:
        def __len__(self) -> int:
            return 4

        def pixels(self, position: int) -> np.ndarray:
            return image(position)

    spec = ResampleSpec.for_input(16)
    plain = TrainingImages(Pictures(), spec, 5, cache=False)
    other = TrainingImages(Pictures(), spec, 5, cache=False, change=RandAugment(9))
    for key in ((1, 0), (1, 3), (2, 3)):
        crop = torch.from_numpy(plain[key][0].copy())
        assert (other[key][0] == RandAugment(9)(crop, (5, *key)).numpy()).all()


def test_crop_alone_means_no_change() -> None:
    assert augmentation(TrainConfig()) is None
    assert augmentation(TrainConfig(augment="randaugment")) is not None
