"""Train MLPH (or MLP, HBP) on shards in two stages, test every level at its own resolution.

Stage 1 trains the classifiers on a frozen trunk, stage 2 everything (section 4.1 of the paper).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from c2f_data.artefacts import (
    atomic_path,
    fingerprint,
    remove_leftovers,
    to_plain,
    write_json,
    write_text,
)
from c2f_data.calibration import LevelResolution
from c2f_data.curve import wilson
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST, TRAIN
from c2f_data.predictions import Predictions, write_predictions
from c2f_data.provenance import collect
from c2f_data.resample import Pixels, ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.backbones import build_backbone
from c2f_train.checkpoint import ModelMeta, read_tensors, save_models
from c2f_train.config import TrainConfig
from c2f_train.data import TrainingImages
from c2f_train.device import describe_device, seed_everything
from c2f_train.inference import extract_features, predict_centers
from c2f_train.loop import (
    Batch,
    LevelImages,
    alternating_features,
    alternating_images,
    steps_of,
    train_epoch,
)
from c2f_train.model import POOLING_OF, HierarchicalClassifier, build_model
from c2f_train.progress import Progress
from c2f_train.results import EpochMetrics, LevelAccuracy, RunResult, write_run
from c2f_train.snapshot import (
    Position,
    read_position,
    restore_model,
    restore_optimizer,
    save_snapshot,
)


@dataclass(frozen=True)
class ShardPictures:
    """The images of one split at one level's resolution."""

    reader: ShardReader
    split: str
    level: str

    def __len__(self) -> int:
        return self.reader.length(self.split)

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8. Raises ArtefactError where the shard is damaged."""
        return self.reader.pixels(self.split, position, self.level)


@dataclass(frozen=True)
class Run:
    """A training run: what it is made of, and where it is kept.

    Attributes:
        levels: positions of the levels it trains, fine to coarse, the order of alternation.
        key: fingerprint of all that determines it.
    """

    reader: ShardReader
    config: TrainConfig
    model: HierarchicalClassifier
    spec: ResampleSpec
    folder: Path
    device: torch.device
    progress: Progress
    levels: tuple[int, ...]
    key: str

    @property
    def names(self) -> tuple[str, ...]:
        """All level names, coarse to fine."""
        return self.reader.levels

    def pictures(self, split: str, level: int) -> ShardPictures:
        return ShardPictures(self.reader, split, self.names[level])

    def labels(self, split: str, level: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.reader.labels(split)[:, level]))


def train(
    shards: Path, config: TrainConfig, folder: Path, device: torch.device, progress: Progress
) -> RunResult:
    """Train a model, or go on with a training that was interrupted.

    Args:
        shards: a finished set of shards.
        folder: of the run; config.json is written first and run.json last.

    Raises:
        ArtefactError: shards or weights are absent or damaged, or the folder holds another run.
        C2FError: the training diverged.
    """
    seed_everything(config.seed)
    reader = ShardReader(shards)
    taxonomy = reader.manifest.taxonomy
    backbone = build_backbone(config.backbone, config.weights, config.taps)
    counts = [len(names) for names in taxonomy.names]
    model = build_model(backbone, POOLING_OF[config.model], config.dim, counts, config.seed)
    finest = len(counts) - 1
    run = Run(
        reader=reader,
        config=config,
        model=model.to(device),
        spec=ResampleSpec.for_input(config.input_size, config.fit),
        folder=folder,
        device=device,
        progress=progress,
        levels=(finest,) if config.finest_only else tuple(range(finest, -1, -1)),
        key=fingerprint([replace(config, workers=0), reader.manifest.plan_fingerprint]),
    )
    remove_leftovers(folder)
    write_json(folder / "config.json", config, schema="c2f-train-config", version=1)
    progress.note(
        f"Training {config.model} on {config.backbone} ({backbone.source}), "
        f"{config.input_size} px input, d = {config.dim}, {config.precision} on "
        f"{describe_device(device)}; {reader.length(TRAIN)} images a level."
    )
    history = _stages(run)
    result = _result(run, history)
    save_models(folder / "model", [model], _meta(run))
    write_run(folder / "run.json", result)
    _remove_features(folder)
    return result


def _stages(run: Run) -> tuple[EpochMetrics, ...]:
    config, snapshot = run.config, run.folder / "snapshot"
    position = read_position(snapshot)
    if position is not None and position.key != run.key:
        raise ArtefactError(
            f"{snapshot}: an unfinished training with other settings or other shards",
            "Pass --overwrite to start anew, or choose another --name.",
        )
    if position is not None:
        run.progress.note(f"Going on after stage {position.stage}, epoch {position.epoch}.")
        restore_model(snapshot, run.model)
    position = position or Position(run.key, 1, 0, ())
    if position.stage == 1 and config.stage1_epochs:
        position = _stage(run, position, 1, snapshot)
    if config.stage2_epochs:
        if position.stage == 1:
            position = Position(run.key, 2, 0, position.history)
        position = _stage(run, position, 2, snapshot)
    return position.history


def _stage(run: Run, position: Position, stage: int, snapshot: Path) -> Position:
    """Run the rest of a stage; the snapshot is replaced after every epoch."""
    config, model = run.config, run.model
    epochs = config.stage1_epochs if stage == 1 else config.stage2_epochs
    if position.epoch >= epochs:
        return position
    rate = config.stage1_lr if stage == 1 else config.stage2_lr
    decay = config.stage1_weight_decay if stage == 1 else config.stage2_weight_decay
    parameters = _trained_parameters(run, stage)
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay)
    if position.epoch:
        restore_optimizer(snapshot, optimizer)
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
        features = {level: _cached_features(run, level) for level in run.levels}
        labels = {level: run.labels(TRAIN, level).repeat(2) for level in run.levels}
        rows = 2 * run.reader.length(TRAIN)
        steps = len(run.levels) * -(-rows // config.stage1_batch_size)
        return lambda epoch: alternating_features(features, labels, config, epoch), steps
    levels = [
        LevelImages(
            level,
            TrainingImages(
                run.pictures(TRAIN, level), run.spec, config.seed, cache=config.workers == 0
            ),
            run.labels(TRAIN, level),
        )
        for level in run.levels
    ]
    # The epochs of stage 2 draw other crops and orders than those of stage 1.
    offset = 0 if stage == 1 else config.stage1_epochs
    return (
        lambda epoch: alternating_images(levels, config, epoch + offset),
        steps_of(levels, config.batch_size),
    )


def _cached_features(run: Run, level: int) -> Tensor:
    """Frozen features of the centre crops and of their mirror images, (2 n, F) float32."""
    path = run.folder / f"features-{run.names[level]}-{run.key[:12]}.safetensors"
    if path.exists():
        return read_tensors(path)["features"]
    rows = 2 * run.reader.length(TRAIN)
    with run.progress.task(f"Features at the {run.names[level]} resolution", rows) as task:
        features = extract_features(
            run.model,
            run.pictures(TRAIN, level),
            run.spec,
            run.device,
            run.config.precision,
            workers=run.config.workers,
            mirror=True,
            task=task,
        )
    with atomic_path(path) as temporary:
        save_file({"features": features.contiguous()}, temporary)
    return features


def _remove_features(folder: Path) -> None:
    for path in folder.glob("features-*.safetensors"):
        path.unlink()


def _named(metrics: EpochMetrics, names: tuple[str, ...]) -> EpochMetrics:
    return replace(
        metrics,
        loss={names[int(level)]: value for level, value in metrics.loss.items()},
        accuracy={names[int(level)]: value for level, value in metrics.accuracy.items()},
    )


def _write_metrics(folder: Path, history: tuple[EpochMetrics, ...]) -> None:
    lines = "".join(json.dumps(to_plain(metrics)) + "\n" for metrics in history)
    write_text(folder / "metrics.jsonl", lines)


def _result(run: Run, history: tuple[EpochMetrics, ...]) -> RunResult:
    manifest = run.reader.manifest
    levels = tuple(
        LevelResolution(plan.name, plan.count, *_shown_resolution(run, position))
        for position, plan in enumerate(manifest.levels)
    )
    test = tuple(_test(run, level, levels[level]) for level in sorted(run.levels))
    return RunResult(
        name=run.folder.name,
        dataset=manifest.dataset,
        config=run.config,
        levels=levels,
        parameters=sum(p.numel() for p in run.model.parameters()),
        weights=run.model.backbone.source,
        epochs=history,
        test=test,
        plan_fingerprint=manifest.plan_fingerprint,
        warnings=(),
        provenance=collect(device=describe_device(run.device), seed=run.config.seed),
    )


def _shown_resolution(run: Run, level: int) -> tuple[int, bool]:
    plan = run.reader.manifest.levels[level]
    if plan.resolution is not None:
        return plan.resolution, False
    return int(np.median(run.reader.sizes(TRAIN, plan.name).min(axis=1))), True


def _test(run: Run, level: int, shown: LevelResolution) -> LevelAccuracy:
    """Accuracy on the test images at the level's own resolution; predictions are kept."""
    truth = run.labels(TEST, level).numpy()
    with run.progress.task(f"Testing {shown.name}", len(truth)) as task:
        predicted, confidence = predict_centers(
            run.model,
            level,
            run.pictures(TEST, level),
            run.spec,
            run.device,
            run.config.precision,
            workers=run.config.workers,
            task=task,
        )
    sides = run.reader.sizes(TEST, run.names[-1]).min(axis=1)
    rows = Predictions(
        resolution=shown.resolution or 0,
        native=shown.native,
        levels=(shown.name,),
        image_ids=run.reader.image_ids(TEST),
        true=truth[:, None],
        predicted=predicted[:, None],
        confidence=confidence[:, None],
        reduced=np.zeros(len(truth), np.bool_) if shown.native else sides > (shown.resolution or 0),
    )
    write_predictions(run.folder / f"test-{shown.name}.csv", rows)
    correct = int((predicted == truth).sum())
    low, high = wilson(correct, len(truth))
    return LevelAccuracy(
        level=shown.name,
        resolution=shown.resolution,
        native=shown.native,
        n=len(truth),
        correct=correct,
        low=low,
        high=high,
        chance=float(np.bincount(truth).max() / len(truth)),
    )


def _meta(run: Run) -> ModelMeta:
    taxonomy = run.reader.manifest.taxonomy
    return ModelMeta(
        backbone=run.config.backbone,
        taps=run.model.backbone.taps,
        pooling=POOLING_OF[run.config.model],
        dim=run.config.dim,
        weights=run.model.backbone.source,
        taxonomy=taxonomy.name,
        levels=taxonomy.levels,
        paths=taxonomy.paths,
        trained=tuple(run.names[level] for level in sorted(run.levels)),
        spec=run.spec,
        resolutions=tuple(
            LevelResolution(plan.name, plan.count, *_shown_resolution(run, position))
            for position, plan in enumerate(run.reader.manifest.levels)
        ),
        train_fingerprint=fingerprint(list(run.reader.image_ids(TRAIN))),
        folds=1,
        seed=run.config.seed,
    )
