"""Maps, moments and gradients that the tests of the poolings share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


def random_maps(
    batch: int, channels: tuple[int, int, int], height: int, width: int, seed: int = 0
) -> list[Tensor]:
    """Three float64 maps with numbers of both signs."""
    generator = torch.Generator().manual_seed(seed)
    shape = (height, width)
    return [
        torch.randn(batch, c, *shape, generator=generator, dtype=torch.float64) for c in channels
    ]


def rows_of(z: Tensor) -> Array:
    """(B, c, h, w) to (B, N, c)."""
    return z.flatten(2).mT.detach().double().numpy()


def root_and_length(p: Array) -> Array:
    """Signed square root and l2 of each row, as every one of the papers has them."""
    s = np.sign(p) * np.sqrt(np.abs(p))
    return s / np.linalg.norm(s, axis=1, keepdims=True)


def one_location(x: Array) -> list[Tensor]:
    """A vector (c,) as the maps of an image of one location."""
    return [torch.from_numpy(x).view(1, -1, 1, 1)] * 3


def estimates(
    build: Callable[[], nn.Module], x: Array, y: Array, draws: int
) -> tuple[float, float, float]:
    """Mean of <phi(x), phi(y)> over draws of the hashes, its standard error, and the variance.

    Args:
        build: a new pooling without normalisation, in float64, its hashes from torch's generator.
    """
    torch.manual_seed(0)
    found = np.empty(draws)
    with torch.no_grad():
        for draw in range(draws):
            pooling = build()
            found[draw] = float((pooling(*one_location(x)) * pooling(*one_location(y))).sum())
    variance = float(found.var(ddof=1))
    return float(found.mean()), (variance / draws) ** 0.5, variance


def gradients_hold(pooling: nn.Module, maps: list[Tensor]) -> bool:
    """torch's gradcheck, of all parameters and of those maps that are used."""
    inputs = [m.clone().requires_grad_() for m in maps]
    names = [name for name, _ in pooling.named_parameters()]

    def run(*given: Tensor) -> Tensor:
        weights = dict(zip(names, given[3:], strict=True))
        return torch.func.functional_call(pooling, weights, given[:3])

    checked: bool = torch.autograd.gradcheck(run, (*inputs, *pooling.parameters()))
    return checked
