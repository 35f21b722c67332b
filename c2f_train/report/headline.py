"""The page's first sentences: the answer, how sure it is, what it means."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import Crossing, Outcome
from c2f_data.sources.request import annotated
from c2f_train.report.wording import (
    MODEL_NAMES,
    SCHEMES,
    classifier,
    covering,
    listed,
    percent,
    percent_short,
    pixels,
    plural,
    sentence,
    threshold,
)
from c2f_train.results import LevelAccuracy, RunResult


def headline(calibration: CalibrationResult | None, runs: Sequence[RunResult]) -> tuple[str, ...]:
    """All of them, the answer first; n stands in each part."""
    sentences = []
    if calibration is not None:
        sentences += [_answer(calibration), _meaning(calibration)]
        if calibration.floor is not None:
            sentences.append(_floor(calibration, calibration.floor))
    if runs:
        sentences.append(_run(runs[0], calibrated=calibration is not None))
    return tuple(sentences)


def _answer(calibration: CalibrationResult) -> str:
    """The answer in one sentence for a reader who was not there."""
    told = [
        (plural(c.level), _how_far(c)) for c in calibration.crossings if c.resolution is not None
    ]
    parts = []
    if told:
        (first, how), rest = told[0], told[1:]
        others = [f"{who} {where}" for who, where in rest]
        parts.append(listed([f"{first} can be told {how}", *others]))
    parts += _unanswered(calibration) + _doubtful(calibration)
    return f"On these {calibration.protocol.n:,} images {'; '.join(parts)}."


def _how_far(crossing: Crossing) -> str:
    """'down to 112 px (104–121)'."""
    assert crossing.resolution is not None
    if crossing.outcome is Outcome.BELOW_AT_START:
        return "no further"
    return f"down to {pixels(crossing.resolution)}{_bracketed(crossing)}"


def _bracketed(crossing: Crossing) -> str:
    """' (104–121)', or what is known of the interval; the unit stands before it."""
    low, high = crossing.interval
    if low is not None and high is not None:
        return f" ({low:,}\N{EN DASH}{high:,})" if low != high else f" ({low:,})"
    if low is not None:
        return f" ({low:,} or more)"
    return "" if high is None else f" ({high:,} or less)"


def _doubtful(calibration: CalibrationResult) -> list[str]:
    """What a reader of one sentence must not miss about the answers in it."""
    crossings = calibration.crossings
    again = [plural(c.level) for c in crossings if c.outcome is Outcome.NOT_MONOTONE]
    limited = [plural(c.level) for c in crossings if c.limited_by_input]
    found = []
    if again:
        found.append(f"{listed(again)} can be told again further down, so look at the curve first")
    if limited:
        found.append(f"for {listed(limited)} the limit may be the network’s input, not the images")
    return found


def _unanswered(calibration: CalibrationResult) -> list[str]:
    """Levels without a resolution, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for crossing in calibration.crossings:
        curve = calibration.curve(crossing.level)
        if crossing.outcome is Outcome.NEVER_BELOW:
            lowest = curve.points[-1].resolution
            reason = f"can still be told at the lowest resolution measured, {pixels(lowest)}"
        elif crossing.resolution is None:
            reason = f"stay below {threshold(crossing, curve)} accuracy even at native resolution"
        else:
            continue
        reasons.setdefault(reason, []).append(plural(crossing.level))
    return [f"{listed(names)} {reason}" for reason, names in reasons.items()]


def _floor(calibration: CalibrationResult, floor: Crossing) -> str:
    """Where even the coarsest level is lost."""
    who = plural(floor.level)
    if floor.resolution is not None:
        return (
            f"Below about {pixels(floor.resolution)} not even {who} can be told "
            f"({_interval(floor.confidence)} {covering(floor)})."
        )
    if floor.outcome is Outcome.NEVER_BELOW:
        lowest = calibration.curve(floor.level).points[-1].resolution
        return f"{sentence(who)} can be told at every resolution, down to {pixels(lowest)}."
    return f"Not even {who} can be told on the native images."


def _interval(confidence: float) -> str:
    return f"{percent_short(confidence)} interval"


def _intervals(calibration: CalibrationResult) -> str:
    """What the brackets of the answer are; empty without an answer."""
    answered = [c for c in calibration.crossings if c.resolution is not None]
    if not answered:
        return ""
    name = _interval(answered[0].confidence)
    open_ended = [c for c in answered if c.interval == (None, None)]
    text = f"In brackets: the {name} of the resolution at which accuracy crosses its threshold."
    if len(open_ended) == len(answered):
        return f"The {name} of these resolutions is not determined by these images."
    if open_ended:
        text += f" For {listed([plural(c.level) for c in open_ended])} it is not determined."
    return text


def _meaning(calibration: CalibrationResult) -> str:
    """What 'told' means in the headline: threshold, n, who did it."""
    protocol = calibration.protocol
    told = (
        f"“Told” means that {classifier(protocol)} reaches {_asked(calibration)} on the "
        f"same {protocol.n:,} {SCHEMES.get(protocol.scheme, 'images')} at every resolution; the "
        "resolution is the shorter side of the image."
    )
    return f"{_intervals(calibration)} {told}".strip()


def _asked(calibration: CalibrationResult) -> str:
    """All thresholds in one phrase, the common case first."""
    crossings = calibration.crossings
    balanced = calibration.accuracy != "top-1"
    what = "class-balanced accuracy" if balanced else "accuracy"
    kind = f"{'a' if balanced else 'an'} {what}"
    each = [threshold(c, calibration.curve(c.level)) for c in crossings]
    if len(set(each)) == 1:
        return f"{kind} of at least {each[0]}"
    own_top = all(calibration.curve(c.level).native.native for c in crossings)
    if own_top and len({(c.relative, c.factor) for c in crossings}) == 1:
        levels = [f"{percent(c.threshold)} for {plural(c.level)}" for c in crossings]
        share = percent_short(crossings[0].factor)
        return f"at least {share} of its {what} on the native images (so {listed(levels)})"
    named = [f"{words} for {plural(c.level)}" for words, c in zip(each, crossings, strict=True)]
    return f"{kind} of at least {listed(named)}"


def _run(run: RunResult, *, calibrated: bool) -> str:
    """What the main run reached, with n; ``calibrated``: it follows the calibration's answer."""
    if not run.test:
        return f"Run “{run.name}” has no test accuracy."
    parts = [
        f"{percent(entry.accuracy)} for {plural(entry.level)}{_at(entry)}"
        for entry in reversed(run.test)
    ]
    model, cut = MODEL_NAMES[run.config.model], annotated(run.crop)
    model += f"{cut}," if cut else ""
    who = f"Trained on images at these resolutions, {model}" if calibrated else model
    return f"{who} reaches an accuracy of {listed(parts)} on {run.test[-1].n:,} test images."


def _at(entry: LevelAccuracy) -> str:
    if entry.native:
        return " (native images)"
    return "" if entry.resolution is None else f" (at {pixels(entry.resolution)})"
