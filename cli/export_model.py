"""``c2f export-model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import C2FError
from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_data.sources.request import LEFT

from .console import Console, print_json
from .options import common_options, option, workspace_of

if TYPE_CHECKING:
    from torch import Tensor

    from c2f_data.workspace import DatasetFolder

MB = 1_000_000
ALL = "all"
DYNAMIC = "dynamic"
MOST_IMAGES = 4096


class _Batch(click.ParamType[int | None]):
    """``dynamic``, or a number of images."""

    name = "N|dynamic"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == DYNAMIC:
            return None
        return click.IntRange(1, MOST_IMAGES).convert(value, param, ctx)


@click.command("export-model")
@option(
    "--to",
    "target",
    type=click.Choice(["onnx", "torch-export"]),
    required=True,
    help="An ONNX file (.onnx), or a program of torch.export (.pt2).",
)
@option("--dataset", help="Default: the workspace's current data set.")
@option("--run", "run_name", metavar="NAME", help="A finished run.  [default: the last finished]")
@option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of a saved model, instead of a run.",
)
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: export/TO/RUN.onnx in the data set's folder]",
)
@option("--level", default=ALL, show_default=True, help="One level's classifier, or all.")
@option(
    "--batch",
    type=_Batch(),
    default=DYNAMIC,
    show_default=True,
    help="Images at once: any number, or always N.",
)
@option("--overwrite", is_flag=True, help="Replace an earlier export.")
@common_options
def export_model(**o: Any) -> None:
    """Write a trained model as one file that other programs run, checked against PyTorch.

    It takes uint8 images (B, 3, S, S), enlarged and cropped already, and gives logits of every
    level. Names of the classes and a JSON about the file lie beside it.

    \b
    Example:
      c2f export-model --to onnx
      c2f calibrate --classifier FILE.onnx --labels FILE.onnx.species.txt
    """
    if o["run_name"] and o["model_folder"]:
        raise click.UsageError("--run and --model name one model each: give one of them.")
    from c2f_train.checkpoint import read_meta
    from c2f_train.export_model import SUFFIXES
    from c2f_train.export_model import export_model as write

    console = Console(quiet=o["quiet"])
    model, default, data = _places(o)
    out = (o["out"] or default.with_name(default.name + SUFFIXES[o["target"]])).resolve()
    images = _real_images(data, read_meta(model), console)
    console.note(f"Exporting {model}")
    done = write(
        model,
        o["target"],
        out,
        levels=() if o["level"] == ALL else (o["level"],),
        batch=o["batch"],
        images=images,
        overwrite=o["overwrite"],
    )
    if o["as_json"]:
        print_json({"path": str(out), "export": done})
    else:
        click.echo(str(out))
    check = done.check
    console.note(
        f"{done.bytes / MB:,.1f} MB. Largest difference from PyTorch {check.difference:.1e}, "
        f"largest logit {check.largest:.2g} ({check.random} random and {check.real} real images, "
        f"{check.runtime})."
    )
    if done.crop in LEFT:
        console.note(f"It expects images cut to {LEFT[done.crop]}, as it was trained on.")
    first = done.outputs[0]
    if first.level == read_meta(model).levels[-1]:  # what a calibration asks for
        more = " --fit squash" * (done.preprocessing.fit == "squash")
        more += " --trust-classifier" * (o["target"] == "torch-export")
        labels = out.with_name(first.labels)
        console.note(
            f"Next: c2f calibrate --images test --classifier {out} --labels {labels}{more}"
        )


def _places(o: dict[str, Any]) -> tuple[Path, Path, DatasetFolder | None]:
    """The model folder, where its export goes (without suffix), and the data set of a run."""
    if o["model_folder"]:
        folder = o["model_folder"].resolve()
        return folder, folder, None
    workspace = workspace_of(o["workspace"])
    data = workspace.dataset(current_dataset(workspace, DatasetChoice(dataset=o["dataset"])))
    run = data.finished_run(o["run_name"])
    return run / "model", data.folder / "export" / o["target"] / run.name, data


def _real_images(data: DatasetFolder | None, meta: Any, console: Console) -> Tensor | None:
    """Test images of the run's data set; None where there are none any more."""
    from c2f_train.export_check import real_images

    if data is None:
        return None
    try:
        return real_images(data.shards, meta.spec)
    except C2FError as error:
        console.note(f"Checked with random images alone: {error.message}.")
        return None
