"""``c2f doctor``."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import click

from c2f_data.errors import C2FError
from c2f_data.sources import DATASETS
from c2f_data.sources.locate import places
from c2f_data.workspace import Workspace

from .console import print_json
from .options import common_options
from .steps import cores


@click.command("doctor")
@common_options
def doctor(workspace: Path, as_json: bool, quiet: bool) -> None:
    """Print the environment: versions, devices, data sets found, the workspace.

    \b
    Example:
      c2f doctor --json
    """
    del quiet
    facts = _facts(Workspace(workspace))
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
        here = [str(place) for place in places(name, _recorded(workspace, name)) if place.is_dir()]
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
    return Path(source.root) if source else None


def _weights() -> dict[str, str]:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    here = sorted(path.name for path in folder.glob("vgg16-*.pth"))
    return {"vgg16 (ImageNet)": here[0] if here else f"not in {folder}; --weights FILE"}
