"""Bilinear pooling, the head of B-CNN (Lin, RoyChowdhury and Maji, ICCV 2015, section 3.1).

Both streams are the last map, as in the paper's B-CNN [D, D]: with VGG-16 the outputs of relu5_3,
512 x 512 features. The matrix is symmetric and kept whole, as there. The paper adds up locations;
the mean that is taken here differs by a factor that the l2 normalisation removes, and keeps the
numbers in one range whatever the input's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Below this the square root gives way to its chord through 0. The root's slope has no bound there,
# and a pair of channels that hardly ever fire together would drown all other gradients.
ROOT_FLOOR = 1e-8


class BilinearPooling(nn.Module):
    """All products of two channels of Z, averaged over locations; X and Y are not used.

    For Z of N locations and c channels, per image::

        P = Z' Z / N                    (c, c)
        s = sign(P) sqrt|P|    f = s / |s|

    Attributes:
        normalize: signed square root and l2; off gives P alone.
        out_features: c * c.
    """

    def __init__(self, channels: tuple[int, int, int], *, normalize: bool = True) -> None:
        super().__init__()
        self.normalize = normalize
        self.out_features = channels[2] ** 2

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, c * c) features, float32 (float64 stays float64)."""
        products = gram(z).flatten(1)
        return normalize_features(products) if self.normalize else products


def gram(z: Tensor) -> Tensor:
    """Z'Z / N of each image: (B, c, h, w) to (B, c, c), in float32 or float64 also in autocast.

    It costs a few thousandths of a VGG-16, and in bfloat16 the small entries, which the square
    root brings forward, would have two digits.
    """
    columns = wide(z).flatten(2)
    with torch.autocast(z.device.type, enabled=False):
        return columns @ columns.mT / columns.shape[-1]


def wide(z: Tensor) -> Tensor:
    """float64 stays, everything else becomes float32."""
    return z if z.dtype == torch.float64 else z.float()


def normalize_features(p: Tensor) -> Tensor:
    """Signed square root, then l2 over the last dimension; zeros stay zeros."""
    return nn.functional.normalize(signed_root(p), dim=-1)


def signed_root(p: Tensor) -> Tensor:
    """sign(p) sqrt|p|, and p / sqrt(1e-8) for \\|p\\| < 1e-8: the slope is never above 1e4."""
    return p / p.abs().clamp_min(ROOT_FLOOR).sqrt()
