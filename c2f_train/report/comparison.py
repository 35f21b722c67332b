"""Runs side by side: paired tests on the same images, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from c2f_data.curve import wilson
from c2f_data.sources.request import annotated
from c2f_train.evaluation.answers import Source
from c2f_train.evaluation.matrix import Estimate, share
from c2f_train.evaluation.paired import McNemar, difference, holm, mcnemar
from c2f_train.report.run_answers import LevelAnswers, RunAnswers
from c2f_train.results import RunResult

# A difference is called one beyond chance below this, after Holm's correction.
LUCK = 0.05


@dataclass(frozen=True, slots=True)
class ComparedLevel:
    """One run's accuracy at one level, on its own test images.

    Attributes:
        answers: ``own`` classifier, or ``rolled-up`` from the finest one.
        resolution: of the images, shorter side in pixels; for native ones the median.
        n: test images.
        accuracy: share of right answers, with its 95 % Wilson interval.
    """

    level: str
    answers: Source
    resolution: int | None
    native: bool
    n: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run that stands beside others.

    Attributes:
        label: its name; with its place where two runs have one name.
        levels: coarse to fine, those with answers.
        result: the run itself.
    """

    label: str
    levels: tuple[ComparedLevel, ...]
    result: RunResult

    def at(self, level: str) -> ComparedLevel | None:
        """The run's accuracy at a level, or None."""
        return next((each for each in self.levels if each.level == level), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of the first run minus that of the second, at one level.

    Attributes:
        first, second: labels of the runs.
        difference: in [-1, 1] with its 95 % interval: paired where there is a test, else that of
            two independent samples; None where the runs have other classes.
        test: McNemar's; None: the runs can't be paired.
        p_holm: its p after Holm's correction for all tests that were made together.
        reason: why there is no paired test; empty where there is one.
    """

    level: str
    first: str
    second: str
    difference: Estimate | None
    test: McNemar | None
    p_holm: float | None
    reason: str

    @property
    def beyond_chance(self) -> bool | None:
        """Whether the difference is more than chance explains; None: not tested."""
        return None if self.p_holm is None else self.p_holm < LUCK


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The main run beside the others that were asked for.

    Attributes:
        runs: the main one first.
        differences: of the main run and each other one, fine to coarse.
        tests: paired tests that were made together.
        notes: what could not be read, and which runs saw other parts of the same images, one line
            each.
    """

    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]
    tests: int
    notes: tuple[str, ...] = ()


def compare_runs(main: RunAnswers, others: Sequence[RunAnswers]) -> RunComparison:
    """The main run against each other one, with Holm's correction over all tests."""
    runs = (main, *others)
    rows = corrected([row for other in others for row in differences(main, other)])
    return RunComparison(
        runs=tuple(_compared(run) for run in runs),
        differences=rows,
        tests=sum(row.test is not None for row in rows),
        notes=(
            *(f"run {run.label}: {line}" for run in runs for line in run.missing),
            *_cut(main, others),
        ),
    )


def _cut(main: RunAnswers, others: Sequence[RunAnswers]) -> list[str]:
    """A line for every run whose images were cut in another way than those of the main one."""
    own = annotated(main.result.crop)
    return [
        f"run {main.label}, and run {run.label}: of each image they saw another part, so a "
        "difference is not that of the models alone"
        for run in others
        if annotated(run.result.crop) != own
    ]


def corrected(rows: Sequence[Difference]) -> tuple[Difference, ...]:
    """Holm's correction (Holm 1979) over the tests among these rows."""
    raised = iter(holm([row.test.p for row in rows if row.test is not None]))
    return tuple(row if row.test is None else replace(row, p_holm=next(raised)) for row in rows)


def differences(first: RunAnswers, second: RunAnswers) -> list[Difference]:
    """A row for every level of the first run that the second one has, too, fine to coarse."""
    names = [level.name for level in reversed(first.result.levels)]
    return [
        _difference(first, second, name)
        for name in names
        if name in first.levels and name in second.levels
    ]


def _difference(first: RunAnswers, second: RunAnswers, level: str) -> Difference:
    one, other = first.levels[level], second.levels[level]
    labels = (first.label, second.label)
    if first.hierarchy != second.hierarchy:
        reason = "other classes: the two hierarchies differ"
        return Difference(level, *labels, None, None, None, reason)
    order = matching(one, other)
    if isinstance(order, str):
        return Difference(level, *labels, newcombe(one.right, other.right), None, None, order)
    right, other_right = one.right, other.right[order]
    estimate = difference(right, other_right)
    return Difference(level, *labels, estimate, mcnemar(right, other_right), None, "")


def matching(one: LevelAnswers, other: LevelAnswers) -> NDArray[np.int64] | str:
    """(n,) positions in the second run of the first run's images, or why there are none."""
    places = {name: i for i, name in enumerate(other.image_ids)}
    shared = len(places.keys() & set(one.image_ids))
    if shared != len(places) or shared != len(one.image_ids):
        return (
            f"other test images: {len(one.image_ids):,} and {len(places):,}, "
            f"of which {shared:,} are the same"
        )
    order = np.array([places[name] for name in one.image_ids], np.int64)
    if not np.array_equal(one.true, other.true[order]):
        return "the same test images with other labels"
    return order


def newcombe(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """Difference of two independent shares with its 95 % interval.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17:873), from the two Wilson intervals. For
    samples that overlap it is too wide, never too narrow.
    """
    first, second = float(one.mean()), float(other.mean())
    low1, high1 = wilson(int(one.sum()), one.size)
    low2, high2 = wilson(int(other.sum()), other.size)
    value = first - second
    down = math.hypot(first - low1, high2 - second)
    up = math.hypot(high1 - first, second - low2)
    return Estimate(value, max(value - down, -1.0), min(value + up, 1.0))


def _compared(run: RunAnswers) -> ComparedRun:
    levels = [run.levels[each.name] for each in run.result.levels if each.name in run.levels]
    return ComparedRun(run.label, tuple(_level(given) for given in levels), run.result)


def _level(given: LevelAnswers) -> ComparedLevel:
    return ComparedLevel(
        given.level,
        given.answers,
        given.resolution,
        given.native,
        given.right.size,
        share(given.right),
    )
