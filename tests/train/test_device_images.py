"""Images kept on the device: the pixels that are otherwise loaded, and only where they fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train_runs import CONFIG, kept
from train_samples import CPU, Recorder

from c2f_data.errors import ImageError
from c2f_data.resample import Pixels, ResampleSpec, enlarge
from c2f_train import device_images
from c2f_train.alternation import LevelImages, alternating_images, alternating_kept
from c2f_train.config import TrainConfig
from c2f_train.data import EpochOrder, TrainingImages
from c2f_train.device_images import DeviceImages, enlarged_sizes, keep_on_device
from c2f_train.loader import chunks, loader
from c2f_train.progress import Silent
from c2f_train.train import train

SPEC = ResampleSpec.for_input(32)


@dataclass(frozen=True)
class Pictures:
    """Random images of several sizes, high and wide; one may be damaged."""

    count: int = 9
    damaged: int | None = None

    def __len__(self) -> int:
        return self.count

    def pixels(self, position: int) -> Pixels:
        if position == self.damaged:
            raise ImageError(f"picture {position}: damaged", "Replace it.")
        height, width = self.sizes()[position]
        random = np.random.default_rng(position)
        return random.integers(0, 256, (height, width, 3)).astype(np.uint8)

    def sizes(self) -> np.ndarray:
        return np.array([(30 + 5 * i, 62 - 4 * i) for i in range(self.count)])


def images_of(pictures: Pictures, spec: ResampleSpec = SPEC, seed: int = 4) -> TrainingImages:
    return TrainingImages(pictures, spec, seed, cache=False)


def kept_of(pictures: Pictures, spec: ResampleSpec = SPEC, workers: int = 0) -> DeviceImages:
    sizes = enlarged_sizes(pictures.sizes(), spec)
    return DeviceImages(images_of(pictures, spec), sizes, CPU, workers, Silent(), "Loading")


@pytest.mark.parametrize("fit", ["shorter", "squash"])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_batches_bit_for_bit(fit: str, workers: int) -> None:
    spec = ResampleSpec.for_input(32, fit)
    images, held = images_of(Pictures(), spec), kept_of(Pictures(), spec, workers)
    assert len(held) == len(images)
    for epoch in (1, 2):
        order = EpochOrder(9, epoch, 3)
        loaded = list(loader(images, 4, 0, order))
        here = [held.batch(keys) for keys in chunks(order, 4)]
        assert len(here) == len(loaded) == 3
        for (mine, chosen), (theirs, positions) in zip(here, loaded, strict=True):
            assert torch.equal(mine, theirs)
            assert torch.equal(chosen, positions)
            assert mine.is_contiguous(memory_format=torch.channels_last)
    # Not all cuts of all epochs are the same.
    assert not torch.equal(held.batch([(1, 0)])[0], held.batch([(2, 0)])[0])


@pytest.mark.parametrize("fit", ["shorter", "squash"])
def test_sizes_are_those_that_enlarging_gives(fit: str) -> None:
    spec = ResampleSpec.for_input(32, fit)
    made = [enlarge(Pictures().pixels(i), spec).shape[:2] for i in range(9)]
    assert enlarged_sizes(Pictures().sizes(), spec).tolist() == [list(size) for size in made]
    assert enlarged_sizes(np.empty((0, 2), np.int64), spec).shape == (0, 2)


def keep(pictures: Pictures, monkeypatch: pytest.MonkeyPatch, room: int, progress: Recorder):
    monkeypatch.setattr(device_images, "room_on", lambda _: room)
    levels = [images_of(pictures), images_of(pictures, seed=5)]
    sizes = [pictures.sizes()] * 2
    return keep_on_device(levels, sizes, ["genus", "family"], CPU, 0, progress)


def test_all_levels_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    need = 2 * sum(enlarge(Pictures().pixels(i), SPEC).nbytes for i in range(9))
    recorder = Recorder()
    assert keep(Pictures(), monkeypatch, need - 1, recorder) is None
    assert recorder.notes == []
    assert recorder.steps == {}
    held = keep(Pictures(), monkeypatch, need, recorder)
    assert held is not None
    assert [len(images) for images in held] == [9, 9]
    assert recorder.steps == {"Loading the genus images": 9, "Loading the family images": 9}
    assert recorder.notes == ["Training images: 0.0 GB, kept on cpu from here on."]


def test_the_processors_own_memory_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_images.room_on(CPU) == 0
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (900, 1000))
    assert device_images.room_on(torch.device("cuda")) == 300


def test_memory_that_is_gone_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(device_images, "DeviceImages", full)
    assert keep(Pictures(), monkeypatch, 10**9, Recorder()) is None


def test_a_damaged_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="picture 4: damaged"):
        keep(Pictures(damaged=4), monkeypatch, 10**9, Recorder())


def test_levels_take_turns_with_the_same_batches() -> None:
    config = TrainConfig(batch_size=4, seed=1)
    pictures, labels = Pictures(), torch.arange(9) * 10
    streamed = [LevelImages(level, images_of(pictures), labels + level) for level in (2, 1, 0)]
    held = [LevelImages(level, kept_of(pictures), labels + level) for level in (2, 1, 0)]
    for epoch in (1, 2):
        expected = list(alternating_images(streamed, config, epoch))
        assert [batch.level for batch in expected] == [2, 1, 0] * 3
        for mine, theirs in zip(alternating_kept(held, config, epoch), expected, strict=True):
            assert mine.level == theirs.level
            assert torch.equal(mine.inputs, theirs.inputs)
            assert torch.equal(mine.labels, theirs.labels)


def test_a_training_on_kept_images_ends_with_the_same_bits(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, cache=False, stage1_epochs=1, stage2_epochs=1)
    train(shards, config, tmp_path / "streamed", CPU, Silent())
    monkeypatch.setattr(device_images, "room_on", lambda _: 10**9)
    recorder = Recorder()
    train(shards, config, tmp_path / "kept", CPU, recorder)
    assert any("kept on cpu" in note for note in recorder.notes)
    assert kept(tmp_path / "kept") == kept(tmp_path / "streamed")
