"""Which size each stored picture must have: it follows from the native size and the plan.

Raw pixels do not tell their own width, so a wrong size would give a wrong picture without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from c2f_data.decode import MAX_PIXELS
from c2f_data.shards.schema import LevelPlan, ShardPlan

Sizes = NDArray[np.integer[Any]]


def expected_sizes(native: Sizes, level: LevelPlan, plan: ShardPlan) -> Sizes:
    """(n, 2) height and width in pixels of a level's pictures.

    Args:
        native: (n, 2) height and width before anything was done; at least 1 each.
    """
    sizes = native
    if level.resolution is not None:
        side = min(level.resolution, MAX_PIXELS)  # whatever a file claims, no number overflows
        larger = native.min(axis=1, keepdims=True) > side
        sizes = np.where(larger, at_shorter_side(native, side), native)
    if plan.enlarged is None:
        return sizes
    if plan.enlarged.fit == "squash":
        return np.full_like(sizes, plan.enlarged.enlarge_to)
    return at_shorter_side(sizes, plan.enlarged.enlarge_to)


def at_shorter_side(sizes: Sizes, side: int) -> Sizes:
    """The rule of :func:`c2f_data.resample.reduced_size`, for many images and without torch."""
    short = sizes.min(axis=1, keepdims=True)
    # Of the shorter side this gives just ``side``.
    found: Sizes = (2 * sizes * side + short) // (2 * short)
    return found
