"""The result of a calibration, as it is stored: protocol, curves, crossings, resolutions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import read_json, write_json
from c2f_data.camera import Camera
from c2f_data.confidence import Confidence
from c2f_data.curve import CalibrationCurve, Crossing
from c2f_data.provenance import Provenance
from c2f_data.resample_spec import ResampleSpec

SCHEMA = "c2f-calibration"
SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class LevelResolution:
    """A level, its number of classes, and the resolution of its images.

    Attributes:
        resolution: shorter side in pixels; for the finest level the median native side; None
            where the calibration gave no answer.
        native: the images are the untouched originals (the finest level).
    """

    name: str
    count: int
    resolution: int | None
    native: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """How accuracy was measured: everything that can move the answer.

    Attributes:
        classifier: ``probe`` (linear classifiers on frozen features), ``finetune`` (the whole
            network) or the path of a classifier that was loaded.
        backbone: network whose features are classified.
        taps: names of its three maps, for a torchvision model.
        weights: where its weights came from: a file name, ``torchvision`` or ``from scratch``.
        weights_path: the file, absolute, where one was given.
        images: ``val`` or ``test``.
        scheme: ``held-out validation``, ``cross-validation`` or ``official test``.
        n: images measured at each resolution.
        cap: highest resolution in pixels that the sweep can see.
        cap_reason: what sets the cap, in words.
        native_side: median shorter side of the measured images, in pixels.
        spec: the resampling chain.
        precision: number format of the network, ``float32`` or ``bfloat16``.
        seed: of the split, the training and the order of images.
        training: ``fixed`` (classifiers trained on I_high) or ``retrained`` (at every resolution).
        genus_train: ``high`` or ``med``: what the coarser levels' classifiers are trained on.
        genus_accuracy: ``own`` classifiers of the coarser levels, or ``rolled-up``.
    """

    classifier: str
    backbone: str
    taps: tuple[str, ...]
    weights: str
    weights_path: str | None
    images: str
    scheme: str
    n: int
    cap: int
    cap_reason: str
    native_side: int
    spec: ResampleSpec
    precision: str
    seed: int
    training: str = "fixed"
    genus_train: str = "high"
    genus_accuracy: str = "own"


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What `c2f calibrate` found.

    Attributes:
        dataset: name of the data set.
        layout: how it was read, in words.
        levels: coarse to fine.
        curves: one a level, coarse to fine.
        crossings: one a level but the coarsest, fine to coarse: the first gives r_med, the
            second r_low.
        predictions: folder of the per-image predictions, relative to the calibration's folder.
        index_fingerprint, taxonomy_fingerprint: what it was measured on.
        images_evaluated: answers of a network that the result needed: images times resolutions,
            and training images where classifiers were retrained.
        training_images: how many of these are training images.
        grid: the resolutions that could be measured, in pixels, native first.
        sweep_images: what the same protocol would have needed at all of them, on all images.
        sweep_training_images: how many of these are training images.
        stopped_sweep_images: the same for a sweep from the top that stops at the last crossing.
        search: ``bisection`` or ``full sweep``.
        accuracy: ``top-1`` or ``class-balanced``.
        floor: where even the coarsest level falls below its threshold; None: not asked.
        confidences: how far each level's confidences can be trusted, coarse to fine; empty in
            results of earlier versions.
        camera: what makes a distance of a resolution; None: not given.
        warnings: one line each.
    """

    dataset: str
    layout: str
    levels: tuple[LevelResolution, ...]
    protocol: Protocol
    curves: tuple[CalibrationCurve, ...]
    crossings: tuple[Crossing, ...]
    predictions: str
    index_fingerprint: str
    taxonomy_fingerprint: str
    images_evaluated: int
    warnings: tuple[str, ...]
    provenance: Provenance
    grid: tuple[int, ...]
    sweep_images: int
    stopped_sweep_images: int
    search: str
    accuracy: str
    floor: Crossing | None
    camera: Camera | None = None
    confidences: tuple[Confidence, ...] = ()
    training_images: int = 0
    sweep_training_images: int = 0

    @property
    def temperatures(self) -> tuple[float, ...]:
        """What each level's scores were divided by, coarse to fine; 1 where nothing was fitted."""
        return tuple(confidence.temperature for confidence in self.confidences)

    @property
    def fraction(self) -> float:
        """Images evaluated, as a share of the full sweep's."""
        return self.images_evaluated / self.sweep_images

    @property
    def answered(self) -> bool:
        """Every crossing has a resolution."""
        return all(crossing.resolution is not None for crossing in self.crossings)

    @property
    def coarser(self) -> dict[str, int]:
        """Level to the resolution that was found for it, in pixels; not for the finest level."""
        return {v.name: v.resolution for v in self.levels if v.resolution and not v.native}

    def curve(self, level: str) -> CalibrationCurve:
        """The curve of a level."""
        return next(curve for curve in self.curves if curve.level == level)


def write_result(path: Path, result: CalibrationResult) -> None:
    """Write result.json, atomically."""
    write_json(path, result, schema=SCHEMA, version=SCHEMA_VERSION)


def read_result(path: Path) -> CalibrationResult:
    """Read result.json. Raises ArtefactError: absent, damaged, of another version."""
    return read_json(
        path, CalibrationResult, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f calibrate"
    )
