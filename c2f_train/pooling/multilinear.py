"""Multi-linear pooling: the head of MLPH (Huo et al. 2019, Eq. 5-7) and of HBP.

The paper prints U in R^(hw x d), with which its products have no matching shapes; the released
code of hierarchical bilinear pooling (Yu et al. 2018, the paper's [14]) projects with 1x1
convolutions, so U in R^(c x d), the one reading that works and the one used here. The signed
square root and the l2 normalisation, which Eq. 7 leaves to the text of section 3.1, are applied to
each part before the concatenation, and locations are summed, both as in that code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

EPSILON = 1e-7
# Projections are made in slices of d: p needs all locations of a slice, but never all slices at
# once, so without gradients the memory is that of one slice.
CHUNK = 512


class MultiLinearPooling(nn.Module):
    """Three maps to the concatenated bilinear and trilinear parts.

    For X, Y, Z of N locations and c channels, per image::

        A = X U + a    B = Y V + b    C = Z W + g                      (N, d)
        p1 = sum_n A*B   p2 = sum_n A*C   p3 = sum_n B*C   p4 = sum_n A*B*C
        s_k = sign(p_k) sqrt|p_k|    f_k = s_k / sqrt(|s_k|^2 + 1e-7)
        f = [f1 f2 f3 f4]                                              (4 d)

    The projections are linear (no activation, no norm) and shared by all levels.

    Attributes:
        u, v, w: the projections, ``.weight`` (d, c) and ``.bias`` (d).
        out_features: 4 d, or 3 d without the trilinear part.
    """

    def __init__(
        self,
        in_channels: int | tuple[int, int, int],
        dim: int = 8192,
        *,
        trilinear: bool = True,
        normalize: bool = True,
    ) -> None:
        """Create the projections with HBP's initialisation.

        Args:
            in_channels: channels of the maps, one number or three.
            dim: d.
            trilinear: include p4 (MLP, MLPH); without it this is HBP.
            normalize: signed square root and l2 of each part; off gives the bare sums of Eq. 7.
        """
        super().__init__()
        channels = (in_channels,) * 3 if isinstance(in_channels, int) else in_channels
        self.u, self.v, self.w = (nn.Linear(c, dim) for c in channels)
        self.dim = dim
        self.trilinear = trilinear
        self.normalize = normalize
        self.out_features = (4 if trilinear else 3) * dim
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """uniform(+- sqrt(3 / fan_in)), biases 0, as HBP initialises."""
        for linear in (self.u, self.v, self.w):
            bound = math.sqrt(3 / linear.in_features)
            nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """(B, c, h, w) maps of one size to (B, 4 d) features, float32 (float64 stays float64)."""
        rows = [m.flatten(2).transpose(1, 2) for m in (x, y, z)]
        slices = [self._sums(rows, start) for start in range(0, self.dim, CHUNK)]
        parts = [torch.cat(part, dim=1) for part in zip(*slices, strict=True)]
        if self.normalize:
            parts = [normalize_part(part) for part in parts]
        return torch.cat(parts, dim=1)

    def _sums(self, rows: list[Tensor], start: int) -> list[Tensor]:
        """p1 .. p4 for one slice of d, each (B, slice)."""
        piece = slice(start, start + CHUNK)
        a, b, c = (
            nn.functional.linear(row, linear.weight[piece], linear.bias[piece])
            for row, linear in zip(rows, (self.u, self.v, self.w), strict=True)
        )
        ab = a * b
        products = [ab, a * c, b * c] + ([ab * c] if self.trilinear else [])
        # 784 locations are too many to be added in bfloat16.
        wide = torch.float64 if a.dtype == torch.float64 else torch.float32
        return [product.sum(dim=1, dtype=wide) for product in products]


def normalize_part(part: Tensor) -> Tensor:
    """Signed square root, then l2 over the last dimension."""
    return l2_normalize(signed_sqrt(part))


def signed_sqrt(p: Tensor) -> Tensor:
    """sign(p) sqrt|p|, with gradient 0 at p = 0.

    The exact derivative is infinite there; an input of exactly 0 comes from dead activations, and
    one infinity would end a training run.
    """
    magnitude = p.abs()
    zero = magnitude == 0
    root = torch.where(zero, torch.ones_like(p), magnitude).sqrt()
    return torch.where(zero, torch.zeros_like(p), p.sign() * root)


def l2_normalize(s: Tensor) -> Tensor:
    """s / sqrt(|s|^2 + 1e-7)."""
    return s / (s.pow(2).sum(dim=-1, keepdim=True) + EPSILON).sqrt()
