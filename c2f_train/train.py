"""Train a model on shards in two stages, and test every level at its own resolution.

Stage 1 trains the classifiers on a frozen trunk, stage 2 everything (section 4.1 of the paper).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import nn

from c2f_data.artefacts import fingerprint, remove_leftovers, write_json
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.index import TEST, TRAIN
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.backbones import Backbone, build_backbone
from c2f_train.checkpoint import save_models
from c2f_train.config import CONFIG, CONFIG_SCHEMA, CONFIG_VERSION, TrainConfig
from c2f_train.device import describe_device, seed_everything
from c2f_train.distributed import ALONE, World, check_divides, joined
from c2f_train.evaluate import model_meta, run_result
from c2f_train.evaluation.measure import Compute
from c2f_train.features import remove_features
from c2f_train.metrics_files import summary_writer
from c2f_train.model import build_model
from c2f_train.pooling import MODELS
from c2f_train.prediction.held_out import fit_held_out
from c2f_train.progress import Progress
from c2f_train.results import RunResult, read_run, write_run
from c2f_train.run import Run
from c2f_train.stages import SNAPSHOT, run_stages, unfinished
from c2f_train.step import memory_format

RUN = "run.json"


def train(
    shards: Path,
    config: TrainConfig,
    folder: Path,
    device: torch.device,
    progress: Progress,
    *,
    overwrite: bool = False,
    world: World = ALONE,
    tensorboard: bool = False,
) -> RunResult:
    """Train a model, or go on with a training that was interrupted.

    Args:
        shards: a finished set of shards.
        folder: of the run; config.json is written first and run.json last.
        overwrite: delete what the folder holds, once shards, weights and settings have been
            found to be in order.
        world: the processes that train together, see :func:`c2f_train.distributed.world_here`;
            shards and folder lie on a disk that all of them see.
        tensorboard: write the metrics for TensorBoard, too.

    Raises:
        ArtefactError: shards or weights are absent or damaged, or the folder holds another run.
        ConfigError: the shards hold images that are enlarged to another side already, a batch
            can't be dealt out to the processes, or TensorBoard is not installed.
        DivergenceError: the loss is no longer a number, or exploding.
        PeerError: another process of the training ended.
    """
    check_divides(config, world)
    if tensorboard:
        summary_writer()
    with joined(world, device) as together:
        run = open_run(
            shards, config, folder, device, progress, world=together, tensorboard=tensorboard
        )
        return _train(run, overwrite)


def open_run(
    shards: Path,
    config: TrainConfig,
    folder: Path,
    device: torch.device,
    progress: Progress,
    *,
    world: World = ALONE,
    tensorboard: bool = False,
    backbone: Backbone | None = None,
) -> Run:
    """A run as it is before its first step, with everything that can be wrong; nothing is written.

    Args:
        backbone: with its weights, where several runs share one; None: built.
        world, tensorboard: as in :func:`train`.

    Raises:
        ArtefactError: shards or weights are absent or damaged.
        ConfigError: the shards hold images that are enlarged to another side already, or the
            backbone can't take images of this size.
    """
    seed_everything(config.seed)
    reader = _open(shards)
    spec = ResampleSpec.for_input(config.input_size, config.fit, reader.manifest.reduction)
    reader.manifest.plan.check_input(spec)
    taxonomy = reader.manifest.taxonomy
    if backbone is None:
        backbone = build_backbone(config.backbone, config.weights, config.taps)
        backbone.check_input(config.input_size)
    counts = [len(names) for names in taxonomy.names]
    pooling = MODELS[config.model].pooling
    model = build_model(backbone, pooling, config.dim, counts, config.seed)
    if world.size > 1 and device.type == "cuda":
        # The statistics of a batch norm are those of the whole batch, as in one process.
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    finest = len(counts) - 1
    return Run(
        reader=reader,
        config=config,
        model=model.to(device, memory_format=memory_format(config)),  # type: ignore[call-overload]
        spec=spec,
        folder=folder,
        device=device,
        progress=progress,
        levels=(finest,) if config.finest_only else tuple(range(finest, -1, -1)),
        key=fingerprint([config.without_place, reader.manifest.plan_fingerprint]),
        world=world,
        tensorboard=tensorboard,
    )


def _train(run: Run, overwrite: bool) -> RunResult:
    config, folder, world = run.config, run.folder, run.world
    if world.first:
        if overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        for place in (folder, folder / SNAPSHOT):
            remove_leftovers(place)
        unfinished(run)  # before anything of another run is touched
        write_json(folder / CONFIG, config, schema=CONFIG_SCHEMA, version=CONFIG_VERSION)
    world.wait()
    if not (folder / CONFIG).exists():
        raise ConfigError(
            f"{folder}: process {world.rank} does not see what process 0 wrote there",
            "All machines need the workspace on a disk that they share: --workspace.",
        )
    position = unfinished(run)
    several = f", {world.size} processes" if world.size > 1 else ""
    run.progress.note(
        f"Training {config.model} on {config.backbone} ({run.model.backbone.source}), "
        f"{config.input_size} px input, {run.model.pooling.out_features:,} features, "
        f"{config.precision} on {describe_device(run.device)}{several}; "
        f"{run.reader.length(TRAIN)} images a level."
    )
    history = run_stages(run, position)
    if world.first:
        result = run_result(run, history)
        compute = Compute(run.device, config.precision, config.workers)
        save_models(folder / "model", [run.model], model_meta(run, result))
        fit_held_out(folder, run.reader, compute, run.progress)
        write_run(folder / RUN, result)
        # Only an unfinished run needs these.
        remove_features(folder)
        shutil.rmtree(folder / SNAPSHOT, ignore_errors=True)
    world.wait()
    return result if world.first else read_run(folder / RUN)


def _open(shards: Path) -> ShardReader:
    reader = ShardReader(shards)
    absent = [split for split in (TRAIN, TEST) if split not in reader.splits]
    if absent:
        # Said now, not after hours of training.
        raise ArtefactError(
            f"{shards}: no {absent[0]} images",
            "Training needs train and test images: add them to the data set and shard it again.",
        )
    return reader
