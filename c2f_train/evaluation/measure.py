"""The network's part of an evaluation: every classifier's answers at one resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.calibration import LevelResolution
from c2f_data.errors import C2FError
from c2f_data.predictions import Predictions
from c2f_data.shards.reader import ShardReader
from c2f_train.answering import roll_up
from c2f_train.checkpoint import ModelMeta
from c2f_train.config import Precision
from c2f_train.data import CenterImages
from c2f_train.device import autocast, describe_device
from c2f_train.evaluation.answers import TOP, Answers
from c2f_train.inference import BATCH, to_device
from c2f_train.loader import loader, threads_of
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress
from c2f_train.run import ShardPictures


@dataclass(frozen=True, slots=True)
class Compute:
    """Where and how the network runs. ``workers``: threads that decode; 0: one a core."""

    device: torch.device
    precision: Precision
    workers: int


@dataclass(frozen=True, slots=True)
class _Best:
    """(n, levels, 5) best answers, -1 where there are fewer, and (n, levels) their confidence."""

    top: NDArray[np.int64]
    confidence: NDArray[np.float64]


def measure(
    model: HierarchicalClassifier,
    meta: ModelMeta,
    reader: ShardReader,
    split: str,
    images: LevelResolution,
    compute: Compute,
    progress: Progress,
) -> Answers:
    """Ask every trained classifier about the images of a split at one level's resolution.

    All answers come from one pass of the trunk over the centre crops.

    Args:
        model: on the device already.
        images: the level whose images are shown, with their resolution.

    Raises:
        ArtefactError: a shard is damaged.
        C2FError: the model's scores are not numbers.
    """
    levels, labels = reader.levels, reader.labels(split)
    trained = [levels.index(level) for level in meta.trained]
    where = "native images" if images.native else f"images at {images.resolution} px"
    with progress.task(f"Evaluating on {where}", len(labels)) as task:
        pictures = ShardPictures(reader, split, images.name)
        own, rolled = [], []
        ancestors = torch.from_numpy(reader.manifest.taxonomy.codes).to(compute.device)
        model.eval()
        batches = loader(CenterImages(pictures, meta.spec), BATCH, threads_of(compute.workers))
        for pixels, _ in batches:
            logits = _logits(model, pixels, compute)
            own.append(_best([logits[level] for level in trained]))
            # Where the finest level was not trained, there is nothing to roll up.
            finest = len(levels) - 1
            coarser = roll_up(logits[-1], ancestors)[:-1] if finest in trained else []
            rolled.append(_best(coarser))
            task.advance(len(pixels))
    mine, theirs = _joined(own), _joined(rolled)
    sides = reader.native_sizes(split).min(axis=1)
    resolution = images.resolution or 0
    predictions = Predictions(
        resolution=resolution,
        native=images.native,
        levels=tuple(levels[level] for level in trained),
        image_ids=reader.image_ids(split),
        true=labels[:, trained],
        predicted=mine.top[:, :, 0],
        confidence=mine.confidence,
        reduced=np.zeros(len(labels), np.bool_) if images.native else sides > resolution,
    )
    device = describe_device(compute.device)
    return Answers(levels, predictions, labels, mine.top, theirs.top, theirs.confidence, device)


@torch.inference_mode()
def _logits(model: HierarchicalClassifier, pixels: Tensor, compute: Compute) -> list[Tensor]:
    with autocast(compute.device, compute.precision):
        logits = model.all_logits(to_device(pixels, compute.device))
    if not all(bool(torch.isfinite(each).all()) for each in logits):
        raise C2FError(
            "the model's scores are not finite",
            "Its training diverged, or its file was changed: train it again with a lower rate, or "
            "evaluate with --precision float32.",
        )
    return [each.float() for each in logits]


def _best(logits: Sequence[Tensor]) -> _Best:
    """The five best classes of every level. Of equal ones the first, as everywhere else."""
    rows = len(logits[0]) if logits else 0
    top = np.full((rows, len(logits), TOP), -1, np.int64)
    confidence = np.zeros((rows, len(logits)))
    for level, each in enumerate(logits):
        ranked = each.softmax(dim=1).sort(dim=1, descending=True, stable=True)
        width = min(TOP, each.shape[1])
        top[:, level, :width] = ranked.indices[:, :width].cpu().numpy()
        # Sums of rounded shares may exceed 1 in the last digit.
        confidence[:, level] = ranked.values[:, 0].clamp(max=1.0).cpu().double().numpy()
    return _Best(top, confidence)


def _joined(parts: Sequence[_Best]) -> _Best:
    return _Best(
        np.concatenate([part.top for part in parts]),
        np.concatenate([part.confidence for part in parts]),
    )
