"""``c2f calibrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import ConfigError
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.open_dataset import current_dataset, open_dataset
from c2f_data.provenance import command_line
from c2f_data.taxonomy import Taxonomy

from .console import Console, level_aliases, print_json
from .demo_data import ensure_demo
from .options import (
    assignments,
    backbone_options,
    choice_of,
    common_options,
    compute_options,
    dataset_options,
    names,
    option,
    workspace_of,
)
from .steps import shards_after_calibration

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult
    from c2f_data.curve import Crossing

NO_ANSWER = 3
SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("calibrate")
@dataset_options
@option("--t-med", type=SHARE, default=0.8, show_default=True, help="Threshold of the species.")
@option("--t-low", type=SHARE, default=0.8, show_default=True, help="Threshold of the genera.")
@option("--threshold", multiple=True, metavar="LEVEL=T", help="The same for any level.")
@option("--relative", is_flag=True, help="Thresholds are shares of the native accuracy.")
@option(
    "--images",
    type=click.Choice(["val", "test"]),
    default="val",
    show_default=True,
    help="Images to measure on: carved from train (or cross-validated), or the test images.",
)
@option(
    "--classifier",
    default="auto",
    show_default=True,
    help="probe, finetune, auto, or the folder of a saved model.",
)
@option("--backbone", default=None, help="vgg16, tiny or a torchvision name.  [default: vgg16]")
@backbone_options
@option("--input-size", type=click.IntRange(8, 2048), help="Side in px that the network sees.")
@option(
    "--fit",
    type=click.Choice(["shorter", "squash"]),
    default="shorter",
    show_default=True,
    help="Keep the aspect and crop, or squash to a square.",
)
@option("--sweep", default="", help="Resolutions in px, descending: 224,160,112.")
@option("--points", type=click.IntRange(2, 200), default=20, show_default=True)
@option("--lowest", type=click.IntRange(2, 1024), default=12, show_default=True)
@option("--full-curve", is_flag=True, help="Measure the whole sweep, also below the answer.")
@option("--epochs", type=click.IntRange(1, 1000), help="Epochs of fine-tuning.")
@option("--no-shards", is_flag=True, help="Do not write the three-resolution data set.")
@option(
    "--jobs", type=click.IntRange(1, 256), help="Processes that write shards.  [default: cores]"
)
@option("--overwrite", is_flag=True, help="Replace shards of other resolutions.")
@compute_options
@common_options
def calibrate(**o: Any) -> int:
    """Find the resolutions at which species, then genera, are no longer told apart.

    \b
    Example:
      c2f calibrate --dataset cub --root CUB_200_2011 --t-med 0.8 --t-low 0.8
    """
    from c2f_data.curve import Outcome
    from c2f_train.calibrate import calibrate as run_calibration
    from c2f_train.device import pick_device

    console = Console(quiet=o["quiet"])
    workspace = workspace_of(o["workspace"])
    choice = choice_of(o)
    name = current_dataset(workspace, choice)
    device = pick_device(o["device"])
    choice = ensure_demo(name, choice, console)
    index, folder, source = open_dataset(workspace, choice)
    console.note(f"Data set: {name} ({index.root}), {len(index.records)} images.")
    config = _config(o, index.taxonomy, name)
    folder.write_source(source)
    write_taxonomy(folder.hierarchy, index.taxonomy)
    result = run_calibration(index, config, folder.calibration, device, console)
    workspace.set_current(name)
    for warning in result.warnings:
        console.warn(warning)
    shards: str | None = None
    if result.answered and not o["no_shards"]:
        shards = shards_after_calibration(
            index, folder, result, jobs=o["jobs"], overwrite=o["overwrite"], console=console
        )
    if o["as_json"]:
        print_json(summary(result, shards))
    else:
        for crossing in result.crossings:
            click.echo(describe(crossing, result.protocol.n))
    below = [c for c in result.crossings if c.outcome is Outcome.BELOW_AT_NATIVE]
    for crossing in below:
        _advise(console, crossing, result)
    if below and not o["relative"]:
        console.note(f"For thresholds relative to native accuracy: {command_line()} --relative")
    console.note(_next(result, shards))
    return 0 if result.answered else NO_ANSWER


def _config(o: dict[str, Any], taxonomy: Taxonomy, dataset: str) -> Any:
    from c2f_train.calibrate import CalibrateConfig

    return CalibrateConfig(
        thresholds=_thresholds(o, taxonomy),
        relative=o["relative"],
        images=o["images"],
        classifier=o["classifier"],
        backbone=o["backbone"] or ("tiny" if dataset == "demo" else "vgg16"),
        weights=o["weights"],
        taps=names(o["taps"]),
        input_size=o["input_size"],
        fit=o["fit"],
        sweep=_resolutions(o["sweep"]),
        points=o["points"],
        lowest=o["lowest"],
        full_curve=o["full_curve"],
        epochs=o["epochs"],
        precision=o["precision"],
        seed=o["seed"],
        workers=o["workers"],
    )


def _thresholds(o: dict[str, Any], taxonomy: Taxonomy) -> tuple[tuple[str, float], ...]:
    """--t-med is the finest level's, --t-low the next one's; --threshold names any level."""
    measured = taxonomy.levels[:0:-1]
    values = dict(zip(measured, (o["t_med"], o["t_low"], *([0.8] * len(measured))), strict=False))
    for level, text in assignments(o["threshold"], "--threshold").items():
        if level not in values:
            raise ConfigError(
                f"--threshold {level}={text}: no such level above the coarsest",
                f"Levels with a threshold: {', '.join(measured)}.",
            )
        try:
            values[level] = float(text)
        except ValueError as error:
            raise ConfigError(
                f"--threshold {level}={text}: not a number", "Give LEVEL=0.8."
            ) from error
    return tuple(values.items())


def _resolutions(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in names(text))
    except ValueError as error:
        raise ConfigError(
            f"--sweep {text}: not whole numbers", "Give pixels, descending: --sweep 224,160,112."
        ) from error


def summary(result: CalibrationResult, shards: str | None) -> dict[str, Any]:
    """What --json prints: the answer, without the curves (result.json has them)."""
    return {
        "dataset": result.dataset,
        "levels": result.levels,
        **level_aliases(result.levels),
        "crossings": result.crossings,
        "n": result.protocol.n,
        "protocol": result.protocol,
        "native_accuracy": {curve.level: curve.native.accuracy for curve in result.curves},
        "images_evaluated": result.images_evaluated,
        "warnings": result.warnings,
        "predictions": result.predictions,
        "shards": shards,
    }


def describe(crossing: Crossing, n: int) -> str:
    """One line a crossing, with n, the bracket and the range that the intervals leave."""
    of = f"{crossing.factor:g} of its native accuracy" if crossing.relative else ""
    threshold = f"{crossing.threshold:.3f}" + (f" ({of})" if of else "")
    if crossing.resolution is None:
        return (
            f"{crossing.next_level} images: no resolution. {crossing.level} accuracy is "
            f"{crossing.outcome} (threshold {threshold}, n = {n})"
        )
    low = crossing.interval_low if crossing.interval_low is not None else "lowest"
    high = crossing.interval_high if crossing.interval_high is not None else "native"
    where = (
        f"falls below {threshold} between {crossing.upper} and {crossing.resolution} px"
        if crossing.upper is not None
        else f"is already below {threshold} there"
    )
    return (
        f"{crossing.next_level} images: {crossing.resolution} px. {crossing.level} accuracy "
        f"{where} ({crossing.outcome}; 95 % range {low} to {high} px, n = {n})"
    )


def _advise(console: Console, crossing: Crossing, result: CalibrationResult) -> None:
    native = result.curve(crossing.level).native
    console.warn(
        f"{crossing.level} accuracy at native resolution is {native.accuracy:.3f} "
        f"({native.low:.3f} to {native.high:.3f}, n = {native.n}), below {crossing.threshold:.3f}."
    )
    if crossing.largest_threshold is not None:
        console.note(f"The largest threshold that would cross is {crossing.largest_threshold:.2f}.")


def _next(result: CalibrationResult, shards: str | None) -> str:
    if shards is not None:
        return "Next: c2f train"
    if result.answered:
        return "Next: c2f shard"
    return "Next: c2f report, or c2f shard --med R --low R with resolutions of your own"
