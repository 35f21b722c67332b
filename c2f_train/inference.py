"""What a model says about images, in batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.resample import ResampleSpec
from c2f_train.config import Precision
from c2f_train.data import CenterImages, Pictures
from c2f_train.device import autocast
from c2f_train.loader import loader, threads_of
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Task

# Images per forward pass; more gains nothing on a CPU, and a GPU is busy with this many.
BATCH = 32


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """(B, 3, H, W) uint8 to the device, in the layout that convolutions like."""
    return images.contiguous(memory_format=torch.channels_last).to(device, non_blocking=True)


def extract_features(
    model: HierarchicalClassifier,
    pictures: Pictures,
    spec: ResampleSpec,
    device: torch.device,
    precision: Precision,
    *,
    workers: int,
    mirror: bool = False,
    task: Task | None = None,
) -> Tensor:
    """(n, F) float32 features of the centre crops, on the CPU; mirrored ones follow as n more."""
    return torch.cat(
        list(
            feature_batches(
                model,
                pictures,
                spec,
                device,
                precision,
                workers=workers,
                mirror=mirror,
                task=task,
            )
        )
    )


@torch.inference_mode()
def feature_batches(
    model: HierarchicalClassifier,
    pictures: Pictures,
    spec: ResampleSpec,
    device: torch.device,
    precision: Precision,
    *,
    workers: int,
    mirror: bool = False,
    rows: range | None = None,
    task: Task | None = None,
) -> Iterator[Tensor]:
    """The rows of :func:`extract_features`, a batch of images at a time.

    Args:
        rows: which of them; None: all.
    """
    model.eval()
    centres = CenterImages(pictures, spec, mirror=mirror)
    for images, _ in loader(centres, BATCH, threads_of(workers), rows):
        with autocast(device, precision):
            found = model.features(to_device(images, device)).float().cpu()
        yield found
        if task:
            task.advance(len(images))


@torch.inference_mode()
def predict_centers(
    model: HierarchicalClassifier,
    level: int,
    pictures: Pictures,
    spec: ResampleSpec,
    device: torch.device,
    precision: Precision,
    *,
    workers: int,
    task: Task | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One level's prediction and confidence for each image, (n,) each."""
    model.eval()
    answers = _Answers(task)
    for images, _ in loader(CenterImages(pictures, spec), BATCH, threads_of(workers)):
        with autocast(device, precision):
            logits = model(to_device(images, device), level)
        answers.add(logits)
    return answers.all()


@torch.inference_mode()
def predict_features(
    model: HierarchicalClassifier,
    level: int,
    features: Tensor,
    device: torch.device,
    precision: Precision,
    *,
    task: Task | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What :func:`predict_centers` gives, from the features (n, F) of the same images."""
    model.eval()
    answers = _Answers(task)
    for rows in torch.split(features, BATCH):
        with autocast(device, precision):
            logits = model.classify(rows.to(device).float(), level)
        answers.add(logits)
    return answers.all()


class _Answers:
    """The best class of each image and its confidence, collected batch by batch."""

    def __init__(self, task: Task | None) -> None:
        self._task = task
        self._classes: list[NDArray[np.int64]] = []
        self._confidences: list[NDArray[np.float64]] = []

    def add(self, logits: Tensor) -> None:
        best = logits.float().softmax(dim=1).max(dim=1)
        self._classes.append(best.indices.cpu().numpy())
        self._confidences.append(best.values.cpu().double().numpy())
        if self._task:
            self._task.advance(len(logits))

    def all(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(n,) each."""
        return np.concatenate(self._classes), np.concatenate(self._confidences)
