"""Multi-linear pooling: the head of MLPH (Huo et al. 2019, Eq. 5-7) and of HBP.

The paper prints U in R^(hw x d), with which its products have no matching shapes; the released
code of hierarchical bilinear pooling (Yu et al. 2018, the paper's [14]) projects with 1x1
convolutions, so U in R^(c x d), the one reading that works and the one used here. The signed
square root and the l2 normalisation, which Eq. 7 leaves to the text of section 3.1, are applied to
each part before the concatenation, and locations are summed, both as in that code.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from c2f_data.errors import ConfigError
from c2f_train.pooling.head import Head, Kernel, plain_sums
from c2f_train.pooling.operator import multilinear_sums

EPSILON = 1e-7
DAMPING = 0.03
# Projections that take up to this many bytes are kept where the choice is free: 616 MB for a batch
# of 8 in float32. A fixed number, not the free memory: the same run does the same everywhere.
KEEP_AT_MOST = 2**30

Memory = Literal["auto", "keep", "recompute"]
Root = Literal["exact", "damped", "off"]


class MultiLinearPooling(nn.Module):
    """Three maps to the concatenated bilinear and trilinear parts.

    For X, Y, Z of N locations and c channels, per image::

        A = X U + a    B = Y V + b    C = Z W + g                      (N, d)
        p1 = sum_n A*B   p2 = sum_n A*C   p3 = sum_n B*C   p4 = sum_n A*B*C
        s_k = sign(p_k) sqrt|p_k|    f_k = s_k / sqrt(|s_k|^2 + 1e-7)
        f = [f1 f2 f3 f4]                                              (4 d)

    The projections are linear (no activation, no norm) and shared by all levels. Under autocast
    the matrices are multiplied in its number format; products, sums, root and norm are float32.

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
        root: Root = "exact",
        l2: bool = True,
        memory: Memory = "auto",
        kernel: Kernel = "auto",
    ) -> None:
        """Create the projections with HBP's initialisation.

        Args:
            in_channels: channels of the maps, one number or three.
            dim: d.
            trilinear: include p4 (MLP, MLPH); without it this is HBP.
            root: the signed square root, with its ``exact`` derivative or with HBP's ``damped``
                one; ``off`` leaves the sums of Eq. 7.
            l2: bring each part to unit length.
            memory: ``recompute`` makes the projections again for the derivatives and needs the
                least memory, ``keep`` keeps 3 B N d numbers and is faster; ``auto`` keeps them
                up to a gibibyte.
            kernel: who computes projections and sums. ``auto``: PyTorch, or in training on CUDA
                under autocast Triton where it measures faster, which is found out once
                (:mod:`c2f_train.pooling.kernel_choice`); ``torch``; ``triton``.

        Raises:
            ConfigError: ``root``, ``memory`` or ``kernel`` is none of its words.
        """
        super().__init__()
        given = (("root", root, Root), ("memory", memory, Memory), ("kernel", kernel, Kernel))
        for name, value, words in given:
            if value not in get_args(words):
                raise ConfigError(
                    f"no {name} {value!r} in multi-linear pooling",
                    f"Choose one of {', '.join(get_args(words))}.",
                )
        channels = (in_channels,) * 3 if isinstance(in_channels, int) else in_channels
        self.u, self.v, self.w = (nn.Linear(c, dim) for c in channels)
        self.dim = dim
        self.trilinear = trilinear
        self.root = root
        self.l2 = l2
        self.memory = memory
        self.kernel = kernel
        self.out_features = (4 if trilinear else 3) * dim
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """uniform(+- sqrt(3 / fan_in)), biases 0, as HBP initialises."""
        for linear in (self.u, self.v, self.w):
            bound = math.sqrt(3 / linear.in_features)
            nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """(B, c, h, w) maps of one size to (B, 4 d) features, float32 (float64 stays float64).

        Raises:
            ConfigError: maps of several sizes, or with other channels than those given; Triton is
                demanded where it can't be had.
        """
        linears = (self.u, self.v, self.w)
        self._check(x, y, z)
        head = Head(
            (x, y, z),
            [linear.weight for linear in linears],
            [linear.bias for linear in linears],
            self.trilinear,
            self._compute_type(x),
            self.kernel,
        )
        if self.kernel == "auto" and not self._differentiated(head):
            # Answers alone are not worth the seconds that compiling and measuring take.
            head = replace(head, kernel="torch")
        # An exported graph shall run where c2f is not installed.
        exporting = torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
        p = plain_sums(head) if exporting else multilinear_sums(head, self._keeps(head))
        if self.root != "off":
            p = signed_sqrt(p) if self.root == "exact" else damped_sqrt(p)
        if self.l2:
            p = l2_normalize(p)
        return p.flatten(1)

    def begins(self, other: nn.Module) -> bool:
        """Whether these features are the first ones of another pooling, as HBP's are of MLP's."""
        return (
            isinstance(other, MultiLinearPooling)
            and not self.trilinear
            and (self.root, self.l2) == (other.root, other.l2)
            and same_numbers(self, other)
        )

    def _check(self, x: Tensor, y: Tensor, z: Tensor) -> None:
        batch, _, height, width = x.shape
        linears = (self.u, self.v, self.w)
        for m, linear in zip((x, y, z), linears, strict=True):
            if m.shape != (batch, linear.in_features, height, width):
                shapes = ", ".join(str(tuple(m.shape)) for m in (x, y, z))
                channels = ", ".join(str(linear.in_features) for linear in linears)
                raise ConfigError(
                    f"multi-linear pooling got maps of {shapes}",
                    f"It needs maps of one size with {channels} channels: name three such layers.",
                )

    def _compute_type(self, x: Tensor) -> torch.dtype:
        """Of the matrix products: autocast's where it is on, else that of the parameters."""
        own = self.u.weight.dtype
        kind = x.device.type
        if own == torch.float64 or not torch.is_autocast_enabled(kind):
            return own
        return torch.get_autocast_dtype(kind)

    def _differentiated(self, head: Head) -> bool:
        tensors = (*head.maps, *head.weights, *head.biases)
        return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)

    def _keeps(self, head: Head) -> bool:
        if not self._differentiated(head):
            return False
        if self.memory == "auto":
            return math.prod(head.kept_shape) * head.compute.itemsize <= KEEP_AT_MOST
        return self.memory == "keep"


def same_numbers(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same parameters and buffers."""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) for name, value in ours.items()
    )


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


def damped_sqrt(p: Tensor) -> Tensor:
    """s = sign(p) sqrt|p| with the derivative 0.5 / (|s| + 0.03) of HBP's released code."""
    with torch.no_grad():
        root = p.sign() * p.abs().sqrt()
        slope = 0.5 / (root.abs() + DAMPING)
    # The second term is 0: it carries the derivative alone.
    return root + slope * (p - p.detach())


def l2_normalize(s: Tensor) -> Tensor:
    """s / sqrt(|s|^2 + 1e-7)."""
    return s / (s.pow(2).sum(dim=-1, keepdim=True) + EPSILON).sqrt()
