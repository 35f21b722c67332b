"""The batches of an epoch (section 4.1): one of I_high, one of I_med, one of I_low, and back.

Which images are in a batch is a function of seed and epoch, so an epoch can begin at any step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from c2f_train.config import TrainConfig
from c2f_train.data import EpochOrder, TrainingImages
from c2f_train.device_images import DeviceImages
from c2f_train.distributed import ALONE, World
from c2f_train.loader import chunks, load, threads_of
from c2f_train.step import NOBODY, Batch

Source = TypeVar("Source", TrainingImages, DeviceImages)
Turn = tuple[int, list[int]]  # a level, and the positions of the images in its batch


@dataclass(frozen=True)
class LevelImages(Generic[Source]):
    """The training images of one level at that level's resolution.

    Attributes:
        labels: (n,) class ids of the level.
        positions: which of the n images are trained on; None: all.
    """

    level: int
    images: Source
    labels: Tensor
    positions: tuple[int, ...] | None = None

    @property
    def chosen(self) -> Sequence[int]:
        """Positions of the images that are trained on."""
        return range(len(self.images)) if self.positions is None else self.positions


def steps_of(levels: Sequence[LevelImages[Source]], batch_size: int) -> int:
    """Steps of an epoch: every level's images once."""
    return sum(math.ceil(len(level.chosen) / batch_size) for level in levels)


def alternating_images(
    levels: Sequence[LevelImages[TrainingImages]],
    config: TrainConfig,
    epoch: int,
    start: int = 0,
    world: World = ALONE,
) -> Iterator[Batch]:
    """Batches of the levels in turn, each level in an order of its own.

    One set of threads loads for all levels, in the order in which the batches are used.

    Args:
        start: steps that are left out.
        world: each process gets its part of every batch.
    """
    own = {level.level: level for level in levels}
    turns = list(_turns({n: x.chosen for n, x in own.items()}, config.batch_size, config, epoch))
    turns = turns[start:]
    parts = [_part(positions, world) for _, positions in turns]
    keys = (
        [(own[level].images, (epoch, position)) for position in part]
        for (level, _), part in zip(turns, parts, strict=True)
    )
    batches = load(lambda key: key[0][key[1]], keys, threads_of(config.workers))
    for (level, whole), (inputs, _) in zip(turns, batches, strict=True):
        yield _batch(level, inputs, own[level].labels, whole, world)


def alternating_kept(
    levels: Sequence[LevelImages[DeviceImages]],
    config: TrainConfig,
    epoch: int,
    start: int = 0,
    world: World = ALONE,
) -> Iterator[Batch]:
    """The same batches, of images that the device keeps."""
    own = {level.level: level for level in levels}
    turns = _turns({n: x.chosen for n, x in own.items()}, config.batch_size, config, epoch)
    for level, whole in islice(turns, start, None):
        part = _part(whole, world)
        inputs, _ = own[level].images.batch([(epoch, position) for position in part])
        yield _batch(level, inputs, own[level].labels, whole, world)


def alternating_features(
    features: Mapping[int, Tensor],
    labels: Mapping[int, Tensor],
    config: TrainConfig,
    epoch: int,
    start: int = 0,
    world: World = ALONE,
    rows: Sequence[int] | None = None,
) -> Iterator[Batch]:
    """Batches of cached features of the levels in turn.

    Args:
        features: level to (n, F), of any float type.
        labels: level to (n,) class ids.
        rows: which of the n are trained on; None: all.
    """
    chosen = {
        level: range(len(found)) if rows is None else rows for level, found in features.items()
    }
    turns = _turns(chosen, config.stage1_batch_size, config, epoch)
    for level, whole in islice(turns, start, None):
        part = torch.tensor(_part(whole, world))
        yield _batch(level, features[level][part].float(), labels[level], whole, world)


def _turns(
    chosen: Mapping[int, Sequence[int]], size: int, config: TrainConfig, epoch: int
) -> Iterator[Turn]:
    """Whose batch is next, and which images are in it."""
    orders = []
    for level, positions in chosen.items():
        order = EpochOrder(len(positions), epoch, config.seed * 1000 + level)
        orders.append(chunks((positions[i] for _, i in order), size))
    # All levels hold the same images, so their orders end together.
    for turn in zip(*orders, strict=True):
        yield from zip(chosen, turn, strict=True)


def _part(whole: list[int], world: World) -> list[int]:
    """This process's images of a batch; never none, because every process takes every step."""
    return list(world.share(whole)) or whole[:1]


def _batch(level: int, inputs: Tensor, labels: Tensor, whole: list[int], world: World) -> Batch:
    own = world.share(whole)
    found = labels[torch.tensor(own, dtype=torch.long)]
    if not own:
        found = torch.full((1,), NOBODY)
    return Batch(level, inputs, found, len(whole))
