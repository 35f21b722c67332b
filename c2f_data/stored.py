"""Ask stored predictions another question: other thresholds, no network, no images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import Crossing, accuracy_curve, locate_crossing
from c2f_data.curve.margins import CONFIDENCE
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.predictions import Predictions, read_predictions
from c2f_data.provenance import collect


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is asked.

    Attributes:
        values: level to threshold in (0, 1), for every level but the coarsest.
        relative: they are shares of each level's own accuracy at native resolution.
        balanced: accuracy is the mean of the classes' accuracies.
        confidence: of the intervals.
        floor: threshold in (0, 1) of the coarsest level; None: not asked.
    """

    values: Mapping[str, float]
    relative: bool = False
    balanced: bool = False
    confidence: float = CONFIDENCE
    floor: float | None = None


def read_stored(result: CalibrationResult, folder: Path) -> tuple[Predictions, ...]:
    """The resolutions that are stored for all images, native first, then descending.

    Args:
        folder: of the data set's calibrations.

    Raises:
        ArtefactError: damaged, or native resolution is not there.
        ConfigError: the levels were measured on different images.
    """
    if result.protocol.genus_train != "high":
        raise ConfigError(
            "the coarser levels' classifiers were trained at r_med, which depends on the threshold",
            "Run the same command without --from-predictions.",
        )
    place = folder / result.predictions
    found = [read_predictions(path) for path in sorted(place.glob("*.h5"))]
    whole = [p for p in found if len(p.image_ids) == result.protocol.n]
    whole.sort(key=lambda p: (not p.native, -p.resolution))
    if not whole or not whole[0].native:
        raise ArtefactError(
            f"{place}: no predictions at native resolution", "Run `c2f calibrate` first."
        )
    if any(p.image_ids != whole[0].image_ids for p in whole):
        raise ArtefactError(f"{place}: predictions of different images", "Calibrate again.")
    return tuple(whole)


def ask_again(
    result: CalibrationResult, predictions: tuple[Predictions, ...], asked: Thresholds
) -> CalibrationResult:
    """The result for other thresholds, read off the resolutions that are stored.

    Where an earlier search measured few resolutions the brackets are wide: `c2f calibrate` with
    the same thresholds measures between them.

    Raises:
        ConfigError: thresholds for other levels than the predictions have.
    """
    levels = predictions[0].levels
    if set(asked.values) != set(levels[1:]):
        raise ConfigError(
            f"thresholds for {', '.join(asked.values)}",
            f"Give one for each of {', '.join(levels[1:])}.",
        )
    asked_of = {**asked.values, **({} if asked.floor is None else {levels[0]: asked.floor})}
    crossings: list[Crossing] = []
    for position in range(len(levels) - 1, -1 if asked.floor is not None else 0, -1):
        crossing = locate_crossing(
            predictions,
            levels[position],
            levels[position - 1] if position else "",
            asked_of[levels[position]],
            relative=asked.relative,
            start=crossings[-1].resolution if crossings else None,
            cap=result.protocol.cap,
            balanced=asked.balanced,
            confidence=asked.confidence,
        )
        crossings.append(replace(crossing, images_evaluated=0))
    floor = None if asked.floor is None else crossings.pop()
    found = {crossing.next_level: crossing.resolution for crossing in crossings}
    return replace(
        result,
        levels=tuple(
            v if v.native else replace(v, resolution=found[v.name]) for v in result.levels
        ),
        curves=tuple(accuracy_curve(predictions, level, asked.balanced) for level in levels),
        crossings=tuple(crossings),
        floor=floor,
        images_evaluated=0,
        training_images=0,
        search="stored predictions",
        accuracy="class-balanced" if asked.balanced else "top-1",
        provenance=collect(device="none", seed=result.protocol.seed),
    )
