"""``c2f train``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_data.workspace import DatasetFolder
from c2f_train.pooling import MODELS

from .console import Console, level_aliases, print_json
from .options import (
    backbone_options,
    common_options,
    compute_options,
    names,
    option,
    shard_by_hand,
    workspace_of,
)
from .recipe_options import recipe_of, recipe_options
from .several import one_voice
from .steps import read_calibration

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult
    from c2f_train.config import TrainConfig
    from c2f_train.distributed import World
    from c2f_train.results import LevelAccuracy

COUNT = click.IntRange(1)
OWN = ("mlph", "mlp", "hbp")  # the paper's own systems; the others it quotes


@click.command("train")
@option("--dataset", help="Default: the workspace's current data set.")
@option("--name", help="Name of the run.  [default: the model]")
@option(
    "--model",
    type=click.Choice(list(MODELS)),
    default="mlph",
    show_default=True,
    help="mlp: mlph on I_high alone; hbp: mlp without the trilinear part; "
    + "; ".join(f"{name}: {MODELS[name].title}" for name in MODELS if name not in OWN)
    + ".",
)
@option(
    "--backbone", help="vgg16, tiny, timm:NAME or a torchvision name.  [default: the calibration's]"
)
@backbone_options
@option("--input-size", type=click.IntRange(8, 2048), help="[default: the calibration's]")
@option("--fit", type=click.Choice(["shorter", "squash"]), help="[default: the calibration's]")
@option(
    "--dim",
    type=COUNT,
    help="d: width of a projection or length of a sketch.  [default: 4096 for kp, else 8192]",
)
@option(
    "--stage1",
    type=click.Choice(["softmax", "hbp"]),
    default="softmax",
    show_default=True,
    help="Stage 1 trains the classifiers alone, or the projections with them.",
)
@option("--no-cache", is_flag=True, help="Stage 1 on random crops instead of fixed features.")
@recipe_options
@option("--resume", is_flag=True, help="Go on with an unfinished run.")
@option("--overwrite", is_flag=True, help="Replace a run of the same name.")
@option("--tensorboard", is_flag=True, help="Write the metrics for TensorBoard, too.")
@compute_options
@common_options
def train(**o: Any) -> None:
    """Train MLPH, or a model to compare it with, and test every level at its own resolution.

    \b
    Example:
      c2f train
      c2f train --model hbp --name hbp --stage2-epochs 10
      c2f train --recipe modern --backbone timm:convnext_tiny --name convnext
    """
    from c2f_train.distributed import world_here

    world = world_here()
    with one_voice(world):
        _train(o, world)


def _train(o: dict[str, Any], world: World) -> None:
    from c2f_train.device import pick_device
    from c2f_train.distributed import device_of
    from c2f_train.train import train as run_training

    console = Console(quiet=o["quiet"] or not world.first)
    workspace = workspace_of(o["workspace"])
    dataset = current_dataset(workspace, DatasetChoice(dataset=o["dataset"]))
    folder = workspace.dataset(dataset)
    console.note(f"Data set: {dataset} ({folder.shards})")
    calibration = read_calibration(folder)
    if not folder.manifest.exists():
        raise ArtefactError(
            f"{folder.shards}: no shards of {dataset} yet",
            f"Run c2f shard, or {shard_by_hand(r.name for r in calibration.levels)} with "
            "resolutions of your own."
            if calibration
            else f"Run c2f calibrate --dataset {dataset} first.",
        )
    device = device_of(world, pick_device(o["device"]))
    config = _config(o, calibration, folder, device)
    run = folder.run(o["name"] or o["model"])
    if world.first:
        _prepare(run, o["resume"], o["overwrite"], console)
    result = run_training(
        folder.shards,
        config,
        run,
        device,
        console,
        overwrite=o["overwrite"],
        world=world,
        tensorboard=o["tensorboard"],
    )
    if not world.first:
        return
    if o["as_json"]:
        print_json(
            {
                "dataset": dataset,
                "run": result.name,
                "crop": result.crop,
                "levels": result.levels,
                **level_aliases(result.levels),
                "test": [
                    {
                        "level": t.level,
                        "accuracy": t.accuracy,
                        "low": t.low,
                        "high": t.high,
                        "n": t.n,
                        "resolution": t.resolution,
                        "chance": t.chance,
                    }
                    for t in result.test
                ],
                "folder": str(run),
            }
        )
    else:
        for entry in result.test:
            click.echo(describe(entry))
    console.note("Next: c2f report")


def describe(entry: LevelAccuracy) -> str:
    """One line a level."""
    where = "native" if entry.native else f"{entry.resolution} px"
    return (
        f"{entry.level} at {where}: {100 * entry.accuracy:.1f} % "
        f"({100 * entry.low:.1f} to {100 * entry.high:.1f}, n = {entry.n}, "
        f"chance {100 * entry.chance:.1f} %)"
    )


def _config(
    o: dict[str, Any], calibration: CalibrationResult | None, folder: DatasetFolder, device: Any
) -> TrainConfig:
    """What was not said comes from the calibration, so that train needs no arguments."""
    from c2f_train.device import pick_precision
    from c2f_train.training_defaults import absolute_weights, train_defaults

    usual = train_defaults(
        calibration,
        folder.calibration,
        model=o["model"],
        backbone=o["backbone"],
        input_size=o["input_size"],
        recipe=o["recipe"],
        optimizer=o["optimizer"],
    )
    _check_dim(o["model"], o["dim"])
    weights = o["weights"]
    return replace(
        usual,
        weights=usual.weights if weights is None else absolute_weights(weights),
        taps=names(o["taps"]) or usual.taps,
        fit=o["fit"] or usual.fit,
        dim=o["dim"] or usual.dim,
        stage1=o["stage1"],
        cache=not o["no_cache"],
        precision=pick_precision(o["precision"], device),
        seed=o["seed"],
        workers=o["workers"],
        **recipe_of(o),
    )


def _check_dim(model: str, dim: int | None) -> None:
    """Refuse a d for a model that has none."""
    if MODELS[model].dim is None and dim is not None:
        raise ConfigError(
            f"--dim with --model {model}",
            "Its features have one length, given by the backbone's channels: leave --dim out.",
        )


def _prepare(run: Path, resume: bool, overwrite: bool, console: Console) -> None:
    """Refuse to mix runs: a finished or unfinished one of this name needs a word."""
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite", "Choose one of the two.")
    if overwrite:
        return
    if (run / "run.json").exists():
        raise ArtefactError(
            f"{run}: a finished run", "Choose another --name, or pass --overwrite to replace it."
        )
    if (run / "snapshot" / "position.json").exists() and not resume:
        raise ArtefactError(
            f"{run}: an unfinished run",
            "Pass --resume to go on with it, or --overwrite to start anew.",
        )
    if resume and not run.exists():
        console.note(f"Nothing to resume in {run}: starting.")
