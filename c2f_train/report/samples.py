"""Sample images at the measured resolutions, with what the classifiers named them there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from c2f_data.calibration import CalibrationResult
from c2f_data.predictions import Predictions
from c2f_data.resample import Pixels, ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_train.report.images import Strip, Told, make_frame

IMAGES = 6
FRAMES = 7


def choose_images(predictions: Sequence[Predictions], seed: int) -> list[int]:
    """Rows of images that fail at different resolutions, of different classes where possible.

    An image's finest level is right down to some resolution. The images are ordered by it and cut
    into :data:`IMAGES` parts of equal size, and one of each part is drawn: from those that are
    wrong on the native image to those that hold to the end. No random sample of the images.

    Args:
        predictions: native first, then descending, of the same images in the same order.
        seed: of the draw.

    Returns:
        Rows, those that hold longest first; fewer where there are fewer images.
    """
    finest = predictions[0].levels[-1]
    right = np.stack([p.correct(finest) for p in predictions])
    held = np.minimum.accumulate(right, axis=0).sum(axis=0)
    rng = np.random.default_rng(seed)
    # Shuffled first, so that images that hold equally long have equal chances.
    order = rng.permutation(held.size)
    order = order[np.argsort(-held[order], kind="stable")]
    coarse, fine = predictions[0].true[:, 0], predictions[0].true[:, -1]
    chosen: list[int] = []
    for part in np.array_split(order, min(IMAGES, held.size)):
        drawn = rng.permutation(part)
        chosen.append(int(_newest(drawn, chosen, coarse, fine)))
    return chosen


def _newest(
    drawn: NDArray[np.int64],
    chosen: Sequence[int],
    coarse: NDArray[np.int64],
    fine: NDArray[np.int64],
) -> np.int64:
    """The first row of a coarsest class that has not been chosen, else of a finest one."""
    for classes in (coarse, fine):
        seen = {int(classes[row]) for row in chosen}
        for row in drawn:
            if int(classes[row]) not in seen:
                return np.int64(row)
    return np.int64(drawn[0])


def choose_resolutions(
    predictions: Sequence[Predictions], calibration: CalibrationResult
) -> list[int]:
    """Positions of the resolutions that are shown: native, the answers, others spread evenly."""
    last = len(predictions) - 1
    answers = {c.resolution for c in calibration.crossings}
    kept = {0, last} | {i for i, p in enumerate(predictions) if i and p.resolution in answers}
    octaves = np.log2([p.resolution for p in predictions])
    while len(kept) < min(FRAMES, len(predictions)):
        # The one that is farthest from all that are there.
        away = [min(abs(octaves[i] - octaves[k]) for k in kept) for i in range(last + 1)]
        away = [-1.0 if i in kept else gap for i, gap in enumerate(away)]
        kept.add(int(np.argmax(away)))
    return sorted(kept)


def make_samples(
    pixels: Pixels,
    predictions: Sequence[Predictions],
    row: int,
    taxonomy: Taxonomy,
    spec: ResampleSpec,
) -> Strip:
    """One image at some of the measured resolutions, with every level's answer.

    Args:
        pixels: (height, width, 3) uint8, the decoded image at native resolution.
        predictions: at the resolutions to show, native first, then descending.
        row: the image's row in each of them.
        spec: the resampling chain of the calibration.
    """
    height, width = pixels.shape[:2]
    return Strip(
        image_id=predictions[0].image_ids[row],
        height=height,
        width=width,
        input_size=spec.crop,
        frames=tuple(
            make_frame(
                pixels,
                min(height, width) if p.native else int(p.resolution),
                spec,
                answers=_told(p, row, taxonomy),
                native=p.native,
            )
            for p in predictions
        ),
        missing=(),
        classes=tuple(
            names[i] for names, i in zip(taxonomy.names, predictions[0].true[row], strict=True)
        )[::-1],
    )


def _told(predictions: Predictions, row: int, taxonomy: Taxonomy) -> tuple[Told, ...]:
    """What the classifiers named an image, fine to coarse."""
    true, named = predictions.true[row], predictions.predicted[row]
    told = [
        Told(level, taxonomy.names[i][named[i]], bool(named[i] == true[i]))
        for i, level in enumerate(taxonomy.levels)
    ]
    return tuple(reversed(told))
