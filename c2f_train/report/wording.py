"""Numbers and names in words: the same figure reads the same everywhere in the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from c2f_data.calibration import CalibrationResult, Protocol
from c2f_data.curve import AccuracyPoint, CalibrationCurve, Crossing, Outcome
from c2f_train.results import LevelAccuracy, RunResult

PLURALS = {
    "species": "species",
    "genus": "genera",
    "family": "families",
    "order": "orders",
    "class": "classes",
    "make": "makes",
    "model": "models",
    "variant": "variants",
    "subspecies": "subspecies",
}
MODEL_NAMES = {"mlph": "MLPH", "mlp": "MLP", "hbp": "HBP"}
SCHEMES = {
    "held-out validation": "validation images",
    "cross-validation": "training images (each by a model that has not seen it)",
    "official test": "test images",
}
THREE = ("low", "med", "high")


def plural(level: str) -> str:
    """'genera' for genus; '<level> classes' for a name that isn't known."""
    return PLURALS.get(level.casefold(), f"{level} classes")


def counted(level: str, count: int) -> str:
    """'113 genera', '1 family'."""
    return f"{count:,} {level if count == 1 else plural(level)}"


def suffix(levels: Sequence[str], level: str) -> str:
    """What stands behind I and r: high, med, low for three levels, else the level's name."""
    return THREE[levels.index(level)] if len(levels) == len(THREE) else level


def percent(share: float, digits: int = 1) -> str:
    """'79.1 %', with a no-break space; shares lie in [0, 1]."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def percent_short(share: float) -> str:
    """A threshold: '80 %' when whole, else with a decimal."""
    whole = abs(100 * share - round(100 * share)) < 0.05
    return percent(share, 0 if whole else 1)


def pixels(value: int) -> str:
    """'112 px', with a no-break space."""
    return f"{value:,}\N{NO-BREAK SPACE}px"


def interval(low: float, high: float) -> str:
    """'78.0–80.1 %'."""
    return f"{span(low, high)}\N{NO-BREAK SPACE}%"


def span(low: float, high: float) -> str:
    """'78.0–80.1', for a table whose caption gives the unit."""
    return f"{100 * low:.1f}\N{EN DASH}{100 * high:.1f}"


def listed(parts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence(text: str) -> str:
    """First letter upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def threshold(crossing: Crossing) -> str:
    """'80 %', or '80 % of the native accuracy (69.6 %)' for a relative threshold."""
    if crossing.relative:
        share = percent_short(crossing.factor)
        return f"{share} of the native accuracy (so {percent(crossing.threshold)})"
    return percent_short(crossing.threshold)


def possible_range(crossing: Crossing) -> str:
    """The resolutions between which the crossing lies, as far as the intervals can tell."""
    low, high = crossing.interval_low, crossing.interval_high
    if low is not None and high is not None:
        if low == high:
            return pixels(low)
        return f"{min(low, high):,}\N{EN DASH}{pixels(max(low, high))}"
    if low is not None:
        return f"{pixels(low)} or more (upper end not determined)"
    if high is not None:
        return f"{pixels(high)} or less (lower end not determined)"
    return "not determined by these images"


def classifier(protocol: Protocol) -> str:
    """Who did the telling."""
    if protocol.classifier == "probe":
        return f"a linear probe on {protocol.backbone} features"
    if protocol.classifier == "finetune":
        return f"a fine-tuned {protocol.backbone}"
    return f"the classifier {PurePath(protocol.classifier).name} ({protocol.backbone})"


def headline(calibration: CalibrationResult) -> str:
    """The answer in one sentence for a reader who was not there."""
    told = [
        (plural(c.level), f"down to about {pixels(c.resolution)}")
        for c in calibration.crossings
        if c.resolution is not None
    ]
    parts = []
    if told:
        (first, how), rest = told[0], told[1:]
        others = [f"{who} {where}" for who, where in rest]
        parts.append(listed([f"{first} can be told {how}", *others]))
    parts += _unanswered(calibration)
    return f"On these {calibration.protocol.n:,} images {'; '.join(parts)}."


