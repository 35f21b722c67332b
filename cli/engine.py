"""Where shards are built and where they go: --engine, --address, --out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from c2f_data.errors import ConfigError
from c2f_data.storage import place

from .options import option

if TYPE_CHECKING:
    from c2f_data.shards.writer import Engine

F = TypeVar("F", bound=Callable[..., Any])


def engine_options(function: F) -> F:
    """--engine --address --out."""
    function = option(
        "--out",
        type=place,
        metavar="PATH",
        help="Folder or URL of the shards, for example s3://bucket/shards.  [default: workspace]",
    )(function)
    function = option(
        "--address",
        metavar="ADDRESS",
        help="Of a Ray cluster: auto, HOST:6379.  [default: RAY_ADDRESS, else this machine]",
    )(function)
    return option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="ray: on the machines of a Ray cluster; the same bytes.",
    )(function)


def engine_of(given: Mapping[str, Any]) -> Engine | None:
    """The engine that was asked for; None: processes of this machine.

    Raises:
        ConfigError: an address without ``--engine ray``.
    """
    if given["engine"] == "ray":
        from c2f_data.shards.ray_engine import RayEngine

        return RayEngine(given["address"], given["jobs"])
    if given["address"]:
        raise ConfigError(
            f"--address {given['address']} without --engine ray",
            "Add --engine ray, or leave it out.",
        )
    return None
