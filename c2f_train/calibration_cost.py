"""What a search costs, and what it is compared with: images that go through a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2f_data.curve import Crossing, Outcome
from c2f_train.calibration_config import MED, RETRAINED
from c2f_train.calibration_plan import Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """Images that go through a network.

    Attributes:
        answers: measured images, once for each resolution.
        training: training images of classifiers that are trained again, once for each training.
    """

    answers: int
    training: int

    @property
    def images(self) -> int:
        """Both together."""
        return self.answers + self.training

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.answers + other.answers, self.training + other.training)


def reference_costs(plan: Plan, crossings: Sequence[Crossing]) -> tuple[Cost, Cost]:
    """(full sweep, sweep from the top that stops at the last crossing), in the same protocol.

    Args:
        crossings: everything that was searched for, fine to coarse.
    """
    grid = (plan.protocol.cap, *plan.sweep.resolutions)
    top, start = crossings[0], crossings[0].resolution
    if plan.config.genus_train != MED or start is None or len(crossings) == 1:
        return _cost(plan, len(grid)), _cost(plan, _until(grid, crossings))
    # The finest level's classifier down the grid; then, trained once, the coarser levels' own.
    rest = (start, *(r for r in grid if r < start))
    training = Cost(0, plan.training_images)
    return (
        _cost(plan, len(grid)) + _cost(plan, len(rest)) + training,
        _cost(plan, _until(grid, [top])) + _cost(plan, _until(rest, crossings[1:])) + training,
    )


def _cost(plan: Plan, points: int) -> Cost:
    """Of a sweep over so many resolutions, the first of which needs no training."""
    trainings = points - 1 if plan.config.training == RETRAINED else 0
    return Cost(points * plan.protocol.n, trainings * plan.training_images)


def _until(grid: Sequence[int], crossings: Sequence[Crossing]) -> int:
    """Resolutions of a sweep from the top that ends at the last crossing, in one pass for all."""
    if any(crossing.outcome is Outcome.NEVER_BELOW for crossing in crossings):
        return len(grid)
    answers = [c.resolution for c in crossings if c.resolution is not None]
    return sum(1 for r in grid if r >= min(answers)) if answers else 1
