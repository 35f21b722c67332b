"""How a calibration was measured and what it cost, in words."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.calibration import CalibrationResult
from c2f_data.camera import Camera
from c2f_data.confidence import TemperatureFit
from c2f_data.curve.logistic import LogisticFit
from c2f_train.report.figures import asked
from c2f_train.report.wording import classifier, listed, percent, pixels, sentence, threshold

SEARCHES = {
    "bisection": (
        "The resolutions were searched by bisection: each one that was looked at got random images "
        "until it was sure on which side of the threshold accuracy lies; the answer and its "
        "neighbours were measured on all images, outwards to where both sides are sure. This "
        "assumes that accuracy falls with the resolution; two further resolutions above the answer "
        "were looked at to catch a curve that does not."
    ),
    "full sweep": "Every resolution was measured on all images.",
    "stored predictions": (
        "The answers were read off the predictions that an earlier calibration had kept; no "
        "network was run. Between two kept resolutions nothing is known, so a bracket can be wide."
    ),
}


def cost(calibration: CalibrationResult) -> str:
    """What the network did, beside a full sweep and one that stops at each crossing."""
    used, sweep = calibration.images_evaluated, calibration.sweep_images
    if used == 0:
        return "no network was run: read off predictions that were kept"
    full = f"{used:,} of {sweep:,} images × resolutions, {_share(calibration.fraction)} of the full"
    stopped = _share(used / calibration.stopped_sweep_images)
    return (
        f"{full} sweep; {stopped} of a sweep from the top that stops at the last crossing"
        + _retraining(calibration)
    )


def _retraining(calibration: CalibrationResult) -> str:
    """The part of the cost that is training, where classifiers were trained again."""
    used, sweep = calibration.training_images, calibration.sweep_training_images
    return f"; {used:,} and {sweep:,} of these are training images" if sweep else ""


def bands(calibration: CalibrationResult) -> str:
    """What the interval of one point is."""
    if calibration.accuracy == "top-1":
        return "95\N{NO-BREAK SPACE}% Wilson intervals"
    return "95\N{NO-BREAK SPACE}% intervals of the mean over the classes"


def _share(value: float) -> str:
    return percent(value, 0 if value >= 0.1 else 1)


def facts(calibration: CalibrationResult) -> list[tuple[str, str]]:
    """(name, words) of what a reader has to know to judge the answer."""
    protocol, device = calibration.protocol, calibration.provenance.device
    rows = [
        (
            "calibration",
            f"{sentence(classifier(protocol))}, {protocol.scheme}, {protocol.n:,} images"
            + (f", {device}" if device != "none" else ""),
        ),
        ("search", f"{calibration.search} over {len(calibration.grid)} resolutions"),
        ("cost", cost(calibration)),
        ("classifiers", _classifiers(calibration)),
        ("accuracy", _accuracy(calibration)),
        ("reduction", protocol.spec.described),
    ]
    if calibration.confidences:
        rows.append(("confidences", _confidences(calibration)))
    if calibration.camera is not None:
        rows.append(("camera", _camera(calibration.camera)))
    return rows


def thresholds(calibration: CalibrationResult) -> list[tuple[str, str]]:
    """(level, words) of every threshold, fine to coarse, the floor's last."""
    return [
        (f"threshold for {c.level}", threshold(c, calibration.curve(c.level)))
        for c in asked(calibration)
    ]


def fits(calibration: CalibrationResult, found: Sequence[LogisticFit | None]) -> list[str]:
    """A sentence on each level's fit, fine to coarse."""
    pairs = zip(calibration.curves, found, strict=True)
    return [_fit(curve.level, fit) for curve, fit in reversed(list(pairs))]


def _fit(level: str, fit: LogisticFit | None) -> str:
    who = sentence(level)
    if fit is None:
        return f"{who}: no fit (too few resolutions, or accuracy does not fall beyond chance)."
    return (
        f"{who}: half-way at {2**fit.log2_midpoint:.1f}\N{NO-BREAK SPACE}px, from "
        f"{percent(fit.guess)} up to {percent(1 - fit.lapse)}; deviance {fit.deviance:.1f} with "
        f"{fit.degrees_of_freedom} degrees of freedom."
    )


def _classifiers(calibration: CalibrationResult) -> str:
    """What they were trained on, and whether the coarser levels have their own."""
    protocol, levels = calibration.protocol, calibration.levels
    coarser = " and ".join(level.name for level in reversed(levels[:-1]))
    trained = {
        "fixed": "trained once, on the native images",
        "retrained": "trained again at every resolution that was measured",
    }.get(protocol.training, protocol.training)
    if protocol.genus_train == "med":
        where = levels[-2].resolution
        at = "the finer level’s answer" if where is None else pixels(where)
        trained += f"; those of {coarser} on images at {at}"
    if protocol.genus_accuracy == "own":
        whose = "a classifier of its own for each level"
    else:
        whose = f"{coarser} scores are summed up from those of {levels[-1].name}"
    return f"{trained}; {whose}"


def _accuracy(calibration: CalibrationResult) -> str:
    if calibration.accuracy == "top-1":
        return "share of images whose class is named first (top-1)"
    return "mean of the classes’ own accuracies (class-balanced)"


def _confidences(calibration: CalibrationResult) -> str:
    """Temperatures and what they did to the expected calibration error, fine to coarse."""
    levels = calibration.confidences[::-1]
    fit = levels[0].fit
    if fit is not TemperatureFit.FITTED:
        errors = listed([f"{v.level} {v.ece_after:.3f}" for v in levels])
        return f"expected calibration error {errors}; temperature {fit}"
    errors = listed(
        [
            f"{v.level} {v.ece_before:.3f} before and {v.ece_after:.3f} after "
            f"(temperature {v.temperature:.2f})"
            for v in levels
        ]
    )
    return f"expected calibration error {errors}; temperatures {fit}"


def _camera(camera: Camera) -> str:
    return (
        f"{camera.pixels_per_metre:g} pixels a metre at a distance of 1 m, an object of "
        f"{camera.object_metres:g} m that fills {percent(camera.share, 0)} of the shorter side"
    )
