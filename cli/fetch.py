"""``c2f fetch``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from typing import Any

import click
from click.formatting import wrap_text

from c2f_data.errors import ConfigError
from c2f_data.sources.locate import cache_folder
from c2f_train.progress import counting

from .console import Console, print_json
from .options import option, output_options

MB = 1_000_000


@click.command("fetch")
@click.argument("dataset", type=click.Choice(["cub", "cars"]))
@option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to download to; default: c2f's cache folder, where it is found again.",
)
@option("--url", help="Address of a copy of the archive; its checksum is checked all the same.")
@output_options
def fetch(dataset: str, **o: Any) -> None:
    """Download CUB-200-2011, or say where copies of Stanford Cars are.

    A download that was interrupted goes on with the same command. A file whose checksum is wrong
    is never kept. The images are unpacked in c2f's cache folder.

    \b
    Example:
      c2f fetch cub
    """
    if dataset == "cars":
        _cars(o)
    else:
        _cub(o)


def _cub(o: dict[str, Any]) -> None:
    from c2f_data.fetch.archive import CUB
    from c2f_data.fetch.archive import fetch as download
    from c2f_data.sources.archive import unpack_archive

    console = Console(quiet=o["quiet"])
    file = replace(CUB, url=o["url"]) if o["url"] else CUB
    folder = o["root"] or cache_folder() / "cub"
    console.note(f"CUB-200-2011, {file.size / MB:,.0f} MB, to {folder}")
    with _Meter(console) as meter:
        fetched = download(file, folder, progress=meter.show, note=console.note)
    new = f"{fetched.received / MB:,.0f} MB came over the network"
    console.note(f"SHA-256 is right; {new if fetched.received else 'nothing was downloaded'}")
    console.note("Unpacking")
    images = str(unpack_archive(Path(fetched.archive)))
    console.note(f"The images are in {images}")
    following = _next("cub", o["root"])
    if o["as_json"]:
        print_json({"dataset": "cub", **asdict(fetched), "unpacked": images, "next": following})
    else:
        click.echo(fetched.archive)
    console.note(f"Next: {following[0]}\nthen: {following[1]}")


class _Meter(ExitStack):
    """A task for what is still to come; a new one where the server starts from the beginning."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._begin: int | None = None
        self._count: Callable[[int, int], None]

    def show(self, here: int, size: int) -> None:
        """Move the task to ``here`` of ``size`` bytes."""
        if self._begin is None or here < self._begin:
            self.close()
            task = self._console.task("Downloading, MB", ceil((size - here) / MB))
            self._count = counting(self.enter_context(task))
            self._begin = here
        self._count(ceil((here - self._begin) / MB), ceil((size - self._begin) / MB))


def _cars(o: dict[str, Any]) -> None:
    from c2f_data.fetch.copies import CHECKS, COPIES, WHY

    if o["url"]:
        raise ConfigError(
            "--url has no meaning for cars: c2f knows no archive of it, and no checksum",
            "Download and unpack the copy yourself; `c2f fetch cars` says what to check.",
        )
    following = _next("cars", o["root"] or Path("FOLDER"))
    if o["as_json"]:
        copies = [{**asdict(copy), "address": copy.address} for copy in COPIES]
        print_json(
            {
                "dataset": "cars",
                "why": " ".join(WHY),
                "copies": copies,
                "check": CHECKS,
                "next": following,
            }
        )
        return
    click.echo("\n".join(WHY) + "\n\nCopies:")
    for copy in COPIES:
        click.echo(f"  {copy.address}\n    {copy.layout}")
    click.echo("\nCheck:")
    for check in CHECKS:
        click.echo(wrap_text(check, 78, initial_indent="  ", subsequent_indent="    "))
    click.echo(f"\nUnpack it into a folder and let c2f check it:\n  {following[0]}")


def _next(dataset: str, root: Path | None) -> list[str]:
    """The commands that come after this one."""
    where = f"--dataset {dataset}" + (f" --root {shlex.quote(str(root))}" if root else "")
    return [f"c2f doctor {where}", f"c2f calibrate {where} --t-med 0.8 --t-low 0.8"]
