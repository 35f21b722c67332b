"""What ``benchmarks/head.py`` measures: the naive head, c2f's, and a pass of either."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from c2f_train.pooling.head import Kernel
from c2f_train.pooling.multilinear import Memory, MultiLinearPooling, l2_normalize, signed_sqrt


class NaiveHead(nn.Module):
    """Multi-linear pooling as it stands in the paper; the same features from the same numbers."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.u, self.v, self.w = (nn.Conv2d(channels, dim, 1) for _ in range(3))

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        a, b, c = self.u(x), self.v(y), self.w(z)
        ab = a * b
        products = [ab, a * c, b * c, ab * c]
        parts = [product.sum(dim=(2, 3)).float() for product in products]
        return torch.cat([l2_normalize(signed_sqrt(part)) for part in parts], dim=1)


def naive_twin(ours: MultiLinearPooling) -> NaiveHead:
    """The naive head with the parameters of ours."""
    twin = NaiveHead(ours.u.in_features, ours.dim)
    for name, linear in ours.named_children():
        convolution = twin.get_submodule(name)
        for key, value in linear.state_dict().items():
            convolution.get_parameter(key).data.view(value.shape).copy_(value)
    return twin


@dataclass(frozen=True, slots=True)
class Contestant:
    """A head in a number format.

    Attributes:
        memory: the mode of c2f's head; None: the naive head.
        to: whom it is compared with.
        kernel: who computes c2f's head.
    """

    memory: Memory | None
    bfloat16: bool = False
    to: str = "naive"
    kernel: Kernel = "auto"


CONTESTANTS: Mapping[str, Contestant] = {
    "naive": Contestant(None),
    "recompute": Contestant("recompute"),
    "keep": Contestant("keep"),
    "bf16_naive": Contestant(None, bfloat16=True),
    "bf16_recompute": Contestant("recompute", bfloat16=True, to="bf16_naive"),
    "bf16_keep": Contestant("keep", bfloat16=True, to="bf16_naive"),
}
# Beside these on a GPU, where c2f takes the faster of both, each by itself.
BY_KERNEL: Mapping[str, Contestant] = {
    f"{name}_{kernel}": replace(CONTESTANTS[name], kernel=kernel)
    for name in ("bf16_recompute", "bf16_keep")
    for kernel in get_args(Kernel)
    if kernel != "auto"
}


def contestants(device: str) -> Mapping[str, Contestant]:
    """Those that can take part on a device."""
    return {**CONTESTANTS, **BY_KERNEL} if device.startswith("cuda") else CONTESTANTS


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the head that is measured: maps (batch, channels, side, side), d = ``dim``."""

    batch: int
    channels: int
    dim: int
    side: int
    device: str
    threads: int


class Pass:
    """One contestant with its inputs, ready to run forward and backward."""

    def __init__(self, contestant: Contestant, sizes: Sizes) -> None:
        torch.manual_seed(0)
        self.device = torch.device(sizes.device)
        # bfloat16 maps are what a trunk gives under autocast; a trunk here is channels_last.
        kind = torch.bfloat16 if contestant.bfloat16 else torch.float32
        shape = (sizes.batch, sizes.channels, sizes.side, sizes.side)
        self.maps = [
            torch.rand(shape, device=self.device)
            .to(kind, memory_format=torch.channels_last)
            .requires_grad_()
            for _ in range(3)
        ]
        self.gradient = torch.rand(sizes.batch, 4 * sizes.dim, device=self.device)
        ours = MultiLinearPooling(
            sizes.channels,
            sizes.dim,
            memory=contestant.memory or "auto",
            kernel=contestant.kernel,
        )
        self.head: nn.Module = ours if contestant.memory else naive_twin(ours)
        self.head.to(self.device)
        self.bfloat16 = contestant.bfloat16

    def run(self) -> Tensor:
        """Forward and backward; gradients are left in the maps and parameters."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            features: Tensor = self.head(*self.maps)
        torch.autograd.backward(features, self.gradient)
        self._wait()
        return features.detach()

    def forget(self) -> None:
        """Drop all gradients."""
        for tensor in (*self.maps, *self.head.parameters()):
            tensor.grad = None

    def seconds(self, clock: str) -> float:
        """Of one pass, on the wall's clock or in this process's own processor time."""
        now = time.perf_counter if clock == "wall" else time.process_time
        self._wait()
        started = now()
        self.run()
        taken = now() - started
        self.forget()
        return taken

    def peak_bytes(self) -> int:
        """The highest memory of a pass above what was there before it."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.run()
            return torch.cuda.max_memory_allocated() - before
        before = _peak_rss(reset=True)
        self.run()
        return _peak_rss() - before

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def _peak_rss(*, reset: bool = False) -> int:
    """The highest resident memory of this process in bytes; ``reset``: from now on.

    Without Linux's /proc it can't be reset; then it is the highest of the process's life, which a
    fresh process has reached just now, or close to it.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
