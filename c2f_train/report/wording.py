"""Numbers and names in words: the same figure reads the same everywhere in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

from c2f_data.calibration import Protocol
from c2f_data.curve import CalibrationCurve, Crossing
from c2f_data.hierarchy.formats import PLURALS
from c2f_train.pooling import MODELS

MODEL_NAMES = {name: model.title for name, model in MODELS.items()}
SCHEMES = {
    "held-out validation": "validation images",
    "cross-validation": "training images (each by a model that has not seen it)",
    "official test": "test images",
}
THREE = ("low", "med", "high")
# What stands behind r where even the coarsest level is lost.
FLOOR = "floor"


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


def points(difference: float, digits: int = 1) -> str:
    """A difference of shares in percentage points, with its sign: '+1.4', '−0.2'."""
    shown = f"{abs(100 * difference):.{digits}f}"
    if float(shown) == 0:
        return shown
    return f"{'+' if difference > 0 else chr(0x2212)}{shown}"


def listed(parts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def sentence(text: str) -> str:
    """First letter upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def threshold(crossing: Crossing, curve: CalibrationCurve) -> str:
    """'80 %', or '80 % of the native accuracy (69.6 %)' for a relative threshold."""
    if crossing.relative:
        share, top = percent_short(crossing.factor), curve.points[0]
        own = "the native accuracy" if top.native else f"the accuracy at {pixels(top.resolution)}"
        return f"{share} of {own} (so {percent(crossing.threshold)})"
    return percent_short(crossing.threshold)


def covering(crossing: Crossing) -> str:
    """'43–50 px': the interval that covers the crossing, or what is known of it."""
    low, high = crossing.interval
    if low is not None and high is not None:
        return pixels(low) if low == high else f"{low:,}\N{EN DASH}{pixels(high)}"
    if low is not None:
        return f"{pixels(low)} or more (upper end not determined)"
    if high is not None:
        return f"{pixels(high)} or less (lower end not determined)"
    return "not determined by these images"


def metres(distance: float) -> str:
    """'12.5 m', to three digits; '1,250 m' where there are more before the point."""
    digits = max(0, 2 - math.floor(math.log10(distance)))
    return f"{distance:,.{min(digits, 6)}f}\N{NO-BREAK SPACE}m"


def classifier(protocol: Protocol) -> str:
    """Who did the telling."""
    if protocol.classifier == "probe":
        return f"a linear probe on {protocol.backbone} features"
    if protocol.classifier == "finetune":
        return f"a fine-tuned {protocol.backbone}"
    return f"the classifier {PurePath(protocol.classifier).name} ({protocol.backbone})"
