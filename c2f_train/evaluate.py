"""What a finished training is worth: every level's test accuracy at its own resolution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint
from c2f_data.calibration import LevelResolution
from c2f_data.curve import wilson
from c2f_data.index import TEST, TRAIN
from c2f_data.predictions import Predictions, write_predictions
from c2f_data.provenance import collect
from c2f_data.shards.reader import ShardReader
from c2f_train.checkpoint import ModelMeta
from c2f_train.device import describe_device
from c2f_train.features import kept_test_features
from c2f_train.inference import predict_centers, predict_features
from c2f_train.pooling import MODELS
from c2f_train.results import EpochMetrics, LevelAccuracy, RunResult
from c2f_train.run import Run


def run_result(run: Run, history: tuple[EpochMetrics, ...]) -> RunResult:
    """Test every trained level; the predictions are kept beside the result."""
    manifest = run.reader.manifest
    levels = level_resolutions(run.reader)
    test = tuple(_test(run, level, levels[level]) for level in sorted(run.levels))
    return RunResult(
        name=run.folder.name,
        dataset=manifest.dataset,
        config=run.config,
        levels=levels,
        parameters=sum(p.numel() for p in run.model.parameters()),
        weights=run.model.backbone.source,
        epochs=history,
        test=test,
        plan_fingerprint=manifest.plan_fingerprint,
        warnings=(),
        provenance=collect(device=describe_device(run.device), seed=run.config.seed),
        crop=manifest.crop,
    )


def level_resolutions(reader: ShardReader) -> tuple[LevelResolution, ...]:
    """The levels of a set of shards, coarse to fine; native ones by their median shorter side."""
    split = TRAIN if TRAIN in reader.splits else reader.splits[0]
    native = int(np.median(reader.native_sizes(split).min(axis=1)))
    return tuple(
        LevelResolution(plan.name, plan.count, plan.resolution or native, plan.resolution is None)
        for plan in reader.manifest.levels
    )


def _test(run: Run, level: int, shown: LevelResolution) -> LevelAccuracy:
    """Accuracy on the test images at the level's own resolution; predictions are kept."""
    truth = run.labels(TEST, level).numpy()
    predicted, confidence = _answers(run, level, shown.name)
    sides = run.reader.native_sizes(TEST).min(axis=1)
    rows = Predictions(
        resolution=shown.resolution or 0,
        native=shown.native,
        levels=(shown.name,),
        image_ids=run.reader.image_ids(TEST),
        true=truth[:, None],
        predicted=predicted[:, None],
        confidence=confidence[:, None],
        reduced=np.zeros(len(truth), np.bool_) if shown.native else sides > (shown.resolution or 0),
    )
    write_predictions(run.folder / f"test-{shown.name}.h5", rows)
    correct = int((predicted == truth).sum())
    low, high = wilson(correct, len(truth))
    return LevelAccuracy(
        level=shown.name,
        resolution=shown.resolution,
        native=shown.native,
        n=len(truth),
        correct=correct,
        low=low,
        high=high,
        chance=float(np.bincount(truth).max() / len(truth)),
    )


def _answers(run: Run, level: int, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Prediction and confidence of each test image; from its features where they are kept."""
    features = kept_test_features(run, level)
    settings = run.device, run.config.precision
    with run.progress.task(f"Testing {name}", run.reader.length(TEST)) as task:
        if features is not None:
            return predict_features(run.model, level, features, *settings, task=task)
        return predict_centers(
            run.model,
            level,
            run.pictures(TEST, level),
            run.spec,
            *settings,
            workers=run.config.workers,
            task=task,
        )


def model_meta(run: Run, result: RunResult) -> ModelMeta:
    """What the numbers of the trained model mean, without the folders of this machine."""
    taxonomy = run.reader.manifest.taxonomy
    return ModelMeta(
        backbone=run.config.backbone,
        taps=run.model.backbone.taps,
        pooling=MODELS[run.config.model].pooling,
        dim=run.config.dim,
        weights=run.model.backbone.source,
        taxonomy=taxonomy.name,
        levels=taxonomy.levels,
        paths=taxonomy.paths,
        trained=tuple(run.names[level] for level in sorted(run.levels)),
        spec=run.spec,
        resolutions=level_resolutions(run.reader),
        train_fingerprint=fingerprint(list(run.reader.image_ids(TRAIN))),
        folds=1,
        seed=run.config.seed,
        dataset=result.dataset,
        train_images=run.reader.length(TRAIN),
        metrics=result.test,
        recipe=replace(
            run.config.without_place,
            weights=run.config.weights and _last_part(run.config.weights),
        ),
        provenance=replace(
            result.provenance, command=tuple(map(_last_part, result.provenance.command))
        ),
        crop=result.crop,
    )


def _last_part(word: str) -> str:
    """Of a path; anything else stays."""
    return PurePath(word).name
