"""From predictions down the sweep to the crossings, and to the result as it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from c2f_data.calibration import CalibrationResult, LevelResolution, Protocol
from c2f_data.curve import Crossing, Outcome, accuracy_curve, locate_crossing
from c2f_data.predictions import Predictions
from c2f_data.provenance import collect
from c2f_train.calibration_plan import CalibrateConfig, Plan
from c2f_train.device import describe_device

# Points measured below the last crossing, to see whether the accuracy comes back.
CONFIRMING_POINTS = 2


def find_crossings(
    predictions: Sequence[Predictions], config: CalibrateConfig, cap: int
) -> tuple[Crossing, ...]:
    """Every level's crossing, fine to coarse; each goes on from the finer level's answer."""
    levels = predictions[0].levels
    thresholds = dict(config.thresholds)
    crossings: list[Crossing] = []
    start = None
    for position in range(len(levels) - 1, 0, -1):
        crossing = locate_crossing(
            predictions,
            levels[position],
            levels[position - 1],
            thresholds[levels[position]],
            relative=config.relative,
            start=start,
            cap=cap,
        )
        crossings.append(crossing)
        start = crossing.resolution
    return tuple(crossings)


def finished(done: Sequence[Predictions], plan: Plan) -> bool:
    """Whether what is measured answers every threshold, with a look below the last answer."""
    if plan.config.full_curve:
        return False
    crossings = find_crossings(done, plan.config, plan.protocol.cap)
    if any(crossing.resolution is None for crossing in crossings):
        return False
    last = crossings[-1].resolution or 0
    below = sum(1 for p in done if not p.native and p.resolution < last)
    return below >= CONFIRMING_POINTS


def make_result(plan: Plan, predictions: Sequence[Predictions]) -> CalibrationResult:
    """Read the crossings off the measured points and say how they were measured."""
    index, protocol = plan.index, plan.protocol
    crossings = find_crossings(predictions, plan.config, protocol.cap)
    taxonomy = index.taxonomy
    found = {crossing.next_level: crossing.resolution for crossing in crossings}
    levels = tuple(
        LevelResolution(
            name=level,
            count=taxonomy.count(level),
            resolution=protocol.native_side if level == taxonomy.finest else found[level],
            native=level == taxonomy.finest,
        )
        for level in taxonomy.levels
    )
    return CalibrationResult(
        dataset=index.dataset,
        layout=index.layout,
        levels=levels,
        protocol=protocol,
        curves=tuple(accuracy_curve(predictions, level) for level in taxonomy.levels),
        crossings=crossings,
        predictions=f"{plan.folder_name}/predictions",
        index_fingerprint=index.fingerprint,
        taxonomy_fingerprint=taxonomy.fingerprint,
        images_evaluated=len(predictions) * protocol.n,
        warnings=(*index.warnings, *_warnings(index.dataset, protocol, crossings)),
        provenance=collect(device=describe_device(plan.device), seed=plan.config.seed),
    )


def _warnings(dataset: str, protocol: Protocol, crossings: Sequence[Crossing]) -> list[str]:
    warnings = []
    for crossing in crossings:
        what = f"{crossing.level} accuracy"
        if crossing.outcome is Outcome.NOT_MONOTONE:
            warnings.append(
                f"{what} rises above its threshold again below {crossing.resolution} px"
            )
        if crossing.outcome is Outcome.BELOW_AT_START:
            warnings.append(
                f"{what} is already below its threshold at {crossing.resolution} px, where the "
                f"finer level ended: {crossing.next_level} images get that resolution"
            )
        if crossing.limited_by_input:
            warnings.append(
                f"the crossing at {crossing.resolution} px is limited by network input: "
                f"the sweep starts at {protocol.cap} px"
            )
    if dataset == "cub" and protocol.weights != "from scratch":
        warnings.append(
            "CUB-200-2011 and ImageNet share some images: pretrained weights may have seen them"
        )
    return warnings
