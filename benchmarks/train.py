"""A full training step of MLPH beside plain PyTorch: ``python -m benchmarks.train``.

Both train the same numbers on the same photographs: images from the disk, random crops, VGG-16,
head, classifiers, loss, gradients, SGD; the levels in turn. c2f does it as ``c2f train`` does in
stage 2, the other as an able user would write it (:mod:`benchmarks.plain_mlph`). They take turns in
one run, in one number format and memory layout; what bfloat16 itself gains is a row of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.own_training import PARTS, OwnTraining
from benchmarks.photographs import lay_out
from benchmarks.plain_mlph import PlainTraining, lay_out_levels, plain_batches, plain_twin
from benchmarks.roofline import Peak, Work, measure_peak, wait, work_of
from benchmarks.rounds import Rounds, race
from benchmarks.timing import Machine, this_machine
from c2f_data.index import TEST
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy
from c2f_train.config import Precision, TrainConfig
from c2f_train.device import pick_device
from c2f_train.progress import Silent
from c2f_train.train import open_run

TAXONOMY = Taxonomy(
    "photographs", ("family", "genus", "species"), (("all", "one", "a"), ("all", "two", "b"))
)
RESOLUTIONS = {"genus": 64, "family": 32}
FORMATS: tuple[Precision, ...] = ("float32", "bfloat16")
# What takes less time is measured more often.
TURNS: Mapping[Precision, int] = {"float32": 1, "bfloat16": 3}
# (a) c2f by plain PyTorch in the same format, (b) c2f's bfloat16 by its float32.
TARGETS = {
    "cpu": {"vs_plain": 1.1, "bfloat16_gain": 1.5},
    "cuda": {"vs_plain": 1.15, "images_per_second": 700.0},
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a step, and how it is run.

    Attributes:
        workers: threads (c2f) or processes (plain) that load beside the network.
        compile: c2f's trunk and head by torch.compile.
    """

    batch: int
    side: int
    dim: int
    backbone: str
    device: str
    threads: int
    workers: int
    compile: bool = False


@dataclass(frozen=True, slots=True)
class TrainBenchmark:
    """What was measured.

    Attributes:
        images_per_second: of each contestant, median.
        vs_plain: number format to plain's time by c2f's, median over rounds: above 1 c2f is faster.
        bfloat16_gain: c2f's float32 time by its bfloat16 time, medians; plain's beside it.
        split: number format to the seconds of the parts of c2f's step, medians.
        peak, work: of this machine, and of a step in each format.
        of_roofline: number format to the share of the least possible time, see :class:`Work`.
        targets: name to (target, measured, met).
    """

    images_per_second: Mapping[str, float]
    vs_plain: Mapping[str, float]
    bfloat16_gain: Mapping[str, float]
    split: Mapping[str, Mapping[str, float]]
    peak: Peak
    work: Mapping[str, Work]
    of_roofline: Mapping[str, float]
    targets: Mapping[str, tuple[float, float, bool]]
    sizes: Sizes
    rounds: int
    machine: Machine
    torch: str


def make_shards(folder: Path, count: int) -> Path:
    """Shards of ``count`` made photographs, three levels; a training also wants test images."""
    index = replace(lay_out(folder / "photographs", count + 1).index, taxonomy=TAXONOMY)
    *train, last = index.records
    index = replace(index, records=(*train, replace(last, split=TEST)))
    write_shards(index, plan_levels(TAXONOMY, RESOLUTIONS), ResampleSpec(), folder / "shards")
    return folder / "shards"


def contestants(
    sizes: Sizes, folder: Path, count: int, formats: Sequence[Precision] = FORMATS
) -> dict[str, OwnTraining | PlainTraining]:
    """c2f and the plain one in each number format, from the same numbers."""
    shards, device = make_shards(folder, count), pick_device(sizes.device)
    levels = lay_out_levels(ShardReader(shards), folder / "levels")
    found: dict[str, OwnTraining | PlainTraining] = {}
    for kind in formats:
        config = TrainConfig(
            backbone=sizes.backbone,
            weights="none",
            input_size=sizes.side,
            dim=sizes.dim,
            batch_size=sizes.batch,
            precision=kind,
            workers=sizes.workers,
            compile=sizes.compile,
        )
        run = open_run(shards, config, folder / kind, device, Silent())
        twin = plain_twin(run.model, sizes.dim)
        shorter = run.spec.enlarge_to
        loaders = [plain_batches(level, config, shorter, sizes.workers) for level in levels]
        found[f"c2f {kind}"] = OwnTraining(run)
        found[f"plain {kind}"] = PlainTraining(twin, config, loaders, device)
    return found


