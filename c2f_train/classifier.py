"""The classifiers of a calibration: trained on I_high, or loaded.

``probe``: linear classifiers on the frozen features of a pretrained backbone; right for a CPU.
``finetune``: the whole network is trained; right for a GPU, or for a backbone from scratch.
Cross-validation gives one model a fold, each trained without that fold's images.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from c2f_data.artefacts import fingerprint
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.splits import Evaluation
from c2f_train.backbones import TRUNKS, Backbone
from c2f_train.checkpoint import MODEL_JSON, ModelMeta, load_models, save_models
from c2f_train.finetune import FROM_SCRATCH, PRETRAINED, Recipe, finetune
from c2f_train.model import HierarchicalClassifier
from c2f_train.probe import fit_probe
from c2f_train.probe_features import training_features
from c2f_train.trainer import FINETUNE, POOLING, PROBE, Trainer

AUTO = "auto"


def choose_kind(choice: str, backbone: str, weights: str | None, device: torch.device) -> str:
    """``auto``: a probe on a CPU, fine-tuning on a GPU; a backbone from scratch has to be trained.

    Raises:
        ConfigError: not a kind and not a folder; or a probe on random features.
    """
    own = TRUNKS.get(backbone)
    scratch = weights == "none" or (own is not None and not own.imagenet and weights is None)
    if choice == AUTO:
        return FINETUNE if scratch or device.type == "cuda" else PROBE
    if choice == PROBE and scratch:
        raise ConfigError(
            f"a probe on {backbone} without weights would classify random features",
            "Use --classifier finetune, or give --weights FILE.",
        )
    if choice in (PROBE, FINETUNE):
        return choice
    if not (Path(choice) / MODEL_JSON).is_file():
        raise ConfigError(
            f"--classifier {choice}: neither probe nor finetune, and no folder with {MODEL_JSON}",
            "Give probe, finetune, the folder of a model that c2f saved, or your own classifier: "
            "torchvision:NAME, timm:NAME, FILE.onnx, FILE.pt2 or MODULE:FUNCTION.",
        )
    return choice


def recipe_for(backbone: Backbone, epochs: int | None) -> Recipe:
    """How a backbone is fine-tuned."""
    base = FROM_SCRATCH if backbone.source == "from scratch" else PRETRAINED
    return base if epochs is None else replace(base, epochs=epochs)


def has_trained(trainer: Trainer) -> bool:
    """Whether this protocol's classifiers were finished before."""
    return (trainer.place / MODEL_JSON).exists()


def trained_classifiers(
    trainer: Trainer,
    backbone: Backbone,
    recipe: Recipe,
    start: Sequence[HierarchicalClassifier] = (),
) -> tuple[HierarchicalClassifier, ...]:
    """One model a fold: read back if this protocol's were finished before, else trained.

    Args:
        start: fine-tuning goes on from these, one a fold; empty: from the backbone.

    Raises:
        ImageError: a training image can't be decoded.
        ArtefactError: the stored classifier is damaged.
    """
    folder = trainer.place
    if has_trained(trainer):
        if trainer.resolution is None:  # once, and not again at every resolution of a search
            trainer.progress.note(f"Classifier: read from {folder}")
        models, _ = load_models(folder)
    elif trainer.kind == PROBE:
        models = _probes(trainer, backbone)
        save_models(folder, models, _meta(trainer, backbone))
    else:
        models = _finetuned(trainer, backbone, recipe, start)
        save_models(folder, models, _meta(trainer, backbone))
        for fold in range(len(models)):
            shutil.rmtree(trainer.snapshot(fold), ignore_errors=True)
    return tuple(model.to(trainer.device) for model in models)


