"""What a finished run said about its test images, level by level, as its folder keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2f_data.errors import ArtefactError
from c2f_data.predictions import read_predictions
from c2f_data.sources.request import annotated
from c2f_train.checkpoint import read_meta
from c2f_train.evaluation import read_evaluated, result_path
from c2f_train.evaluation.answers import Source
from c2f_train.results import RunResult, read_run


@dataclass(frozen=True)
class LevelAnswers:
    """One level's answers to the test images, each at the level's own resolution.

    Attributes:
        answers: ``own`` classifier, or ``rolled-up`` from the finest one.
        resolution: shorter side in pixels; for native images their median.
        image_ids: (n,) ids of the test images.
        true: (n,) class ids.
        right: (n,) whether the answer is right.
    """

    level: str
    answers: Source
    resolution: int | None
    native: bool
    image_ids: tuple[str, ...]
    true: NDArray[np.int64]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class RunAnswers:
    """A run with its answers.

    Attributes:
        label: what the report calls the run; unique in it. It says so where the images were cut.
        hierarchy: fingerprint of the run's hierarchy.
        levels: level name to answers, for the levels that have any.
        missing: what could not be read, one line each.
    """

    label: str
    result: RunResult
    hierarchy: str
    levels: dict[str, LevelAnswers]
    missing: tuple[str, ...] = ()


def read_run_answers(folder: Path, label: str) -> RunAnswers:
    """Read a finished run: its result, its hierarchy, and the answers that it keeps.

    The answers of a level are those of the run's own test. Where the level has no classifier of its
    own, they are those that `c2f evaluate` has rolled up, if it was run.

    Args:
        folder: of the run.

    Raises:
        ArtefactError: the run is not finished, or its result or model is damaged.
    """
    result = read_run(folder / "run.json")
    hierarchy = read_meta(folder / "model").hierarchy().fingerprint
    levels: dict[str, LevelAnswers] = {}
    missing = []
    for entry in result.test:
        try:
            levels[entry.level] = _own(folder, entry.level)
        except ArtefactError as error:
            missing.append(error.message)
    untested = [level.name for level in result.levels if level.name not in levels]
    if untested and result_path(folder).exists():
        try:
            levels |= _rolled_up(folder, untested)
        except ArtefactError as error:
            missing.append(error.message)
    label += annotated(result.crop)
    return RunAnswers(label, result, hierarchy, levels, tuple(missing))


def _own(folder: Path, level: str) -> LevelAnswers:
    path = folder / f"test-{level}.h5"
    kept = read_predictions(path)
    if level not in kept.levels:
        raise ArtefactError(f"{path}: not of level {level!r}", "Train this run again.")
    return LevelAnswers(
        level,
        "own",
        kept.resolution,
        kept.native,
        kept.image_ids,
        kept.classes(level),
        kept.correct(level),
    )


def _rolled_up(folder: Path, wanted: list[str]) -> dict[str, LevelAnswers]:
    evaluated = read_evaluated(folder)
    found = {}
    for shown, answers in zip(evaluated.result.levels, evaluated.answers, strict=True):
        column = answers.column(shown.name, "rolled-up") if shown.name in wanted else None
        if column is not None:
            found[shown.name] = LevelAnswers(
                shown.name,
                "rolled-up",
                shown.resolution,
                shown.native,
                answers.image_ids,
                column.true,
                column.right,
            )
    return found
