"""``c2f verify``."""

from __future__ import annotations

from pathlib import Path

import click

from c2f_data.open_dataset import DatasetChoice, current_dataset

from .console import Console, print_json
from .options import common_options, option, workspace_of


@click.command("verify")
@option("--dataset", help="Default: the workspace's current data set.")
@option("--images", is_flag=True, help="Decode every image, too.")
@common_options
def verify(dataset: str | None, images: bool, workspace: Path, as_json: bool, quiet: bool) -> int:
    """Check every shard against the manifest: presence, size, SHA-256, labels.

    \b
    Example:
      c2f verify --images
    """
    from c2f_data.shards.verify import verify as find_problems

    console = Console(quiet=quiet)
    place = workspace_of(workspace)
    name = current_dataset(place, DatasetChoice(dataset=dataset))
    folder = place.dataset(name).shards
    console.note(f"Data set: {name} ({folder})")
    problems = find_problems(folder, decode=images)
    if as_json:
        print_json({"dataset": name, "folder": str(folder), "problems": problems})
    else:
        for problem in problems:
            click.echo(f"{problem.file}: {problem.what}")
        if not problems:
            click.echo("no problems")
    if problems:
        console.note("To rebuild what is damaged: c2f shard --overwrite")
    return 1 if problems else 0