def measure(sizes: Sizes, rounds: int, steps: int) -> TrainBenchmark:
    """Let the two of a number format take turns, ``steps`` steps a round; bfloat16 more often."""
    device = pick_device(sizes.device)
    with tempfile.TemporaryDirectory(prefix="c2f-train-") as place:
        # Enough for every step of an epoch of its own: nothing is decoded twice.
        most = 2 + rounds * max(TURNS.values())
        count = sizes.batch * (1 + steps * most // len(TAXONOMY.levels))
        running = contestants(sizes, Path(place), count)
        work = {kind: _work(running[f"plain {kind}"]) for kind in FORMATS}
        before = measure_peak(device)
        seconds: dict[str, tuple[float, ...]] = {}
        for kind in FORMATS:
            turns = {
                name: _turn(one, steps) for name, one in running.items() if name.endswith(kind)
            }
            seconds |= race(turns, rounds * TURNS[kind]).seconds
        split = {kind: _split(running[f"c2f {kind}"]) for kind in FORMATS}
    # What slows the machine for a while shall not pass for its peak.
    peak = before.best(measure_peak(device))
    return _result(sizes, rounds, steps, Rounds(seconds), split, peak, work)


def _turn(training: OwnTraining | PlainTraining, steps: int) -> Callable[[], None]:
    def turn() -> None:
        for _ in range(steps):
            training.step()
        wait(training.device)

    return turn


def _split(training: OwnTraining | PlainTraining) -> dict[str, float]:
    assert isinstance(training, OwnTraining)
    return training.clock.medians()


def _work(training: OwnTraining | PlainTraining) -> Work:
    """Counted on the plain model; it also is that model's warm-up."""
    assert isinstance(training, PlainTraining)
    model = training.model
    # One classifier of all takes part in a step; the finest in the one that is counted.
    idle = sum(p.numel() for c in list(model.classifiers)[:-1] for p in c.parameters())
    return work_of(model, training.step, sum(p.numel() for p in model.parameters()) - idle)


def _result(
    sizes: Sizes,
    rounds: int,
    steps: int,
    timed: Rounds,
    split: Mapping[str, Mapping[str, float]],
    peak: Peak,
    work: Mapping[str, Work],
) -> TrainBenchmark:
    speed = {name: timed.per_second(name, steps * sizes.batch) for name in timed.seconds}
    vs_plain = {kind: timed.ratio(f"plain {kind}", f"c2f {kind}") for kind in FORMATS}
    gain = {name: speed[f"{name} bfloat16"] / speed[f"{name} float32"] for name in ("c2f", "plain")}
    least = {kind: work[kind].seconds(peak, kind) for kind in FORMATS}
    share = {kind: least[kind] * speed[f"c2f {kind}"] / sizes.batch for kind in FORMATS}
    bounds = TARGETS.get(pick_device(sizes.device).type, {})
    best = FORMATS[-1]
    figures = {
        "vs_plain": vs_plain[best],
        "bfloat16_gain": gain["c2f"],
        "images_per_second": speed[f"c2f {best}"],
    }
    return TrainBenchmark(
        images_per_second=speed,
        vs_plain=vs_plain,
        bfloat16_gain=gain,
        split=split,
        peak=peak,
        work=work,
        of_roofline=share,
        targets={k: (v, figures[k], figures[k] >= v) for k, v in bounds.items()},
        sizes=sizes,
        rounds=rounds,
        machine=this_machine(),
        torch=torch.__version__,
    )


def text(found: TrainBenchmark) -> Iterator[str]:
    """Tables for a person, in Markdown."""
    sizes = found.sizes
    yield (
        f"{sizes.backbone}, {sizes.side} px, d = {sizes.dim}, batch {sizes.batch}, {sizes.device}, "
        f"{sizes.threads} threads, {found.rounds} rounds{', compiled' if sizes.compile else ''}; "
        f"torch {found.torch}"
    )
    yield "\n| | images a second | against plain PyTorch | of the roofline |\n|---|---|---|---|"
    for kind in FORMATS:
        own, plain = (found.images_per_second[f"{name} {kind}"] for name in ("c2f", "plain"))
        yield (
            f"| c2f, {kind} | {own:.2f} | {found.vs_plain[kind]:.2f} | "
            f"{found.of_roofline[kind]:.2f} |"
        )
        yield f"| plain, {kind} | {plain:.2f} | 1 | |"
    gain = found.bfloat16_gain
    yield f"\nbfloat16 against float32: c2f {gain['c2f']:.2f}, plain {gain['plain']:.2f}"
    peaks = ", ".join(f"{kind} {rate / 1e9:.0f} GFLOP/s" for kind, rate in found.peak.flops.items())
    yield f"Measured peak: {peaks}; memory {found.peak.bandwidth / 1e9:.1f} GB/s"
    yield "\n| seconds of c2f's step | " + " | ".join(PARTS) + " |\n|---|" + "---|" * len(PARTS)
    for kind, parts in found.split.items():
        yield f"| {kind} | " + " | ".join(f"{parts[part]:.3f}" for part in PARTS) + " |"
    for name, (target, measured, met) in found.targets.items():
        yield f"\n{name}: {measured:.2f}, target >= {target}: {'met' if met else 'not met'}"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="a round; default: 1, on a GPU 12")
    parser.add_argument("--batch", type=int, help="default: 4, on a GPU 8")
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--dim", type=int, default=8192)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--compile", action="store_true", help="c2f by torch.compile")
    given = parser.parse_args(words)
    cuda = pick_device(given.device).type == "cuda"
    given.steps, given.batch = given.steps or (12 if cuda else 1), given.batch or (8 if cuda else 4)
    if min(given.rounds, given.steps, given.batch, given.side, given.dim, given.threads) < 1:
        parser.error("--rounds, --steps and all sizes must be 1 or more")
    if given.workers < 0:
        parser.error("--workers must be 0 or more")
    return given


def main(words: Sequence[str] | None = None) -> None:
    given = parse(words)
    torch.set_num_threads(given.threads)
    device = pick_device(given.device).type
    sizes = Sizes(
        given.batch,
        given.side,
        given.dim,
        "vgg16",
        device,
        given.threads,
        given.workers,
        given.compile,
    )
    found = measure(sizes, given.rounds, given.steps)
    if given.json:
        print(json.dumps(asdict(found), indent=2))
    else:
        print("\n".join(text(found)))


if __name__ == "__main__":
    main()
