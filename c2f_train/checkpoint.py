"""Models on disk: safetensors for the numbers, JSON for what they mean. No pickle anywhere.

A model folder holds ``model.json``, ``model.safetensors`` and a card, ``README.md``. A
cross-validated classifier adds ``fold-1.safetensors`` ...: only the tensors in which that fold's
model differs from the first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from c2f_data.artefacts import atomic_folder, read_json, write_json, write_text
from c2f_data.calibration import LevelResolution
from c2f_data.errors import ArtefactError, C2FError, TaxonomyError
from c2f_data.provenance import Provenance
from c2f_data.resample import ResampleSpec
from c2f_data.sources.request import CROPS
from c2f_data.taxonomy import Taxonomy
from c2f_train.backbones import RANDOM, Backbone, build_backbone
from c2f_train.config import TrainConfig
from c2f_train.model import HierarchicalClassifier, build_model, share_trunk
from c2f_train.model_card import CARD, card
from c2f_train.results import LevelAccuracy

SCHEMA = "c2f-model"
SCHEMA_VERSION = 3
# Earlier versions lack some of what has a default in ModelMeta.
EARLIER_VERSIONS = (1, 2)
# A million classes take about 100 MB; a damaged or hostile file must not fill the memory.
MOST_JSON_BYTES = 256 * 2**20
MOST_DIM = 2**20
MOST_FOLDS = 1000
MOST_SIDE = 100_000
CHANGED = "The file was changed; train again, or restore it."
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
        dataset: name of what it was trained on; empty: not known.
        train_images: number of training images; None: not known.
        metrics: test accuracy of each trained level at its own resolution; empty: not known.
        recipe: all settings of the training; None for a calibration's classifier.
        provenance: of the training.
        crop: what the training images were cut to, and what those that it judges have to be cut to:
            ``none``, ``bbox`` or ``parts``; None: not known.
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
    dataset: str = ""
    train_images: int | None = None
    metrics: tuple[LevelAccuracy, ...] = ()
    recipe: TrainConfig | None = None
    provenance: Provenance | None = None
    crop: str | None = None

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
    write_text(folder / CARD, card(meta))


def _tensors(model: HierarchicalClassifier) -> dict[str, Tensor]:
    return {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}


def read_meta(folder: Path) -> ModelMeta:
    """Read model.json, of this version or an earlier one.

    Raises:
        ArtefactError: absent, damaged, of another version, or with values beyond reason.
    """
    path = folder / MODEL_JSON
    meta = read_json(
        path, ModelMeta, schema=SCHEMA, version=_readable_version(path), maker="c2f train"
    )
    fault = _fault(meta)
    if fault is not None:
        raise ArtefactError(f"{path}: {fault}", CHANGED)
    return meta


def _fault(meta: ModelMeta) -> str | None:
    """What can not be in a file that c2f wrote."""
    sides = ((f"resolution of {r.name}", r.resolution, 1, MOST_SIDE) for r in meta.resolutions)
    limits = (("dim", meta.dim, 0, MOST_DIM), ("folds", meta.folds, 1, MOST_FOLDS), *sides)
    for name, value, least, most in limits:
        if value is not None and not least <= value <= most:
            return f"{name} = {value}, outside {least} .. {most}"
    if meta.crop not in (None, *CROPS):
        return f"no crop {meta.crop!r}"
    if not set(meta.trained) <= set(meta.levels):
        return f"trained {', '.join(meta.trained)}, of the levels {', '.join(meta.levels)}"
    try:
        meta.hierarchy()
    except TaxonomyError as error:
        return "; ".join(line.strip() for line in error.message.splitlines()[:2])
    return None


def _readable_version(path: Path) -> int:
    """The version to read a file as: an earlier one where the file says so, else the present."""
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise ArtefactError(f"{path}: too large for a {MODEL_JSON}", "Train again.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return SCHEMA_VERSION  # read_json says what is wrong
    found = data.get("schema_version") if isinstance(data, dict) else None
    return next((each for each in EARLIER_VERSIONS if each == found), SCHEMA_VERSION)


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
        state = {**base, **differing}
        model = share_trunk(models[0]) if shared else _fitting_model(meta, state, folder)
        load_state(model, state, folder)
        models.append(model)
    return tuple(models), meta


def empty_model(meta: ModelMeta) -> HierarchicalClassifier:
    """The architecture that a model.json names, with random numbers."""
    return build_model(_empty_backbone(meta), meta.pooling, meta.dim, meta.counts, meta.seed)


def _empty_backbone(meta: ModelMeta) -> Backbone:
    backbone = build_backbone(meta.backbone, RANDOM, () if meta.backbone == "vgg16" else meta.taps)
    backbone.source = meta.weights
    return backbone


def _fitting_model(
    meta: ModelMeta, state: Mapping[str, Tensor], folder: Path
) -> HierarchicalClassifier:
    """The same if the tensors fit it. Raises ArtefactError where they don't.

    Shapes are compared before memory is taken: model.json may ask for any size, while the tensors
    that were read lie in a file already.
    """
    try:
        backbone = _empty_backbone(meta)
        with torch.device("meta"):
            planned = HierarchicalClassifier(backbone, meta.pooling, meta.dim, meta.counts)
    except C2FError as error:  # a part that is not installed, or that nobody has
        raise ArtefactError(f"{folder / MODEL_JSON}: {error.message}", error.hint) from error
    for name, wanted in planned.state_dict().items():
        found = state.get(name)
        if found is None or found.shape != wanted.shape:
            what = "absent" if found is None else f"size mismatch, {tuple(found.shape)}"
            raise ArtefactError(
                f"{folder}: the tensors don't fit the model that {MODEL_JSON} names "
                f"({name}: {what}, where {tuple(wanted.shape)} is needed)",
                "The folder was changed; train again.",
            )
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
        # The library makes files that their owner alone may read; others have the usual mode.
        path.touch()
        mode = path.stat().st_mode
        save_file(tensors, path)
        path.chmod(mode)
    except SafetensorError as error:
        # The library has its own error for a full disk, which is no OSError.
        raise ArtefactError(
            f"{path.parent}: {error}",
            "Free some space or choose another --workspace, then run the command again.",
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file. Raises ArtefactError: absent or damaged."""
    hint = "Train again, or restore the file."
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise ArtefactError(f"{path}: no such file", hint) from error
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path}: damaged, or not whole ({error})", hint) from error
