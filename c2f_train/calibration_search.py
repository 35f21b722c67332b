"""Search every level's crossing, fine to coarse, on what is measured once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from c2f_data.confidence import Confidence
from c2f_data.curve import Crossing, CrossingSearch, Outcome
from c2f_data.curve.answers import Step
from c2f_data.curve.crossing import Question
from c2f_data.predictions import Predictions
from c2f_train.calibration_config import MED, RETRAINED
from c2f_train.calibration_cost import Cost, reference_costs
from c2f_train.calibration_course import Course
from c2f_train.calibration_plan import Plan
from c2f_train.measurement import Measurement
from c2f_train.progress import Look

Watcher = Callable[[Look], None]


@dataclass(frozen=True)
class Found:
    """What a search found, and what it cost.

    Attributes:
        crossings: one a level but the coarsest, fine to coarse.
        floor: where even the coarsest level falls below its threshold; None: not asked.
        predictions: per level, coarse to fine, the resolutions that its classifier was measured at
            on all images, highest first.
        confidences: one a level, coarse to fine.
        cost: what the search asked for.
        sweep: the same protocol at every resolution of its grid, on all images.
        stopped_sweep: a sweep from the top that stops at the last crossing.
    """

    crossings: tuple[Crossing, ...]
    floor: Crossing | None
    predictions: tuple[tuple[Predictions, ...], ...]
    confidences: tuple[Confidence, ...]
    cost: Cost
    sweep: Cost
    stopped_sweep: Cost


@dataclass(frozen=True)
class _Stage:
    """Levels that share their measurements, and the resolutions that are left for them.

    Attributes:
        spent: images evaluated before this stage.
        swept: images that a full sweep would have evaluated before it.
    """

    measurement: Measurement
    grid: Sequence[int]
    spent: int = 0
    swept: int = 0

    @property
    def evaluated(self) -> int:
        """Images evaluated so far."""
        return self.spent + self.measurement.images_evaluated

    @property
    def maximum(self) -> int:
        """Images that a full sweep would evaluate, this stage's included."""
        return self.swept + len(self.grid) * self.measurement.n


def search_levels(
    plan: Plan,
    measurement: Measurement,
    coarser: Callable[[int], Measurement],
    watch: Watcher,
) -> Found:
    """Find all crossings; each goes on from the finer level's answer.

    Args:
        measurement: of classifiers that were trained on I_high (or retrained at each resolution).
        coarser: with ``genus_train`` "med": the measurement of the coarser levels' classifiers,
            trained at a resolution in pixels.

    Raises:
        ImageError: an image can't be decoded; it is named.
        ArtefactError: the disk refused, or a stored prediction is damaged.
    """
    levels = plan.index.taxonomy.levels
    grid = (plan.protocol.cap, *plan.sweep.resolutions)
    stage = first = _Stage(measurement, grid)
    stages = {len(levels) - 1: first}
    crossings: list[Crossing] = []
    for position in range(len(levels) - 1, -1 if plan.config.floor else 0, -1):
        start = crossings[-1].resolution if crossings else None
        if plan.config.genus_train == MED and stage is first and start is not None:
            rest = (start, *(r for r in grid if r < start))
            stage = _Stage(coarser(start), rest, first.evaluated, first.maximum)
        stages[position] = stage
        crossings.append(_search(plan, stage, position, start, watch))
    sweep, stopped = reference_costs(plan, crossings)
    floor = crossings.pop() if plan.config.floor else None
    if plan.config.training == RETRAINED:
        trainings = sum(1 for r in measurement.asked if r != plan.protocol.cap)
    else:
        trainings = int(stage is not first)
    measured = [stages.get(position, stage).measurement for position in range(len(levels))]
    return Found(
        crossings=tuple(crossings),
        floor=floor,
        predictions=tuple(tuple(own.complete()) for own in measured),
        confidences=tuple(
            own.confidence(level) for level, own in zip(levels, measured, strict=True)
        ),
        cost=Cost(stage.evaluated, plan.training_images * trainings),
        sweep=sweep,
        stopped_sweep=stopped,
    )


def _search(
    plan: Plan, stage: _Stage, position: int, start: int | None, watch: Watcher
) -> Crossing:
    levels, config = plan.index.taxonomy.levels, plan.config
    level, measurement = levels[position], stage.measurement
    own_top = start is not None and stage.grid[0] == start  # its classifiers' own resolution
    course = Course(
        level,
        [r for r in stage.grid if start is None or r <= start],
        later=position - (0 if config.floor else 1),
        full=config.full_curve,
    )

    def look(step: Step) -> None:
        watch(course.look(step, stage.evaluated, stage.maximum))

    search = CrossingSearch(
        lambda resolution, images: measurement.right(level, resolution, images),
        stage.grid,
        measurement.n,
        seed=plan.evaluation.seed,
        confidence=config.confidence,
        watch=look,
    )
    crossing = search.find(
        config.threshold(level, levels),
        Question(
            level,
            levels[position - 1] if position else "",
            None if own_top else start,
            plan.protocol.cap,
        ),
        relative=config.relative,
        classes=measurement.classes(level) if config.balanced else None,
        refine=config.refine,
        full_curve=config.full_curve,
    )
    if own_top and crossing.outcome is Outcome.BELOW_AT_NATIVE:
        # Below the threshold at the very resolution that its classifiers were trained at.
        return replace(
            crossing, outcome=Outcome.BELOW_AT_START, resolution=start, largest_threshold=None
        )
    return crossing
