"""What a calibration will do, decided before the first image goes through a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint, sha256_file
from c2f_data.calibration import Protocol
from c2f_data.errors import ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.resample import (
    DEFAULT_LOWEST,
    DEFAULT_POINTS,
    ResampleSpec,
    ResolutionSweep,
    input_cap,
)
from c2f_data.splits import Evaluation, ImagesChoice, make_evaluation
from c2f_train.backbones import Backbone, build_backbone, default_input_size
from c2f_train.classifier import FINETUNE, POOLING, PROBE, choose_kind, loaded_classifier
from c2f_train.config import Fit, Precision
from c2f_train.device import pick_precision
from c2f_train.finetune import FROM_SCRATCH, PRETRAINED
from c2f_train.model import HierarchicalClassifier
from c2f_train.probe import PENALTY_C


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


@dataclass(frozen=True)
class Plan:
    """A calibration's settings, resolved against the data set and the machine.

    Attributes:
        protocol: everything that can move the answer, as it is stored in the result.
        backbone: of the classifiers that will be trained; None where they were loaded.
        loaded: classifiers that were saved earlier, one a fold; empty where they will be trained.
        key: fingerprint of everything that determines a prediction; thresholds and sweep do not.
    """

    index: DatasetIndex
    config: CalibrateConfig
    device: torch.device
    evaluation: Evaluation
    precision: Precision
    protocol: Protocol
    sweep: ResolutionSweep
    backbone: Backbone | None
    loaded: tuple[HierarchicalClassifier, ...]
    key: str

    @property
    def folder_name(self) -> str:
        """Of the protocol's own folder, among the data set's calibrations."""
        return self.key[:12]


def make_plan(index: DatasetIndex, config: CalibrateConfig, device: torch.device) -> Plan:
    """Resolve the settings and read what has to be read: weights, a classifier, image sizes.

    Raises:
        ConfigError: thresholds, sweep or classifier make no sense for these images.
        ImageError: an image can't be decoded; it is named.
        ArtefactError: weights are missing, or a saved classifier is damaged.
    """
    _check_levels(index, config)
    evaluation = make_evaluation(index, config.images, config.seed)
    kind = choose_kind(config.classifier, config.backbone, config.weights, device)
    backbone: Backbone | None = None
    loaded: tuple[HierarchicalClassifier, ...] = ()
    if kind in (PROBE, FINETUNE):
        backbone = build_backbone(config.backbone, config.weights, config.taps)
        crop = config.input_size or default_input_size(config.backbone)
        spec = ResampleSpec.for_input(crop, config.fit)
        name, source, taps = backbone.name, backbone.source, backbone.taps
    else:
        loaded, meta = loaded_classifier(Path(kind), index, evaluation)
        spec, name, source, taps = meta.spec, meta.backbone, meta.weights, meta.taps
    precision = pick_precision(config.precision, device)
    sides = _native_sides(index, evaluation)
    protocol = Protocol(
        classifier=kind,
        backbone=name,
        taps=taps,
        weights=source,
        weights_path=_absolute(config.weights),
        images=config.images,
        scheme=evaluation.scheme,
        n=evaluation.n,
        cap=input_cap(sides, spec),
        cap_reason=_cap_reason(sides, spec),
        native_side=int(np.median(sides)),
        spec=spec,
        precision=precision,
        seed=config.seed,
    )
    return Plan(
        index=index,
        config=config,
        device=device,
        evaluation=evaluation,
        precision=precision,
        protocol=protocol,
        sweep=_sweep(config, protocol),
        backbone=backbone,
        loaded=loaded,
        key=_key(index, config, protocol),
    )


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


def _native_sides(index: DatasetIndex, evaluation: Evaluation) -> NDArray[np.int64]:
    return np.asarray([index.shorter_side(i) for i in evaluation.positions], dtype=np.int64)


def _cap_reason(sides: NDArray[np.int64], spec: ResampleSpec) -> str:
    median = int(np.median(sides))
    if median <= spec.enlarge_to:
        return f"the images' median shorter side of {median} px"
    return f"the network's input, drawn from {spec.enlarge_to} px"


def _sweep(config: CalibrateConfig, protocol: Protocol) -> ResolutionSweep:
    cap = protocol.cap
    if not config.sweep:
        return ResolutionSweep.geometric(cap, lowest=config.lowest, points=config.points)
    chosen = ResolutionSweep(config.sweep)
    chosen.check_cap(cap, protocol.cap_reason)
    below = tuple(r for r in chosen.resolutions if r < cap)
    return ResolutionSweep(below) if below else chosen


def _key(index: DatasetIndex, config: CalibrateConfig, protocol: Protocol) -> str:
    weights = config.weights
    if weights is not None:
        weights = _content(Path(weights)) or weights
    classifier = protocol.classifier
    if classifier not in (PROBE, FINETUNE):
        classifier = _content(Path(classifier)) or classifier
    plain = replace(protocol, classifier=classifier, weights_path=None)
    # A c2f with other recipes must not take this one's classifiers for its own.
    recipes = [POOLING, PENALTY_C, FROM_SCRATCH, PRETRAINED]
    return fingerprint([index.fingerprint, plain, weights, config.epochs, recipes])


def _content(path: Path) -> str | None:
    """SHA-256 of a weights file, or of the tensors of a model folder; None for no path."""
    if path.is_dir():
        # Every fold counts; a folder without tensors was refused when it was read.
        files = sorted(path.glob("*.safetensors"))
        return fingerprint([[file.name, sha256_file(file)] for file in files])
    return sha256_file(path) if path.is_file() else None


def _absolute(path: str | None) -> str | None:
    return str(Path(path).resolve()) if path is not None and Path(path).exists() else None
