"""Find a crossing while measuring as little as can be: bisection with early stopping.

1. The top of the grid is measured on all images, its end until it is sure on which side it lies.
2. Bisection: each probed resolution is measured batch by batch until :func:`is_below` is sure, or
   all images are used up. This assumes that accuracy falls with the resolution.
3. The answer and its upper neighbour are measured on all images. Should the two not hold the
   threshold between them, the search goes on step by step until two neighbours do.
4. Spot checks: two resolutions above the bracket, in the middle of the widest gaps, show whether
   the assumption fails there. If it does, every resolution from the top is probed instead.
5. The neighbours outwards from the bracket are measured on all images until one is surely below and
   one surely above the threshold: the interval of the crossing.

The images come in one random order, the same at every resolution, so what is measured stays paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from c2f_data.curve.crossing import (
    Crossing,
    Measured,
    Question,
    read_crossing,
    start_position,
)
from c2f_data.curve.margins import CONFIDENCE, Criterion
from c2f_data.curve.sequential import is_below
from c2f_data.errors import ConfigError

# Whether each image's answer at a resolution is right: (resolution, positions) -> (k,) bool.
Score = Callable[[int, NDArray[np.int64]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Step:
    """What a search knows about a resolution when it has looked there.

    Attributes:
        right, seen: images right, among those measured so far.
        total: number of images.
        threshold: accuracy that it is compared with.
        below: whether accuracy is below the threshold; None: not sure yet.
    """

    resolution: int
    right: int
    seen: int
    total: int
    threshold: float
    below: bool | None


Watch = Callable[[Step], None]

# Probability that bisection turns the wrong way at one resolution. That costs a few more
# resolutions (step 3 repairs it), never a wrong answer.
STEP_ERROR = 0.01
SPOT_CHECKS = 2
SMALLEST_BATCH = 32
BATCHES = 64


def batch_size(n_images: int) -> int:
    """Images between two looks: few enough to stop early, many enough to keep a network busy."""
    return max(SMALLEST_BATCH, -(-n_images // BATCHES))


def image_order(n_images: int, seed: int) -> NDArray[np.int64]:
    """The random order in which the images are drawn, at every resolution."""
    return np.random.default_rng([seed, 0x0D3D]).permutation(n_images)


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
            (0, 1).
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
        _check(grid, n_images)
        self._watch = watch
        self._score = score
        self._grid = [int(r) for r in grid]
        self._n = n_images
        self._confidence = confidence
        self._order = image_order(n_images, seed)
        self._back = np.argsort(self._order)
        self._batch = batch_size(n_images)
        self._right: dict[int, NDArray[np.bool_]] = {}

    @property
    def images_evaluated(self) -> int:
        """Answers asked for so far, over all resolutions."""
        return sum(right.size for right in self._right.values())

    @property
    def measured(self) -> dict[int, int]:
        """Resolution to number of images measured there, highest resolution first."""
        return {r: self._right[r].size for r in sorted(self._right, reverse=True)}

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
        if question.start is not None:
            # A start that an earlier search refined lies between two points of the grid.
            self._grid = sorted({*self._grid, question.start}, reverse=True)
        native = self._all(self._grid[0])
        criterion = Criterion(threshold, native if relative else None, classes, self._confidence)
        first = start_position(self._grid, question.start)
        if full_curve:
            for r in self._grid:
                self._all(r)
        else:
            self._narrow(criterion, first)
        for _ in range(refine):
            self._halve(criterion, question)
        return self._read(criterion, question)

    def _read(self, criterion: Criterion, question: Question) -> Crossing:
        points = [
            Measured(r, self._right[r][self._back])
            for r, seen in self.measured.items()
            if seen == self._n
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
            probed = [i for i in range(first, answer) if self._grid[i] in self._right]
            gaps = [(b - a, (a + b) // 2) for a, b in pairwise(probed) if b - a > 1]
            if not gaps:
                break
            # Of equal gaps the lower one: that is where accuracy is nearer to the threshold.
            if self._below(max(gaps)[1], criterion):
                return False
        return True

    def _walk(self, criterion: Criterion, answer: int) -> None:
        """Measure outwards from the answer until both sides are sure, or the grid ends."""
        for i in range(answer, len(self._grid)):
            if self._margin(i, criterion)[1] < 0:
                break
        for i in range(answer - 1, -1, -1):
            if self._margin(i, criterion)[0] > 0:
                break

    def _margin(self, position: int, criterion: Criterion) -> tuple[float, float]:
        self._below(position, criterion, whole=True)
        return criterion.margin(self._all(self._grid[position]))

    def _halve(self, criterion: Criterion, question: Question) -> None:
        found = self._read(criterion, question)
        if found.resolution is None or found.upper is None:
            return
        middle = (found.resolution + found.upper) // 2
        if found.resolution < middle < found.upper:
            self._all(middle)

    def _below(self, position: int, criterion: Criterion, *, whole: bool = False) -> bool:
        """Whether accuracy is below the threshold: on all images, or as soon as that is sure."""
        r = self._grid[position]
        # The early stop counts images alike; class-balanced accuracy takes them all.
        if whole or criterion.classes is not None:
            below = criterion.accuracy(self._all(r)) < criterion.threshold
        else:
            below = self._until_sure(r, criterion.threshold)
        self._say(r, criterion.threshold, below)
        return below

    def _until_sure(self, resolution: int, threshold: float) -> bool:
        while (below := self._look(resolution, threshold)) is None:
            self._say(resolution, threshold, None)
            self._extend(resolution, min(self._n, self._right[resolution].size + self._batch))
        return below

    def _look(self, resolution: int, threshold: float) -> bool | None:
        if resolution not in self._right:
            self._extend(resolution, min(self._n, self._batch))
        right = self._right[resolution]
        return is_below(int(right.sum()), right.size, self._n, threshold, STEP_ERROR)

    def _say(self, resolution: int, threshold: float, below: bool | None) -> None:
        if self._watch is not None:
            right = self._right[resolution]
            self._watch(Step(resolution, int(right.sum()), right.size, self._n, threshold, below))

    def _all(self, resolution: int) -> NDArray[np.bool_]:
        """(n,) right or wrong, in the images' own order."""
        self._extend(resolution, self._n)
        return self._right[resolution][self._back]

    def _extend(self, resolution: int, upto: int) -> None:
        """Ask for the next images of the order, a batch at a time."""
        right = self._right.get(resolution, np.zeros(0, np.bool_))
        while right.size < upto:
            chosen = self._order[right.size : min(upto, right.size + self._batch)]
            answers = np.asarray(self._score(resolution, chosen), dtype=np.bool_)
            if answers.shape != chosen.shape:
                raise ConfigError(
                    f"the scorer gave {answers.shape} answers for {chosen.size} images",
                    "It must give one for each image, in order.",
                )
            right = np.concatenate([right, answers])
            self._right[resolution] = right


def _check(grid: Sequence[int], n_images: int) -> None:
    if len(grid) < 2 or any(b >= a for a, b in pairwise(grid)) or grid[-1] < 1:
        raise ConfigError(
            f"a grid of {', '.join(map(str, grid)) or 'nothing'}",
            "Give two or more resolutions in pixels, descending: 224,160,112.",
        )
    if n_images < 1:
        raise ConfigError(f"{n_images} images", "Give at least one image.")
