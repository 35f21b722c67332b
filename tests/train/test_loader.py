"""Batches: the same for any number of threads, errors as themselves, nothing left running."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from c2f_data.errors import ImageError
from c2f_data.resample import Pixels, ResampleSpec, to_input
from c2f_train.data import CenterImages, EpochOrder, TrainingImages
from c2f_train.loader import MOST_THREADS, chunks, load, loader, threads_of

SPEC = ResampleSpec.for_input(32)


@dataclass(frozen=True)
class Pictures:
    """Random images of several sizes; some may be damaged."""

    count: int = 7
    damaged: tuple[int, ...] = ()

    def __len__(self) -> int:
        return self.count

    def pixels(self, position: int) -> Pixels:
        if position in self.damaged:
            raise ImageError(f"picture {position}: damaged", "Replace it.")
        random = np.random.default_rng(position)
        return random.integers(0, 256, (40 + position, 60 - position, 3)).astype(np.uint8)


def batches_of(images: TrainingImages, workers: int, epoch: int = 1) -> list[tuple]:
    return list(loader(images, 3, workers, EpochOrder(len(images), epoch, 11)))


@pytest.fixture
def loading_threads() -> Callable[[], list[str]]:
    """Names of the loader's threads that this test has started and that are still there."""
    gc.collect()
    before = set(threading.enumerate())

    def names() -> list[str]:
        now = (t for t in threading.enumerate() if t not in before)
        return [t.name for t in now if t.name.startswith("c2f-load")]

    return names


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_change_nothing(workers: int) -> None:
    here = batches_of(TrainingImages(Pictures(), SPEC, seed=2, cache=True), workers=0)
    there = batches_of(TrainingImages(Pictures(), SPEC, seed=2, cache=False), workers)
    assert [len(images) for images, _ in here] == [3, 3, 1]
    for mine, theirs in zip(here, there, strict=True):
        assert torch.equal(mine[0], theirs[0])
        assert torch.equal(mine[1], theirs[1])


def test_batches_are_images_first_channels_second() -> None:
    (images, positions), *_ = loader(CenterImages(Pictures(), SPEC), 2, 0)
    assert images.shape == (2, 3, 32, 32)
    assert images.dtype == torch.uint8
    # What convolutions like best; to_device has nothing left to do.
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert positions.tolist() == [0, 1]
    expected = to_input(Pictures().pixels(1), SPEC)
    np.testing.assert_array_equal(images[1].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_foreseen_error_arrives_as_itself(
    workers: int, loading_threads: Callable[[], list[str]]
) -> None:
    images = CenterImages(Pictures(damaged=(2, 4)), SPEC)
    with pytest.raises(ImageError) as caught:
        list(loader(images, 3, workers))
    # Of the two the first in order, whichever thread was faster.
    assert caught.value.message == "picture 2: damaged"
    assert caught.value.hint == "Replace it."
    assert loading_threads() == []


def test_as_many_threads_as_asked_for_and_none_afterwards(
    loading_threads: Callable[[], list[str]],
) -> None:
    together = threading.Barrier(3)

    def item(key: int) -> tuple[Pixels, int]:
        together.wait(timeout=20)  # passes only where three load at once
        return np.zeros((8, 8, 3), np.uint8), key

    numbers = [chosen.tolist() for _, chosen in load(item, [[0, 1], [2]], 3)]
    assert numbers == [[0, 1], [2]]
    assert loading_threads() == []


def test_torch_uses_one_thread_in_each_and_as_many_as_before_elsewhere() -> None:
    seen: list[int] = []

    def item(key: int) -> tuple[Pixels, int]:
        seen.append(torch.get_num_threads())
        return np.zeros((8, 8, 3), np.uint8), key

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        list(load(item, [[0, 1], [2, 3]], 2))
        assert seen == [1] * 4
        assert torch.get_num_threads() == 2
        later: list[int] = []
        fresh = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        fresh.start()
        fresh.join()
        assert later == [2]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 2])
def test_only_some_batches_are_loaded_ahead(
    workers: int, loading_threads: Callable[[], list[str]]
) -> None:
    loaded: list[int] = []

    def item(key: int) -> tuple[Pixels, int]:
        loaded.append(key)
        return np.zeros((64, 64, 3), np.uint8), key

    batches = load(item, chunks(range(1000), 4), workers)
    next(batches)
    batches.close()
    assert 4 <= len(loaded) <= 4 * (4 + workers)
    assert loading_threads() == []


def test_ctrl_c_while_waiting_leaves_no_thread(
    loading_threads: Callable[[], list[str]],
) -> None:
    def item(key: int) -> tuple[Pixels, int]:
        if key == 5:
            raise KeyboardInterrupt  # arrives in the thread that waits, as a real one does
        return np.zeros((8, 8, 3), np.uint8), key

    with pytest.raises(KeyboardInterrupt):
        list(load(item, chunks(range(100), 2), 2))
    assert loading_threads() == []


def test_nothing_to_load() -> None:
    assert list(load(CenterImages(Pictures(), SPEC).__getitem__, [], 2)) == []


def test_chunks_hold_every_key_once() -> None:
    assert list(chunks("abcdefg", 3)) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert list(chunks([], 3)) == []


def test_no_number_of_workers_means_one_a_core() -> None:
    assert threads_of(3) == 3
    assert 1 <= threads_of(0) <= MOST_THREADS
