"""The two stages of a training, from wherever an earlier one of the same settings stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from c2f_data.artefacts import to_plain, write_text
from c2f_data.errors import ArtefactError
from c2f_data.index import TRAIN
from c2f_train.data import TrainingImages
from c2f_train.device_images import DeviceImages, keep_on_device
from c2f_train.features import cached_features
from c2f_train.loader import threads_of
from c2f_train.loop import (
    Batch,
    LevelImages,
    alternating_features,
    alternating_images,
    alternating_kept,
    steps_of,
    train_epoch,
)
from c2f_train.results import EpochMetrics
from c2f_train.run import Run
from c2f_train.snapshot import (
    Position,
    read_position,
    restore_model,
    restore_optimizer,
    save_snapshot,
)

SNAPSHOT = "snapshot"


def unfinished(run: Run) -> Position | None:
    """Where an interrupted training in this folder stands; None where there is none.

    Raises:
        ArtefactError: it has other settings or other shards, or its snapshot is damaged.
    """
    snapshot = run.folder / SNAPSHOT
    position = read_position(snapshot)
    if position is not None and position.key != run.key:
        raise ArtefactError(
            f"{snapshot}: an unfinished training with other settings or other shards",
            "Pass --overwrite to start anew, or choose another --name.",
        )
    return position


def run_stages(run: Run, position: Position | None) -> tuple[EpochMetrics, ...]:
    """Train what is left of both stages; metrics of all epochs, the earlier ones included.

    Raises:
        ArtefactError: a shard or the snapshot is damaged.
        C2FError: the training diverged; the last finished epoch is kept.
    """
    config, snapshot = run.config, run.folder / SNAPSHOT
    if position is not None:
        run.progress.note(f"Going on after stage {position.stage}, epoch {position.epoch}.")
        restore_model(snapshot, position, run.model)
        # The last run may have been killed between its snapshot and this file.
        _write_metrics(run.folder, position.history)
    position = position or Position(run.key, 1, 0, ())
    if position.stage == 1 and config.stage1_epochs:
        position = _stage(run, position, 1)
    if config.stage2_epochs:
        if position.stage == 1:
            position = Position(run.key, 2, 0, position.history)
        position = _stage(run, position, 2)
    return position.history


def _stage(run: Run, position: Position, stage: int) -> Position:
    """Run the rest of a stage; the snapshot is replaced after every epoch."""
    config, model, snapshot = run.config, run.model, run.folder / SNAPSHOT
    epochs = config.stage1_epochs if stage == 1 else config.stage2_epochs
    if position.epoch >= epochs:
        return position
    rate = config.stage1_lr if stage == 1 else config.stage2_lr
    decay = config.stage1_weight_decay if stage == 1 else config.stage2_weight_decay
    parameters = _trained_parameters(run, stage)
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay)
    if position.epoch:
        restore_optimizer(snapshot, position, optimizer)
    batches, steps = _batches(run, stage)
    with run.progress.task(f"Stage {stage}", epochs * steps) as task:
        task.advance(position.epoch * steps)
        for epoch in range(position.epoch + 1, epochs + 1):
            for group in optimizer.param_groups:
                group["lr"] = rate * config.lr_factor ** ((epoch - 1) // config.lr_period)
            metrics = train_epoch(
                model,
                optimizer,
                batches(epoch),
                stage=stage,
                epoch=epoch,
                trunk=stage == 2,
                device=run.device,
                precision=config.precision,
                task=task,
            )
            named = _named(metrics, run.names)
            position = Position(run.key, stage, epoch, (*position.history, named))
            save_snapshot(snapshot, model, optimizer, position)
            _write_metrics(run.folder, position.history)
    return position


def _trained_parameters(run: Run, stage: int) -> list[nn.Parameter]:
    """What a stage trains; the levels left out of the run are never touched."""
    model = run.model
    classifiers = [p for level in run.levels for p in model.classifiers[level].parameters()]
    head = list(model.pooling.parameters())
    trunk = list(model.backbone.parameters())
    if stage == 2:
        chosen = classifiers + head + trunk
    else:
        chosen = classifiers + (head if run.config.stage1 == "hbp" else [])
    model.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


def _batches(run: Run, stage: int) -> tuple[Callable[[int], Iterator[Batch]], int]:
    """(epoch to batches, steps of an epoch)."""
    config = run.config
    if stage == 1 and config.stage1 == "softmax" and config.cache:
        features = {level: cached_features(run, level) for level in run.levels}
        labels = {level: run.labels(TRAIN, level).repeat(2) for level in run.levels}
        rows = 2 * run.reader.length(TRAIN)
        steps = len(run.levels) * -(-rows // config.stage1_batch_size)
        return lambda epoch: alternating_features(features, labels, config, epoch), steps
    images, kept = _training_images(run)
    # The epochs of stage 2 draw other crops and orders than those of stage 1.
    offset = 0 if stage == 1 else config.stage1_epochs
    if kept is not None:
        return (
            lambda epoch: alternating_kept(kept, config, epoch + offset),
            steps_of(kept, config.batch_size),
        )
    return (
        lambda epoch: alternating_images(images, config, epoch + offset),
        steps_of(images, config.batch_size),
    )


def _training_images(
    run: Run,
) -> tuple[list[LevelImages[TrainingImages]], list[LevelImages[DeviceImages]] | None]:
    """Every level's training images, and the same ones on the device where they fit there."""
    names = [run.names[level] for level in run.levels]
    labels = [run.labels(TRAIN, level) for level in run.levels]
    images = [
        TrainingImages(run.pictures(TRAIN, level), run.spec, run.config.seed, cache=True)
        for level in run.levels
    ]
    sizes = [run.reader.sizes(TRAIN, name) for name in names]
    threads = threads_of(run.config.workers)
    kept = keep_on_device(images, sizes, names, run.device, threads, run.progress)
    streamed = [LevelImages(*each) for each in zip(run.levels, images, labels, strict=True)]
    if kept is None:
        return streamed, None
    return streamed, [LevelImages(*each) for each in zip(run.levels, kept, labels, strict=True)]


def _named(metrics: EpochMetrics, names: tuple[str, ...]) -> EpochMetrics:
    return replace(
        metrics,
        loss={names[int(level)]: value for level, value in metrics.loss.items()},
        accuracy={names[int(level)]: value for level, value in metrics.accuracy.items()},
    )


def _write_metrics(folder: Path, history: tuple[EpochMetrics, ...]) -> None:
    lines = "".join(json.dumps(to_plain(metrics)) + "\n" for metrics in history)
    write_text(folder / "metrics.jsonl", lines)
