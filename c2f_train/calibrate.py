"""Find r_med and r_low: train or load classifiers, search the crossings, write the result.

Section 2 of the paper: a species classifier trained on I_high loses accuracy as the resolution
falls; where it drops below t_med is r_med. Then the objective becomes genus, and the same from
r_med downwards with t_low gives r_low. With L levels there are L - 1 thresholds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from c2f_data.artefacts import fingerprint, remove_leftovers
from c2f_data.calibration import CalibrationResult, write_result
from c2f_data.index import DatasetIndex
from c2f_data.lock import only_writer
from c2f_data.provenance import command_line
from c2f_data.splits import write_split
from c2f_train.answering import Classifier
from c2f_train.calibration_config import RETRAINED, ROLLED_UP, CalibrateConfig
from c2f_train.calibration_plan import Plan, make_plan
from c2f_train.calibration_result import make_result
from c2f_train.calibration_search import Found, search_levels
from c2f_train.classifier import has_trained, recipe_for, trained_classifiers
from c2f_train.data import FilePictures
from c2f_train.device import describe_device, seed_everything
from c2f_train.inference import extract_features
from c2f_train.measurement import Bench, Measurement
from c2f_train.model import HierarchicalClassifier
from c2f_train.probe_features import feature_file
from c2f_train.progress import Progress
from c2f_train.trainer import FINETUNE, PROBE, Trainer

__all__ = ["CalibrateConfig", "calibrate"]

LONG_SECONDS = 30 * 60
SAMPLE = 8
# Share of the full sweep that a search usually evaluates (docs/calibration.md), for the estimate.
USUAL_SHARE = 0.35
# Retraining at a resolution starts from the classifier on I_high and has this share of its epochs.
RETRAIN_SHARE = 4


class _NeedsNetworkError(Exception):
    """What is stored does not answer the question."""


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
            keeps its split, classifiers and predictions in a folder of its own, so that an
            earlier result stays intact and other thresholds need no network.

    Raises:
        ConfigError: thresholds, sweep or classifier make no sense for these images.
        ImageError: an image can't be decoded; it is named.
        ArtefactError: weights are missing, another process calibrates there, or the disk refused.
    """
    seed_everything(config.seed)
    plan = make_plan(index, config, device)
    own = folder / plan.folder_name
    with only_writer(own):
        return _calibrate(plan, folder, own, progress)


def _calibrate(plan: Plan, folder: Path, own: Path, progress: Progress) -> CalibrationResult:
    for place in (own, *own.glob("predictions*"), *own.glob("predictions*/logits")):
        remove_leftovers(place)
    write_split(own, plan.index, plan.evaluation)
    progress.note(_announcement(plan))
    for note in plan.notes:
        progress.note(note)
    classifiers = _Classifiers(plan, own, progress)
    try:
        found = _search(plan, own, classifiers, progress)
    except _NeedsNetworkError:
        # Now, not during the search: training shows its own progress.
        classifiers.prepare()
        found = _search(plan, own, classifiers, progress)
    result = make_result(plan, found)
    write_result(folder / "result.json", result)
    return result


def _search(plan: Plan, own: Path, classifiers: _Classifiers, progress: Progress) -> Found:
    protocol = plan.protocol
    bench = Bench(
        index=plan.index,
        evaluation=plan.evaluation,
        spec=protocol.spec,
        cap=protocol.cap,
        device=plan.device,
        precision=plan.precision,
        folder=own / "predictions",
        threads=plan.config.workers,
        rolled_up=plan.config.genus_accuracy == ROLLED_UP,
        scaled=protocol.images != "test",
    )

    def coarser(resolution: int) -> Measurement:
        place = replace(bench, folder=own / f"predictions-{resolution:05d}", top=resolution)
        return Measurement(place, lambda _: classifiers.trained_at(resolution))

    with progress.search("Measuring") as watch:
        return search_levels(plan, Measurement(bench, classifiers), coarser, watch)


