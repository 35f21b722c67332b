"""Which classes fail first, what is taken for what, and whether errors stay inside the parent.

Read off the predictions that a calibration keeps, at the resolutions that are there for all images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import Crossing
from c2f_data.curve.classes import ClassCurve, ClassLoss, Ranking, class_curves, fails_first
from c2f_data.curve.confusion import Confused, ErrorShare, error_shares, growing
from c2f_data.errors import C2FError
from c2f_data.predictions import Predictions
from c2f_data.stored import read_stored
from c2f_data.taxonomy import Taxonomy

# Of the pairs whose growth is kept, one in twenty or fewer is expected to be luck.
LUCK = 0.05


@dataclass(frozen=True, slots=True)
class LostClass:
    """A class, and the resolution at which it is lost.

    Attributes:
        name, parent, resolution, at_native, by_default: see
            :class:`c2f_data.curve.classes.ClassLoss`.
        n: measured images of the class.
        seen_at: resolution in pixels of the count: ``resolution``, or the lowest one measured
            where the class is never lost.
        correct: of the n images, those that were right there (counted, not smoothed).
        low, high: 95 % Wilson interval of ``correct / n``.
    """

    name: str
    parent: str | None
    resolution: int | None
    at_native: bool
    by_default: bool
    n: int
    seen_at: int
    correct: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LevelFailures:
    """How one level fails as images get smaller.

    Attributes:
        threshold: accuracy that a class must keep, or with ``relative`` a share of its own
            accuracy at native resolution: the level's own threshold.
        resolutions: in pixels, native first: those that are kept for all images.
        classes: every class with ``few`` images or more, the first lost first.
        too_few: names of those with fewer images, which are not ranked.
        few: images that a class needs to be ranked.
        confused_at: resolution in pixels at which confusions are compared with native ones: the
            level's answer, else the lowest measured; None: only native images were measured.
        confused: pairs whose confusion grew beyond chance, largest growth first.
        compared: pairs that grew at all.
        errors: how many errors stay inside the parent, at each resolution; empty at the coarsest
            level.
    """

    level: str
    threshold: float
    relative: bool
    resolutions: tuple[int, ...]
    classes: tuple[LostClass, ...]
    too_few: tuple[str, ...]
    few: int
    confused_at: int | None
    confused: tuple[Confused, ...]
    compared: int
    errors: tuple[ErrorShare, ...]

    @property
    def at_native(self) -> tuple[LostClass, ...]:
        """Classes that are below the threshold on the native images already."""
        return tuple(lost for lost in self.classes if lost.at_native)

    @property
    def on_the_way(self) -> tuple[LostClass, ...]:
        """Classes that are told on the native images and lost as they get smaller."""
        return tuple(c for c in self.classes if c.resolution is not None and not c.at_native)

    @property
    def never(self) -> tuple[LostClass, ...]:
        """Classes that are told down to the lowest resolution."""
        return tuple(lost for lost in self.classes if lost.resolution is None)


@dataclass(frozen=True, slots=True)
class Failures:
    """Every level that was searched, fine to coarse; without any, ``missing`` says why."""

    levels: tuple[LevelFailures, ...] = ()
    missing: str = ""


def read_failures(calibration: CalibrationResult, folder: Path, taxonomy: Taxonomy) -> Failures:
    """From the predictions that a calibration keeps; never raises for what is absent or damaged.

    Args:
        folder: of the data set's calibrations.
        taxonomy: the data set's hierarchy as it is now.
    """
    if calibration.taxonomy_fingerprint != taxonomy.fingerprint:
        return Failures(missing="the hierarchy has changed since this calibration")
    try:
        return find_failures(calibration, read_stored(calibration, folder), taxonomy)
    except C2FError as error:
        return Failures(missing=error.message)


def find_failures(
    calibration: CalibrationResult, predictions: Sequence[Predictions], taxonomy: Taxonomy
) -> Failures:
    """From predictions of the same images, native first, then descending.

    Raises:
        ConfigError: the predictions don't go together.
        ArtefactError: they are of another hierarchy.
    """
    asked = [*calibration.crossings, *([calibration.floor] if calibration.floor else [])]
    return Failures(tuple(_level(crossing, predictions, taxonomy) for crossing in asked))


def _level(
    crossing: Crossing, predictions: Sequence[Predictions], taxonomy: Taxonomy
) -> LevelFailures:
    level = crossing.level
    curves = class_curves(predictions, taxonomy, level)
    ranking = fails_first(curves, crossing.factor, relative=crossing.relative)
    reduced = _compared_with(crossing, predictions)
    grown = () if reduced is None else growing(predictions[0], reduced, level, taxonomy)
    return LevelFailures(
        level=level,
        threshold=ranking.threshold,
        relative=ranking.relative,
        resolutions=curves[0].resolutions,
        classes=_classes(ranking, curves),
        too_few=tuple(loss.name for loss in ranking.too_few),
        few=ranking.few,
        confused_at=None if reduced is None else int(reduced.resolution),
        confused=tuple(pair for pair in grown if pair.p_adjusted < LUCK),
        compared=len(grown),
        errors=error_shares(predictions, level, taxonomy) if taxonomy.level_index(level) else (),
    )


def _classes(ranking: Ranking, curves: Sequence[ClassCurve]) -> tuple[LostClass, ...]:
    by_name = {curve.name: curve for curve in curves}
    return tuple(_lost(loss, by_name[loss.name]) for loss in ranking.ranked)


def _lost(loss: ClassLoss, curve: ClassCurve) -> LostClass:
    # A reduced resolution may equal the nominal native one, which comes first.
    first = 0 if loss.at_native else 1
    last = len(curve.resolutions) - 1
    at = last if loss.resolution is None else curve.resolutions.index(loss.resolution, first)
    low, high = curve.intervals()[at]
    return LostClass(
        name=loss.name,
        parent=loss.parent,
        resolution=loss.resolution,
        at_native=loss.at_native,
        by_default=loss.by_default,
        n=loss.n,
        seen_at=curve.resolutions[at],
        correct=curve.correct[at],
        low=low,
        high=high,
    )


def _compared_with(crossing: Crossing, predictions: Sequence[Predictions]) -> Predictions | None:
    """The level's answer, else the lowest resolution; None where there is no reduced one."""
    reduced = predictions[1:]
    answer = [p for p in reduced if p.resolution == crossing.resolution]
    return next(iter([*answer, *reversed(reduced)]), None)
