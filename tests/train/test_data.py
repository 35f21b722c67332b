"""Images to batches: what is drawn, in which order, and how errors travel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from train_samples import CPU, Recorder, make_striped, small_model

from c2f_data.decode import decode_file
from c2f_data.errors import ImageError
from c2f_data.index import TRAIN, DatasetIndex
from c2f_data.resample import Pixels, ResampleSpec, enlarge, reduce, to_input
from c2f_train.data import (
    EpochOrder,
    FilePictures,
    ReducedPictures,
    TrainingImages,
    mirror,
)
from c2f_train.inference import extract_features, predict_centers

SPEC = ResampleSpec.for_input(32)


@dataclass(frozen=True)
class Pictures:
    """Random images of several sizes; one may be damaged."""

    count: int = 7
    damaged: int | None = None

    def __len__(self) -> int:
        return self.count

    def pixels(self, position: int) -> Pixels:
        if position == self.damaged:
            raise ImageError(f"picture {position}: damaged", "Replace it.")
        random = np.random.default_rng(position)
        return random.integers(0, 256, (40 + position, 60 - position, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_striped(tmp_path_factory.mktemp("data") / "images", train=1, test=1)


def test_files_are_decoded_upright_and_in_order(index: DatasetIndex) -> None:
    positions = tuple(int(p) for p in index.positions(TRAIN)[::-1])
    pictures = FilePictures(index, positions)
    assert len(pictures) == 8
    for i, position in enumerate(positions):
        np.testing.assert_array_equal(pictures.pixels(i), decode_file(index.path(position)).pixels)


def test_a_training_image_is_a_crop_of_the_enlarged_one_or_its_mirror() -> None:
    images = TrainingImages(Pictures(), SPEC, seed=2, cache=False)
    whole = enlarge(Pictures().pixels(4), SPEC)
    height, width = whole.shape[0] - 32, whole.shape[1] - 32
    seen = set()
    for epoch in range(40):
        crop, position = images[epoch, 4]
        assert position == 4
        places = [
            (top, left, mirrored)
            for top in range(height + 1)
            for left in range(width + 1)
            for mirrored in (False, True)
            if np.array_equal(
                whole[top : top + 32, left : left + 32][:, :: -1 if mirrored else 1], crop
            )
        ]
        assert len(places) == 1
        seen.add(places[0])
    # All corners are possible places, and both directions.
    assert {t for t, _, _ in seen} == set(range(height + 1))
    assert len({m for _, _, m in seen}) == 2


def test_what_is_drawn_depends_on_seed_epoch_and_position_alone() -> None:
    images = TrainingImages(Pictures(), SPEC, seed=2, cache=False)
    first = images[3, 5][0]
    images[9, 1], images[3, 2]
    np.random.default_rng(0).random()
    np.testing.assert_array_equal(images[3, 5][0], first)
    cached = TrainingImages(Pictures(), SPEC, seed=2, cache=True)
    for _ in range(2):
        np.testing.assert_array_equal(cached[3, 5][0], first)
    for other in (images[4, 5][0], TrainingImages(Pictures(), SPEC, 3, cache=False)[3, 5][0]):
        assert not np.array_equal(other, first)


def test_equal_images_at_two_places_are_cropped_differently() -> None:
    class Same(Pictures):
        def pixels(self, position: int) -> Pixels:
            return super().pixels(0)

    images = TrainingImages(Same(), SPEC, seed=2, cache=False)
    assert len({images[1, position][0].tobytes() for position in range(7)}) > 3


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    orders = {
        (epoch, seed): [p for _, p in EpochOrder(20, epoch, seed)]
        for epoch in (1, 2)
        for seed in (1, 2)
    }
    assert len({tuple(order) for order in orders.values()}) == 4
    assert all(sorted(order) == list(range(20)) for order in orders.values())
    assert list(EpochOrder(20, 2, 1)) == [(2, p) for p in orders[2, 1]]
    assert len(EpochOrder(20, 1, 1)) == 20


def test_a_mirrored_image_is_the_reversed_one() -> None:
    pixels = Pictures().pixels(3)
    crop = pixels[2:20, 5:31]
    frozen = pixels.copy()
    frozen.flags.writeable = False
    for view in (pixels, crop, frozen):
        np.testing.assert_array_equal(mirror(view), view[:, ::-1])
    np.testing.assert_array_equal(mirror(crop), Pictures().pixels(3)[2:20, 5:31][:, ::-1])


def test_what_does_not_fit_the_cache_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Counted(Pictures):
        def pixels(self, position: int) -> Pixels:
            asked.append(position)
            return super().pixels(position)

    room = enlarge(Pictures().pixels(0), SPEC).nbytes
    monkeypatch.setattr("c2f_train.data.CACHE_BYTES", room)
    images = TrainingImages(Counted(), SPEC, seed=2, cache=True)
    for epoch in (1, 2):
        for position in (0, 1):
            images[epoch, position]
    assert asked == [0, 1, 1]


def test_reduced_pictures_come_straight_from_the_full_image() -> None:
    small = ReducedPictures(Pictures(), 20, SPEC)
    assert len(small) == len(Pictures())
    np.testing.assert_array_equal(small.pixels(3), reduce(Pictures().pixels(3), 20, SPEC))


def test_features_of_centre_crops_then_of_their_mirrors() -> None:
    model = small_model()
    recorder = Recorder()
    with recorder.task("features", 14) as task:
        both = extract_features(
            model, Pictures(), SPEC, CPU, "float32", workers=0, mirror=True, task=task
        )
    plain = extract_features(model, Pictures(), SPEC, CPU, "float32", workers=0)
    assert recorder.steps == {"features": 14}
    assert both.shape == (14, model.pooling.out_features)
    # The same rows, computed in batches of other sizes.
    torch.testing.assert_close(both[:7], plain, rtol=1e-5, atol=1e-6)
    model.eval()
    for position in range(7):
        crop = to_input(Pictures().pixels(position), SPEC)
        for row, view in ((position, crop), (7 + position, crop[:, ::-1])):
            image = torch.from_numpy(view.copy()).permute(2, 0, 1).unsqueeze(0)
            with torch.no_grad():
                expected = model.features(image)[0]
            torch.testing.assert_close(both[row], expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(both[:7], both[7:], atol=1e-4)


def test_predictions_of_centre_crops() -> None:
    model = small_model()
    classes, confidence = predict_centers(model, 2, Pictures(), SPEC, CPU, "float32", workers=0)
    features = extract_features(model, Pictures(), SPEC, CPU, "float32", workers=0)
    with torch.no_grad():
        best = model.classify(features, 2).softmax(dim=1).max(dim=1)
    np.testing.assert_array_equal(classes, best.indices.numpy())
    np.testing.assert_allclose(confidence, best.values.numpy(), rtol=1e-5)
    assert confidence.dtype == np.float64


def test_a_damaged_file_is_named(index: DatasetIndex, tmp_path: Path) -> None:
    from dataclasses import replace

    broken = replace(index, root=tmp_path)
    with pytest.raises(ImageError, match=r"species 000.0\.png"):
        FilePictures(broken, (int(index.positions(TRAIN)[0]),)).pixels(0)
