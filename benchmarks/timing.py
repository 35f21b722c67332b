"""Wall time of whole processes, several contestants in turn."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from c2f_data.errors import C2FError


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall time of one command, from its start to its end, in seconds."""

    name: str
    median_s: float
    min_s: float
    max_s: float
    runs: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What the times depend on; ``cores``: those that this process may use."""

    system: str
    python: str
    cores: int


def this_machine() -> Machine:
    """The machine that this process runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(platform.platform(), platform.python_version(), cores or 1)


def output_of(command: Sequence[str]) -> str:
    """Run a command and give its stdout. Raises C2FError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise C2FError(
            f"{' '.join(command[:4])} ... ended with {done.returncode}: {last}",
            "Run the benchmarks with the Python that c2f is installed for: make bench.",
        )
    return done.stdout


def time_commands(commands: Mapping[str, Sequence[str]], runs: int) -> tuple[Timing, ...]:
    """Time every command ``runs`` times.

    They take turns, so that whatever else the machine does meets all of them. One round before
    the first is not counted: it fills the file cache and writes compiled modules.

    Raises:
        C2FError: a command fails.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for counted in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            output_of(command)
            if counted:
                seconds[name].append(time.perf_counter() - started)
    return tuple(
        Timing(name, statistics.median(times), min(times), max(times), runs)
        for name, times in seconds.items()
    )
