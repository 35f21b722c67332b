"""The same picture twice: found when it is, and only then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkup_cases import encoded, find, make_index, picture, topics, usual
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from c2f_data.checkup import check_up
from c2f_data.checkup.duplicates import HASH_BITS, Duplicates, find_duplicates
from c2f_data.checkup.findings import Severity
from c2f_data.checkup.look import detail
from c2f_data.checkup.scan import scan_images


def duplicates_of(root: Path, images: list[tuple[str, str, bytes]]) -> Duplicates:
    index = make_index(root, images)
    return find_duplicates(index, scan_images(index))


def smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width // 2, image.height // 2)))


def brighter(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(1.1))


def test_different_pictures_are_no_duplicates(tmp_path: Path) -> None:
    assert duplicates_of(tmp_path, usual(120)) == Duplicates((), 0, 0, 0)


def test_pictures_of_one_composition_are_no_duplicates(tmp_path: Path) -> None:
    """Alike in the large, so that their hashes agree; different in every detail."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (21, 1024), dtype=np.uint8)
    fine = detail(noise) * 32 * 15
    # What detail() takes away is what the hash sees.
    unit = noise[0] / 255 - 0.5
    large = 700 * (unit - detail(noise[:1])[0] * np.dot(unit, detail(noise[:1])[0]))
    images = []
    for i in range(20):
        grey = np.clip(128 + large + fine[i + 1], 0, 255).astype(np.uint8).reshape(32, 32)
        pixels = np.stack([grey.repeat(4, axis=0).repeat(4, axis=1)] * 3, axis=-1)
        images.append(("a", "train", encoded(pixels)))
    index = make_index(tmp_path, images)
    seen = scan_images(index)
    apart = np.bitwise_count(seen.hashes[:, None] ^ seen.hashes[None])
    close = int((apart[np.triu_indices(20, 1)] <= HASH_BITS).sum())
    assert close > 10
    assert find_duplicates(index, seen).groups == ()


@pytest.mark.parametrize(
    "copy",
    [
        encoded(picture(0)),
        encoded(picture(0), "JPEG", quality=40),
        encoded(smaller(picture(0))),
        encoded(brighter(picture(0))),
    ],
    ids=["same bytes", "jpeg", "smaller", "brighter"],
)
def test_a_copy_in_the_other_split_is_found(tmp_path: Path, copy: bytes) -> None:
    images = usual(20)
    images[6] = ("a", "test", copy)
    found = duplicates_of(tmp_path, images)
    (group,) = found.groups
    assert group.images == ("0.img", "6.img")
    assert group.splits == ("train", "test")
    assert group.across_splits
    assert not group.across_classes
    assert group.identical == (copy == images[0][2])
    assert (found.leaked, found.mislabelled, found.spare) == (1, 0, 0)


def test_one_picture_with_two_labels(tmp_path: Path) -> None:
    images = usual(20)
    images[1] = ("b", "train", encoded(picture(0), "JPEG"))
    found = duplicates_of(tmp_path, images)
    assert found.groups[0].across_classes
    assert (found.leaked, found.mislabelled, found.spare) == (0, 2, 1)


def test_copies_of_copies_are_one_group(tmp_path: Path) -> None:
    images = usual(20)
    images[2] = ("a", "test", encoded(picture(0), "JPEG", quality=60))
    images[4] = ("a", "train", encoded(picture(0)))
    images[6] = ("a", "test", images[2][2])
    found = duplicates_of(tmp_path, images)
    (group,) = found.groups
    assert group.images == ("0.img", "2.img", "4.img", "6.img")
    assert (found.leaked, found.mislabelled, found.spare) == (2, 0, 2)


def test_the_most_harmful_group_comes_first(tmp_path: Path) -> None:
    images = usual(24)
    images[4] = ("a", "train", images[0][2])
    images[6] = ("a", "test", images[8][2])
    images[11] = ("b", "test", images[14][2])
    flags = [(g.across_classes, g.across_splits) for g in duplicates_of(tmp_path, images).groups]
    assert flags == [(True, False), (False, True), (False, False)]


def test_blank_pictures_are_only_grouped_when_identical(tmp_path: Path) -> None:
    blanks = [encoded(np.full((40, 40, 3), level, np.uint8)) for level in (0, 90, 91, 255, 255)]
    found = duplicates_of(tmp_path, [*usual(12), *(("a", "train", blank) for blank in blanks)])
    assert [group.images for group in found.groups] == [("15.img", "16.img")]


def test_many_look_alikes_are_one_group(tmp_path: Path) -> None:
    images = []
    for i in range(180):
        pixels = picture(0).copy()
        pixels[i % 90] = i
        images.append(("a", "train", encoded(pixels)))
    (group,) = duplicates_of(tmp_path, images).groups
    assert len(group.images) == 180


def test_a_few_leaks_warn_and_many_are_a_problem(tmp_path: Path) -> None:
    images = usual(404)
    images[2] = ("a", "test", images[0][2])
    images[6] = ("a", "test", images[4][2])
    few = check_up(make_index(tmp_path, images))
    assert find(few, "leak").severity is Severity.WARNING
    assert "2 test images (1.0%)" in find(few, "leak").message
    assert few.sound
    images[10] = ("a", "test", images[8][2])
    many = check_up(make_index(tmp_path, images))
    assert find(many, "leak").severity is Severity.PROBLEM
    assert not many.sound


def test_repeats_and_labels_are_told_apart(tmp_path: Path) -> None:
    images = usual()
    images[4] = ("a", "train", images[0][2])
    result = check_up(make_index(tmp_path, images))
    assert topics(result) == {"repeats"}
    assert find(result, "repeats").examples == ("identical: 0.img (train) = 4.img (train)",)
    images[4] = ("b", "train", images[0][2])
    result = check_up(make_index(tmp_path, images))
    assert topics(result) == {"repeats", "labels", "few"}
    assert find(result, "labels").severity is Severity.PROBLEM
