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
    ResampleSpec,
    ResolutionSweep,
    input_cap,
)
from c2f_data.sources.request import other_images
from c2f_data.splits import Evaluation, make_evaluation
from c2f_train.answering import Classifier
from c2f_train.backbones import Backbone, build_backbone, default_input_size
from c2f_train.calibration_config import FIXED, HIGH, MED, RETRAINED, ROLLED_UP, CalibrateConfig
from c2f_train.classifier import choose_kind, loaded_classifier
from c2f_train.config import Precision
from c2f_train.device import pick_precision
from c2f_train.external import External, ExternalRequest, load_external, parse_word
from c2f_train.finetune import FROM_SCRATCH, PRETRAINED
from c2f_train.probe import PENALTY_C
from c2f_train.trainer import FINETUNE, POOLING, PROBE


@dataclass(frozen=True)
class Plan:
    """A calibration's settings, resolved against the data set and the machine.

    Attributes:
        protocol: everything that can move the answer, as it is stored in the result.
        backbone: of the classifiers that will be trained; None where they were loaded.
        loaded: classifiers that exist already, one a fold; empty where they will be trained.
        key: fingerprint of everything that determines a prediction; thresholds and sweep do not.
        notes: what the user should know about the classifier, a sentence each.
        external: it is someone's own, and what it was trained on is not known.
    """

    index: DatasetIndex
    config: CalibrateConfig
    device: torch.device
    evaluation: Evaluation
    precision: Precision
    protocol: Protocol
    sweep: ResolutionSweep
    backbone: Backbone | None
    loaded: tuple[Classifier, ...]
    key: str
    notes: tuple[str, ...] = ()
    external: bool = False

    @property
    def training_images(self) -> int:
        """Images that a training of the classifiers sees, all folds together."""
        return len({image for part in self.evaluation.train for image in part})

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
    if config.training == RETRAINED and config.genus_train == MED:
        raise ConfigError(
            "classifiers that are retrained at every resolution are trained on I_med anyway",
            "Leave out --genus-train med, or use --protocol fixed.",
        )
    evaluation = make_evaluation(index, config.images, config.seed)
    backbone: Backbone | None = None
    loaded: tuple[Classifier, ...] = ()
    taps: tuple[str, ...]
    other: str | None = None
    external = _external(index, config, device)
    kind = config.classifier if external else _own_kind(config, device)
    if external is not None:
        loaded = (external.classifier,) * evaluation.n_folds
        spec = external.spec.after(config.reduction)
        name, source, taps = external.name, external.source, ()
    elif kind in (PROBE, FINETUNE):
        backbone = build_backbone(config.backbone, config.weights, config.taps)
        crop = config.input_size or default_input_size(config.backbone)
        spec = ResampleSpec.for_input(crop, config.fit, config.reduction)
        name, source, taps = backbone.name, backbone.source, backbone.taps
    else:
        loaded, meta = loaded_classifier(Path(kind), index, evaluation)
        other = other_images(meta.crop, index.crop)
        spec = meta.spec.after(config.reduction)
        name, source, taps = meta.backbone, meta.weights, meta.taps
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
        training=config.training,
        genus_train=config.genus_train,
        genus_accuracy=ROLLED_UP if external else config.genus_accuracy,
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
        key=_key(index, config, protocol, external.key if external else None),
        notes=_notes(external, config) + ((f"The classifier was {other}.",) if other else ()),
        external=external is not None,
    )


def _notes(external: External | None, config: CalibrateConfig) -> tuple[str, ...]:
    if external is None:
        return ()
    if config.weights is None or config.input_size is not None:
        return external.notes
    return (
        *external.notes,
        f"Your weights are given images of {external.spec.crop} px, as the library's own would be. "
        "Were they trained on another size: --input-size.",
    )


def _own_kind(config: CalibrateConfig, device: torch.device) -> str:
    kind = choose_kind(config.classifier, config.backbone, config.weights, device)
    if kind not in (PROBE, FINETUNE):
        _check_not_retrained(config)
    given = [n for n in ("labels", "normalise", "trust_classifier", "closed_set")
             if getattr(config, n)]  # fmt: skip
    if given:
        raise ConfigError(
            f"--{given[0].replace('_', '-')} with --classifier {config.classifier}",
            "It is for a classifier of your own: timm:NAME, FILE.onnx, MODULE:FUNCTION ...",
        )
    return kind


def _check_not_retrained(config: CalibrateConfig) -> None:
    if (config.training, config.genus_train) != (FIXED, HIGH):
        raise ConfigError(
            f"the classifier {config.classifier} is measured as it is",
            "Retraining needs --classifier probe or finetune.",
        )


def _external(
    index: DatasetIndex, config: CalibrateConfig, device: torch.device
) -> External | None:
    """Someone's own classifier, read and checked; None where another one is meant."""
    if parse_word(config.classifier) is None:
        return None
    _check_not_retrained(config)
    request = ExternalRequest(
        word=config.classifier,
        labels=Path(config.labels) if config.labels else None,
        weights=config.weights,
        input_size=config.input_size,
        fit=config.fit,
        normalise=config.normalise,
        trust=config.trust_classifier,
        closed=config.closed_set,
    )
    return load_external(request, index.taxonomy, device)


def _check_levels(index: DatasetIndex, config: CalibrateConfig) -> None:
    wanted = set(index.taxonomy.levels[1:])
    coarsest = index.taxonomy.levels[0]
    given = {level for level, _ in config.thresholds} - {coarsest}
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
        return ResolutionSweep.geometric(cap, lowest=config.lowest, points=config.points - 1)
    chosen = ResolutionSweep(config.sweep)
    chosen.check_cap(cap, protocol.cap_reason)
    below = tuple(r for r in chosen.resolutions if r < cap)
    return ResolutionSweep(below) if below else chosen


def _key(
    index: DatasetIndex, config: CalibrateConfig, protocol: Protocol, external: str | None
) -> str:
    weights = config.weights
    if weights is not None:
        weights = _content(Path(weights)) or weights
    classifier = external or protocol.classifier
    if external is None and classifier not in (PROBE, FINETUNE):
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
