"""Whether two runs differ by more than chance: paired tests on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from c2f_data.artefacts import fingerprint
from c2f_data.curve import paired_margin
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST
from c2f_train.evaluation.answers import Answers, Column, Source, read_answers
from c2f_train.evaluation.matrix import Estimate
from c2f_train.evaluation.result import (
    EvaluationResult,
    answers_file,
    answers_folder,
    read_evaluation,
    result_path,
)

# With fewer discordant images the chi-square distribution is a poor approximation.
EXACT_BELOW = 25

Method = Literal["exact binomial", "chi-square"]


@dataclass(frozen=True, slots=True)
class McNemar:
    """A test of McNemar (1947, Psychometrika 12:153).

    Attributes:
        only_first, only_second: images that one of the two alone names rightly.
        method: ``exact binomial`` below 25 such images, else ``chi-square`` with continuity
            correction (Edwards 1948, Psychometrika 13:185).
        p: two-sided probability of so uneven a split, or a more uneven one, by chance.
    """

    only_first: int
    only_second: int
    method: Method
    p: float


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


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's test. Args: (n,) whether each of the two was right, image by image."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    if discordant < EXACT_BELOW:
        p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
        return McNemar(only_first, only_second, "exact binomial", p)
    # An even split stays even under the correction.
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / discordant
    return McNemar(only_first, only_second, "chi-square", float(chi2.sf(statistic, 1)))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """p values corrected for their number (Holm 1979, Scandinavian J. of Statistics 6:65).

    The smallest is multiplied by their number, the next by one less, and so on; none becomes
    smaller than one before it, nor larger than 1.
    """
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    raised = np.minimum(np.maximum.accumulate(np.asarray(p, float)[order] * factors), 1.0)
    corrected = np.empty(len(p))
    corrected[order] = raised
    return tuple(corrected.tolist())


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
        # A factor of 1: the difference itself.
        low, high = paired_margin(right, other_right, 1.0)
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
                difference=Estimate(
                    float(right.mean() - other_right.mean()), max(low, -1.0), min(high, 1.0)
                ),
                test=test,
                p_holm=test.p,
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
