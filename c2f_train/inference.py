"""What a model says about images, in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.predictions import Predictions
from c2f_data.resample import ResampleSpec
from c2f_train.config import Precision
from c2f_train.data import CenterImages, Pictures, SweepImages, loader
from c2f_train.device import autocast
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Task

# Images per forward pass; more gains nothing on a CPU, and a GPU is busy with this many.
BATCH = 32


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """(B, 3, H, W) uint8 to the device, in the layout that convolutions like."""
    return images.contiguous(memory_format=torch.channels_last).to(device, non_blocking=True)


@torch.inference_mode()
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
    model.eval()
    rows = []
    for images, _ in loader(CenterImages(pictures, spec, mirror=mirror), BATCH, workers):
        with autocast(device, precision):
            rows.append(model.features(to_device(images, device)).float().cpu())
        if task:
            task.advance(len(images))
    return torch.cat(rows)


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
    classes, confidences = [], []
    for images, _ in loader(CenterImages(pictures, spec), BATCH, workers):
        with autocast(device, precision):
            logits = model(to_device(images, device), level)
        best = logits.float().softmax(dim=1).max(dim=1)
        classes.append(best.indices.cpu().numpy())
        confidences.append(best.values.cpu().double().numpy())
        if task:
            task.advance(len(images))
    return np.concatenate(classes), np.concatenate(confidences)


@torch.inference_mode()
def predict_sweep(
    models: Sequence[HierarchicalClassifier],
    pictures: Sequence[Pictures],
    resolutions: Sequence[int | None],
    spec: ResampleSpec,
    device: torch.device,
    precision: Precision,
    *,
    workers: int,
    task: Task,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Every level's prediction at every resolution; one decode an image.

    Args:
        models, pictures: per fold, a model and the images that it has not seen.
        resolutions: in pixels; None for untouched images.

    Returns:
        predicted (R, n, levels), confidence (R, n, levels), native shorter sides (n,), with the
        images of the folds one after another.
    """
    predicted, confidence, sides = [], [], []
    for model, own in zip(models, pictures, strict=True):
        if not len(own):
            continue
        model.eval()
        for stacks, native in loader(SweepImages(own, resolutions, spec), BATCH, workers):
            indices, values = [], []
            # A resolution's batch holds that resolution alone, so that what is measured together
            # with it does not show in the last bit of its answers.
            for position in range(len(resolutions)):
                with autocast(device, precision):
                    logits = model.all_logits(to_device(stacks[:, position], device))
                best = [each.float().softmax(dim=1).max(dim=1) for each in logits]
                indices.append(torch.stack([b.indices for b in best], dim=1).cpu())
                values.append(torch.stack([b.values for b in best], dim=1).cpu().double())
                task.advance(len(stacks))
            predicted.append(torch.stack(indices).numpy())
            confidence.append(torch.stack(values).numpy())
            sides.append(native.numpy())
    return (
        np.concatenate(predicted, axis=1),
        np.concatenate(confidence, axis=1),
        np.concatenate(sides),
    )


def as_predictions(
    resolution: int,
    native: bool,
    levels: tuple[str, ...],
    image_ids: tuple[str, ...],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float64],
    sides: NDArray[np.int64],
) -> Predictions:
    """Bind one resolution's rows to their images."""
    reduced = np.zeros(len(image_ids), dtype=np.bool_) if native else sides > resolution
    return Predictions(resolution, native, levels, image_ids, true, predicted, confidence, reduced)
