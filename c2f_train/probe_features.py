"""Features of the training images, kept on disk: a probe that is fitted again needs no network.

One file for each set of images, network, resampling and precision. Only the very same set counts:
the numbers of one image can differ in their last digits with the batch that it is in, and two runs
with one seed have to agree bit for bit.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from c2f_data.artefacts import atomic_path, fingerprint
from c2f_data.errors import ArtefactError
from c2f_train.checkpoint import read_tensors, write_tensors
from c2f_train.inference import extract_features
from c2f_train.model import HierarchicalClassifier
from c2f_train.trainer import Trainer

FOLDER = "features"
NAME = "features"
REMEDY = "Delete the file and run again: it is made anew."


def training_features(trainer: Trainer, model: HierarchicalClassifier) -> NDArray[np.float32]:
    """(images, F) features of the images that any fold is trained on, in their order.

    Raises:
        ImageError: an image can't be decoded; it is named.
        ArtefactError: what was kept is damaged, or the disk refused.
    """
    path = feature_file(trainer, model)
    if path.exists():
        trainer.progress.note(f"Features of the training images, {trainer.what}: read from {path}")
        return _read(path, len(trainer.used))
    what = f"Features of the training images, {trainer.what}"
    with trainer.progress.task(what, len(trainer.used)) as task:
        features = extract_features(
            model,
            trainer.pictures(trainer.used),
            trainer.spec,
            trainer.device,
            trainer.precision,
            workers=trainer.workers,
            task=task,
        )
    with atomic_path(path) as temporary:
        write_tensors(temporary, {NAME: features.contiguous()})
    return features.numpy()


def feature_file(trainer: Trainer, model: HierarchicalClassifier) -> Path:
    """Where these features are kept: beside the protocols, because several can share them."""
    key = [
        weights_digest(model.backbone),
        model.backbone.name,
        type(model.pooling).__name__,
        trainer.kind,
        trainer.index.fingerprint,
        trainer.used,
        trainer.spec,
        trainer.resolution,
        trainer.precision,
        trainer.device.type,
    ]
    return trainer.folder.parent / FOLDER / f"{fingerprint(key)[:16]}.safetensors"


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over names, types, shapes and numbers: wherever they came from, they count."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        tensor: Tensor = value.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, n: int) -> NDArray[np.float32]:
    try:
        found = read_tensors(path).get(NAME)
    except ArtefactError as error:
        raise ArtefactError(f"{path}: damaged ({error.__cause__})", REMEDY) from error
    good = found is not None and found.dtype == torch.float32 and found.ndim == 2
    if found is None or not good or len(found) != n or not bool(found.isfinite().all()):
        raise ArtefactError(f"{path}: not features of {n} images", REMEDY)
    return found.numpy()
