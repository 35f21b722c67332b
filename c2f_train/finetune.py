"""Train a classifier of every level on I_high, for calibration: one network, summed losses."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from c2f_data.artefacts import remove_leftovers
from c2f_data.errors import C2FError
from c2f_data.resample import ResampleSpec
from c2f_train.config import Precision
from c2f_train.data import EpochOrder, Pictures, TrainingImages
from c2f_train.device import autocast
from c2f_train.inference import to_device
from c2f_train.loader import loader, threads_of
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress, Task
from c2f_train.results import EpochMetrics
from c2f_train.snapshot import (
    Position,
    read_position,
    restore_model,
    restore_optimizer,
    save_snapshot,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """AdamW with a linear warm-up and a cosine decay to zero.

    Attributes:
        trunk_lr, head_lr: peak learning rates of the backbone and of the classifiers.
        warmup: share of the steps in which the rate rises.
    """

    epochs: int
    trunk_lr: float
    head_lr: float
    weight_decay: float
    batch_size: int
    warmup: float = 0.1


# A from-scratch trunk without normalisation now and then draws a huge gradient.
CLIP_NORM = 1.0

FROM_SCRATCH = Recipe(
    epochs=16, trunk_lr=2e-3, head_lr=2e-3, weight_decay=1e-4, batch_size=32, warmup=0.2
)
PRETRAINED = Recipe(epochs=20, trunk_lr=5e-5, head_lr=2e-3, weight_decay=0.05, batch_size=16)


def finetune(
    model: HierarchicalClassifier,
    pictures: Pictures,
    labels: NDArray[np.int64],
    spec: ResampleSpec,
    recipe: Recipe,
    device: torch.device,
    precision: Precision,
    *,
    seed: int,
    workers: int,
    snapshot: Path,
    key: str,
    progress: Progress,
    what: str,
) -> None:
    """Train all of ``model`` in place; the loss is the sum of the levels' cross-entropies.

    Args:
        pictures: the training images at native resolution.
        labels: (n, levels) class ids.
        snapshot: folder for the state after each epoch; an unfinished training with the same
            ``key`` goes on from there.

    Raises:
        C2FError: the loss is no longer a number.
    """
    model.to(device)
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.backbone.parameters()), "peak": recipe.trunk_lr},
            {"params": list(model.classifiers.parameters()), "peak": recipe.head_lr},
        ],
        weight_decay=recipe.weight_decay,
    )
    history: list[EpochMetrics] = []
    remove_leftovers(snapshot)
    position = read_position(snapshot)
    if position is not None and position.key == key:
        restore_model(snapshot, position, model)
        restore_optimizer(snapshot, position, optimizer)
        history = list(position.history)
    images = TrainingImages(pictures, spec, seed, cache=True)
    steps = math.ceil(len(pictures) / recipe.batch_size)
    targets = torch.from_numpy(labels).to(device)
    with progress.task(what, recipe.epochs * steps) as task:
        task.advance(len(history) * steps)
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            order = EpochOrder(len(pictures), epoch, seed)
            batches = loader(images, recipe.batch_size, threads_of(workers), order)
            history.append(
                _epoch(model, optimizer, batches, targets, recipe, epoch, device, precision, task)
            )
            if epoch < recipe.epochs:
                save_snapshot(snapshot, model, optimizer, Position(key, 1, epoch, tuple(history)))


def _epoch(
    model: HierarchicalClassifier,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    targets: Tensor,
    recipe: Recipe,
    epoch: int,
    device: torch.device,
    precision: Precision,
    task: Task,
) -> EpochMetrics:
    """Every image once. ``targets`` (n, levels) are the class ids of all images."""
    started = time.perf_counter()
    model.train()
    total, right, count = 0.0, 0, len(targets)
    steps = math.ceil(count / recipe.batch_size)
    for step, (batch, chosen) in enumerate(batches, start=(epoch - 1) * steps):
        share = schedule(step, recipe.epochs * steps, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        truth = targets[chosen.to(device)]
        with autocast(device, precision):
            logits = model.all_logits(to_device(batch, device))
        total += _step(model, optimizer, logits, truth) * len(batch)
        right += int((logits[-1].argmax(dim=1) == truth[:, -1]).sum())
        task.advance()
    return EpochMetrics(
        stage=1,
        epoch=epoch,
        learning_rate=optimizer.param_groups[1]["lr"],
        loss={"all levels": total / count},
        accuracy={"finest": right / count},
        seconds=time.perf_counter() - started,
    )


def _step(
    model: HierarchicalClassifier,
    optimizer: torch.optim.Optimizer,
    logits: list[Tensor],
    truth: Tensor,
) -> float:
    """One step on the summed loss of all levels; returns it."""
    losses = [nn.functional.cross_entropy(x.float(), truth[:, i]) for i, x in enumerate(logits)]
    loss = torch.stack(losses).sum()
    value = check_finite(loss)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    optimizer.step()
    return value


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate: linear up, then half a cosine down to zero."""
    rising = max(1.0, warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, steps - rising)))


def check_finite(loss: Tensor) -> float:
    """The loss as a number. Raises C2FError where it is none."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise C2FError(
            "the training diverged: the loss is no longer a number",
            "Lower the learning rate or use --precision float32; the last finished epoch is kept.",
        )
    return value
