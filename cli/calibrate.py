"""``c2f calibrate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from c2f_data.camera import Camera
from c2f_data.errors import ConfigError
from c2f_data.hierarchy.table import write_taxonomy
from c2f_data.open_dataset import current_dataset, open_dataset
from c2f_data.provenance import command_line
from c2f_data.resample_spec import Reduction
from c2f_data.taxonomy import Taxonomy
from c2f_data.workspace import DatasetFolder
from c2f_train.demo_data import ensure_demo

from .calibrate_text import advise, cost, lines, next_command, summary
from .console import Console, print_json
from .options import (
    assignments,
    backbone_options,
    choice_of,
    common_options,
    compute_options,
    dataset_options,
    names,
    option,
    reduction_of,
    reduction_options,
    workspace_of,
)
from .steps import shards_after_calibration

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult

NO_ANSWER = 3
# All else was settled when the predictions were made.
WITH_STORED = {
    "dataset", "workspace", "t_med", "t_low", "threshold", "relative", "balanced", "floor",
    "confidence", "camera", "object_metres", "share", "from_predictions", "config", "as_json",
    "quiet", "seed", "workers", "device", "no_shards",
}  # fmt: skip
SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("calibrate")
@dataset_options
@option("--t-med", type=SHARE, default=0.8, show_default=True, help="Threshold of the species.")
@option("--t-low", type=SHARE, default=0.8, show_default=True, help="Threshold of the genera.")
@option("--threshold", multiple=True, metavar="LEVEL=T", help="The same for any level.")
@option("--relative", is_flag=True, help="Thresholds are shares of the native accuracy.")
@option(
    "--from-predictions",
    is_flag=True,
    help="Other thresholds on what is stored: no network, no images.",
)
@option("--balanced", is_flag=True, help="Accuracy is the mean of the classes' accuracies.")
@option(
    "--protocol",
    type=click.Choice(["fixed", "retrained"]),
    default="fixed",
    show_default=True,
    help="Classifiers trained on I_high once, or again at every resolution that is measured.",
)
@option(
    "--genus-train",
    type=click.Choice(["high", "med"]),
    default="high",
    show_default=True,
    help="What the genus classifier is trained on: I_high, or the images at r_med.",
)
@option(
    "--genus-accuracy",
    type=click.Choice(["own", "rolled-up"]),
    default="own",
    show_default=True,
    help="Of the genera's own classifier, or summed up from the species'.",
)
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
    help="probe, finetune, auto, the folder of a saved model, or your own: timm:NAME, "
    "torchvision:NAME, FILE.pt2, FILE.onnx, MODULE:FUNCTION.",
)
@option("--labels", type=click.Path(dir_okay=False), help="Your classifier's classes, one a line.")
@option("--normalise", help="Pixels of FILE.pt2 or FILE.onnx: imagenet, unit, signed, bytes, M/S.")
@option("--trust-classifier", is_flag=True, help="Read a FILE.pt2, which can run code.")
@option("--closed-set", is_flag=True, help="Leave out scores of classes without images.")
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
@reduction_options
@option("--camera", type=float, help="Pixels that 1 m covers at a distance of 1 m.")
@option("--object", "object_metres", type=float, help="Size of the object in metres.")
@option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the shorter side that it fills.  [default: 1]",
)
@option("--sweep", default="", help="Resolutions in px, descending: 224,160,112.")
@option(
    "--points",
    type=click.IntRange(3, 200),
    default=28,
    show_default=True,
    help="Resolutions of the default grid, native included.",
)
@option("--lowest", type=click.IntRange(2, 1024), default=12, show_default=True)
@option("--full-curve", is_flag=True, help="Measure every resolution on all images.")
@option(
    "--refine",
    type=click.IntRange(0, 12),
    default=0,
    show_default=True,
    help="Halve a crossing's bracket so often, at whole pixels.",
)
@option("--floor", is_flag=True, help="Also find where even the coarsest level is lost.")
@option(
    "--confidence",
    type=SHARE,
    default=0.95,
    show_default=True,
    help="Of a crossing's interval.",
)
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
    from c2f_train.calibrate import calibrate as run_calibration
    from c2f_train.device import pick_device

    console = Console(quiet=o["quiet"])
    workspace = workspace_of(o["workspace"])
    choice = choice_of(o)
    name = current_dataset(workspace, choice)
    camera = _camera(o)
    if o["from_predictions"]:
        _check_stored_options()
        return _show(_stored(o, workspace.dataset(name), camera), None, o, console)
    device = pick_device(o["device"])
    choice = ensure_demo(name, choice, console)
    index, folder, source = open_dataset(workspace, choice)
    console.note(f"Data set: {name} ({index.root}), {len(index.records)} images.")
    config = _config(o, index.taxonomy, name, camera)
    folder.write_source(source)
    write_taxonomy(folder.hierarchy, index.taxonomy)
    result = run_calibration(index, config, folder.calibration, device, console)
    workspace.set_current(name)
    shards: str | None = None
    if result.answered and not o["no_shards"]:
        shards = shards_after_calibration(
            index, folder, result, jobs=o["jobs"], overwrite=o["overwrite"], console=console
        )
    return _show(result, shards, o, console)


def _show(
    result: CalibrationResult, shards: str | None, o: dict[str, Any], console: Console
) -> int:
    """Print a result; the exit code."""
    from c2f_data.curve import Outcome

    for warning in result.warnings:
        console.warn(warning)
    if o["as_json"]:
        print_json(summary(result, shards))
    else:
        for line in lines(result):
            click.echo(line)
        console.note(cost(result))
    below = [c for c in result.crossings if c.outcome is Outcome.BELOW_AT_NATIVE]
    for crossing in below:
        advise(console, crossing, result)
    if below and not o["relative"]:
        console.note(f"For thresholds relative to native accuracy: {command_line()} --relative")
    console.note(next_command(result, shards))
    return 0 if result.answered else NO_ANSWER


def _stored(o: dict[str, Any], folder: DatasetFolder, camera: Camera | None) -> CalibrationResult:
    """The last calibration's predictions, asked for other thresholds."""
    from c2f_data.calibration import read_result, write_result
    from c2f_data.stored import Thresholds, ask_again, read_stored

    before = read_result(folder.result)
    levels = tuple(level.name for level in before.levels)
    values = dict(_thresholds(o, levels))
    floor = values.pop(levels[0], values[levels[1]]) if o["floor"] else None
    asked = Thresholds(values, o["relative"], o["balanced"], o["confidence"], floor)
    result = ask_again(before, read_stored(before, folder.calibration), asked)
    if camera is not None:
        result = replace(result, camera=camera)
    write_result(folder.result, result)
    return result


