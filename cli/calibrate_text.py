"""What ``c2f calibrate`` prints about a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .console import Console, level_aliases
from .options import shard_by_hand

if TYPE_CHECKING:
    from c2f_data.calibration import CalibrationResult
    from c2f_data.curve import Crossing


def lines(result: CalibrationResult) -> list[str]:
    """The answer: a line a crossing, with its distance where a camera was given."""
    n = result.protocol.n
    shown = []
    for crossing in result.crossings:
        shown.append(describe(crossing, n))
        if result.camera is not None and crossing.resolution is not None:
            shown.append(
                f"  as seen by that camera: up to {_distance(result, crossing):.3g}"
                f" m away the {crossing.level} is told"
            )
    if result.floor is not None:
        shown.append(describe_floor(result.floor, n))
    return shown + ([describe_confidences(result)] if result.confidences else [])


def summary(result: CalibrationResult, shards: str | None) -> dict[str, Any]:
    """What --json prints: the answer, without the curves (result.json has them)."""
    return {
        "dataset": result.dataset,
        "levels": result.levels,
        **level_aliases(result.levels),
        "crossings": result.crossings,
        "floor": result.floor,
        "distances": {
            crossing.level: _distance(result, crossing)
            for crossing in result.crossings
            if result.camera is not None and crossing.resolution is not None
        },
        "n": result.protocol.n,
        "accuracy": result.accuracy,
        "search": result.search,
        "protocol": result.protocol,
        "native_accuracy": {curve.level: curve.native.accuracy for curve in result.curves},
        "temperatures": result.temperatures,
        "confidences": result.confidences,
        "images_evaluated": result.images_evaluated,
        "training_images": result.training_images,
        "sweep_images": result.sweep_images,
        "sweep_training_images": result.sweep_training_images,
        "stopped_sweep_images": result.stopped_sweep_images,
        "fraction": result.fraction,
        "warnings": result.warnings,
        "predictions": result.predictions,
        "shards": shards,
    }


def describe(crossing: Crossing, n: int) -> str:
    """One line a crossing, with n, the bracket and its interval."""
    of = f"{crossing.factor:g} of its native accuracy" if crossing.relative else ""
    threshold = f"{crossing.threshold:.3f}" + (f" ({of})" if of else "")
    if crossing.resolution is None:
        return (
            f"{crossing.next_level} images: no resolution. {crossing.level} accuracy is "
            f"{crossing.outcome} (threshold {threshold}, n = {n})"
        )
    where = (
        f"falls below {threshold} between {crossing.upper} and {crossing.resolution} px"
        if crossing.upper is not None
        else f"is already below {threshold} there"
    )
    return (
        f"{crossing.next_level} images: {crossing.resolution} px. {crossing.level} accuracy "
        f"{where} ({crossing.outcome}; {_range(crossing)}, n = {n})"
    )


def describe_floor(floor: Crossing, n: int) -> str:
    """One line on where even the coarsest level is lost."""
    if floor.resolution is None:
        return (
            f"{floor.level} accuracy is {floor.outcome} (threshold {floor.threshold:.3f}, n = {n})"
        )
    return (
        f"Below {floor.resolution} px not even the {floor.level} is told: its accuracy falls below "
        f"{floor.threshold:.3f} ({floor.outcome}; {_range(floor)}, n = {n})"
    )


def describe_confidences(result: CalibrationResult) -> str:
    """One line on how far the confidences are off, fine to coarse, and what they were scaled by."""
    from c2f_data.confidence import TemperatureFit

    levels = result.confidences[::-1]
    where = "" if len({v.resolution for v in levels}) > 1 else " at native resolution"
    if levels[0].fit is not TemperatureFit.FITTED:
        errors = ", ".join(f"{v.level} {v.ece_after:.3f}" for v in levels)
        return f"Expected calibration error{where}: {errors} (temperature {levels[0].fit})."
    errors = ", ".join(
        f"{v.level} {v.ece_after:.3f} (unscaled {v.ece_before:.3f}, T = {v.temperature:.2f})"
        for v in levels
    )
    return f"Expected calibration error{where}: {errors}; {levels[0].fit}."


def cost(result: CalibrationResult) -> str:
    """What the search evaluated, beside a full sweep and one that stops at each crossing."""
    if result.images_evaluated == 0:
        return "Read off stored predictions: no image went through a network."
    stopped = result.images_evaluated / result.stopped_sweep_images
    trained = (
        f" {result.training_images:,} and {result.sweep_training_images:,} of these are training "
        "images of classifiers that were trained again."
        if result.sweep_training_images
        else ""
    )
    return (
        f"Evaluated {result.images_evaluated:,} of {result.sweep_images:,} images x resolutions "
        f"({result.fraction:.0%} of the full sweep, {stopped:.0%} of one that stops at the last "
        f"crossing).{trained}"
    )


def _distance(result: CalibrationResult, crossing: Crossing) -> float:
    assert result.camera is not None
    assert crossing.resolution is not None
    return result.camera.told_at(crossing.upper, crossing.resolution)


def _range(crossing: Crossing) -> str:
    low = crossing.interval_low if crossing.interval_low is not None else "lowest"
    high = crossing.interval_high if crossing.interval_high is not None else "native"
    return f"{crossing.confidence:.0%} interval {low} to {high} px"


def advise(console: Console, crossing: Crossing, result: CalibrationResult) -> None:
    native = result.curve(crossing.level).native
    console.warn(
        f"{crossing.level} accuracy at native resolution is {native.accuracy:.3f} "
        f"({native.low:.3f} to {native.high:.3f}, n = {native.n}), below {crossing.threshold:.3f}."
    )
    if crossing.largest_threshold is not None:
        console.note(f"The largest threshold that would cross is {crossing.largest_threshold:.2f}.")


def next_command(result: CalibrationResult, shards: str | None) -> str:
    if shards is not None:
        return "Next: c2f train"
    if result.answered:
        return "Next: c2f shard"
    levels = (level.name for level in result.levels)
    return f"Next: c2f report, or {shard_by_hand(levels)} with resolutions of your own"
