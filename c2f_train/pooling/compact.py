"""Compact bilinear pooling, the head of CB-CNN (Gao, Beijbom, Zhang and Darrell, CVPR 2016).

The inner product of two bilinear features Z'Z is a sum of squared inner products of locations.
Random features whose inner product estimates <x, y>^2 therefore give, summed over locations, a
short vector that stands for the c * c long one: Random Maclaurin (Algorithm 1; Kar and Karnick
2012) and Tensor Sketch (Algorithm 2; Pham and Pagh 2013). Both are linear in x x', so the sketch
of the mean of x x' is the mean of the sketches: one sketch of the Gram matrix an image instead of
one a location, the same numbers but for rounding, from N times fewer of them.

The hashes are buffers: drawn from torch's generator when the module is built, saved with it.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from c2f_train.pooling.bilinear import gram, normalize_features, wide

# Rows of the random matrices at a time: (B, c, SLICE) numbers exist at once, never (B, c, d).
SLICE = 1024


class TensorSketchPooling(nn.Module):
    """Tensor Sketch of the bilinear feature of Z; X and Y are not used.

    Per location, with count sketches C_1, C_2 of size d (Algorithm 2)::

        phi(x) = IFFT(FFT(C_1 x) * FFT(C_2 x))

    which is the circular convolution of C_1 x and C_2 x: the product x_i x_j is added, with the
    sign s_1(i) s_2(j), to the coordinate h_1(i) + h_2(j) mod d. That is how it is computed here.
    E <phi(x), phi(y)> = <x, y>^2, with a variance of at most (2 + 3^2) / d |x|^4 |y|^4 (Avron,
    Nguyen and Woodruff, NIPS 2014: (2 + 3^q) / d for TensorSketch of degree q).

    Attributes:
        hashes: (2, c) int64 in [0, d). signs: (2, c) int8, 1 or -1.
        normalize: signed square root and l2; off gives the mean sketch alone.
        out_features: d.
    """

    hashes: Tensor
    signs: Tensor

    def __init__(
        self, channels: tuple[int, int, int], dim: int = 8192, *, normalize: bool = True
    ) -> None:
        super().__init__()
        hashes, signs = draw_hashes(2, channels[2], dim)
        self.register_buffer("hashes", hashes)
        self.register_buffer("signs", signs)
        self.dim = self.out_features = dim
        self.normalize = normalize
        self.register_load_state_dict_post_hook(check_hashes)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, d) features, float32 (float64 stays float64)."""
        first, second = self.hashes
        places = (first[:, None] + second) % self.dim
        terms = gram(z) * (self.signs[0][:, None] * self.signs[1])
        # shape[0] and not len(), which would fix the batch of an exported graph.
        batch = terms.shape[0]
        sketch = terms.new_zeros(batch, self.dim).scatter_add(
            1, places.flatten().expand(batch, -1), terms.flatten(1)
        )
        return normalize_features(sketch) if self.normalize else sketch


class RandomMaclaurinPooling(nn.Module):
    """Random Maclaurin features of the bilinear feature of Z; X and Y are not used.

    Per location, with W_1, W_2 in {1, -1}^(d x c) (Algorithm 1)::

        phi(x) = (W_1 x) * (W_2 x) / sqrt(d)

    E <phi(x), phi(y)> = <x, y>^2; a term of the d has the second moment m^2 with
    m = |x|^2 |y|^2 + 2 <x, y>^2 - 2 sum_i x_i^2 y_i^2, so the variance is (m^2 - <x, y>^4) / d.

    Attributes:
        signs: (2, d, c) int8, 1 or -1: W_1 and W_2.
        normalize: signed square root and l2; off gives the mean of phi alone.
        out_features: d.
    """

    signs: Tensor

    def __init__(
        self, channels: tuple[int, int, int], dim: int = 8192, *, normalize: bool = True
    ) -> None:
        super().__init__()
        self.register_buffer("signs", draw_signs(2, dim, channels[2]))
        self.normalize = normalize
        self.out_features = dim

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, d) features, float32 (float64 stays float64)."""
        columns = wide(z).flatten(2)
        # W_1 G * W_2, summed over channels, costs less than N products of projections only where
        # there are enough locations.
        products = gram(z) if 2 * columns.shape[-1] > columns.shape[-2] else None
        with torch.autocast(z.device.type, enabled=False):
            slices = zip(*(s.split(SLICE) for s in self.signs), strict=True)
            means = [
                _projected(columns, first.to(columns.dtype), second.to(columns.dtype))
                if products is None
                else (first.to(columns.dtype) @ products * second).sum(dim=2)
                for first, second in slices
            ]
        features = torch.cat(means, dim=1) / math.sqrt(self.out_features)
        return normalize_features(features) if self.normalize else features


def _projected(columns: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean over locations of the products of two projections: (B, c, N) to (B, rows)."""
    return (first @ columns * (second @ columns)).mean(dim=2)


def draw_hashes(count: int, channels: int, dim: int) -> tuple[Tensor, Tensor]:
    """Of ``count`` count sketches: (count, channels) places in [0, dim) and signs."""
    return torch.randint(dim, (count, channels)), draw_signs(count, channels)


def draw_signs(*shape: int) -> Tensor:
    """1 or -1 with equal chances, int8."""
    return torch.randint(2, shape, dtype=torch.int8) * 2 - 1


def check_hashes(pooling: nn.Module, _: object) -> None:
    """Refuse loaded hashes that point outside the sketch. Raises RuntimeError, as torch does."""
    places, dim = cast("Tensor", pooling.hashes), cast("int", pooling.dim)
    if places.numel() and not 0 <= int(places.min()) <= int(places.max()) < dim:
        raise RuntimeError(f"hashes outside 0 .. {dim - 1}")


def count_sketch(x: Tensor, places: Tensor, signs: Tensor, dim: int) -> Tensor:
    """(..., c) to (..., dim): x_i is added, with its sign, to its place (Charikar et al. 2002)."""
    return x.new_zeros(*x.shape[:-1], dim).index_add(-1, places, x * signs)
