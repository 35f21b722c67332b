"""Factorised bilinear pooling (Kim, On, Lim, Kim, Ha and Zhang, ICLR 2017).

A bilinear form x' W y of low rank is a sum over U'x * V'y (the paper's Eq. 2 and 3); with biases
of the projections it is that paper's full model (section 3, without its optional activation and
shortcut), whose last factor P is the classifier that follows. The paper has one vector a
modality; here both are the last map's locations, summed, with the signed square root and l2 of
bilinear features: one of HBP's three parts, for a single layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from c2f_train.pooling.bilinear import normalize_features

# Coordinates at a time: the projections of one slice exist at once, never all d of them.
SLICE = 1024


class FactorisedPooling(nn.Module):
    """Products of two projections of Z, averaged over locations; X and Y are not used.

    For Z of N locations and c channels, per image::

        A = Z U + a    B = Z V + b      (N, d)
        p = mean_n A*B    s = sign(p) sqrt|p|    f = s / |s|

    Attributes:
        u, v: the projections, ``.weight`` (d, c) and ``.bias`` (d).
        normalize: signed square root and l2; off gives p alone.
        out_features: d.
    """

    def __init__(
        self, channels: tuple[int, int, int], dim: int = 8192, *, normalize: bool = True
    ) -> None:
        super().__init__()
        self.u, self.v = (nn.Linear(channels[2], dim) for _ in range(2))
        for linear in (self.u, self.v):
            bound = math.sqrt(3 / channels[2])
            nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(linear.bias)
        self.normalize = normalize
        self.out_features = dim

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, d) features, float32 (float64 stays float64)."""
        rows = z.flatten(2).mT
        means = [self._means(rows, slice(i, i + SLICE)) for i in range(0, self.out_features, SLICE)]
        features = torch.cat(means, dim=1)
        return normalize_features(features) if self.normalize else features

    def _means(self, rows: Tensor, piece: slice) -> Tensor:
        """p for a slice of d, (B, slice), of rows (B, N, c)."""
        a, b = (
            nn.functional.linear(rows, linear.weight[piece], linear.bias[piece])
            for linear in (self.u, self.v)
        )
        # Hundreds of locations are too many to be added in bfloat16.
        precise = torch.float64 if a.dtype == torch.float64 else torch.float32
        return (a * b).mean(dim=1, dtype=precise)
