"""Train a model on shards in two stages, and test every level at its own resolution.

Stage 1 trains the classifiers on a frozen trunk, stage 2 everything (section 4.1 of the paper).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from c2f_data.artefacts import fingerprint, remove_leftovers, write_json
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST, TRAIN
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.backbones import build_backbone
from c2f_train.checkpoint import save_models
from c2f_train.config import TrainConfig
from c2f_train.device import describe_device, seed_everything
from c2f_train.evaluate import model_meta, run_result
from c2f_train.features import remove_features
from c2f_train.model import build_model
from c2f_train.pooling import MODELS
from c2f_train.progress import Progress
from c2f_train.results import RunResult, write_run
from c2f_train.run import Run
from c2f_train.stages import SNAPSHOT, run_stages, unfinished


def train(
    shards: Path,
    config: TrainConfig,
    folder: Path,
    device: torch.device,
    progress: Progress,
    *,
    overwrite: bool = False,
) -> RunResult:
    """Train a model, or go on with a training that was interrupted.

    Args:
        shards: a finished set of shards.
        folder: of the run; config.json is written first and run.json last.
        overwrite: delete what the folder holds, once shards, weights and settings have been
            found to be in order.

    Raises:
        ArtefactError: shards or weights are absent or damaged, or the folder holds another run.
        ConfigError: the shards hold images that are enlarged to another side already.
        C2FError: the training diverged.
    """
    seed_everything(config.seed)
    reader = _open(shards)
    spec = ResampleSpec.for_input(config.input_size, config.fit, reader.manifest.reduction)
    reader.manifest.plan.check_input(spec)
    taxonomy = reader.manifest.taxonomy
    backbone = build_backbone(config.backbone, config.weights, config.taps)
    backbone.check_input(config.input_size)
    counts = [len(names) for names in taxonomy.names]
    pooling = MODELS[config.model].pooling
    model = build_model(backbone, pooling, config.dim, counts, config.seed)
    finest = len(counts) - 1
    run = Run(
        reader=reader,
        config=config,
        model=model.to(device),
        spec=spec,
        folder=folder,
        device=device,
        progress=progress,
        levels=(finest,) if config.finest_only else tuple(range(finest, -1, -1)),
        key=fingerprint([replace(config, workers=0), reader.manifest.plan_fingerprint]),
    )
    if overwrite:
        shutil.rmtree(folder, ignore_errors=True)
    for place in (folder, folder / SNAPSHOT):
        remove_leftovers(place)
    position = unfinished(run)
    write_json(folder / "config.json", config, schema="c2f-train-config", version=1)
    progress.note(
        f"Training {config.model} on {config.backbone} ({backbone.source}), "
        f"{config.input_size} px input, {model.pooling.out_features:,} features, "
        f"{config.precision} on {describe_device(device)}; {reader.length(TRAIN)} images a level."
    )
    result = run_result(run, run_stages(run, position))
    save_models(folder / "model", [model], model_meta(run, result))
    write_run(folder / "run.json", result)
    # Only an unfinished run needs these.
    remove_features(folder)
    shutil.rmtree(folder / SNAPSHOT, ignore_errors=True)
    return result


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
