"""How far a search has come: one level's curve as it forms, and what is probably left to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from c2f_data.curve.answers import Step
from c2f_train.progress import Look

# What a level usually takes, in passes over all images: some resolutions are measured whole, and
# each step of the bisection looks at a part. Coarser levels find much of it done. Rough means over
# the curves of benchmarks/curves.py and the levels in docs/reproduction.md.
WHOLE = 4
PROBE = 0.35
COARSER = 3


class Course:
    """Follows the search of one level.

    Args:
        grid: resolutions in pixels, descending, that the level may be searched at.
        later: levels that are still to come.
        full: every resolution is measured on all images.
    """

    def __init__(self, level: str, grid: Sequence[int], *, later: int, full: bool) -> None:
        self._level = level
        self._grid = grid
        self._later = later
        self._full = full
        self._steps: dict[int, Step] = {}

    def look(self, step: Step, evaluated: int, maximum: int) -> Look:
        """What is known after one more step."""
        before = self._steps.get(step.resolution)
        if before is None or step.below is not None or step.seen > before.seen:
            self._steps[step.resolution] = step
        steps = tuple(self._steps[r] for r in sorted(self._steps, reverse=True))
        look = Look(
            level=self._level,
            step=step,
            evaluated=evaluated,
            maximum=maximum,
            left=0,
            steps=steps,
            grid=(self._grid[0], self._grid[-1]),
        )
        return replace(look, left=self._left(look))

    def _left(self, look: Look) -> int:
        rest = look.maximum - look.evaluated
        if self._full:
            return rest
        below, above = look.bracket
        between = sum(1 for r in self._grid if (below or 0) < r < (above or math.inf))
        whole = sum(1 for step in look.steps if step.seen == step.total)
        passes = (
            PROBE * math.ceil(math.log2(between + 1))
            + max(0, WHOLE - whole)
            + COARSER * self._later
        )
        return min(rest, round(passes * look.step.total))
