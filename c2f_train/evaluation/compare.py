"""Whether two runs differ by more than chance: paired tests on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST
from c2f_train.evaluation.answers import Answers, Column, Source, read_answers
from c2f_train.evaluation.matrix import Estimate
from c2f_train.evaluation.paired import McNemar, difference, holm, mcnemar
from c2f_train.evaluation.result import (
    EvaluationResult,
    answers_file,
    answers_folder,
    read_evaluation,
    result_path,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs at one level, each at the level's own resolution in its own shards.

    Attributes:
        level: whose answers are compared.
        first, second: names of the runs.
        first_answers, second_answers: ``own`` classifier, or ``rolled-up`` where a run has none.
        first_resolution, second_resolution: of the images, in pixels; for native ones the median.
        n: images, the same for both.
        difference: accuracy of the first minus that of the second; paired 95 % interval.
        test: McNemar's.
        p_holm: ``p`` after Holm's correction for all tests that were made together.
        first_crop, second_crop: what the images were cut to; where they differ, the runs saw other
            parts of the same images.
    """

    level: str
    first: str
    second: str
    first_answers: Source
    second_answers: Source
    first_resolution: int | None
    second_resolution: int | None
    n: int
    difference: Estimate
    test: McNemar
    p_holm: float
    first_crop: str | None = None
    second_crop: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run's evaluation and its answers at each level's resolution, coarse to fine."""

    result: EvaluationResult
    answers: tuple[Answers, ...]

    def own(self, level: int) -> tuple[Column, Source]:
        """A level's answers at its own resolution, by its own classifier where it has one."""
        given, name = self.answers[level], self.result.levels[level].name
        column = given.column(name, "own")
        if column is not None:
            return column, "own"
        rolled = given.column(name, "rolled-up")
        if rolled is None:
            raise ArtefactError(
                f"run {self.result.run!r}: no classifier for level {name!r}",
                "Compare runs that were trained on the finest level.",
            )
        return rolled, "rolled-up"


def read_evaluated(run: Path, split: str = TEST) -> Evaluated:
    """A finished evaluation with its answers; no network runs.

    Raises:
        ArtefactError: the run was not evaluated on this split, or a file is damaged.
    """
    result = read_evaluation(run, split)
    folder = answers_folder(run, split, result.key)
    counts = tuple(level.count for level in result.levels)
    answers = tuple(read_answers(folder / answers_file(level), counts) for level in result.levels)
    if any(fingerprint(list(each.image_ids)) != result.images_fingerprint for each in answers):
        raise ArtefactError(
            f"{folder}: not the answers of the images that {result_path(run, split).name} names",
            "Run `c2f evaluate` on this run again.",
        )
    return Evaluated(result, answers)


def compare(pairs: Sequence[tuple[Evaluated, Evaluated]]) -> tuple[Comparison, ...]:
    """Every level of every pair of runs, fine to coarse, with Holm's correction over all.

    Raises:
        ArtefactError: two runs were evaluated on other images, or with other classes.
    """
    found = [row for first, second in pairs for row in _pair(first, second)]
    corrected = holm([row.test.p for row in found])
    return tuple(replace(row, p_holm=p) for row, p in zip(found, corrected, strict=True))


def _pair(first: Evaluated, second: Evaluated) -> list[Comparison]:
    order = _same_images(first, second)
    rows = []
    for position in reversed(range(len(first.result.levels))):
        (one, one_source), (other, other_source) = first.own(position), second.own(position)
        right, other_right = one.right, other.right[order]
        test = mcnemar(right, other_right)
        rows.append(
            Comparison(
                level=first.result.levels[position].name,
                first=first.result.run,
                second=second.result.run,
                first_answers=one_source,
                second_answers=other_source,
                first_resolution=first.result.levels[position].resolution,
                second_resolution=second.result.levels[position].resolution,
                n=right.size,
                difference=difference(right, other_right),
                test=test,
                p_holm=test.p,
                first_crop=first.result.crop,
                second_crop=second.result.crop,
            )
        )
    return rows


def _same_images(first: Evaluated, second: Evaluated) -> NDArray[np.int64]:
    """(n,) positions in the second run of the first run's images."""
    one, other = first.answers[-1], second.answers[-1]
    names = f"runs {first.result.run!r} and {second.result.run!r}"
    if first.result.taxonomy_fingerprint != second.result.taxonomy_fingerprint:
        raise ArtefactError(
            f"{names}: other classes", "Compare runs of one data set and one hierarchy."
        )
    places = {name: i for i, name in enumerate(other.image_ids)}
    if places.keys() != set(one.image_ids):
        shared = len(places.keys() & set(one.image_ids))
        raise ArtefactError(
            f"{names}: evaluated on other images ({len(one.image_ids)} and {len(places)}, of which "
            f"{shared} are the same)",
            "A paired test needs the same images: evaluate both on the same data set and split.",
        )
    order = np.array([places[name] for name in one.image_ids], np.int64)
    if not np.array_equal(one.labels, other.labels[order]):
        raise ArtefactError(
            f"{names}: the same images with other labels", "Evaluate both on the same data set."
        )
    return order
