"""Options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar, get_args

import click

from c2f_data.open_dataset import DatasetChoice
from c2f_data.resample_spec import Filter, Reduction, default_engine
from c2f_data.sources.request import CROPS
from c2f_data.storage import place
from c2f_data.taxonomy import DEFAULT_LEVELS
from c2f_data.workspace import DEFAULT, Workspace

from .settings import option as option
from .settings import read_config

F = TypeVar("F", bound=Callable[..., Any])


def _stacked(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def common_options(function: F) -> F:
    """--workspace --config --json --quiet --verbose."""
    workspace = option(
        "--workspace",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT,
        show_default=True,
        help="Folder that everything is written to.",
    )
    return workspace(output_options(function))


def output_options(function: F) -> F:
    """--config --json --quiet --verbose."""
    return _stacked(
        option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            is_eager=True,
            expose_value=False,
            callback=read_config,
            help="TOML file with option values: at its top for every command, in a table for one.",
        ),
        option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
        option("-q", "--quiet", is_flag=True, help="No progress and no notes."),
        click.option(
            "-v",
            "--verbose",
            count=True,
            expose_value=False,
            help="-vv shows the traceback of an error.",
        ),
    )(function)


def dataset_options(function: F) -> F:
    """--dataset --root --listing --taxonomy --levels --allow-partial --crop --exclude-list."""
    return _stacked(
        option(
            "--dataset", help="cub, cars, folder or demo; default: the workspace's current one."
        ),
        option(
            "--root",
            type=place,
            metavar="PATH",
            help="Folder or archive of the data set, or a URL with --listing; "
            "default: where it was found before.",
        ),
        option(
            "--listing",
            type=place,
            metavar="CSV",
            help="Names the images below --root: columns path, the class, and split if known.",
        ),
        option(
            "--taxonomy",
            help="cub, cars, an edition or rule of them (cub:aou2016, cars:d9), or a CSV.",
        ),
        option(
            "--levels",
            default=",".join(DEFAULT_LEVELS),
            show_default=True,
            help="Level columns of that hierarchy, coarse to fine.",
        ),
        option(
            "--allow-partial",
            is_flag=True,
            help="Accept a table with classes that have no images, and a part of Stanford Cars.",
        ),
        option(
            "--crop",
            type=click.Choice(CROPS),
            help="bbox: cut every image to its bounding box; parts: to a box around its visible "
            "parts; default: as before, else none.",
        ),
        option(
            "--exclude-list",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Leave out the images that it names, one a line; recorded for later commands.",
        ),
    )(function)


def device_options(function: F) -> F:
    """--device --precision --workers."""
    workers = option(
        "--workers",
        type=click.IntRange(0, 256),
        default=0,
        show_default=True,
        help="Threads that decode images beside the network; 0: one a core.",
    )
    return network_options(workers(function))


def network_options(function: F) -> F:
    """--device --precision."""
    return _stacked(
        option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu."),
        option(
            "--precision",
            type=click.Choice(["auto", "float32", "bfloat16"]),
            default="auto",
            show_default=True,
            help="Number format of the network.",
        ),
    )(function)


def predictor_options(function: F) -> F:
    """--dataset --model --confidence."""
    return _stacked(
        option("--dataset", help="Default: the workspace's current data set."),
        option(
            "--model",
            "--run",
            "model",
            metavar="RUN",
            help="Name of a finished run, or the folder of a run or model (with a slash in it).  "
            "[default: the last finished run]",
        ),
        option(
            "--confidence",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            default=0.9,
            show_default=True,
            help="Name a node only while it is at least this probable.",
        ),
    )(function)


def compute_options(function: F) -> F:
    """--device --precision --workers --seed."""
    seed = option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
    return device_options(seed(function))


def backbone_options(function: F) -> F:
    """--weights --taps."""
    return _stacked(
        option("--weights", help="Backbone weights: .pth, .safetensors, a model folder, or none."),
        option("--taps", default="", help="Three feature maps of a torchvision or timm backbone."),
    )(function)


def reduction_options(function: F) -> F:
    """--filter --pillow --noise --noise-seed --jpeg."""
    return _stacked(
        option(
            "--filter",
            "kernel",
            type=click.Choice(get_args(Filter)),
            help="Kernel that images are reduced by.  [default: bicubic]",
        ),
        option("--pillow", is_flag=True, help="Reduce exactly as Pillow does (slower)."),
        option(
            "--noise",
            type=float,
            help="Sensor noise after the reduction: standard deviation in grey levels.",
        ),
        option("--noise-seed", type=int, help="Draw other noise."),
        option("--jpeg", type=int, help="JPEG at this quality, 1 to 100, after that."),
    )(function)


def reduction_of(given: Mapping[str, Any]) -> Reduction | None:
    """The values of :func:`reduction_options`; None where none was given."""
    words = ("kernel", "pillow", "noise", "noise_seed", "jpeg")
    if not any(given[word] for word in words):
        return None
    kernel: Filter = given["kernel"] or "bicubic"
    return Reduction(
        filter=kernel,
        engine="pillow" if given["pillow"] else default_engine(kernel),
        noise=given["noise"] or 0.0,
        noise_seed=given["noise_seed"] or 0,
        jpeg=given["jpeg"],
    )


def workspace_of(folder: Path) -> Workspace:
    """The workspace, made if it is not there."""
    workspace = Workspace(folder)
    workspace.check_writable()
    return workspace


def choice_of(given: Mapping[str, Any]) -> DatasetChoice:
    """The values of :func:`dataset_options` as one object."""
    return DatasetChoice(
        given["dataset"],
        given["root"],
        given["taxonomy"],
        names(given["levels"]),
        given["allow_partial"],
        given["crop"],
        given["listing"],
        given["exclude_list"],
    )


def shard_by_hand(levels: Iterable[str]) -> str:
    """The command that is told the resolutions. Args: levels: their names, coarse to fine."""
    coarser = list(levels)[-2::-1]
    if len(coarser) == 2:
        return "c2f shard --med R --low R"
    return " ".join(["c2f shard", *(f"--resolution {quote(level)}=R" for level in coarser)])


def names(text: str) -> tuple[str, ...]:
    """``"a, b"`` to ``("a", "b")``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def assignments(values: Sequence[str], what: str) -> dict[str, str]:
    """``["genus=0.7"]`` to ``{"genus": "0.7"}``. Raises click.BadParameter."""
    pairs = {}
    for value in values:
        level, sign, number = value.partition("=")
        if not sign or not level or not number:
            message = f"{value!r} is not LEVEL=VALUE"
            raise click.BadParameter(message, param_hint=what)
        pairs[level.strip()] = number.strip()
    return pairs
