"""One command run by several processes: one of them speaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from c2f_data.errors import ArtefactError, C2FError, ImageError

if TYPE_CHECKING:
    from c2f_train.distributed import World


@contextmanager
def one_voice(world: World) -> Iterator[None]:
    """What all processes find wrong, the first one says; what one alone found, that one says."""
    try:
        yield
    except (ArtefactError, ImageError) as error:
        # A damaged file is seen by the process that reads it.
        if world.first:
            raise
        _say(world, error)
        sys.exit(error.exit_code)
    except C2FError as error:
        if world.first:
            raise
        sys.exit(error.exit_code)


def _say(world: World, error: C2FError) -> None:
    click.echo(f"Error in process {world.rank} of {world.size}: {error.message}", err=True)
    click.echo(f"  {error.hint}", err=True)
