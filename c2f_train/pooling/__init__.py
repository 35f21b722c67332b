"""Poolings: three feature maps to one vector. One file each, one line each in the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from c2f_data.errors import ConfigError
from c2f_train.pooling.average import AveragePooling
from c2f_train.pooling.multilinear import MultiLinearPooling

Channels = tuple[int, int, int]

POOLINGS: Mapping[str, Callable[[Channels, int], nn.Module]] = {
    "average": lambda channels, _: AveragePooling(channels),
    "root": lambda channels, _: AveragePooling(channels, root=True),
    "hbp": lambda channels, dim: MultiLinearPooling(channels, dim, trilinear=False),
    "multilinear": lambda channels, dim: MultiLinearPooling(channels, dim, trilinear=True),
}


def make_pooling(name: str, channels: Channels, dim: int) -> nn.Module:
    """Build a pooling by name; it has an attribute ``out_features``.

    Args:
        channels: of the three maps.
        dim: d, the width of the projections; poolings without projections ignore it.

    Raises:
        ConfigError: no pooling of that name.
    """
    if name not in POOLINGS:
        raise ConfigError(f"no pooling {name!r}", f"Choose one of {', '.join(POOLINGS)}.")
    return POOLINGS[name](channels, dim)