def _check_stored_options() -> None:
    """Refuse flags that can't move an answer any more, rather than leave them out in silence."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in WITH_STORED:
            raise click.UsageError(
                f"{parameter.opts[0]} has no meaning with --from-predictions: what is stored was "
                "measured before. Leave one of the two out."
            )


def _camera(o: dict[str, Any]) -> Camera | None:
    given = [name for name in ("camera", "object_metres", "share") if o[name] is not None]
    if not given:
        return None
    if o["camera"] is None or o["object_metres"] is None:
        raise click.UsageError("A distance needs both --camera and --object.")
    return Camera(o["camera"], o["object_metres"], o["share"] or 1.0)


def _config(o: dict[str, Any], taxonomy: Taxonomy, dataset: str, camera: Camera | None) -> Any:
    from c2f_train.calibrate import CalibrateConfig

    return CalibrateConfig(
        thresholds=_thresholds(o, taxonomy.levels),
        relative=o["relative"],
        balanced=o["balanced"],
        confidence=o["confidence"],
        images=o["images"],
        classifier=o["classifier"],
        labels=o["labels"],
        normalise=o["normalise"],
        trust_classifier=o["trust_classifier"],
        closed_set=o["closed_set"],
        backbone=o["backbone"] or ("tiny" if dataset == "demo" else "vgg16"),
        weights=o["weights"],
        taps=names(o["taps"]),
        input_size=o["input_size"],
        fit=o["fit"],
        reduction=reduction_of(o) or Reduction(),
        sweep=_resolutions(o["sweep"]),
        points=o["points"],
        lowest=o["lowest"],
        full_curve=o["full_curve"],
        refine=o["refine"],
        floor=o["floor"],
        training=o["protocol"],
        genus_train=o["genus_train"],
        genus_accuracy=o["genus_accuracy"],
        camera=camera,
        epochs=o["epochs"],
        precision=o["precision"],
        seed=o["seed"],
        workers=o["workers"],
    )


def _thresholds(o: dict[str, Any], levels: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """--t-med is the finest level's, --t-low the next one's; --threshold names any level."""
    measured = levels[:0:-1]
    values = dict(zip(measured, (o["t_med"], o["t_low"], *([0.8] * len(measured))), strict=False))
    known = (*measured, levels[0]) if o["floor"] else measured
    for level, text in assignments(o["threshold"], "--threshold").items():
        if level not in known:
            raise ConfigError(
                f"--threshold {level}={text}: no such level"
                + (" above the coarsest" if not o["floor"] else ""),
                f"Levels with a threshold: {', '.join(known)}.",
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
