"""The options of `c2f train` whose defaults a recipe gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, get_args

import click

from c2f_train.config import Augment, Optimizer, Schedule, TrainConfig
from c2f_train.recipes import Recipe, recipe_values

from .options import option

F = TypeVar("F", bound=Callable[..., Any])

POSITIVE = click.FloatRange(0, min_open=True)
NUMBER = click.FloatRange(0)
SHARE = click.FloatRange(0, 1, max_open=True)
COUNT = click.IntRange(1)
EPOCHS = click.IntRange(0)

_DEFAULTS = {field.name: field.default for field in fields(TrainConfig)}
# Field of TrainConfig, type of the option, help.
_VALUES: tuple[tuple[str, Any, str], ...] = (
    ("optimizer", click.Choice(get_args(Optimizer)), "With its usual rates."),
    ("schedule", click.Choice(get_args(Schedule)), "step: --lr-factor every --lr-period."),
    ("warmup", NUMBER, "Epochs at the start of a stage, at most half, in which the rate rises."),
    ("stage1_epochs", EPOCHS, ""),
    ("stage1_lr", POSITIVE, ""),
    ("stage1_weight_decay", NUMBER, ""),
    ("stage1_batch_size", COUNT, "Rows a step of the fixed features."),
    ("stage2_epochs", EPOCHS, ""),
    ("stage2_lr", POSITIVE, ""),
    ("stage2_weight_decay", NUMBER, ""),
    ("lr_factor", POSITIVE, ""),
    ("lr_period", COUNT, "In epochs."),
    ("batch_size", COUNT, "Images a step, in all processes together."),
    ("accumulate", COUNT, "Parts that a batch is computed in: less memory, the same step."),
    ("momentum", SHARE, "Of SGD."),
    ("label_smoothing", SHARE, ""),
    ("ema", SHARE, "Keep an average of the weights: its decay a step, such as 0.999; 0: none."),
    ("augment", click.Choice(get_args(Augment)), "crop: crop and mirror alone."),
    ("magnitude", click.FloatRange(0, 10), "Of randaugment."),
    ("patience", EPOCHS, "End a stage this many epochs after its best on held-out images; 0: off."),
    ("validation", SHARE, "Share of the training images that --patience holds out."),
    (
        "held_out",
        SHARE,
        "Share of the training images that is kept for the promise of c2f predict.",
    ),
    ("save_every", EPOCHS, "Steps between snapshots inside an epoch; 0: by time alone."),
    ("save_minutes", NUMBER, "Minutes between snapshots inside an epoch."),
)
_SWITCHES = (
    ("compile", "Compile the network with torch.compile."),
    ("channels_last", "Memory layout of images and convolutions."),
)


def recipe_options(function: F) -> F:
    """--recipe, and an option for each value that a recipe may set."""
    for name, words in reversed(_SWITCHES):
        flag = name.replace("_", "-")
        function = option(
            f"--{flag}/--no-{flag}", name, default=None, help=with_defaults(name, words)
        )(function)
    for name, kind, words in reversed(_VALUES):
        flag = "--" + name.replace("_", "-")
        function = option(flag, type=kind, help=with_defaults(name, words))(function)
    return option(
        "--recipe",
        type=click.Choice(get_args(Recipe)),
        default="paper",
        show_default=True,
        help="Defaults of the options below: section 4.1 of the paper, or what is usual now.",
    )(function)


def recipe_of(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of TrainConfig: what was given, and the recipe's where nothing was."""
    values = recipe_values(given["recipe"], given["optimizer"])
    names = (*(name for name, *_ in _VALUES), *(name for name, _ in _SWITCHES))
    return values | {name: given[name] for name in names if given[name] is not None}


def with_defaults(name: str, words: str) -> str:
    """An option's help, with the default of each recipe."""
    paper, modern = (_shown(recipe_values(r).get(name, _DEFAULTS[name])) for r in get_args(Recipe))
    default = paper if paper == modern else f"{paper}; modern: {modern}"
    return f"{words}  [default: {default}]".strip()


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
