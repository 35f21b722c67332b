"""The resolutions at which a model is measured, and which images each of them stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from c2f_data.calibration import LevelResolution
from c2f_train.prediction.pool import Ids
from c2f_train.prediction.stopping import allowed_level

# Native images below this share of all are left to the next condition.
SMALL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Band:
    """A condition before anything is measured.

    The fields are those of :class:`c2f_train.prediction.stored.Condition`.
    """

    resolution: int
    native: bool
    from_side: int
    allowed: int


def bands(levels: Sequence[LevelResolution], sides: Ids) -> tuple[Band, ...]:
    """The conditions that are measured, highest resolution first.

    Images as they are; then reduced to the resolution of each level but the finest, which is the
    least that the next finer level is allowed at: between two of them the lower one's promise
    holds with something to spare. Below the lowest nothing is measured.

    Args:
        levels: with their resolutions, coarse to fine.
        sides: (n,) shorter sides of the held-out images in pixels.
    """
    finest = len(levels) - 1
    small = int(np.quantile(sides, SMALL_SHARE))
    reduced = [level.resolution for level in levels[:-1] if level.resolution is not None]
    from_side = max([small, *reduced])
    found = [Band(int(np.median(sides)), True, from_side, finest)]
    for resolution in sorted(set(reduced), reverse=True):
        if resolution < found[-1].from_side:
            found.append(Band(resolution, False, resolution, allowed_level(levels, resolution)))
    return tuple(found)


def band_of(planned: Sequence[Band], usable: int) -> int | None:
    """Number of the band that a usable resolution in pixels lies in; None: below all."""
    return next((i for i, band in enumerate(planned) if usable >= band.from_side), None)
