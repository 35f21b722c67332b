"""Time and memory against the number of images, up to a million.

``python -m benchmarks.scale`` measures 10,000 and 100,000 images in less than a minute; ``--full``
adds a million. No image is needed: the indexes are made up, and so are the shards' payloads. Every
figure comes from a process of its own. Memory is what it held at most during the step, above what
it held before (VmHWM of Linux).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import scale_data
from benchmarks.timing import output_of, this_machine
from c2f_data.errors import C2FError
from c2f_data.shards.manifest import MANIFEST, read_manifest

COUNTS = (10_000, 100_000)
FULL = (*COUNTS, 1_000_000)
READS = 2_000
JOBS = 2
KIB = 1024


@dataclass(frozen=True, slots=True)
class Step:
    """One step at one number of images.

    Attributes:
        seconds: wall time.
        memory: bytes at most during the step, above what was held before.
        size: what the step is known by, in ``unit``; None: nothing to count.
    """

    step: str
    images: int
    seconds: float
    memory: int
    size: float | None = None
    unit: str = ""


def measure(step: str, images: int, work: Callable[[], tuple[float | None, str]]) -> Step:
    """Do it once, in this process, and look at the clock and at the memory."""
    before = _reset_peak()
    started = time.perf_counter()
    size, unit = work()
    seconds = time.perf_counter() - started
    return Step(step, images, seconds, max(0, _memory("VmHWM") - before), size, unit)


def _reset_peak() -> int:
    """Forget the highest memory so far; the memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * KIB for line in lines if line.startswith(field))


def index_step(images: int, _: Path) -> Step:
    def work() -> tuple[float, str]:
        kept.append(scale_data.make_index(images))
        return float(len(kept[0].records)), "images"

    kept: list[scale_data.DatasetIndex] = []
    return measure("make the index", images, work)


def fingerprint_step(images: int, _: Path) -> Step:
    index = scale_data.make_index(images)
    return measure(
        "fingerprint of the index", images, lambda: (len(index.fingerprint) / 2, "bytes")
    )


def plan_step(images: int, folder: Path) -> Step:
    index = scale_data.make_index(images)
    _ = index.fingerprint
    return measure(
        "plan the shards",
        images,
        lambda: (float(len(scale_data.make_tasks(index, folder)[1])), "shards"),
    )


def task_step(images: int, folder: Path) -> Step:
    _, tasks = scale_data.make_tasks(scale_data.make_index(images), folder)
    return measure("one task, pickled", images, lambda: (len(pickle.dumps(tasks[0])) / KIB, "KiB"))


def driver_step(images: int, folder: Path) -> Step:
    """Hand every task to processes that do nothing with it."""
    from c2f_data.shards.pool import run_all

    _, tasks = scale_data.make_tasks(scale_data.make_index(images), folder)
    return measure(
        f"hand out all tasks to {JOBS} processes",
        images,
        lambda: (
            float(len(run_all(scale_data.fake_entry, tasks, JOBS, images, None))),
            "shards",
        ),
    )


def manifest_step(images: int, folder: Path) -> Step:
    def work() -> tuple[float, str]:
        read_manifest(folder)
        return (folder / MANIFEST).stat().st_size / KIB, "KiB on disk"

    _apart(scale_data.make_manifest_alone, images, folder)
    return measure("read the manifest", images, work)


def open_step(images: int, folder: Path) -> Step:
    from c2f_data.shards.reader import ShardReader

    def work() -> tuple[float, str]:
        return float(ShardReader(folder / "shards").length("train")), "train images"

    _apart(scale_data.make_shards, images, folder / "shards")
    return measure("open a reader", images, work)


def read_step(images: int, folder: Path) -> Step:
    """Reads all over the data set, the first ones with the reading of a head before them."""
    from c2f_data.shards.reader import ShardReader

    _apart(scale_data.make_shards, images, folder / "shards")
    reader = ShardReader(folder / "shards")
    random = np.random.default_rng(0)

    def work() -> tuple[float, str]:
        wanted = random.integers(0, reader.length("train"), READS).tolist()
        _read(reader.read, wanted)
        started = time.perf_counter()
        _read(reader.read, wanted)
        return (time.perf_counter() - started) / READS * 1e6, "us a read, heads known"

    return measure(f"{READS:,} reads at random", images, work)


def _apart(work: Callable[[int, Path], None], images: int, folder: Path) -> None:
    """In a process of its own: memory that was used and freed here would hide what comes after."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(images, folder))
    process.start()
    process.join()
    if process.exitcode:
        raise C2FError(
            f"the preparation ended with {process.exitcode}", "See the lines above for the reason."
        )


def _read(read: Callable[[str, int, str], bytes], wanted: list[int]) -> None:
    for position in wanted:
        read("train", position, "genus")


STEPS: dict[str, Callable[[int, Path], Step]] = {
    "index": index_step,
    "fingerprint": fingerprint_step,
    "plan": plan_step,
    "task": task_step,
    "driver": driver_step,
    "manifest": manifest_step,
    "open": open_step,
    "read": read_step,
}


def run(counts: tuple[int, ...]) -> list[Step]:
    """Every step at every count, each in a fresh process."""
    found = []
    for name in STEPS:
        for count in counts:
            words = ("-m", "benchmarks.scale", "--step", name, "--images", str(count))
            found.append(Step(**json.loads(output_of((sys.executable, *words)))))
    return found


def table(steps: list[Step]) -> str:
    """Markdown."""
    lines = ["| step | images | seconds | memory (MB) | |", "|---|---|---|---|---|"]
    for step in steps:
        size = "" if step.size is None else f"{step.size:,.0f} {step.unit}"
        lines.append(
            f"| {step.step} | {step.images:,} | {step.seconds:.3f} | {step.memory / 1e6:.1f} "
            f"| {size} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a million images, too")
    parser.add_argument("--json", action="store_true", help="one object")
    parser.add_argument("--step", choices=STEPS, help="one step, in this process")
    parser.add_argument("--images", type=int, default=COUNTS[0])
    given = parser.parse_args()
    if given.step:
        with tempfile.TemporaryDirectory() as folder:
            step = STEPS[given.step](given.images, Path(folder))
        print(json.dumps(asdict(step)))
        return
    steps = run(FULL if given.full else COUNTS)
    if given.json:
        machine = asdict(this_machine())
        print(json.dumps({"machine": machine, "steps": [asdict(s) for s in steps]}, indent=2))
    else:
        print(table(steps))


if __name__ == "__main__":
    main()