def _meta(trainer: Trainer, backbone: Backbone) -> ModelMeta:
    taxonomy = trainer.index.taxonomy
    return ModelMeta(
        backbone=backbone.name,
        taps=backbone.taps,
        pooling=POOLING[trainer.kind],
        dim=0,
        weights=backbone.source,
        taxonomy=taxonomy.name,
        levels=taxonomy.levels,
        paths=taxonomy.paths,
        trained=taxonomy.levels,
        spec=trainer.spec,
        resolutions=(),
        train_fingerprint=trainer.train_fingerprint(),
        folds=trainer.evaluation.n_folds,
        seed=trainer.seed,
        crop=trainer.index.crop,
    )


def _probes(trainer: Trainer, backbone: Backbone) -> tuple[HierarchicalClassifier, ...]:
    """Features of every training image once, then one fit a fold."""
    index = trainer.index
    model = trainer.new_model(backbone).to(trainer.device)
    features = training_features(trainer, model)
    codes = index.taxonomy.codes[index.labels]
    row = {position: i for i, position in enumerate(trainer.used)}
    models = []
    with trainer.progress.task("Fitting the probe", trainer.evaluation.n_folds) as task:
        for part in trainer.evaluation.train:
            chosen = np.asarray([row[i] for i in part])
            models.append(fit_probe(model, features[chosen], codes[np.asarray(part)]))
            task.advance()
    return tuple(models)


def _finetuned(
    trainer: Trainer,
    backbone: Backbone,
    recipe: Recipe,
    start: Sequence[HierarchicalClassifier],
) -> tuple[HierarchicalClassifier, ...]:
    codes = trainer.index.taxonomy.codes[trainer.index.labels]
    models = []
    folds = trainer.evaluation.n_folds
    for fold, part in enumerate(trainer.evaluation.train):
        # Each fold trains a copy: of the same backbone, or of its own model on I_high.
        model = copy.deepcopy(start[fold]) if start else trainer.new_model(copy.deepcopy(backbone))
        finetune(
            model,
            trainer.pictures(part),
            codes[np.asarray(part)],
            trainer.spec,
            recipe,
            trainer.device,
            trainer.precision,
            seed=trainer.seed,
            workers=trainer.workers,
            snapshot=trainer.snapshot(fold),
            key=fingerprint([trainer.key, fold]),
            progress=trainer.progress,
            what=f"Training on {trainer.what}"
            + (f", fold {fold + 1} of {folds}" if folds > 1 else ""),
        )
        models.append(model.cpu())
    return tuple(models)


def loaded_classifier(
    folder: Path, index: DatasetIndex, evaluation: Evaluation
) -> tuple[tuple[HierarchicalClassifier, ...], ModelMeta]:
    """A classifier that was saved earlier, checked against the data set.

    Raises:
        ArtefactError: damaged, or it speaks another hierarchy.
        ConfigError: it may have been trained on the images to be measured.
    """
    models, meta = load_models(folder)
    own = index.taxonomy
    if (meta.levels, meta.paths) != (own.levels, own.paths):
        raise ArtefactError(
            f"{folder}: its {len(meta.paths)} classes are not those of {index.dataset} "
            f"({len(own.paths)})",
            "Use a classifier that was trained on this data set and hierarchy.",
        )
    untrained = [level for level in meta.levels if level not in meta.trained]
    if untrained:
        raise ArtefactError(
            f"{folder}: it has no trained classifier for {', '.join(untrained)}",
            "Use a model of every level (c2f train --model mlph).",
        )
    if evaluation.images == "test" and meta.folds > 1:
        raise ConfigError(
            f"{folder}: {meta.folds} models of a cross-validation, none of them for test images",
            "Use --images val, or a classifier that is one model.",
        )
    if not _has_not_seen(meta, index, evaluation):
        raise ConfigError(
            f"{folder}: it may have been trained on the images to be measured",
            "Measure on the test images: --images test.",
        )
    return models[:1] * evaluation.n_folds if meta.folds == 1 else models, meta


def _has_not_seen(meta: ModelMeta, index: DatasetIndex, evaluation: Evaluation) -> bool:
    if evaluation.images == "test":
        return True
    own = fingerprint([index.records[i].image_id for i in evaluation.train[0]])
    return meta.train_fingerprint == own and meta.folds == evaluation.n_folds
