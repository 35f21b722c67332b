"""What multi-linear pooling is computed from, and its sums by the formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kernel = Literal["auto", "torch", "triton"]


@dataclass(frozen=True, slots=True)
class Head:
    """What the sums are made of.

    Attributes:
        maps: X, Y, Z, each (B, c, h, w), with channels of their own.
        weights: U', V', W', each (d, c).
        biases: each (d,).
        trilinear: there is a p4.
        compute: the number format of the matrix products.
        kernel: who computes it, see :mod:`c2f_train.pooling.kernel_choice`.
    """

    maps: Sequence[Tensor]
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    trilinear: bool
    compute: torch.dtype
    kernel: Kernel = "auto"

    @property
    def wide(self) -> torch.dtype:
        """The number format of products and sums: 784 locations are too many for bfloat16."""
        return torch.float64 if self.compute == torch.float64 else torch.float32

    @property
    def locations(self) -> int:
        """N."""
        return self.maps[0].shape[2] * self.maps[0].shape[3]

    @property
    def sums_shape(self) -> tuple[int, int, int]:
        """(B, parts, d)."""
        return self.maps[0].shape[0], 4 if self.trilinear else 3, self.weights[0].shape[0]

    @property
    def kept_shape(self) -> tuple[int, int]:
        """Of the kept projections: A, B and C, each block after block."""
        batch, _, dim = self.sums_shape
        return 3, batch * self.locations * dim


def plain_sums(head: Head) -> Tensor:
    """p1 .. p4 as (B, parts, d), by the formula: for exports and for second derivatives."""
    a, b, c = (
        torch.nn.functional.linear(
            m.flatten(2).transpose(1, 2).to(head.compute),
            weight.to(head.compute),
            bias.to(head.compute),
        ).to(head.wide)
        for m, weight, bias in zip(head.maps, head.weights, head.biases, strict=True)
    )
    products = [a * b, a * c, b * c] + ([a * b * c] if head.trilinear else [])
    return torch.stack([product.sum(dim=1) for product in products], dim=1)