def _unanswered(calibration: CalibrationResult) -> list[str]:
    """Levels without a resolution, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for crossing in calibration.crossings:
        if crossing.outcome is Outcome.NEVER_BELOW:
            lowest = calibration.curve(crossing.level).points[-1].resolution
            reason = f"can still be told at the lowest resolution measured, {pixels(lowest)}"
        elif crossing.resolution is None:
            reason = f"stay below {threshold(crossing)} accuracy even at native resolution"
        else:
            continue
        reasons.setdefault(reason, []).append(plural(crossing.level))
    return [f"{listed(names)} {reason}" for reason, names in reasons.items()]


def ranges(calibration: CalibrationResult) -> str:
    """The possible range of every answer in one sentence; empty without an answer."""
    each = [
        f"{possible_range(c)} for {plural(c.level)}"
        for c in calibration.crossings
        if c.resolution is not None
    ]
    return (
        f"With 95\N{NO-BREAK SPACE}% intervals the possible range is {listed(each)}."
        if each
        else ""
    )


def meaning(calibration: CalibrationResult) -> str:
    """What 'told' means in the headline: threshold, n, who did it."""
    protocol = calibration.protocol
    told = (
        f"“Told” means that {classifier(protocol)} reaches {_asked(calibration.crossings)} on the "
        f"same {protocol.n:,} {SCHEMES.get(protocol.scheme, 'images')} at every resolution; the "
        "resolution is the shorter side of the image."
    )
    return f"{ranges(calibration)} {told}".strip()


def _asked(crossings: Sequence[Crossing]) -> str:
    """All thresholds in one phrase, the common case first."""
    same = len({(c.relative, c.factor) for c in crossings}) == 1
    if same and crossings[0].relative:
        each = [f"{percent(c.threshold)} for {plural(c.level)}" for c in crossings]
        share = percent_short(crossings[0].factor)
        return f"at least {share} of its accuracy on the native images (so {listed(each)})"
    if same:
        return f"an accuracy of at least {threshold(crossings[0])}"
    each = [f"{threshold(c)} for {plural(c.level)}" for c in crossings]
    return f"an accuracy of at least {listed(each)}"


def run_sentence(run: RunResult, *, calibrated: bool) -> str:
    """What the main run reached, with n; ``calibrated``: it follows the calibration's answer."""
    if not run.test:
        return f"Run “{run.name}” has no test accuracy."
    parts = [
        f"{percent(entry.accuracy)} for {plural(entry.level)}{_at(entry)}"
        for entry in reversed(run.test)
    ]
    model = MODEL_NAMES[run.config.model]
    who = f"Trained on images at these resolutions, {model}" if calibrated else model
    return f"{who} reaches an accuracy of {listed(parts)} on {run.test[-1].n:,} test images."


def _at(entry: LevelAccuracy) -> str:
    if entry.native:
        return " (native images)"
    return "" if entry.resolution is None else f" (at {pixels(entry.resolution)})"


def crossing_sentence(crossing: Crossing, curve: CalibrationCurve) -> str:
    """What happened to one level on the way down, with figures and n."""
    who = sentence(f"{crossing.level} accuracy")
    asked = threshold(crossing)
    n = f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{curve.native.n:,} images"

    def value(point: AccuracyPoint) -> str:
        return _value(point, crossing.threshold)

    if crossing.outcome is Outcome.BELOW_AT_NATIVE:
        return (
            f"{who} is {value(curve.native)} even on the native images, already below the "
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
    text = f"{who} is {before} and {at}, the first measured resolution below {asked} ({n})."
    if crossing.outcome is Outcome.NOT_MONOTONE:
        text += " Lower down it rises above the threshold again, by more than chance explains."
    return text


def advice(crossing: Crossing) -> str | None:
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
            "Run c2f calibrate again with a sweep that goes lower, or with a higher threshold, "
            "if a resolution is needed for this level."
        )
    if crossing.outcome is Outcome.BELOW_AT_START:
        return (
            f"{sentence(plural(crossing.level))} and the finer level get the same resolution; "
            "a lower threshold for this level would separate them."
        )
    if crossing.outcome is Outcome.NOT_MONOTONE:
        return "Look at the curve before using this resolution: more than one crossing exists."
    return None


def input_limit(crossing: Crossing, protocol: Protocol) -> str | None:
    """Said where a crossing lies at the top of what the network can see."""
    if not crossing.limited_by_input:
        return None
    return (
        f"Limited by network input: this crossing lies within 10\N{NO-BREAK SPACE}% of "
        f"{pixels(protocol.cap)}, the highest resolution the sweep can see "
        f"({protocol.cap_reason}). It says as much about the network as about the images."
    )


def _value(point: AccuracyPoint, against: float) -> str:
    """Accuracy with its interval; more digits where rounding would hide the side it lies on."""
    digits = next((d for d in (1, 2, 3) if percent(point.accuracy, d) != percent(against, d)), 1)
    return f"{percent(point.accuracy, digits)} ({interval(point.low, point.high)})"


def _point(curve: CalibrationCurve, resolution: int) -> AccuracyPoint:
    # The native point carries the sweep's cap as its resolution: a reduced one comes first.
    reduced = [p for p in curve.points if p.resolution == resolution and not p.native]
    return (reduced or [p for p in curve.points if p.resolution == resolution])[0]
