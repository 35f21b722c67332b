"""The multi-linear head beside the naive one: ``python -m benchmarks.head``.

The naive head is what the formula says in PyTorch: three 1x1 convolutions and four products that
all exist at once. Both have float32 parameters and gradients; under autocast both multiply matrices
in bfloat16. A pass is forward and backward, with gradients for the maps and all parameters; both
count these as memory. Memory on a CPU is the process's resident set, so nothing escapes it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace

import torch

from benchmarks.head_passes import BY_KERNEL, CONTESTANTS, Contestant, Pass, Sizes, contestants
from benchmarks.timing import Machine, output_of, this_machine
from c2f_train.pooling.kernel_choice import Maker, choices


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
class Chosen:
    """Whom c2f lets compute a kind of head: ``torch``, or a tile of Triton's kernels.

    Attributes:
        seconds: of all that could compute it, as :class:`c2f_train.pooling.kernel_choice.Choice`.
    """

    keep: bool
    maker: str
    seconds: Mapping[str, float]


def chosen() -> list[Chosen]:
    """What was chosen in this process."""
    return [
        Chosen(kind.keep, _name(choice.maker), {_name(m): s for m, s in choice.seconds})
        for kind, choice in choices().items()
    ]


def _name(maker: Maker) -> str:
    return "torch" if maker.tile is None else f"triton {'x'.join(map(str, astuple(maker.tile)))}"


@dataclass(frozen=True, slots=True)
class HeadBenchmark:
    """What was measured.

    Attributes:
        costs: of every contestant.
        ratios: of ours to the naive head in the same number format: memory from one pass in a
            process of its own, time the median over rounds in which all take their turn.
        to_float32: of the bfloat16 contestants to the naive head in float32.
        chosen: on a GPU, what each kind of head was measured to take by each of its makers.
    """

    costs: Mapping[str, Cost]
    ratios: Mapping[str, Ratio]
    to_float32: Mapping[str, Ratio]
    chosen: Sequence[Chosen]
    sizes: Sizes
    runs: int
    clock: str
    machine: Machine
    torch: str


def warm_up(contestant: Contestant, sizes: Sizes) -> None:
    """A pass that loads the libraries: of a small head; on a GPU of this, to choose its kernel."""
    on_gpu = sizes.device.startswith("cuda")
    small = sizes if on_gpu else replace(sizes, batch=1, dim=min(sizes.dim, 64))
    Pass(contestant, small).run()


def measure_memory(name: str, sizes: Sizes) -> int:
    """Peak bytes of a contestant, in this process, which should have done nothing else."""
    contestant = contestants(sizes.device)[name]
    warm_up(contestant, sizes)
    return Pass(contestant, sizes).peak_bytes()


def measure_times(sizes: Sizes, runs: int, clock: str) -> dict[str, list[float]]:
    """Seconds of every contestant's passes; they take turns, and another one begins each round."""
    passes = {name: Pass(one, sizes) for name, one in contestants(sizes.device).items()}
    for one in passes.values():
        one.seconds(clock)
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for run in range(runs):
        for name in [*passes][run % len(passes) :] + [*passes][: run % len(passes)]:
            seconds[name].append(passes[name].seconds(clock))
    return seconds


def compare(sizes: Sizes, runs: int, clock: str) -> HeadBenchmark:
    """Measure all contestants: memory each in a process of its own, time side by side."""
    sized = [f"--{key}={value}" for key, value in asdict(sizes).items()]
    child = [sys.executable, "-m", "benchmarks.head", *sized, "--memory-of"]
    everyone = contestants(sizes.device)
    peaks = {name: int(output_of([*child, name])) for name in everyone}
    seconds = measure_times(sizes, runs, clock)

    def ratio(name: str, to: str) -> Ratio:
        pairs = zip(seconds[name], seconds[to], strict=True)
        return Ratio(peaks[name] / peaks[to], statistics.median(a / b for a, b in pairs))

    return HeadBenchmark(
        {name: Cost(peaks[name], statistics.median(seconds[name])) for name in everyone},
        {name: ratio(name, one.to) for name, one in everyone.items() if one.memory},
        {name: ratio(name, "naive") for name, one in everyone.items() if one.bfloat16},
        chosen(),
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
    parser.add_argument("--memory-of", choices=[*CONTESTANTS, *BY_KERNEL], help=argparse.SUPPRESS)
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
    for choice in found.chosen:
        took = ", ".join(f"{name} {s * 1e3:.2f} ms" for name, s in choice.seconds.items())
        print(f"{'keep' if choice.keep else 'recompute'}: {choice.maker} ({took})")
    for name, to in found.to_float32.items():
        print(f"{name} / float32 naive: memory {to.memory:.3f}, time {to.time:.2f}")


if __name__ == "__main__":
    main()
