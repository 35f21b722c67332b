"""Kernel pooling, the head of KP (Cui, Zhou, Wang, Liu, Lin and Belongie, CVPR 2017).

A kernel of unit vectors that is a Taylor series in their inner product, sum_t a_t^2 <x, y>^t, is
the inner product of the concatenated tensor powers a_t x^(t) (section 3). From order 2 on a tensor
power is replaced by its Tensor Sketch, whose inner product has the same expectation. The Gaussian
RBF kernel exp(-gamma |x - y|^2) has the coefficients a_t^2 = exp(-2 gamma) (2 gamma)^t / t!; they
are where learning starts, or, fixed, all there is. As in B-CNN, the mean over locations gets the
signed square root and l2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from c2f_train.pooling.bilinear import normalize_features, wide
from c2f_train.pooling.compact import check_hashes, count_sketch, draw_hashes


class KernelPooling(nn.Module):
    """Orders 0 to p of Z, the higher ones sketched; X and Y are not used.

    Per location x of unit length, with count sketches C_1 .. C_p of size d::

        phi_0 = 1    phi_1 = x    phi_t = IFFT(FFT(C_1 x) * .. * FFT(C_t x))    t = 2 .. p
        phi(x) = [a_0 phi_0, a_1 phi_1, .., a_p phi_p]

    and for the image s = sign(q) sqrt|q|, f = s / |s| with q the mean of phi over locations.
    E <phi_t(x), phi_t(y)> = <x, y>^t, with a variance of at most (2 + 3^t) / d for unit vectors
    (Avron, Nguyen and Woodruff, NIPS 2014). The orders share their sketches: p of them do for all.

    Attributes:
        coefficients: (p + 1,) a_t; a parameter where they are learned, else a buffer.
        hashes: (p, c) int64 in [0, d). signs: (p, c) int8, 1 or -1.
        normalize: signed square root and l2; off gives q alone.
        out_features: 1 + c + (p - 1) d.
    """

    coefficients: Tensor
    hashes: Tensor
    signs: Tensor

    def __init__(
        self,
        channels: tuple[int, int, int],
        dim: int = 4096,
        *,
        order: int = 4,
        gamma: float = 2.0,
        learned: bool = True,
        normalize: bool = True,
    ) -> None:
        """Draw the hashes, and set the coefficients to those of the RBF kernel.

        Args:
            channels: of the three maps.
            dim: d.
            order: p, at least 2.
            gamma: of the RBF kernel. From 0.25 to 8 the accuracy of stage 1 on frozen VGG-16
                features stays within chance (20 species of CUB, 530 test images).
            learned: train the coefficients.
        """
        super().__init__()
        hashes, signs = draw_hashes(order, channels[2], dim)
        self.register_buffer("hashes", hashes)
        self.register_buffer("signs", signs)
        start = rbf_coefficients(gamma, order)
        if learned:
            self.coefficients = nn.Parameter(start)
        else:
            self.register_buffer("coefficients", start)
        self.dim = dim
        self.normalize = normalize
        self.register_load_state_dict_post_hook(check_hashes)  # type: ignore[no-untyped-call]
        self.out_features = 1 + channels[2] + (order - 1) * dim

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, F) features, float32 (float64 stays float64)."""
        rows = nn.functional.normalize(wide(z).flatten(2).mT, dim=-1)
        parts = [rows.new_ones(rows.shape[0], 1), rows.mean(dim=1), *self._sketches(rows)]
        weighted = [a * part for a, part in zip(self.coefficients, parts, strict=True)]
        features = torch.cat(weighted, dim=1)
        return normalize_features(features) if self.normalize else features

    def _sketches(self, rows: Tensor) -> list[Tensor]:
        """Mean sketches of the orders 2 .. p, (B, d) each, of rows (B, N, c)."""
        spectrum: Tensor | None = None
        sketches = []
        for places, signs in zip(self.hashes, self.signs, strict=True):
            factor = torch.fft.rfft(count_sketch(rows, places, signs, self.dim))
            if spectrum is None:
                spectrum = factor
                continue
            spectrum = spectrum * factor
            # The transform is linear: one inverse an image instead of one a location.
            sketches.append(torch.fft.irfft(spectrum.mean(dim=1), n=self.dim))
        return sketches


def rbf_coefficients(gamma: float, order: int) -> Tensor:
    """(order + 1,) a_t = sqrt(exp(-2 gamma) (2 gamma)^t / t!)."""
    squares = [
        math.exp(-2 * gamma) * (2 * gamma) ** t / math.factorial(t) for t in range(order + 1)
    ]
    return torch.tensor(squares).sqrt()
