"""Whether confidences mean what they say: the expected calibration error, and what was done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

BINS = 15


class TemperatureFit(StrEnum):
    """What the temperatures of a calibration were fitted on, in words."""

    FITTED = "fitted on the measured images"
    TEST = "not fitted: the labels of test images must not tune anything"
    NOT_KEPT = "not fitted: the classifier's scores were not kept"


@dataclass(frozen=True, slots=True)
class EcePoint:
    """Expected calibration error at a resolution in pixels, on all images."""

    resolution: int
    ece: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """How far the confidences of one level can be taken at their word.

    The error after scaling is measured on the images that the temperature was fitted on. That
    flatters it a little: one number a level was chosen to suit them.

    Attributes:
        resolution: in pixels, where the temperature was fitted: native resolution, or the one
            that the level's classifiers were trained at (``genus_train`` "med").
        temperature: the scores are divided by it, at every resolution; 1: as they were.
        fit: what it was fitted on.
        ece_before, ece_after: expected calibration error there, without and with it.
        points: the error with it, where all images were measured, highest resolution first.
    """

    level: str
    resolution: int
    temperature: float
    fit: TemperatureFit
    ece_before: float
    ece_after: float
    points: tuple[EcePoint, ...]


def expected_calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS
) -> float:
    """How far confidence and accuracy lie apart, on average over the images; 0 is best.

    The images are grouped by confidence into bins of equal width, each open below and closed
    above. A bin counts with its share of the images:
    sum over bins of (images in it / n) |its accuracy - its mean confidence|.
    Naeini et al. 2015 (AAAI, "Obtaining well calibrated probabilities using Bayesian binning"),
    with the confidence of the answer as in Guo et al. 2017 (ICML, equation 3).

    Args:
        confidence: (n,) probability that the classifier gave its answer, in [0, 1].
        right: (n,) whether the answer was right.

    Raises:
        ValueError: no images, other shapes, a confidence outside [0, 1], or no bins.
    """
    if confidence.ndim != 1 or confidence.shape != right.shape or not confidence.size:
        raise ValueError(f"confidence {confidence.shape} and right {right.shape}, not (n,) both")
    if bins < 1 or not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError(f"{bins} bins, or a confidence outside [0, 1]")
    edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, confidence, side="left")
    # The number of images cancels out: n_bin / n times a difference of means over n_bin.
    gaps = np.bincount(place, weights=right.astype(np.float64) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / confidence.size)
