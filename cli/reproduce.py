"""``c2f reproduce``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from c2f_data.open_dataset import DatasetChoice
from c2f_data.sources.request import CROPS
from c2f_data.storage import place as place_of
from c2f_train.recipes import Recipe, recipe_values

from .console import Console, print_json
from .options import backbone_options, common_options, compute_options, names, option, workspace_of
from .recipe_options import with_defaults
from .reproduce_text import plan_lines, table_lines
from .steps import cores

if TYPE_CHECKING:
    from c2f_train.config import Fit
    from c2f_train.reproduction.place import Place
    from c2f_train.reproduction.settings import ReproduceConfig

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
COUNT = click.IntRange(1)
PIXELS = click.IntRange(2, 4096)
# HBP's released code squashes cars to a square and keeps the birds' aspect.
USUAL_FIT: dict[str, Fit] = {"cars": "squash"}


@click.command("reproduce")
@click.argument("dataset", metavar="cub|cars|NAME")
@option("--root", type=place_of, metavar="PATH", help="Folder or archive of the data set.")
@option("--taxonomy", help="A hierarchy's name or a CSV.  [default: the data set's own]")
@option("--allow-partial", is_flag=True, help="Accept a table with classes without images.")
@option("--models", default="", help="Which systems: hbp,mlp,mlph.  [default: those of Table 3]")
@option(
    "--seeds",
    type=COUNT,
    default=3,
    show_default=True,
    help="Runs of each of HBP, MLP and MLPH; the others have one.",
)
@option(
    "--stages",
    type=click.IntRange(1, 2),
    default=2,
    show_default=True,
    help="1: the trunk stays as it is and every image goes through it once for all systems.",
)
@option(
    "--crop",
    type=click.Choice(CROPS),
    default="none",
    show_default=True,
    help="Also the annotated rows: B-CNN and CB-CNN on images cut to boxes or parts.",
)
@option("--input-size", type=click.IntRange(8, 2048), default=448, show_default=True)
@option(
    "--fit",
    type=click.Choice(["shorter", "squash"]),
    help="[default: squash for cars, else shorter]",
)
@option("--dim", type=COUNT, help="d of every system.  [default: 4096 for kp, else 8192]")
@option("--backbone", default="vgg16", show_default=True)
@backbone_options
@option("--med", type=PIXELS, help="Resolution of the middle level in px.  [default: calibrated]")
@option("--low", type=PIXELS, help="Resolution of the coarsest level in px.  [default: calibrated]")
@option("--t-med", type=SHARE, default=0.8, show_default=True, help="Threshold of the species.")
@option("--t-low", type=SHARE, default=0.8, show_default=True, help="Threshold of the genera.")
@option("--relative", is_flag=True, help="Thresholds are shares of the native accuracy.")
@option("--classifier", default="auto", show_default=True, help="Of the calibration.")
@option(
    "--calibrate-size",
    type=click.IntRange(8, 2048),
    help="Side in px that the calibration's network sees.  [default: --input-size]",
)
@option("--points", type=click.IntRange(3, 200), default=28, show_default=True)
@option(
    "--recipe",
    type=click.Choice(get_args(Recipe)),
    default="paper",
    show_default=True,
    help="Of every training: section 4.1 of the paper, or what is usual now; the runs are named "
    "after it.",
)
@option("--stage1-epochs", type=COUNT, default=60, show_default=True)
@option("--stage2-epochs", type=COUNT, default=30, show_default=True)
@option("--batch-size", type=COUNT, help=with_defaults("batch_size", "Images a step."))
@option(
    "--jobs", type=click.IntRange(1, 256), help="Processes that write shards.  [default: cores]"
)
@option(
    "--overwrite",
    is_flag=True,
    help="Delete these runs and train them anew; replace other shards. To go on with work that "
    "was interrupted, leave it out.",
)
@option("--dry-run", is_flag=True, help="List the steps with time and room; do nothing.")
@compute_options
@common_options
def reproduce(**o: Any) -> None:
    """The paper's Table 3 on your machine: hierarchy, calibration, shards, all systems, table.

    Killed anywhere, the same command goes on.

    \b
    Example:
      c2f reproduce cub --root CUB_200_2011
      c2f reproduce cub --root CUB_200_2011 --stages 1 --relative --dry-run
    """
    from c2f_train.reproduction.carry_out import carry_out
    from c2f_train.reproduction.plan import plan

    console = Console(quiet=o["quiet"])
    where = _place(o, console)
    config = _config(o, where)
    if o["dry_run"]:
        steps = plan(config, where, overwrite=o["overwrite"])
        if o["as_json"]:
            print_json({"dataset": o["dataset"], "dry_run": True, "steps": steps})
        else:
            for line in plan_lines(steps):
                click.echo(line)
        return
    table = carry_out(config, where, overwrite=o["overwrite"])
    if o["as_json"]:
        print_json(table)
    else:
        for line in table_lines(table):
            click.echo(line)
    console.note("Next: c2f report")


def _place(o: dict[str, Any], console: Console) -> Place:
    from c2f_train.device import pick_device
    from c2f_train.reproduction.place import Place

    choice = DatasetChoice(
        dataset=o["dataset"],
        root=o["root"],
        taxonomy=o["taxonomy"],
        allow_partial=o["allow_partial"],
    )
    workspace = workspace_of(o["workspace"])
    return Place(workspace, choice, pick_device(o["device"]), console, o["jobs"] or cores())


def _config(o: dict[str, Any], place: Place) -> ReproduceConfig:
    from c2f_train.calibration_config import CalibrateConfig
    from c2f_train.config import TrainConfig
    from c2f_train.device import pick_precision
    from c2f_train.reproduction.settings import TABLE, ReproduceConfig
    from c2f_train.training_defaults import absolute_weights

    fit = o["fit"] or USUAL_FIT.get(o["dataset"], "shorter")
    shared = {
        "backbone": o["backbone"],
        # However the file is named, a second call finds the runs of the first.
        "weights": o["weights"] and absolute_weights(o["weights"]),
        "taps": names(o["taps"]),
        "fit": fit,
        "seed": o["seed"],
        "workers": o["workers"],
    }
    precision = pick_precision(o["precision"], place.device)
    recipe = recipe_values(o["recipe"])
    if o["batch_size"] is not None:
        recipe["batch_size"] = o["batch_size"]
    return ReproduceConfig(
        calibrate=CalibrateConfig(
            thresholds=(),
            relative=o["relative"],
            classifier=o["classifier"],
            input_size=o["calibrate_size"] or o["input_size"],
            points=o["points"],
            precision=precision,
            **shared,
        ),
        train=TrainConfig(
            input_size=o["input_size"],
            stage1_epochs=o["stage1_epochs"],
            stage2_epochs=o["stage2_epochs"] if o["stages"] == 2 else 0,
            precision=precision,
            **recipe,
            **shared,
        ),
        thresholds=(o["t_med"], o["t_low"]),
        resolutions=tuple(r for r in (o["med"], o["low"]) if r is not None),
        models=names(o["models"]) or TABLE,
        seeds=o["seeds"],
        dim=o["dim"],
        crop=o["crop"],
    )
