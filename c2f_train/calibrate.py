"""Find r_med and r_low: train or load classifiers, measure down the sweep, read the crossings.

Section 2 of the paper: a species classifier trained on I_high loses accuracy as the resolution
falls; where it drops below t_med is r_med. Then the objective becomes genus, and the same from
r_med downwards with t_low gives r_low. With L levels there are L - 1 thresholds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from c2f_data.artefacts import remove_leftovers, write_json
from c2f_data.calibration import CalibrationResult, write_result
from c2f_data.index import DatasetIndex
from c2f_data.provenance import command_line
from c2f_train.backbones import Backbone
from c2f_train.calibration_plan import CalibrateConfig, Plan, make_plan
from c2f_train.calibration_result import find_crossings, finished, make_result
from c2f_train.classifier import (
    FINETUNE,
    PROBE,
    Trainer,
    has_trained,
    recipe_for,
    trained_classifiers,
)
from c2f_train.data import FilePictures
from c2f_train.device import describe_device, seed_everything
from c2f_train.inference import extract_features
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress
from c2f_train.sweep import Measurement

__all__ = ["CalibrateConfig", "calibrate", "find_crossings"]

LONG_SECONDS = 30 * 60
SAMPLE = 8


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
    plan = make_plan(index, config, device)
    own = folder / plan.folder_name
    remove_leftovers(own)
    _write_split(own, plan)
    progress.note(_announcement(plan))
    measurement = Measurement(
        index=index,
        evaluation=plan.evaluation,
        spec=plan.protocol.spec,
        cap=plan.protocol.cap,
        device=device,
        precision=plan.precision,
        workers=config.workers,
        folder=own / "predictions",
        progress=progress,
    )
    predictions = measurement.run(
        plan.sweep,
        lambda: _models(plan, own, len(measurement.missing(plan.sweep)), progress),
        lambda done: finished(done, plan),
    )
    result = make_result(plan, predictions)
    write_result(folder / "result.json", result)
    return result


def _models(
    plan: Plan, own: Path, points: int, progress: Progress
) -> tuple[HierarchicalClassifier, ...]:
    """The classifiers of every fold, on the device; called when there is something to measure."""
    backbone = plan.backbone
    if backbone is None:
        return tuple(model.to(plan.device) for model in plan.loaded)
    backbone.check_input(plan.protocol.spec.crop)
    kind = plan.protocol.classifier
    trainer = Trainer(
        kind=kind,
        index=plan.index,
        evaluation=plan.evaluation,
        spec=plan.protocol.spec,
        device=plan.device,
        precision=plan.precision,
        seed=plan.config.seed,
        workers=plan.config.workers,
        folder=own,
        key=plan.key,
        progress=progress,
    )
    recipe = recipe_for(backbone, plan.config.epochs)
    epochs = recipe.epochs if kind == FINETUNE else 0
    _announce_cost(trainer, backbone, points, epochs)
    return trained_classifiers(trainer, backbone, recipe)


def _write_split(folder: Path, plan: Plan) -> None:
    evaluation = plan.evaluation
    ids = tuple(plan.index.records[i].image_id for i in evaluation.positions)
    record = SplitRecord(evaluation.scheme, evaluation.seed, ids, evaluation.folds)
    write_json(folder / "split.json", record, schema="c2f-split", version=1)


def _announcement(plan: Plan) -> str:
    protocol = plan.protocol
    kind = {PROBE: "linear probe on frozen features", FINETUNE: "fine-tuning"}
    return (
        f"Classifier: {kind.get(protocol.classifier, protocol.classifier)}, {protocol.backbone} "
        f"({protocol.weights}), {protocol.spec.crop} px input, {protocol.precision} on "
        f"{describe_device(plan.device)}. Measured on n = {protocol.n} images "
        f"({protocol.scheme} of {plan.index.dataset})."
    )


def _announce_cost(trainer: Trainer, backbone: Backbone, points: int, epochs: int) -> None:
    """Say how long it will take, from a measurement on a few images, before it starts."""
    sample = FilePictures(trainer.index, trainer.evaluation.positions[:SAMPLE])
    model = trainer.new_model(backbone).to(trainer.device)
    arguments = (trainer.spec, trainer.device, trainer.precision)
    # The first pass also pays for set-up that the others don't.
    extract_features(
        model, FilePictures(trainer.index, sample.positions[:2]), *arguments, workers=0
    )
    started = time.perf_counter()
    extract_features(model, sample, *arguments, workers=0)
    seconds = (time.perf_counter() - started) / len(sample)
    if has_trained(trainer):
        passes, epochs = 0, 0
    else:
        trained = sum(len(part) for part in trainer.evaluation.train) * epochs
        # A training step costs about three forward passes; a probe needs one over the images.
        passes = 3 * trained or len(trainer.evaluation.train[0])
    total = (trainer.evaluation.n * points + passes) * seconds
    trainer.progress.note(
        f"At most {_duration(total)}: {points} resolutions"
        + (f" and {epochs} epochs of training" if epochs else "")
        + f", {1000 * seconds:.0f} ms an image (measured on {len(sample)} images)."
    )
    if total > LONG_SECONDS:
        smaller = max(64, trainer.spec.crop // 2)
        probe = " --classifier probe" if epochs and backbone.source != "from scratch" else ""
        trainer.progress.note(
            f"Cheaper (Ctrl-C, then): {command_line()} "
            f"--input-size {smaller} --points {max(6, points // 2)}{probe}"
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
