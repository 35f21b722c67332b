"""The steps of c2f's own training, and the time that their parts take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch

from c2f_train.run import Run
from c2f_train.step import Batch, TrainingStep
from c2f_train.supply import make_supply

# c2f's parts of a step; what its clock does not see (between steps) is in ``data``.
PARTS = ("data", "trunk", "head", "head backward", "trunk backward", "optimizer")


class Clock:
    """Seconds of the parts of c2f's steps; on a GPU by events, which it does not wait for."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._steps: list[list[tuple[str, object]]] = []

    def begin(self) -> None:
        """A step begins: its first batch is asked for."""
        self._steps.append([("", self._now())])

    def __call__(self, part: str) -> None:
        self._steps[-1].append((part, self._now()))

    def medians(self) -> dict[str, float]:
        """Of each part, in seconds, the first step left out."""
        seconds: dict[str, list[float]] = {part: [] for part in PARTS}
        for marks in self._steps[1:]:
            own = dict.fromkeys(PARTS, 0.0)
            for (_, before), (part, after) in pairwise(marks):
                own[part] += self._between(before, after)
            for part, value in own.items():
                seconds[part].append(value)
        return {part: statistics.median(values) for part, values in seconds.items() if values}

    def _now(self) -> object:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between(self, before: object, after: object) -> float:
        if isinstance(before, float) and isinstance(after, float):
            return after - before
        assert isinstance(before, torch.cuda.Event)
        assert isinstance(after, torch.cuda.Event)
        return before.elapsed_time(after) / 1000


class OwnTraining:
    """c2f's stage 2, step after step."""

    def __init__(self, run: Run) -> None:
        self.device = run.device
        self.clock = Clock(run.device)
        self.trainer = TrainingStep(
            run.model, run.config, 2, run.levels, run.device, mark=self.clock
        )
        self.trainer.train()
        supply = make_supply(run, 2, None)
        self.steps = supply.steps
        self._batches = _endless(supply.batches)
        self._done = 0

    def step(self) -> float:
        """The loss of the next batch, in nats an image, after one step of the optimiser."""
        self.clock.begin()
        batch = next(self._batches)
        loss, _ = self.trainer(batch, 1, self._done % self.steps, self.steps)
        self._done += 1
        return loss.item() / len(batch.labels)


def _endless(batches: Callable[[int, int], Iterator[Batch]]) -> Iterator[Batch]:
    epoch = 0
    while True:
        epoch += 1
        yield from batches(epoch, 0)
