"""Models on disk: safetensors for the numbers, JSON for what they mean. No pickle anywhere.

A model folder holds ``model.json`` and ``model.safetensors``. A cross-validated classifier adds
``fold-1.safetensors`` ...: only the tensors in which that fold's model differs from the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from c2f_data.artefacts import atomic_folder, read_json, write_json
from c2f_data.calibration import LevelResolution
from c2f_data.errors import ArtefactError
from c2f_data.resample import ResampleSpec
from c2f_data.taxonomy import Taxonomy
from c2f_train.backbones import RANDOM, build_backbone
from c2f_train.model import HierarchicalClassifier, build_model, share_trunk

SCHEMA = "c2f-model"
SCHEMA_VERSION = 1
MODEL_JSON = "model.json"
MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class ModelMeta:
    """What the numbers of a model mean; enough to use it without its training data.

    Attributes:
        backbone, taps, pooling, dim: the architecture.
        weights: where the backbone's first weights came from, in words.
        taxonomy: name of the hierarchy.
        levels, paths: the hierarchy itself, coarse to fine; its order gives the class ids.
        trained: the levels whose classifiers were trained.
        spec: the resampling chain and input geometry.
        resolutions: of the images each level was trained on; empty for a classifier of I_high.
        train_fingerprint: of the ids of the training images.
        folds: number of models (more than one after cross-validation).
        seed: of training.
    """

    backbone: str
    taps: tuple[str, ...]
    pooling: str
    dim: int
    weights: str
    taxonomy: str
    levels: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    trained: tuple[str, ...]
    spec: ResampleSpec
    resolutions: tuple[LevelResolution, ...]
    train_fingerprint: str
    folds: int
    seed: int

    def hierarchy(self) -> Taxonomy:
        """The classifiers' hierarchy. Raises TaxonomyError if it contradicts itself."""
        return Taxonomy(self.taxonomy, self.levels, self.paths, origin="the model's hierarchy")

    @property
    def counts(self) -> tuple[int, ...]:
        """Classes per level, coarse to fine."""
        return tuple(len(names) for names in self.hierarchy().names)


def save_models(folder: Path, models: Sequence[HierarchicalClassifier], meta: ModelMeta) -> None:
    """Write a model folder, atomically. Raises ArtefactError when the disk refuses."""
    with atomic_folder(folder) as temporary:
        write_model_files(temporary, models, meta)


def write_model_files(
    folder: Path, models: Sequence[HierarchicalClassifier], meta: ModelMeta
) -> None:
    """Write the files of a model folder into an existing folder."""
    first = _tensors(models[0])
    write_tensors(folder / MODEL_FILE, first)
    for fold, model in enumerate(models[1:], start=1):
        differing = {
            name: value
            for name, value in _tensors(model).items()
            if not torch.equal(value, first[name])
        }
        write_tensors(folder / f"fold-{fold}.safetensors", differing)
    write_json(folder / MODEL_JSON, meta, schema=SCHEMA, version=SCHEMA_VERSION)


def _tensors(model: HierarchicalClassifier) -> dict[str, Tensor]:
    return {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}


def read_meta(folder: Path) -> ModelMeta:
    """Read model.json. Raises ArtefactError: absent, damaged, of another version."""
    return read_json(
        folder / MODEL_JSON, ModelMeta, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f train"
    )


def load_models(folder: Path) -> tuple[tuple[HierarchicalClassifier, ...], ModelMeta]:
    """Load a model folder, on the CPU.

    Raises:
        ArtefactError: a file is absent, damaged, of another version, or does not fit the
            architecture that model.json names.
    """
    meta = read_meta(folder)
    base = read_tensors(folder / MODEL_FILE)
    models: list[HierarchicalClassifier] = []
    for fold in range(meta.folds):
        differing = read_tensors(folder / f"fold-{fold}.safetensors") if fold else {}
        # The folds of a probe differ in their classifiers alone: one trunk, one pass for all.
        shared = fold > 0 and all(name.startswith("classifiers.") for name in differing)
        model = share_trunk(models[0]) if shared else empty_model(meta)
        load_state(model, {**base, **differing}, folder)
        models.append(model)
    return tuple(models), meta


def empty_model(meta: ModelMeta) -> HierarchicalClassifier:
    """The architecture that a model.json names, with random numbers."""
    backbone = build_backbone(meta.backbone, RANDOM, () if meta.backbone == "vgg16" else meta.taps)
    backbone.source = meta.weights
    return build_model(backbone, meta.pooling, meta.dim, meta.counts, meta.seed)


def load_state(model: HierarchicalClassifier, state: dict[str, Tensor], folder: Path) -> None:
    """Fill a model with stored tensors. Raises ArtefactError where they don't fit."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ArtefactError(
            f"{folder}: the tensors don't fit the model that {MODEL_JSON} names "
            f"({str(error).splitlines()[-1].strip()})",
            "The folder was changed; train again.",
        ) from error


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file. Raises ArtefactError when the disk refuses."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        # The library has its own error for a full disk, which is no OSError.
        raise ArtefactError(
            f"{path.parent}: {error}",
            "Free some space or choose another --workspace, then run the command again.",
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file. Raises ArtefactError: absent or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path}: {error}", "Train again, or restore the file.") from error
