"""``c2f verify``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c2f_data.errors import C2FError, ConfigError
from c2f_data.open_dataset import DatasetChoice, current_dataset, open_dataset
from c2f_data.storage import Place, Url, place
from c2f_data.workspace import Workspace
from c2f_train.progress import counting

from .console import Console, print_json
from .options import common_options, option, workspace_of
from .steps import cores

if TYPE_CHECKING:
    from c2f_data.index import DatasetIndex
    from c2f_data.shards.repair import Repair
    from c2f_data.shards.verify import Problem

MEGABYTE = 1_000_000


@click.command("verify")
@option("--dataset", help="Default: the workspace's current data set.")
@option(
    "--root",
    type=click.Path(path_type=Path),
    help="Folder of its images; default: where it was found before.",
)
@option(
    "--shards",
    type=place,
    metavar="PATH",
    help="Folder or URL of the shards.  [default: the workspace's]",
)
@option("--images", is_flag=True, help="Decode every image, too.")
@option("--sources", is_flag=True, help="Make every image anew from its source, and compare.")
@option("--repair", is_flag=True, help="Make damaged and missing shards again, and no others.")
@option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Processes.  [default: cores with --images or --sources, else 1]",
)
@common_options
def verify(
    dataset: str | None,
    root: Path | None,
    shards: Place | None,
    images: bool,
    sources: bool,
    repair: bool,
    jobs: int | None,
    workspace: Path,
    as_json: bool,
    quiet: bool,
) -> int:
    """Check every shard: size, SHA-256, labels; with the data set at hand, against that, too.

    \b
    Example:
      c2f verify
      c2f verify --images --sources   (everything that can be checked)
      c2f verify --repair             (exit code 0: all is well again)
      c2f verify --shards s3://bucket/shards
    """
    from c2f_data.shards.verify import extra_files

    console = Console(quiet=quiet)
    here = workspace_of(workspace)
    name = _name(here, dataset, shards)
    folder = shards or here.dataset(name).shards
    console.note(f"Data set: {name} ({folder})")
    extra = extra_files(folder)
    index: DatasetIndex | None
    if sources or repair or root is not None:
        index = open_dataset(here, DatasetChoice(dataset=name, root=root))[0]
    else:
        index = _at_hand(here, name, console)
    deep = images or sources
    problems = _found(folder, index, images, sources, jobs or (cores() if deep else 1), console)
    mended = None
    if repair and problems and index is not None:
        if isinstance(folder, Url):
            raise ConfigError(
                f"{folder}: --repair works in folders",
                "Delete the damaged objects there, then run c2f shard --out again: it makes those.",
            )
        mended = _repaired(folder, problems, index, jobs or cores(), console)
    left = problems if mended is None else mended.left
    if as_json:
        print_json(
            {
                "dataset": name,
                "folder": str(folder),
                "problems": problems,
                "repaired": () if mended is None else mended.repaired,
                "left": left,
                "extra": extra,
            }
        )
    else:
        _print(problems, mended)
    if extra:
        console.note(f"Not part of the data set, from builds that did not finish: {_short(extra)}")
    if left and not repair and not isinstance(folder, Url):
        console.note("To make what is damaged again: c2f verify --repair")
    return 1 if left else 0


def _name(workspace: Workspace, dataset: str | None, shards: Place | None) -> str:
    """The data set that was named, else the one that these shards are of, else the current one."""
    if dataset is None and shards is not None:
        from c2f_data.shards.manifest import read_manifest

        return read_manifest(shards).dataset
    return current_dataset(workspace, DatasetChoice(dataset=dataset))


def _found(
    folder: Place,
    index: DatasetIndex | None,
    images: bool,
    sources: bool,
    jobs: int,
    console: Console,
) -> list[Problem]:
    from c2f_data.shards.manifest import read_manifest
    from c2f_data.shards.verify import verify as find_problems

    size = read_manifest(folder).bytes
    with console.task("Checking shards (MB)", -(-size // MEGABYTE)) as task:
        advance = counting(task)

        def progress(done: int, total: int) -> None:
            advance(-(-done * size // (MEGABYTE * max(1, total))), 0)

        return find_problems(
            folder, decode=images, index=index, rederive=sources, jobs=jobs, progress=progress
        )


def _at_hand(workspace: Workspace, name: str, console: Console) -> DatasetIndex | None:
    """The data set, where it costs little to look; shards are often moved without it."""
    recorded = workspace.dataset(name).read_source()
    # A packed one would have to be unpacked first.
    if recorded is None or not recorded.root or not Path(recorded.root).is_dir():
        console.note("The images that the shards were made from are not looked at.")
        return None
    try:
        return open_dataset(workspace, DatasetChoice(dataset=name))[0]
    except C2FError as error:
        console.note(f"The shards are not held against the data set: {error.message}")
        return None


def _repaired(
    folder: Path, problems: Sequence[Problem], index: DatasetIndex, jobs: int, console: Console
) -> Repair:
    from c2f_data.shards.manifest import read_manifest
    from c2f_data.shards.repair import repair

    wrong = {Path(problem.file).stem for problem in problems}
    entries = [e for e in read_manifest(folder).shards if Path(e.file).stem in wrong]
    with console.task("Repairing shards", sum(entry.images for entry in entries)) as task:
        return repair(folder, problems, index, jobs=jobs, progress=counting(task))


def _print(problems: Sequence[Problem], repaired: Repair | None) -> None:
    for problem in problems:
        click.echo(f"{problem.file}: {problem.what}")
    if not problems:
        click.echo("no problems")
    if repaired is None:
        return
    for name in repaired.repaired:
        click.echo(f"{name}: repaired")
    for problem in repaired.left:
        click.echo(f"{problem.file}: left as it is: {problem.what}")


def _short(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))
