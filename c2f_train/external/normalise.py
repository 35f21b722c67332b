"""How bytes become a network's input, where the network does not say it itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from c2f_data.errors import ConfigError
from c2f_train.backbones import IMAGENET_MEAN, IMAGENET_STD

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """``(byte / 255 - mean) / std``, one mean and one std for red, green and blue."""

    mean: Triple
    std: Triple


NAMED: Mapping[str, Normalisation] = {
    "imagenet": Normalisation(IMAGENET_MEAN, IMAGENET_STD),
    "unit": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "signed": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "bytes": Normalisation((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
DEFAULT = "imagenet"


def parse_normalisation(text: str) -> Normalisation:
    """``imagenet``, ``unit`` (0 to 1), ``signed`` (-1 to 1), ``bytes`` (0 to 255), or R,G,B/R,G,B.

    The last form is mean and standard deviation in units of 0 to 1.

    Raises:
        ConfigError: none of these.
    """
    if text in NAMED:
        return NAMED[text]
    mean, slash, std = text.partition("/")
    try:
        values = [tuple(float(part) for part in half.split(",")) for half in (mean, std)]
    except ValueError:
        values = []
    if (
        not slash
        or [len(v) for v in values] != [3, 3]
        or not all(math.isfinite(x) for v in values for x in v)
        or min(values[1]) <= 0
    ):
        raise ConfigError(
            f"--normalise {text}: not a normalisation",
            f"Give {', '.join(NAMED)}, or mean and std of 0..1: 0.5,0.5,0.5/0.2,0.2,0.2.",
        )
    return Normalisation(cast("Triple", values[0]), cast("Triple", values[1]))


def given_bytes(
    network: nn.Module, normalisation: Normalisation | None, dtype: torch.dtype, owner: str
) -> nn.Module:
    """The network of a file as one that takes bytes, whatever it takes itself.

    Raises:
        ConfigError: a normalisation for a network that takes bytes.
    """
    if dtype is not torch.uint8:
        return Normalised(network, normalisation or NAMED[DEFAULT], dtype)
    if normalisation is not None:
        raise ConfigError(f"--normalise with {owner}, which takes bytes", "Leave --normalise out.")
    return network


class Normalised(nn.Module):
    """A network of float images, given bytes."""

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype
        mean = torch.tensor(normalisation.mean, dtype=torch.float64).view(1, 3, 1, 1)
        std = torch.tensor(normalisation.std, dtype=torch.float64).view(1, 3, 1, 1)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self.register_buffer("scale", (1 / (255 * std)).float(), persistent=False)
        self.register_buffer("shift", (-mean / std).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 to the network's scores."""
        x = images.float().mul_(self.scale).add_(self.shift)
        return cast("Tensor", self.network(x.to(self.dtype)))