class _Classifiers:
    """The classifiers for a resolution: of I_high, or retrained there."""

    def __init__(self, plan: Plan, own: Path, progress: Progress) -> None:
        self._plan = plan
        self._own = own
        self._progress = progress
        self._high: tuple[Classifier, ...] = ()
        self._last: tuple[int, tuple[Classifier, ...]] | None = None

    def prepare(self) -> None:
        """Train the classifiers of I_high, or read them back."""
        plan = self._plan
        if plan.backbone is None:
            self._high = tuple(_on(model, plan.device) for model in plan.loaded)
        else:
            plan.backbone.check_input(plan.protocol.spec.crop)
            trainer = self._trainer(None)
            recipe = recipe_for(plan.backbone, plan.config.epochs)
            epochs = recipe.epochs if trainer.kind == FINETUNE else 0
            _announce_cost(trainer, plan, epochs)
            trained = trained_classifiers(trainer, plan.backbone, recipe)
            self._high = tuple(_on(model, plan.device) for model in trained)

    def __call__(self, resolution: int | None) -> Sequence[Classifier]:
        if resolution is None or self._plan.config.training != RETRAINED:
            return self._of_high()
        return self.trained_at(resolution)

    def trained_at(self, resolution: int) -> Sequence[Classifier]:
        """Classifiers trained on images reduced to a resolution in pixels."""
        high, backbone = self._of_high(), self._plan.backbone
        assert backbone is not None, "make_plan refuses to retrain a classifier that was loaded"
        if self._last is None or self._last[0] != resolution:
            trainer = self._trainer(resolution)
            recipe = recipe_for(backbone, self._plan.config.epochs)
            shorter = replace(recipe, epochs=max(1, recipe.epochs // RETRAIN_SHARE))
            start = [model for model in high if isinstance(model, HierarchicalClassifier)]
            models = trained_classifiers(trainer, backbone, shorter, start)
            self._last = (resolution, tuple(_on(model, self._plan.device) for model in models))
        return self._last[1]

    def _of_high(self) -> tuple[Classifier, ...]:
        if not self._high:
            raise _NeedsNetworkError
        return self._high

    def _trainer(self, resolution: int | None) -> Trainer:
        plan = self._plan
        return Trainer(
            kind=plan.protocol.classifier,
            index=plan.index,
            evaluation=plan.evaluation,
            spec=plan.protocol.spec,
            device=plan.device,
            precision=plan.precision,
            seed=plan.config.seed,
            workers=plan.config.workers,
            folder=self._own,
            key=fingerprint([plan.key, resolution]),
            progress=self._progress,
            resolution=resolution,
        )


def _on(model: Classifier, device: torch.device) -> Classifier:
    """The classifier on the device, ready to answer."""
    assert isinstance(model, nn.Module)
    return cast("Classifier", model.to(device).eval())


def _announcement(plan: Plan) -> str:
    protocol = plan.protocol
    kind = {PROBE: "linear probe on frozen features", FINETUNE: "fine-tuning"}
    what = (
        protocol.classifier
        if plan.external
        else f"{kind.get(protocol.classifier, protocol.classifier)}, {protocol.backbone}"
    )
    return (
        f"Classifier: {what} ({protocol.weights}), {protocol.spec.crop} px input, "
        f"{protocol.precision} on "
        f"{describe_device(plan.device)}. Measured on n = {protocol.n} images "
        f"({protocol.scheme} of {plan.index.dataset})."
    )


def _announce_cost(trainer: Trainer, plan: Plan, epochs: int) -> None:
    """Say how long it will take, from a measurement on a few images, before it starts."""
    backbone = plan.backbone
    assert backbone is not None
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
    elif trainer.kind == PROBE and feature_file(trainer, model).exists():
        passes = 0
    else:
        trained = sum(len(part) for part in trainer.evaluation.train) * epochs
        # A training step costs about three forward passes; a probe needs one over the images.
        passes = 3 * trained or len(trainer.evaluation.train[0])
    points = 1 + len(plan.sweep.resolutions)
    share = 1.0 if plan.config.full_curve else USUAL_SHARE
    retrained = passes * share * points / RETRAIN_SHARE if plan.config.training == RETRAINED else 0
    total = (trainer.evaluation.n * points * share + passes + retrained) * seconds
    trainer.progress.note(
        f"About {_duration(total)}: "
        + (f"{points} resolutions" if share == 1 else f"bisection over {points} resolutions")
        + (f" and {epochs} epochs of training" if epochs else "")
        + f", {1000 * seconds:.0f} ms an image (measured on {len(sample)} images)."
    )
    if total > LONG_SECONDS:
        smaller = max(64, trainer.spec.crop // 2)
        probe = " --classifier probe" if epochs and backbone.source != "from scratch" else ""
        trainer.progress.note(
            f"Cheaper (Ctrl-C, then): {command_line()} "
            f"--input-size {smaller} --points {max(8, points // 2)}{probe}"
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
