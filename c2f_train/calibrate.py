"""Find r_med and r_low: train or load classifiers, measure down the sweep, read the crossings.

Section 2 of the paper: a species classifier trained on I_high loses accuracy as the resolution
falls; where it drops below t_med is r_med. Then the objective becomes genus, and the same from
r_med downwards with t_low gives r_low. With L levels there are L - 1 thresholds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from c2f_data.artefacts import fingerprint, remove_leftovers, sha256_file, write_json
from c2f_data.calibration import CalibrationResult, LevelResolution, Protocol, write_result
from c2f_data.curve import Crossing, Outcome, accuracy_curve, locate_crossing
from c2f_data.decode import native_size
from c2f_data.errors import ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions
from c2f_data.provenance import collect
from c2f_data.resample import (
    DEFAULT_LOWEST,
    DEFAULT_POINTS,
    ResampleSpec,
    ResolutionSweep,
    input_cap,
)
from c2f_data.splits import Evaluation, ImagesChoice, make_evaluation
from c2f_train.backbones import Backbone, build_backbone, default_input_size
from c2f_train.classifier import (
    FINETUNE,
    POOLING,
    PROBE,
    Trainer,
    choose_kind,
    loaded_classifier,
    recipe_for,
    trained_classifiers,
)
from c2f_train.config import Fit
from c2f_train.data import FilePictures
from c2f_train.device import describe_device, pick_precision, seed_everything
from c2f_train.inference import extract_features
from c2f_train.model import HierarchicalClassifier, build_model
from c2f_train.progress import Progress
from c2f_train.sweep import Measurement

DEFAULT_THRESHOLD = 0.8
# Points measured below the last crossing, to see whether the accuracy comes back.
CONFIRMING_POINTS = 2
LONG_SECONDS = 30 * 60
SAMPLE = 8


@dataclass(frozen=True, slots=True)
class CalibrateConfig:
    """Settings of a calibration.

    Attributes:
        thresholds: level to threshold in (0, 1), for every level but the coarsest.
        relative: thresholds are shares of each level's own accuracy at native resolution.
        images: ``val`` (carved from train, or cross-validated) or ``test``.
        classifier: ``auto``, ``probe``, ``finetune``, or the folder of a saved model.
        backbone, weights, taps: see :func:`c2f_train.backbones.build_backbone`.
        input_size: side in pixels that the network sees; None: the backbone's usual one.
        sweep: resolutions in pixels, descending; empty: ``points`` geometric steps to ``lowest``.
        full_curve: measure the whole sweep, also below the last crossing.
        epochs: of fine-tuning; None: the recipe's.
    """

    thresholds: tuple[tuple[str, float], ...]
    relative: bool = False
    images: ImagesChoice = "val"
    classifier: str = "auto"
    backbone: str = "vgg16"
    weights: str | None = None
    taps: tuple[str, ...] = ()
    input_size: int | None = None
    fit: Fit = "shorter"
    sweep: tuple[int, ...] = ()
    points: int = DEFAULT_POINTS
    lowest: int = DEFAULT_LOWEST
    full_curve: bool = False
    epochs: int | None = None
    precision: str = "auto"
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        for level, value in self.thresholds:
            if not 0 < value < 1:
                raise ConfigError(
                    f"threshold {value:g} for {level}", "A threshold lies between 0 and 1: 0.8."
                )


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """split.json: the measured images and the fold that each belongs to."""

    scheme: str
    seed: int
    image_ids: tuple[str, ...]
    folds: tuple[int, ...]


def calibrate(
    index: DatasetIndex,
    config: CalibrateConfig,
    folder: Path,
    device: torch.device,
    progress: Progress,
) -> CalibrationResult:
    """Run a calibration, or go on with one that was interrupted.

    Args:
        folder: of this data set's calibrations. ``result.json`` is written last; every protocol
            keeps its split, classifier and predictions in a folder of its own, so that an
            earlier result stays intact and other thresholds need no network.

    Raises:
        ConfigError: thresholds, sweep or classifier make no sense for these images.
        ImageError: an image can't be decoded; it is named.
        ArtefactError: weights are missing, or the disk refused.
    """
    seed_everything(config.seed)
    _check_levels(index, config)
    evaluation = make_evaluation(index, config.images, config.seed)
    kind = choose_kind(config.classifier, config.backbone, config.weights, device)
    precision = pick_precision(config.precision, device)
    backbone: Backbone | None = None
    models: tuple[HierarchicalClassifier, ...] | None = None
    if kind in (PROBE, FINETUNE):
        backbone = build_backbone(config.backbone, config.weights, config.taps)
        spec = ResampleSpec.for_input(
            config.input_size or default_input_size(config.backbone), config.fit
        )
        backbone_name, source, taps = backbone.name, backbone.source, backbone.taps
    else:
        models, meta = loaded_classifier(Path(kind), index, evaluation)
        spec, backbone_name, source, taps = meta.spec, meta.backbone, meta.weights, meta.taps
    sides = _native_sides(index, evaluation)
    cap = input_cap(sides, spec)
    protocol = Protocol(
        classifier=kind,
        backbone=backbone_name,
        taps=taps,
        weights=source,
        weights_path=_absolute(config.weights),
        images=config.images,
        scheme=evaluation.scheme,
        n=evaluation.n,
        cap=cap,
        cap_reason=_cap_reason(sides, spec),
        native_side=int(np.median(sides)),
        spec=spec,
        precision=precision,
        seed=config.seed,
    )
    sweep = _sweep(config, cap, protocol.cap_reason)
    key = _key(index, config, protocol)
    own = folder / key[:12]
    remove_leftovers(own)
    _write_split(own, index, evaluation)
    progress.note(_announcement(protocol, index, device))
    trainer = Trainer(
        index=index,
        evaluation=evaluation,
        spec=spec,
        device=device,
        precision=precision,
        seed=config.seed,
        workers=config.workers,
        folder=own,
        key=key,
        progress=progress,
    )
    if models is None:
        assert backbone is not None
        recipe = recipe_for(backbone, config.epochs)
        epochs = recipe.epochs if kind == FINETUNE else 0
        _announce_cost(trainer, backbone, len(sweep.resolutions) + 1, epochs)
        models = trained_classifiers(trainer, backbone, kind, recipe)
    else:
        models = tuple(model.to(device) for model in models)
    measurement = Measurement(
        models=models,
        index=index,
        evaluation=evaluation,
        spec=spec,
        cap=cap,
        device=device,
        precision=precision,
        workers=config.workers,
        folder=own / "predictions",
        progress=progress,
    )

    def enough(done: Sequence[Predictions]) -> bool:
        return not config.full_curve and _finished(done, find_crossings(done, config, cap))

    predictions = measurement.run(sweep, enough)
    result = _result(index, config, protocol, predictions, f"{own.name}/predictions", device)
    write_result(folder / "result.json", result)
    return result


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


def _finished(done: Sequence[Predictions], crossings: Sequence[Crossing]) -> bool:
    if any(crossing.resolution is None for crossing in crossings):
        return False
    last = crossings[-1].resolution or 0
    below = sum(1 for p in done if not p.native and p.resolution < last)
    return below >= CONFIRMING_POINTS


def _check_levels(index: DatasetIndex, config: CalibrateConfig) -> None:
    wanted = set(index.taxonomy.levels[1:])
    given = {level for level, _ in config.thresholds}
    if given != wanted:
        odd = ", ".join(sorted(given ^ wanted))
        raise ConfigError(
            f"thresholds for {', '.join(sorted(given)) or 'no level'}; {odd} does not fit",
            "Give one for every level but the coarsest: "
            + " ".join(f"--threshold {level}=0.8" for level in index.taxonomy.levels[1:])
            + ".",
        )


def _native_sides(
    index: DatasetIndex, evaluation: Evaluation
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    sizes = [min(native_size(index.path(i))) for i in evaluation.positions]
    return np.asarray(sizes, dtype=np.int64)


def _cap_reason(sides: np.ndarray[tuple[int], np.dtype[np.int64]], spec: ResampleSpec) -> str:
    median = int(np.median(sides))
    if median <= spec.enlarge_to:
        return f"the images' median shorter side of {median} px"
    return f"the network's input, drawn from {spec.enlarge_to} px"


def _sweep(config: CalibrateConfig, cap: int, reason: str) -> ResolutionSweep:
    if not config.sweep:
        return ResolutionSweep.geometric(cap, lowest=config.lowest, points=config.points)
    chosen = ResolutionSweep(config.sweep)
    chosen.check_cap(cap, reason)
    below = tuple(r for r in chosen.resolutions if r < cap)
    return ResolutionSweep(below) if below else chosen


def _key(index: DatasetIndex, config: CalibrateConfig, protocol: Protocol) -> str:
    """Everything that determines a prediction; thresholds and sweep do not."""
    weights = config.weights
    if weights is not None and Path(weights).is_file():
        weights = sha256_file(Path(weights))
    classifier = protocol.classifier
    if classifier not in (PROBE, FINETUNE):
        classifier = sha256_file(Path(classifier) / "model.safetensors")
    plain = replace(protocol, classifier=classifier, weights_path=None)
    return fingerprint([index.fingerprint, plain, weights, config.epochs])


def _absolute(path: str | None) -> str | None:
    return str(Path(path).resolve()) if path is not None and Path(path).exists() else None


def _write_split(folder: Path, index: DatasetIndex, evaluation: Evaluation) -> None:
    ids = tuple(index.records[i].image_id for i in evaluation.positions)
    record = SplitRecord(evaluation.scheme, evaluation.seed, ids, evaluation.folds)
    write_json(folder / "split.json", record, schema="c2f-split", version=1)


def _announcement(protocol: Protocol, index: DatasetIndex, device: torch.device) -> str:
    kind = {PROBE: "linear probe on frozen features", FINETUNE: "fine-tuning"}
    return (
        f"Classifier: {kind.get(protocol.classifier, protocol.classifier)}, {protocol.backbone} "
        f"({protocol.weights}), {protocol.spec.crop} px input, {protocol.precision} on "
        f"{describe_device(device)}. Measured on n = {protocol.n} images "
        f"({protocol.scheme} of {index.dataset})."
    )


def _announce_cost(trainer: Trainer, backbone: Backbone, points: int, epochs: int) -> None:
    """Say how long it will take, from a measurement on a few images, before it starts."""
    sample = FilePictures(trainer.index, trainer.evaluation.positions[:SAMPLE])
    model = build_model(backbone, POOLING, 0, trainer.counts, trainer.seed).to(trainer.device)
    arguments = (trainer.spec, trainer.device, trainer.precision)
    # The first pass also pays for set-up that the others don't.
    extract_features(
        model, FilePictures(trainer.index, sample.positions[:2]), *arguments, workers=0
    )
    started = time.perf_counter()
    extract_features(model, sample, *arguments, workers=0)
    seconds = (time.perf_counter() - started) / len(sample)
    trained = sum(len(part) for part in trainer.evaluation.train) * epochs
    # A training step costs about three forward passes; a probe needs one pass over the images.
    passes = trainer.evaluation.n * points + (3 * trained or len(trainer.evaluation.train[0]))
    total = passes * seconds
    trainer.progress.note(
        f"At most {_duration(total)}: {points} resolutions"
        + (f" and {epochs} epochs of training" if epochs else "")
        + f", {1000 * seconds:.0f} ms an image (measured on {len(sample)} images)."
    )
    if total > LONG_SECONDS:
        smaller = max(64, trainer.spec.crop // 2)
        trainer.progress.note(
            f"Cheaper: --input-size {smaller} --points {max(6, points // 2)}"
            + (" --classifier probe" if epochs and backbone.source != "from scratch" else "")
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _result(
    index: DatasetIndex,
    config: CalibrateConfig,
    protocol: Protocol,
    predictions: Sequence[Predictions],
    where: str,
    device: torch.device,
) -> CalibrationResult:
    crossings = find_crossings(predictions, config, protocol.cap)
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
        predictions=where,
        index_fingerprint=index.fingerprint,
        taxonomy_fingerprint=taxonomy.fingerprint,
        images_evaluated=len(predictions) * protocol.n,
        warnings=(*index.warnings, *_warnings(index.dataset, protocol, crossings)),
        provenance=collect(device=describe_device(device), seed=config.seed),
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
