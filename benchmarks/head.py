"""The multi-linear head beside the naive one: ``python -m benchmarks.head``.

The naive head is what the formula says in PyTorch: three 1x1 convolutions and four products that
all exist at once. Both have float32 parameters and gradients; under autocast both multiply matrices
in bfloat16. A pass is forward and backward, with gradients for the maps and all parameters; both
count these as memory. Memory on a CPU is the process's resident set, so nothing escapes it.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.timing import Machine, output_of, this_machine
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
    """

    memory: Memory | None
    bfloat16: bool = False
    to: str = "naive"


CONTESTANTS: Mapping[str, Contestant] = {
    "naive": Contestant(None),
    "recompute": Contestant("recompute"),
    "keep": Contestant("keep"),
    "bf16_naive": Contestant(None, bfloat16=True),
    "bf16_recompute": Contestant("recompute", bfloat16=True, to="bf16_naive"),
    "bf16_keep": Contestant("keep", bfloat16=True, to="bf16_naive"),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the head that is measured: maps (batch, channels, side, side), d = ``dim``."""

    batch: int
    channels: int
    dim: int
    side: int
    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one forward and backward pass: the peak above what was there before, the median time."""

    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Parts of the naive head's cost in the same number format."""

    memory: float
    time: float


@dataclass(frozen=True, slots=True)
class HeadBenchmark:
    """What was measured.

    Attributes:
        costs: of every contestant.
        ratios: of ours to the naive head in the same number format: memory from one pass in a
            process of its own, time the median over rounds in which all take their turn.
        to_float32: of the bfloat16 contestants to the naive head in float32.
    """

    costs: Mapping[str, Cost]
    ratios: Mapping[str, Ratio]
    to_float32: Mapping[str, Ratio]
    sizes: Sizes
    runs: int
    clock: str
    machine: Machine
    torch: str


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
        ours = MultiLinearPooling(sizes.channels, sizes.dim, memory=contestant.memory or "auto")
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


def warm_up(contestant: Contestant, sizes: Sizes) -> None:
    """A pass of a small head, which loads the libraries."""
    Pass(contestant, replace(sizes, batch=1, dim=min(sizes.dim, 64))).run()


def measure_memory(name: str, sizes: Sizes) -> int:
    """Peak bytes of a contestant, in this process, which should have done nothing else."""
    warm_up(CONTESTANTS[name], sizes)
    return Pass(CONTESTANTS[name], sizes).peak_bytes()


def measure_times(sizes: Sizes, runs: int, clock: str) -> dict[str, list[float]]:
    """Seconds of every contestant's passes; they take turns, and another one begins each round."""
    for contestant in CONTESTANTS.values():
        warm_up(contestant, sizes)
    passes = {name: Pass(contestant, sizes) for name, contestant in CONTESTANTS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for run in range(runs):
        for name in [*passes][run % len(passes) :] + [*passes][: run % len(passes)]:
            seconds[name].append(passes[name].seconds(clock))
    return seconds


def compare(sizes: Sizes, runs: int, clock: str) -> HeadBenchmark:
    """Measure all contestants: memory each in a process of its own, time side by side."""
    sized = [f"--{key}={value}" for key, value in asdict(sizes).items()]
    child = [sys.executable, "-m", "benchmarks.head", *sized, "--memory-of"]
    peaks = {name: int(output_of([*child, name])) for name in CONTESTANTS}
    seconds = measure_times(sizes, runs, clock)

    def ratio(name: str, to: str) -> Ratio:
        pairs = zip(seconds[name], seconds[to], strict=True)
        return Ratio(peaks[name] / peaks[to], statistics.median(a / b for a, b in pairs))

    return HeadBenchmark(
        {name: Cost(peaks[name], statistics.median(seconds[name])) for name in CONTESTANTS},
        {name: ratio(name, one.to) for name, one in CONTESTANTS.items() if one.memory},
        {name: ratio(name, "naive") for name, one in CONTESTANTS.items() if one.bfloat16},
        sizes,
        runs,
        clock,
        this_machine(),
        torch.__version__,
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=5, help="rounds")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--dim", type=int, default=8192, help="d")
    parser.add_argument("--side", type=int, default=28, help="height and width of the maps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time, for a busy machine; with --threads 1",
    )
    parser.add_argument("--memory-of", choices=CONTESTANTS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if min(given.runs, given.batch, given.channels, given.dim, given.side, given.threads) < 1:
        parser.error("--runs and all sizes must be 1 or more")
    if given.clock == "cpu" and (given.threads > 1 or given.device != "cpu"):
        parser.error("--clock cpu needs --threads 1 on the CPU")
    return given


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(arguments)
    sizes = Sizes(given.batch, given.channels, given.dim, given.side, given.device, given.threads)
    torch.set_num_threads(sizes.threads)
    if given.memory_of:
        print(measure_memory(given.memory_of, sizes))
        return
    found = compare(sizes, given.runs, given.clock)
    if given.json:
        plain = asdict(found)
        print(json.dumps({**plain.pop("ratios"), **plain}, indent=2))
        return
    print(f"{sizes}, {given.runs} rounds, {given.clock} clock, torch {found.torch}")
    print(f"{'':16}{'MB':>8}{'s':>8}{'memory':>9}{'time':>7}   (of the naive head, same format)")
    for name, cost in found.costs.items():
        row = f"{name:16}{cost.bytes / 1e6:8.0f}{cost.seconds:8.2f}"
        if name in found.ratios:
            row += f"{found.ratios[name].memory:9.3f}{found.ratios[name].time:7.2f}"
        print(row)
    for name, to in found.to_float32.items():
        print(f"{name} / float32 naive: memory {to.memory:.3f}, time {to.time:.2f}")


if __name__ == "__main__":
    main()
