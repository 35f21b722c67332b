"""Find a crossing while measuring as little as can be: bisection with early stopping.

1. The top of the grid is measured on all images, its end until it is sure on which side it lies.
2. Bisection: each probed resolution is measured batch by batch until :func:`is_below` is sure, or
   all images are used up. This assumes that accuracy falls with the resolution.
3. The answer and its upper neighbour are measured on all images. Should the two not hold the
   threshold between them, the search goes on step by step until two neighbours do.
4. Spot checks: two resolutions above the bracket, in the middle of the widest gaps, show whether
   the assumption fails there. If it does, every resolution from the top is probed instead.
5. The neighbours outwards from the bracket are measured on all images until they are surely below
   and surely above the threshold: the interval of the crossing. One that only confirms another
   one (:func:`interval_end`) gets no more images than leave no doubt.

The images come in one random order (:mod:`c2f_data.curve.answers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from c2f_data.curve.answers import Answers, Score, Watch, check_grid, whole_number
from c2f_data.curve.crossing import (
    Crossing,
    Measured,
    Question,
    interval_end,
    read_crossing,
    start_position,
)
from c2f_data.curve.margins import CONFIDENCE, Criterion, wilson
from c2f_data.curve.sequential import is_below

# Probability that bisection turns the wrong way at one resolution. That costs a few more
# resolutions (step 3 repairs it), never a wrong answer.
STEP_ERROR = 0.01
SPOT_CHECKS = 2


def find_crossing(
    score: Score,
    grid: Sequence[int],
    threshold: float,
    n_images: int,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    relative: bool = False,
    classes: NDArray[np.int64] | None = None,
    refine: int = 0,
    full_curve: bool = False,
) -> Crossing:
    """Find the first resolution of a grid at which accuracy is below a threshold.

    Args:
        score: called with a resolution of the grid (or, with ``refine``, an integer inside the
            bracket) and positions of images, 0 to n_images - 1; gives whether each is right. It
            is never asked twice for the same image at the same resolution.
        grid: resolutions in pixels, descending; the first one is native resolution.
        threshold: accuracy in (0, 1), or a share of the accuracy at native if ``relative``.
        n_images: number of images.
        seed: of the order in which they are drawn.
        confidence: of the crossing's interval.
        classes: (n_images,) class of each image, for class-balanced accuracy.
        refine: times that the bracket is halved at an integer resolution inside it.
        full_curve: measure every resolution of the grid on all images.

    Raises:
        ConfigError: a grid that does not descend, no images, a threshold or confidence outside
            (0, 1), classes of another number of images; answers that are not one true or false for
            each image.
    """
    search = CrossingSearch(score, grid, n_images, seed=seed, confidence=confidence)
    return search.find(
        threshold,
        Question(),
        relative=relative,
        classes=classes,
        refine=refine,
        full_curve=full_curve,
    )


class CrossingSearch:
    """The searches of one classifier down one grid; what is measured serves all of them.

    Args:
        score, grid, n_images, seed, confidence: see :func:`find_crossing`.
        watch: told of every look, and of every verdict.
    """

    def __init__(
        self,
        score: Score,
        grid: Sequence[int],
        n_images: int,
        *,
        seed: int = 0,
        confidence: float = CONFIDENCE,
        watch: Watch | None = None,
    ) -> None:
        self._grid = check_grid(grid)
        self._answers = Answers(score, n_images, seed=seed, watch=watch)
        self._confidence = confidence

    @property
    def images_evaluated(self) -> int:
        """Answers asked for so far, over all resolutions."""
        return sum(self.measured.values())

    @property
    def measured(self) -> dict[int, int]:
        """Resolution to number of images measured there, highest resolution first."""
        return self._answers.measured

    def find(
        self,
        threshold: float,
        question: Question,
        *,
        relative: bool = False,
        classes: NDArray[np.int64] | None = None,
        refine: int = 0,
        full_curve: bool = False,
    ) -> Crossing:
        """Find one crossing; see :func:`find_crossing`."""
        refine = whole_number("halvings of the bracket (refine)", refine, least=0)
        # Before the first image: a threshold or classes that make no sense.
        asked = Criterion(threshold, classes=classes, confidence=self._confidence)
        asked.check_classes(self._answers.n)
        if question.start is not None:
            # A start that an earlier search refined lies between two points of the grid.
            self._grid = sorted({*self._grid, question.start}, reverse=True)
        native = self._answers.all(self._grid[0], None if relative else threshold)
        criterion = replace(asked, native=native if relative else None)
        first = start_position(self._grid, question.start)
        if full_curve:
            for r in self._grid[:first]:
                self._answers.all(r, criterion.threshold)
            for r in self._grid[first:]:
                self._whole_below(r, criterion)
        else:
            self._narrow(criterion, first)
        for _ in range(refine):
            self._halve(criterion, question)
        return self._read(criterion, question)

    def _read(self, criterion: Criterion, question: Question) -> Crossing:
        points = [
            Measured(r, self._answers.whole(r))
            for r, seen in self.measured.items()
            if seen == self._answers.n
        ]
        return read_crossing(points, criterion, question, images_evaluated=self.images_evaluated)

    def _narrow(self, criterion: Criterion, first: int) -> None:
        """Measure until the answer, its neighbour and both ends of its interval are known."""
        grid = self._grid
        if self._below(first, criterion, whole=True):
            if first > 0:  # with a start there is an answer, and its interval to be found
                self._walk(criterion, first)
            return
        last = len(grid) - 1
        if not self._below(last, criterion) and not self._below(last, criterion, whole=True):
            return
        above, below = first, last
        while below - above > 1:
            middle = (above + below) // 2
            if self._below(middle, criterion):
                below = middle
            else:
                above = middle
        answer = self._confirm(criterion, first, below)
        if answer is not None and not self._monotone_above(criterion, first, answer):
            top = next(i for i in range(first, len(grid)) if self._below(i, criterion))
            answer = self._confirm(criterion, first, top)
        if answer is not None:
            self._walk(criterion, answer)

    def _confirm(self, criterion: Criterion, first: int, below: int) -> int | None:
        """The answer near ``below`` on all images, with its upper neighbour; None: none."""
        while not self._below(below, criterion, whole=True):
            below += 1
            if below == len(self._grid):
                return None
        while below > first and self._below(below - 1, criterion, whole=True):
            below -= 1
        return below

    def _monotone_above(self, criterion: Criterion, first: int, answer: int) -> bool:
        """Spot checks: is accuracy at or above the threshold between the probed resolutions?"""
        for _ in range(SPOT_CHECKS):
            probed = [i for i in range(first, answer) if self._grid[i] in self._answers]
            gaps = [(b - a, (a + b) // 2) for a, b in pairwise(probed) if b - a > 1]
            if not gaps:
                break
            # Of equal gaps the lower one: that is where accuracy is nearer to the threshold.
            if self._below(max(gaps)[1], criterion):
                return False
        return True

    def _walk(self, criterion: Criterion, answer: int) -> None:
        """Measure outwards from the answer until both sides are sure, or the grid ends."""
        self._find_end(range(answer, len(self._grid)), criterion, below=True)
        self._find_end(range(answer - 1, -1, -1), criterion, below=False)

    def _find_end(self, outwards: Sequence[int], criterion: Criterion, *, below: bool) -> None:
        def sure(position: int, criterion: Criterion = criterion) -> bool:
            self._below(position, criterion, whole=True)
            right = self._answers.whole(self._grid[position])
            return criterion.surely(right, below=below)

        def clear(position: int) -> bool:
            return self._clear(position, criterion, below=below) or sure(position)

        interval_end(outwards, sure, lambda i: sure(i, criterion.strict), clear)

    def _clear(self, position: int, criterion: Criterion, *, below: bool) -> bool:
        """Whether fewer than all images leave no doubt on which side accuracy lies.

        A point that only confirms its neighbour mostly lies far from the threshold. One that does
        not gets all images, and :func:`read_crossing` then judges it as it judges any other.
        """
        r, answers, threshold = self._grid[position], self._answers, criterion.threshold
        if criterion.classes is not None:
            return False
        answers.first(r, threshold)
        while (counts := answers.counts(r))[1] < answers.n:
            low, high = wilson(*counts, criterion.confidence)
            sure = high < threshold if below else low > threshold
            if sure and is_below(*counts, answers.n, threshold, STEP_ERROR) is below:
                answers.say(r, threshold, below)
                return True
            answers.more(r, threshold)
        return False

    def _halve(self, criterion: Criterion, question: Question) -> None:
        """Measure the middle of the bracket; the interval's ends are then asked for again."""
        found = self._read(criterion, question)
        if found.resolution is None or found.upper is None:
            return
        middle = (found.resolution + found.upper) // 2
        if not found.resolution < middle < found.upper:
            return
        self._grid = sorted({*self._grid, middle}, reverse=True)
        below = self._whole_below(middle, criterion)
        self._walk(criterion, self._grid.index(middle if below else found.resolution))

    def _below(self, position: int, criterion: Criterion, *, whole: bool = False) -> bool:
        """Whether accuracy is below the threshold: on all images, or as soon as that is sure."""
        r = self._grid[position]
        # The early stop counts images alike; class-balanced accuracy takes them all.
        if whole or criterion.classes is not None:
            return self._whole_below(r, criterion)
        below = self._until_sure(r, criterion.threshold)
        self._answers.say(r, criterion.threshold, below)
        return below

    def _whole_below(self, resolution: int, criterion: Criterion) -> bool:
        right = self._answers.all(resolution, criterion.threshold)
        below = criterion.accuracy(right) < criterion.threshold
        self._answers.say(resolution, criterion.threshold, below)
        return below

    def _until_sure(self, resolution: int, threshold: float) -> bool:
        answers = self._answers
        answers.first(resolution, threshold)
        while (
            sure := is_below(*answers.counts(resolution), answers.n, threshold, STEP_ERROR)
        ) is None:
            answers.more(resolution, threshold)
        return sure
