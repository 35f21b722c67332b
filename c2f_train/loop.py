"""One epoch of alternating training (section 4.1): a batch of I_high through the species
classifier, a batch of I_med through the genus classifier, a batch of I_low through the family
classifier, and back to high."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from c2f_train.config import Precision, TrainConfig
from c2f_train.data import EpochOrder, TrainingImages
from c2f_train.device import autocast
from c2f_train.device_images import DeviceImages
from c2f_train.finetune import check_finite
from c2f_train.inference import to_device
from c2f_train.loader import chunks, load, threads_of
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Task
from c2f_train.results import EpochMetrics


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of one level.

    Attributes:
        level: position of the level, coarse to fine.
        inputs: (B, 3, H, W) uint8 images, or (B, F) features that were computed before.
        labels: (B,) class ids of that level.
    """

    level: int
    inputs: Tensor
    labels: Tensor


Source = TypeVar("Source", TrainingImages, DeviceImages)


@dataclass(frozen=True)
class LevelImages(Generic[Source]):
    """The training images of one level at that level's resolution.

    Attributes:
        labels: (n,) class ids of the level.
    """

    level: int
    images: Source
    labels: Tensor


def steps_of(levels: Sequence[LevelImages[Source]], batch_size: int) -> int:
    """Steps of an epoch: every level's images once."""
    return sum(math.ceil(len(level.images) / batch_size) for level in levels)


def alternating_images(
    levels: Sequence[LevelImages[TrainingImages]], config: TrainConfig, epoch: int
) -> Iterator[Batch]:
    """Batches of the levels in turn, each level in an order of its own.

    One set of threads loads for all levels, in the order in which the batches are used.
    """
    turns = list(_turns(levels, config, epoch))
    keys = ([(own.images, key) for key in chunk] for own, chunk in turns)
    batches = load(lambda key: key[0][key[1]], keys, threads_of(config.workers))
    for (own, _), (inputs, chosen) in zip(turns, batches, strict=True):
        yield Batch(own.level, inputs, own.labels[chosen])


def alternating_kept(
    levels: Sequence[LevelImages[DeviceImages]], config: TrainConfig, epoch: int
) -> Iterator[Batch]:
    """The same batches, of images that the device keeps."""
    for own, chunk in _turns(levels, config, epoch):
        inputs, chosen = own.images.batch(chunk)
        yield Batch(own.level, inputs, own.labels[chosen])


def _turns(
    levels: Sequence[LevelImages[Source]], config: TrainConfig, epoch: int
) -> Iterator[tuple[LevelImages[Source], list[tuple[int, int]]]]:
    """Whose batch is next, and the (epoch, position) keys in it."""
    orders = [
        chunks(
            EpochOrder(len(own.images), epoch, config.seed * 1000 + own.level), config.batch_size
        )
        for own in levels
    ]
    # All levels hold the same images, so their orders end together.
    for turn in zip(*orders, strict=True):
        yield from zip(levels, turn, strict=True)


def alternating_features(
    features: Mapping[int, Tensor], labels: Mapping[int, Tensor], config: TrainConfig, epoch: int
) -> Iterator[Batch]:
    """Batches of cached features of the levels in turn.

    Args:
        features: level to (n, F), of any float type.
        labels: level to (n,) class ids.
    """
    orders = {
        level: chunks(
            (i for _, i in EpochOrder(len(rows), epoch, config.seed * 1000 + level)),
            config.stage1_batch_size,
        )
        for level, rows in features.items()
    }
    for turn in zip(*orders.values(), strict=True):
        for level, chosen in zip(orders, turn, strict=True):
            rows = torch.tensor(chosen)
            yield Batch(level, features[level][rows].float(), labels[level][rows])


def train_epoch(
    model: HierarchicalClassifier,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Batch],
    *,
    stage: int,
    epoch: int,
    trunk: bool,
    device: torch.device,
    precision: Precision,
    task: Task,
) -> EpochMetrics:
    """One epoch, one optimiser step a batch.

    The classifiers that a batch does not use have no gradient at all (None, not zero), so weight
    decay and momentum leave them alone.

    Args:
        trunk: the backbone is trained too; otherwise it is only applied.

    Raises:
        C2FError: the loss is no longer a number.
    """
    started = time.perf_counter()
    model.train()
    if not trunk:
        model.backbone.eval()
    loss_sum: dict[int, float] = {}
    right: dict[int, int] = {}
    seen: dict[int, int] = {}
    for batch in batches:
        labels = batch.labels.to(device)
        with autocast(device, precision):
            logits = _logits(model, batch, trunk, device).float()
        loss = nn.functional.cross_entropy(logits, labels)
        value = check_finite(loss)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        level, count = batch.level, len(labels)
        loss_sum[level] = loss_sum.get(level, 0.0) + value * count
        right[level] = right.get(level, 0) + int((logits.argmax(dim=1) == labels).sum())
        seen[level] = seen.get(level, 0) + count
        task.advance()
    return EpochMetrics(
        stage=stage,
        epoch=epoch,
        learning_rate=optimizer.param_groups[0]["lr"],
        loss={str(level): loss_sum[level] / n for level, n in seen.items()},
        accuracy={str(level): right[level] / n for level, n in seen.items()},
        seconds=time.perf_counter() - started,
    )


def _logits(
    model: HierarchicalClassifier, batch: Batch, trunk: bool, device: torch.device
) -> Tensor:
    if batch.inputs.ndim == 2:
        return model.classify(batch.inputs.to(device), batch.level)
    images = to_device(batch.inputs, device)
    with torch.set_grad_enabled(trunk):
        maps = model.backbone(images)
    return model.classify(model.pooling(*maps), batch.level)
