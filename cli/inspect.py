"""``c2f inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_data.storage import place

from .console import Console, print_json
from .options import common_options, option, workspace_of
from .shard_text import LEVEL_HEAD, bytes_text, level_rows, summary_lines

if TYPE_CHECKING:
    from c2f_data.shards.alone import Heads
    from c2f_data.shards.summary import ShardSummary

PLAIN_WIDTH = 200


@click.command("inspect")
@click.argument("shard", required=False)
@option("--image", metavar="I|ID", help="One image: its position, or its id.")
@option("--level", help="Level that --save takes.  [default: the finest]")
@option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Write the image to a PNG file.",
)
@option("--overwrite", is_flag=True, help="Replace that file.")
@common_options
def inspect(
    shard: str | None,
    image: str | None,
    level: str | None,
    save: Path | None,
    overwrite: bool,
    workspace: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what is inside a shard, or a folder (or URL) of shards; save one image.

    Without SHARD: the shards of the current data set. A shard that no manifest lists is read, too.

    \b
    Example:
      c2f inspect
      c2f inspect c2f_workspace/cub/shards --image 0 --level genus --save bird.png
    """
    from c2f_data.shards.alone import find_heads
    from c2f_data.shards.summary import summarise

    if image is None and (save or level):
        raise ConfigError(
            f"--{'save' if save else 'level'} without --image", "Say which image: --image 0."
        )
    console = Console(quiet=quiet)
    heads = find_heads(place(shard) if shard else _current(workspace))
    if image is not None:
        _image(heads, image, level, save, overwrite, as_json, console)
        return
    summary = summarise(heads)
    if as_json:
        print_json(summary)
    else:
        _print(summary)


def _current(workspace: Path) -> Path:
    whole = workspace_of(workspace)
    return whole.dataset(current_dataset(whole, DatasetChoice())).shards


def _print(summary: ShardSummary) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    # The console is made here, so that it writes to what stdout is now. A file or a pipe has no
    # width that could be too small.
    rich = RichConsole(highlight=False)
    if not rich.is_terminal:
        rich.width = PLAIN_WIDTH
    rich.print(Text(summary.path, style="bold"), soft_wrap=True)
    for name, value in summary_lines(summary):
        rich.print(Text(f"{name:<14} {value}"), soft_wrap=True)
    table = Table(*LEVEL_HEAD, box=SIMPLE_HEAD, pad_edge=False)
    for row in level_rows(summary):
        table.add_row(*(Text(cell) for cell in row))
    rich.print(table)


def _image(
    heads: Heads,
    image: str,
    level: str | None,
    save: Path | None,
    overwrite: bool,
    as_json: bool,
    console: Console,
) -> None:
    from PIL import Image as PillowImage

    from c2f_data.artefacts import atomic_path, to_plain
    from c2f_data.shards.alone import find_image, pixels_of
    from c2f_data.shards.summary import describe_image

    head, row = find_image(heads, image)
    found = describe_image(head, row)
    if save is not None:
        _check_target(save, overwrite=overwrite)
        pixels = pixels_of(head, row, level or head.about.plan.native.name)
        with atomic_path(save) as temporary:
            PillowImage.fromarray(pixels).save(temporary, "PNG")
        console.note(f"Saved: {pixels.shape[1]} x {pixels.shape[0]} px in {save}")
    if as_json:
        print_json({**to_plain(found), "saved": str(save) if save else None})
        return
    click.echo(f"{found.image_id}: image {found.row} of {found.file} ({found.split})")
    for picture in found.pictures:
        click.echo(
            f"{picture.level}: {picture.label} (class {picture.class_id}), {picture.width} x "
            f"{picture.height} px, {bytes_text(picture.bytes)}, {picture.encoding}"
        )


def _check_target(save: Path, *, overwrite: bool) -> None:
    if save.suffix.lower() != ".png":
        raise ConfigError(f"--save {save}: not a .png file", "The pixels are written as PNG.")
    if save.exists() and not overwrite:
        raise ArtefactError(f"{save}: there already", "Choose another name, or pass --overwrite.")
