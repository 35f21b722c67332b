"""Several ways to do the same work, timed in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of each contestant, one number a round."""

    seconds: Mapping[str, tuple[float, ...]]

    def ratio(self, other: str, own: str) -> float:
        """Median over the rounds of the other's time by the own time: above 1 the own is faster.

        Paired by round: what slows the machine for a while slows both.
        """
        pairs = zip(self.seconds[other], self.seconds[own], strict=True)
        return statistics.median(theirs / mine for theirs, mine in pairs)

    def per_second(self, name: str, count: int) -> float:
        """Things done a second, where a round does ``count`` of them; median."""
        return count / statistics.median(self.seconds[name])


def race(contestants: Mapping[str, Callable[[], object]], rounds: int) -> Rounds:
    """Let the contestants take turns, every other round in the opposite order.

    One round before the first is not counted: it fills caches and starts threads and processes.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        turns = list(contestants.items())
        for name, work in turns if number % 2 else reversed(turns):
            started = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return Rounds({name: tuple(times) for name, times in seconds.items()})
