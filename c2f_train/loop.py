"""One epoch of a training: its steps, a look at the loss every few of them, and snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch

from c2f_train.distributed import World
from c2f_train.divergence import all_finite, diverged
from c2f_train.meters import Inside, Meters, means
from c2f_train.progress import Task
from c2f_train.results import EpochMetrics
from c2f_train.step import Batch, TrainingStep


class Due:
    """When a snapshot inside an epoch is due: every so many steps, or minutes.

    The first process's clock counts for all of them.
    """

    def __init__(self, every: int, minutes: float, world: World) -> None:
        self._every, self._seconds, self._world = every, 60 * minutes, world
        self._last = time.monotonic()

    def by_steps(self, step: int) -> bool:
        """After ``step`` steps of the epoch."""
        return bool(self._every) and step % self._every == 0

    def by_time(self) -> bool:
        """The same in every process, so all have to ask."""
        late = bool(self._seconds) and time.monotonic() - self._last >= self._seconds
        return bool(self._world.largest(torch.tensor(int(late and self._world.first))))

    def done(self) -> None:
        """A snapshot was written."""
        self._last = time.monotonic()


def train_epoch(
    step: TrainingStep,
    batches: Iterator[Batch],
    *,
    epoch: int,
    steps: int,
    names: tuple[str, ...],
    task: Task,
    due: Due,
    save: Callable[[Inside], None],
    start: Inside = Inside(),  # noqa: B008  (frozen)
) -> EpochMetrics:
    """The rest of an epoch, one optimiser step a batch.

    Args:
        batches: those from step ``start.step`` on.
        epoch: 1-based within the stage.
        steps: of a whole epoch.
        names: of the levels, coarse to fine.
        save: called where a snapshot is due, with a state that was found to be sound.

    Raises:
        DivergenceError: the loss is no longer a number, or exploding.
    """
    began = time.perf_counter()
    step.train()
    meters = Meters(step.model.counts, step.device, start.sums, step.world)

    def inside(done: int) -> Inside:
        return Inside(done, meters.sums(), start.seconds + time.perf_counter() - began)

    for done, batch in enumerate(batches, start=start.step + 1):
        loss, right = step(batch, epoch, done - 1, steps)
        meters.add(batch.level, loss, right, batch.images)
        last, wanted = done == steps, due.by_steps(done)
        if last or wanted or done % meters.interval == 0:
            _check(step, epoch, done, meters.worst())
            if not last and (due.by_time() or wanted):
                _check_weights(step, epoch, done)
                save(inside(done))
                due.done()
        task.advance()
    _check_weights(step, epoch, steps)
    whole = inside(steps)
    loss_of, accuracy_of = means(whole.sums, names)
    return EpochMetrics(
        stage=step.stage,
        epoch=epoch,
        learning_rate=step.optimizer.param_groups[0]["lr"],
        loss=loss_of,
        accuracy=accuracy_of,
        seconds=whole.seconds,
    )


def _check(step: TrainingStep, epoch: int, done: int, worst: float) -> None:
    if not worst <= 1:
        raise diverged(step.config, step.stage, epoch, done, worst)


def _check_weights(step: TrainingStep, epoch: int, done: int) -> None:
    """A finite loss may have left infinite weights: no snapshot holds any."""
    weights = (p for p in step.model.parameters() if p.requires_grad)
    if not all_finite(weights):
        raise diverged(step.config, step.stage, epoch, done, float("inf"))
