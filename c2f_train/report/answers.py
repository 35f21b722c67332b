"""One crossing in words: what was measured, how sure it is, what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from c2f_data.calibration import CalibrationResult, Protocol
from c2f_data.curve import AccuracyPoint, CalibrationCurve, Crossing, Outcome
from c2f_data.errors import ArtefactError
from c2f_train.report.wording import (
    FLOOR,
    covering,
    interval,
    percent,
    percent_short,
    pixels,
    plural,
    sentence,
    suffix,
    threshold,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One crossing in words.

    Attributes:
        level: whose accuracy fell.
        next_level: the level that the resolution is for; empty for the floor.
        symbol: what stands behind r: ``med``, ``low``, or the name of ``next_level``.
        resolution: shorter side in pixels; None without an answer.
        bracket: (last measured resolution at or above the threshold, first one below it).
        confidence: of the interval, in words.
        interval: the interval that covers the crossing, in words; empty without an answer.
        distance: in metres, where a camera was given: so far away the level can be told.
        text: what was measured, with n.
        advice: what to do, where the answer is missing or doubtful.
        limit: said where the network's input limits the answer.
    """

    level: str
    next_level: str
    symbol: str
    resolution: int | None
    bracket: tuple[int, int] | None
    confidence: str
    interval: str
    distance: float | None
    text: str
    advice: str | None
    limit: str | None


def answers(calibration: CalibrationResult, levels: Sequence[str]) -> tuple[Answer, ...]:
    """One a crossing, fine to coarse; ``levels`` are coarse to fine."""
    return tuple(
        _answer(c, calibration, suffix(levels, c.next_level)) for c in calibration.crossings
    )


def floor_answer(calibration: CalibrationResult) -> Answer | None:
    """Where even the coarsest level is lost; None: not asked."""
    if calibration.floor is None:
        return None
    found = _answer(calibration.floor, calibration, FLOOR)
    # The other advice is about the level that a resolution is for.
    doubtful = calibration.floor.outcome is Outcome.NOT_MONOTONE
    return found if doubtful else replace(found, advice=None)


def _answer(c: Crossing, calibration: CalibrationResult, symbol: str) -> Answer:
    camera, known = calibration.camera, c.resolution is not None
    return Answer(
        level=c.level,
        next_level=c.next_level,
        symbol=symbol,
        resolution=c.resolution,
        bracket=(c.upper, c.resolution)
        if c.upper is not None and c.resolution is not None
        else None,
        confidence=percent_short(c.confidence),
        interval=covering(c) if known else "",
        distance=camera.told_at(c.upper, c.resolution)
        if camera is not None and c.resolution is not None
        else None,
        text=_measured(c, calibration.curve(c.level)),
        advice=_advice(c),
        limit=_input_limit(c, calibration.protocol),
    )


def _measured(crossing: Crossing, curve: CalibrationCurve) -> str:
    """What happened to one level on the way down, with figures and n."""
    who = sentence(f"{crossing.level} accuracy")
    asked = threshold(crossing, curve)
    top = curve.points[0]
    n = f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{top.n:,} images"

    def value(point: AccuracyPoint) -> str:
        return _value(point, crossing.threshold)

    if crossing.outcome is Outcome.BELOW_AT_NATIVE:
        return (
            f"{who} is {value(top)} even on the native images, already below the "
            f"threshold of {asked} ({n}). So there is no resolution to report."
        )
    if crossing.outcome is Outcome.NEVER_BELOW or crossing.resolution is None:
        last = curve.points[-1]
        return (
            f"{who} never falls below {asked}: at {pixels(last.resolution)}, the lowest "
            f"resolution measured, it is still {value(last)} ({n})."
        )
    at = f"{value(_point(curve, crossing.resolution))} at {pixels(crossing.resolution)}"
    if crossing.outcome is Outcome.BELOW_AT_START or crossing.upper is None:
        return f"{who} is already below {asked} where its search starts: {at} ({n})."
    before = f"{value(_point(curve, crossing.upper))} at {pixels(crossing.upper)}"
    text = f"{who} is {before} and {at}, the first grid point below {asked} ({n})."
    if crossing.outcome is Outcome.NOT_MONOTONE:
        text += " Lower down it rises above the threshold again, by more than chance explains."
    return text


def _advice(crossing: Crossing) -> str | None:
    """What to do about an answer that is missing or doubtful."""
    if crossing.outcome is Outcome.BELOW_AT_NATIVE:
        largest = crossing.largest_threshold
        text = (
            f"The largest threshold that the native accuracy would meet is {largest:.2f}. "
            if largest is not None
            else "No threshold would be met. "
        )
        return (
            f"{text}Run c2f calibrate again with --relative (the threshold becomes a share of the "
            "native accuracy), with a lower threshold, or with a stronger classifier."
        )
    if crossing.outcome is Outcome.NEVER_BELOW:
        return (
            "Run c2f calibrate again with a grid that goes lower (--lowest), or with a higher "
            "threshold, if a resolution is needed for this level."
        )
    if crossing.outcome is Outcome.BELOW_AT_START:
        return (
            f"{sentence(plural(crossing.level))} and the finer level get the same resolution; "
            "a lower threshold for this level would separate them."
        )
    if crossing.outcome is Outcome.NOT_MONOTONE:
        return (
            "Look at the curve before using this resolution: more than one crossing exists. "
            "c2f calibrate --full-curve measures all of it."
        )
    return None


def _input_limit(crossing: Crossing, protocol: Protocol) -> str | None:
    """Said where a crossing lies at the top of what the network can see."""
    if not crossing.limited_by_input:
        return None
    return (
        f"Limited by network input: this crossing lies within 10\N{NO-BREAK SPACE}% of "
        f"{pixels(protocol.cap)}, the highest resolution the grid can show "
        f"({protocol.cap_reason}). It says as much about the network as about the images."
    )


def _value(point: AccuracyPoint, against: float) -> str:
    """Accuracy with its interval; more digits where rounding would hide the side it lies on."""
    digits = next((d for d in (1, 2, 3) if percent(point.accuracy, d) != percent(against, d)), 1)
    return f"{percent(point.accuracy, digits)} ({interval(point.low, point.high)})"


def _point(curve: CalibrationCurve, resolution: int) -> AccuracyPoint:
    # The native point carries the cap as its resolution: a reduced one comes first.
    there = sorted((p for p in curve.points if p.resolution == resolution), key=lambda p: p.native)
    if not there:
        raise ArtefactError(
            f"calibration: the {curve.level} curve has no point at {resolution} px, its answer",
            "The stored result is damaged: run `c2f calibrate` again.",
        )
    return there[0]
