"""What a stage is fed: cached features, images kept on the device, or images as they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from c2f_data.index import TRAIN
from c2f_train.alternation import (
    LevelImages,
    alternating_features,
    alternating_images,
    alternating_kept,
    steps_of,
)
from c2f_train.augment import augmentation
from c2f_train.data import TrainingImages
from c2f_train.device_images import DeviceImages, keep_on_device, room_on
from c2f_train.features import cached_features
from c2f_train.loader import threads_of
from c2f_train.run import Run
from c2f_train.step import Batch
from c2f_train.validation import Held


@dataclass(frozen=True)
class Supply:
    """The batches of a stage.

    Attributes:
        steps: of an epoch.
        batches: (epoch, steps to leave out) to the rest of its batches.
        features: level to (2 n, F) features of all training images, where they are cached.
    """

    steps: int
    batches: Callable[[int, int], Iterator[Batch]]
    features: dict[int, Tensor] | None = None


def make_supply(run: Run, stage: int, held: Held | None) -> Supply:
    """Read, or compute, what the stage is fed with.

    Args:
        held: images that are not trained on.

    Raises:
        ArtefactError: a shard is damaged, or the disk has no room for the features.
    """
    config, world = run.config, run.world
    if stage == 1 and config.stage1 == "softmax" and config.cache:
        return _features(run, held)
    # The epochs of stage 2 draw other crops and orders than those of stage 1.
    offset = 0 if stage == 1 else config.stage1_epochs
    streamed, kept = _images(run, held)
    if kept is not None:
        return Supply(
            steps_of(kept, config.batch_size),
            lambda epoch, start: alternating_kept(kept, config, epoch + offset, start, world),
        )
    return Supply(
        steps_of(streamed, config.batch_size),
        lambda epoch, start: alternating_images(streamed, config, epoch + offset, start, world),
    )


def _features(run: Run, held: Held | None) -> Supply:
    config, images = run.config, run.reader.length(TRAIN)
    features = {level: cached_features(run, level) for level in run.levels}
    if sum(rows.nbytes for rows in features.values()) <= room_on(run.device):
        features = {level: rows.to(run.device) for level, rows in features.items()}
    labels = {level: run.labels(TRAIN, level).repeat(2) for level in run.levels}
    rows = None if held is None else (*held.train, *(images + i for i in held.train))
    count = 2 * images if rows is None else len(rows)
    return Supply(
        len(run.levels) * -(-count // config.stage1_batch_size),
        lambda epoch, start: alternating_features(
            features, labels, config, epoch, start, run.world, rows
        ),
        features,
    )


def _images(
    run: Run, held: Held | None
) -> tuple[list[LevelImages[TrainingImages]], list[LevelImages[DeviceImages]] | None]:
    """Every level's training images, and the same ones on the device where they fit there."""
    config = run.config
    names = [run.names[level] for level in run.levels]
    labels = [run.labels(TRAIN, level) for level in run.levels]
    change = augmentation(config)
    images = [
        TrainingImages(run.pictures(TRAIN, level), run.spec, config.seed, cache=True, change=change)
        for level in run.levels
    ]
    sizes = [run.reader.sizes(TRAIN, name) for name in names]
    threads = threads_of(config.workers)
    kept = keep_on_device(images, sizes, names, run.device, threads, run.progress)
    positions = None if held is None else held.train
    streamed = [
        LevelImages(*each, positions) for each in zip(run.levels, images, labels, strict=True)
    ]
    if kept is None:
        return streamed, None
    return streamed, [
        LevelImages(*each, positions) for each in zip(run.levels, kept, labels, strict=True)
    ]
