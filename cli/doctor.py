"""``c2f doctor``."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c2f_data.artefacts import to_plain
from c2f_data.errors import C2FError
from c2f_data.open_dataset import open_dataset
from c2f_data.sources import DATASETS
from c2f_data.sources.locate import is_there, places
from c2f_data.taxonomy import DEFAULT_LEVELS
from c2f_data.workspace import DEMO, DatasetFolder, Workspace
from c2f_train.demo_data import ensure_demo
from c2f_train.progress import counting

from .console import Console, print_json
from .options import choice_of, common_options, dataset_options, option
from .steps import cores

if TYPE_CHECKING:
    from c2f_data.checkup import CheckUp


@click.command("doctor")
@dataset_options
@option("--jobs", type=click.IntRange(1, 256), help="Threads that read images.  [default: cores]")
@common_options
def doctor(**o: Any) -> int:
    """Look at every image of a data set, or without --dataset at the environment.

    Without --dataset: versions, devices, data sets found, the workspace.

    With --dataset: every image is decoded; reported are the layout found, counts beside the
    official ones, unreadable, greyscale and tiny images, pictures that occur twice (train and
    test above all), swapped red and blue, native resolutions, and what a sweep can cover.

    Exit code 1 where a calibration would stop or be wrong: the data set can't be opened, an image
    can't be read, no images can be held out or swept, more than 1 % of the test images show the
    picture of a training image, or more than 1 % of all images a picture with several classes.
    Otherwise 0, also with warnings.

    \b
    Example:
      c2f doctor --json
      c2f doctor --dataset cub --root CUB_200_2011
    """
    console = Console(quiet=o["quiet"])
    workspace = Workspace(o["workspace"])
    if o["dataset"] is not None:
        return _check_data(workspace, o, console)
    for name in ("root", "taxonomy", "crop", "jobs"):
        if o[name] is not None:
            raise click.UsageError(f"--{name} is about a data set: say which by --dataset.")
    _print_environment(_facts(workspace), o["as_json"])
    return 0


def _check_data(workspace: Workspace, o: dict[str, Any], console: Console) -> int:
    from c2f_data.checkup import check_up
    from c2f_data.checkup.counts import official_counts

    from .doctor_text import print_check_up

    name = o["dataset"]
    try:
        index, folder, _ = open_dataset(workspace, ensure_demo(name, choice_of(o), console))
    except C2FError as error:
        return _not_opened(error, o)
    with console.task("Reading images", len(index.records)) as task:
        result = check_up(
            index,
            official=official_counts(name),
            input_size=_input_size(name),
            workers=o["jobs"],
            progress=counting(task),
        )
    _keep(result, index.fingerprint, folder, console)
    if o["as_json"]:
        print_json({"opened": True, "sound": result.sound, **to_plain(result)})
    else:
        print_check_up(result)
    if result.sound:
        console.note(f"Next: {_calibrate(o)}")
    else:
        console.note("Next: correct the problems, then run this command again.")
    return 0 if result.sound else 1


def _keep(result: CheckUp, fingerprint: str, folder: DatasetFolder, console: Console) -> None:
    """For the report, in a data set's folder that is there already: a look creates none."""
    from c2f_data.checkup.kept import KeptCheckUp, write_check_up
    from c2f_data.provenance import collect

    if not folder.folder.is_dir():
        return
    made = collect(device="none", seed=0)
    kept = KeptCheckUp(result.dataset, fingerprint, result.findings, made)
    try:
        write_check_up(folder.checkup, kept)
    except C2FError as error:
        console.warn(f"not kept for the report: {error.message}")


def _not_opened(error: C2FError, o: dict[str, Any]) -> int:
    from c2f_data.checkup.findings import from_error

    from .doctor_text import print_findings

    findings = (from_error("open", error),)
    root = str(o["root"]) if o["root"] else None
    if o["as_json"]:
        facts = {"dataset": o["dataset"], "root": root, "findings": findings}
        print_json({"opened": False, "sound": False, **facts})
    else:
        click.echo(f"{o['dataset']}: can't be opened" + (f", {root}" if root else ""))
        print_findings(findings)
    return error.exit_code


def _input_size(dataset: str) -> int:
    """The side in pixels of what the data set's usual network sees."""
    from c2f_train.backbones import default_input_size

    return default_input_size("tiny" if dataset == DEMO else "vgg16")


def _calibrate(o: dict[str, Any]) -> str:
    """The command that calibrates this data set, with what was said about it."""
    if o["dataset"] == DEMO:
        return "c2f demo"
    words = ["c2f", "calibrate", "--dataset", o["dataset"]]
    for name in ("root", "taxonomy", "crop"):
        words += [f"--{name}", str(o[name])] if o[name] is not None else []
    if o["levels"] != ",".join(DEFAULT_LEVELS):
        words += ["--levels", o["levels"]]
    words += ["--allow-partial"] if o["allow_partial"] else []
    return shlex.join(words)


def _print_environment(facts: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for title, values in facts.items():
        click.echo(f"{title}:")
        for key, value in values.items():
            click.echo(f"  {key}: {value}")


def _facts(workspace: Workspace) -> dict[str, dict[str, Any]]:
    import torch

    from c2f_data.provenance import package_versions
    from c2f_train.device import describe_device, pick_device, pick_precision

    device = pick_device("auto")
    found = {}
    for name in DATASETS:
        here = [str(place) for place in places(name, _recorded(workspace, name)) if is_there(place)]
        found[name] = here[0] if here else "not found"
    found["demo"] = "embedded: rendered on first use"
    try:
        current = workspace.current() or "none"
    except C2FError as error:
        current = error.message
    return {
        "versions": {"python": platform.python_version(), **package_versions()},
        "machine": {"system": platform.platform(), "cores": cores()},
        "device": {
            "auto": describe_device(device),
            "precision": pick_precision("auto", device),
            "cuda": torch.cuda.is_available(),
        },
        "data": found,
        "weights": _weights(),
        "workspace": {"folder": str(workspace.folder.resolve()), "current data set": current},
    }


def _recorded(workspace: Workspace, name: str) -> Path | None:
    try:
        source = workspace.dataset(name).read_source()
    except C2FError:
        return None
    return Path(source.root) if source and source.root else None


def _weights() -> dict[str, str]:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    here = sorted(path.name for path in folder.glob("vgg16-*.pth"))
    return {"vgg16 (ImageNet)": here[0] if here else f"not in {folder}; --weights FILE"}
