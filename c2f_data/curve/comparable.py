"""Predictions that can be compared image by image, and the branches that their classes are in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.predictions import Predictions
from c2f_data.taxonomy import Taxonomy


def parents(taxonomy: Taxonomy, level: str) -> NDArray[np.int64] | None:
    """Class id at the next coarser level of each class of a level; None at the coarsest."""
    position = taxonomy.level_index(level)
    return None if position == 0 else ancestors(taxonomy, level, taxonomy.levels[position - 1])


def ancestors(taxonomy: Taxonomy, level: str, coarser: str) -> NDArray[np.int64]:
    """(classes of ``level``,) the id at ``coarser`` of each class of a level."""
    found = np.zeros(taxonomy.count(level), np.int64)
    found[taxonomy.codes[:, taxonomy.level_index(level)]] = taxonomy.codes[
        :, taxonomy.level_index(coarser)
    ]
    return found


def check_predictions(predictions: Sequence[Predictions], taxonomy: Taxonomy) -> None:
    """Refuse what can't be compared image by image, native first.

    Raises:
        ConfigError: no predictions, in another order, or of different images.
        ArtefactError: the predictions are of another hierarchy.
    """
    if not predictions or not predictions[0].image_ids:
        raise ConfigError("no predictions", "Give those at native resolution and below.")
    natives = [p.native for p in predictions]
    resolutions = [p.resolution for p in predictions]
    if natives != [True] + [False] * (len(natives) - 1) or any(
        lower > upper for upper, lower in pairwise(resolutions)
    ):
        raise ConfigError(
            f"predictions at {', '.join(map(str, resolutions))} px, native ones not first "
            "or resolutions not descending",
            "Give the native ones first, then from the highest resolution to the lowest.",
        )
    first = predictions[0]
    counts = np.asarray([taxonomy.count(level) for level in taxonomy.levels])
    for p in predictions:
        if p.levels != taxonomy.levels or any(
            np.any((ids < 0) | (ids >= counts)) for ids in (p.true, p.predicted)
        ):
            raise ArtefactError(
                f"predictions at {p.resolution} px: of another hierarchy than {taxonomy.name}",
                "Give the hierarchy of the calibration, or calibrate again.",
            )
        if p.image_ids != first.image_ids or not np.array_equal(p.true, first.true):
            raise ConfigError(
                f"predictions at {p.resolution} px: not the images, or not the classes, of those "
                f"at {first.resolution} px",
                "Give predictions of one calibration.",
            )
