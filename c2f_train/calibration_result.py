"""From what a search found to the result as it is stored."""

from __future__ import annotations

from c2f_data.calibration import CalibrationResult, LevelResolution
from c2f_data.confidence import TemperatureFit
from c2f_data.curve import Outcome, accuracy_curve
from c2f_data.provenance import collect
from c2f_train.calibration_plan import Plan
from c2f_train.calibration_search import Found
from c2f_train.device import describe_device


def make_result(plan: Plan, found: Found) -> CalibrationResult:
    """Bind what a search found to how it was measured."""
    index, protocol, config = plan.index, plan.protocol, plan.config
    taxonomy = index.taxonomy
    resolutions = {crossing.next_level: crossing.resolution for crossing in found.crossings}
    levels = tuple(
        LevelResolution(
            name=level,
            count=taxonomy.count(level),
            resolution=protocol.native_side if level == taxonomy.finest else resolutions[level],
            native=level == taxonomy.finest,
        )
        for level in taxonomy.levels
    )
    return CalibrationResult(
        dataset=index.dataset,
        layout=index.layout,
        levels=levels,
        protocol=protocol,
        curves=tuple(
            accuracy_curve(rows, level, config.balanced)
            for level, rows in zip(taxonomy.levels, found.predictions, strict=True)
        ),
        crossings=found.crossings,
        predictions=f"{plan.folder_name}/predictions",
        index_fingerprint=index.fingerprint,
        taxonomy_fingerprint=taxonomy.fingerprint,
        images_evaluated=found.cost.images,
        warnings=(*index.warnings, *_warnings(plan, found)),
        provenance=collect(device=describe_device(plan.device), seed=config.seed),
        grid=(protocol.cap, *plan.sweep.resolutions),
        sweep_images=found.sweep.images,
        stopped_sweep_images=found.stopped_sweep.images,
        training_images=found.cost.training,
        sweep_training_images=found.sweep.training,
        search="full sweep" if config.full_curve else "bisection",
        accuracy="class-balanced" if config.balanced else "top-1",
        floor=found.floor,
        confidences=found.confidences,
        camera=config.camera,
    )


def _warnings(plan: Plan, found: Found) -> list[str]:
    dataset, protocol = plan.index.dataset, plan.protocol
    warnings = []
    if plan.external and protocol.images != "test":
        warnings.append(
            f"{protocol.classifier} may have been trained on the measured images: if so, measure "
            "on the test images (--images test)"
        )
    for crossing in found.crossings:
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
    if any(confidence.fit is TemperatureFit.NOT_KEPT for confidence in found.confidences):
        warnings.append(
            "confidences are as the classifier gave them: its scores at native resolution were "
            "not kept (too many, or from an earlier version)"
        )
    if dataset == "cub" and protocol.weights != "from scratch":
        warnings.append(
            "CUB-200-2011 and ImageNet share some images: pretrained weights may have seen them"
        )
    return warnings
