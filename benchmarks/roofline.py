"""What this machine's arithmetic and memory allow: measured, not from a data sheet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

# Sides of the matrices: large enough that a product is all arithmetic.
CPU_SIDE, GPU_SIDE = 2048, 8192
COPIED_BYTES = 2**28
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Peak:
    """The best of several tries.

    Attributes:
        flops: floating-point operations a second of a large matrix product, by number format.
        bandwidth: bytes a second, read and written, of a large copy.
    """

    flops: dict[str, float]
    bandwidth: float

    def best(self, other: Peak) -> Peak:
        """The better of two measurements, figure by figure."""
        flops = {kind: max(rate, other.flops[kind]) for kind, rate in self.flops.items()}
        return Peak(flops, max(self.bandwidth, other.bandwidth))


@dataclass(frozen=True, slots=True)
class Work:
    """What a training step has to do at the least.

    Attributes:
        flops: of its convolutions and matrix products, forward and backward.
        bytes: what must pass through memory: every layer's output is written, read by the next
            layer and again on the way back, and so are its gradients (five times in all); the
            optimiser reads each number, its gradient and its momentum, and writes two.
    """

    flops: float
    bytes: float

    def seconds(self, peak: Peak, kind: str) -> float:
        """The least time, where arithmetic and memory overlap wholly."""
        return max(self.flops / peak.flops[kind], self.bytes / peak.bandwidth)


def measure_peak(device: torch.device) -> Peak:
    """Of this device, with torch's present number of threads."""
    side = CPU_SIDE if device.type == "cpu" else GPU_SIDE
    flops = {}
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        one, other = (torch.rand(side, side, device=device, dtype=kind) for _ in range(2))
        out = torch.empty_like(one)
        seconds = _best(lambda a=one, b=other, c=out: torch.mm(a, b, out=c), device)
        flops[name] = 2 * side**3 / seconds
    source = torch.zeros(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Peak(flops, 2 * COPIED_BYTES / _best(lambda: target.copy_(source), device))


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def work_of(model: nn.Module, step: Callable[[], object], trained: int) -> Work:
    """Count one step of a model that is written in plain PyTorch.

    Args:
        trained: numbers that the optimiser updates in a step.
    """
    written = 0

    def count(_: nn.Module, __: object, output: object) -> None:
        nonlocal written
        if isinstance(output, Tensor):
            written += output.numel() * output.element_size()

    # What follows a convolution element by element can be done while its output is at hand.
    leaves = [m for m in model.modules() if not list(m.children()) and not isinstance(m, nn.ReLU)]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    try:
        with FlopCounterMode(display=False) as counter:
            step()
    finally:
        for hook in hooks:
            hook.remove()
    return Work(float(counter.get_total_flops()), 5.0 * written + 20.0 * trained)


def _best(work: Callable[[], object], device: torch.device) -> float:
    """The shortest of several tries, in seconds, after one that is not counted."""
    times = []
    for _ in range(REPEATS + 1):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])
