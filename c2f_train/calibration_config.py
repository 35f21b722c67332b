"""The settings of a calibration, as a user gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from c2f_data.camera import Camera
from c2f_data.curve.margins import CONFIDENCE
from c2f_data.errors import ConfigError
from c2f_data.resample import DEFAULT_LOWEST, DEFAULT_POINTS
from c2f_data.resample_spec import Reduction
from c2f_data.splits import ImagesChoice
from c2f_train.config import Fit

CANONICAL = Reduction()
# Resolutions of the default grid, native and lowest included.
GRID_POINTS = DEFAULT_POINTS + 1
HIGH, MED = "high", "med"
FIXED, RETRAINED = "fixed", "retrained"
ROLLED_UP = "rolled-up"


@dataclass(frozen=True, slots=True)
class CalibrateConfig:
    """Settings of a calibration.

    Attributes:
        thresholds: level to threshold in (0, 1), for every level but the coarsest, which may
            have one too.
        relative: thresholds are shares of each level's own accuracy at native resolution.
        balanced: accuracy is the mean of the classes' accuracies.
        confidence: of a crossing's interval.
        images: ``val`` (carved from train, or cross-validated) or ``test``.
        classifier: ``auto``, ``probe``, ``finetune``, the folder of a saved model, or someone's
            own (``timm:NAME``, ``torchvision:NAME``, FILE.pt2, FILE.onnx, MODULE:FUNCTION).
        labels, normalise, trust_classifier, closed_set: of such a classifier; see
            :class:`c2f_train.external.load.ExternalRequest`.
        reduction: how images are reduced, and degraded after that.
        backbone, weights, taps: see :func:`c2f_train.backbones.build_backbone`.
        input_size: side in pixels that the network sees; None: the backbone's usual one.
        sweep: resolutions in pixels, descending; empty: a geometric grid of ``points`` from
            native to ``lowest``.
        full_curve: measure every resolution on all images; else bisection.
        refine: times that a crossing's bracket is halved at a whole number of pixels.
        floor: also find where even the coarsest level falls below its threshold.
        training: ``fixed``: classifiers are trained on I_high; ``retrained``: again at every
            resolution that is measured.
        genus_train: ``high``: the coarser levels' classifiers are trained on I_high; ``med``: at
            the finer level's answer.
        camera: makes distances of the answers; no part of what is measured.
        genus_accuracy: ``own`` classifiers of the coarser levels, or ``rolled-up`` from the finest.
        epochs: of fine-tuning; None: the recipe's.
    """

    thresholds: tuple[tuple[str, float], ...]
    relative: bool = False
    balanced: bool = False
    confidence: float = CONFIDENCE
    images: ImagesChoice = "val"
    classifier: str = "auto"
    labels: str | None = None
    normalise: str | None = None
    trust_classifier: bool = False
    closed_set: bool = False
    backbone: str = "vgg16"
    weights: str | None = None
    taps: tuple[str, ...] = ()
    input_size: int | None = None
    fit: Fit = "shorter"
    reduction: Reduction = CANONICAL
    sweep: tuple[int, ...] = ()
    points: int = GRID_POINTS
    lowest: int = DEFAULT_LOWEST
    full_curve: bool = False
    refine: int = 0
    floor: bool = False
    training: Literal["fixed", "retrained"] = "fixed"
    genus_train: Literal["high", "med"] = "high"
    genus_accuracy: Literal["own", "rolled-up"] = "own"
    epochs: int | None = None
    camera: Camera | None = None
    precision: str = "auto"
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        for level, value in self.thresholds:
            if not 0 < value < 1:
                raise ConfigError(
                    f"threshold {value:g} for {level}", "A threshold lies between 0 and 1: 0.8."
                )
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence {self.confidence:g}", "Give a share such as 0.95.")

    def threshold(self, level: str, levels: Sequence[str]) -> float:
        """A level's threshold; the coarsest has that of the level below unless it has its own."""
        given = dict(self.thresholds)
        return given.get(level, given[levels[1]])
