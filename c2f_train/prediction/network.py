"""The network's part of a prediction: scores of the views of some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from c2f_data.artefacts import sha256_file
from c2f_data.calibration import LevelResolution
from c2f_data.errors import ArtefactError, C2FError
from c2f_data.sources.request import LEFT
from c2f_data.taxonomy import Taxonomy
from c2f_train.checkpoint import MODEL_FILE, MODEL_JSON, ModelMeta, load_models
from c2f_train.config import Precision
from c2f_train.device import autocast
from c2f_train.inference import BATCH, to_device
from c2f_train.model import HierarchicalClassifier
from c2f_train.prediction.views import View

# An image's logits (K,) float32, by the view's keys: (condition, level).
ViewLogits = dict[tuple[int, int], NDArray[np.float32]]


@dataclass(frozen=True)
class Network:
    """A trained model, where it runs, and what it means.

    Attributes:
        trained: positions of the levels that have a classifier, coarse to fine.
        key: SHA-256 of its tensors.
    """

    model: HierarchicalClassifier
    meta: ModelMeta
    taxonomy: Taxonomy
    trained: tuple[int, ...]
    key: str
    device: torch.device
    precision: Precision

    @classmethod
    def load(cls, folder: Path, device: torch.device, precision: Precision) -> Network:
        """Load a model folder.

        Raises:
            ArtefactError: absent or damaged, several models of a cross-validation, or none
                trained.
        """
        models, meta = load_models(folder)
        taxonomy = meta.hierarchy()
        trained = tuple(i for i, level in enumerate(taxonomy.levels) if level in meta.trained)
        if len(models) != 1:
            raise ArtefactError(
                f"{folder}: {len(models)} models of a cross-validation, not one that answers",
                "Train one with c2f train and predict with that run.",
            )
        levels = tuple(level.name for level in meta.resolutions)
        if not trained or levels not in ((), taxonomy.levels):
            raise ArtefactError(
                f"{folder}: no level was trained, or its resolutions are of other levels",
                "The folder was changed; train again.",
            )
        model = models[0].to(device).eval()
        key = sha256_file(folder / MODEL_FILE)
        return cls(model, meta, taxonomy, trained, key, device, precision)

    @property
    def levels(self) -> tuple[LevelResolution, ...]:
        """With the resolutions they were trained at, coarse to fine.

        Without resolutions in the model (a classifier of I_high) all are native, and none is
        limited by how many pixels an image has.
        """
        return self.meta.resolutions or tuple(
            LevelResolution(name, self.taxonomy.count(name), None, native=True)
            for name in self.taxonomy.levels
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its images have to be, where that is not any photograph; one line each."""
        if self.meta.crop not in LEFT:
            return ()
        return (
            f"the model was trained on images cut to {LEFT[self.meta.crop]}; whole images are out "
            "of its distribution, and nothing is promised of them: cut each to its object first",
        )

    @torch.inference_mode()
    def logits(self, images: Sequence[Sequence[View]]) -> list[ViewLogits]:
        """Scores of every view of every image. Raises C2FError: they are not numbers."""
        found: list[ViewLogits] = [{} for _ in images]
        flat = [(row, view) for row, views in enumerate(images) for view in views]
        for start in range(0, len(flat), BATCH):
            part = flat[start : start + BATCH]
            crops = np.stack([view.crop for _, view in part])
            with autocast(self.device, self.precision):
                features = self.model.features(
                    to_device(torch.from_numpy(crops).movedim(-1, 1), self.device)
                )
            for level in range(len(self.taxonomy.levels)):
                rows = [i for i, (_, v) in enumerate(part) if any(k[1] == level for k in v.keys)]
                if not rows:
                    continue
                with autocast(self.device, self.precision):
                    scores = self.model.classify(features[rows], level)
                _check_finite(scores)
                for i, own in zip(rows, scores.float().cpu().numpy(), strict=True):
                    row, view = part[i]
                    found[row].update({key: own for key in view.keys if key[1] == level})
        return found


def model_folder(folder: Path) -> Path:
    """The model's folder: this one, or the one inside a run's folder. Raises ArtefactError."""
    for place in (folder, folder / "model"):
        if (place / MODEL_JSON).is_file():
            return place
    raise ArtefactError(
        f"{folder}: neither a run nor a model (no {MODEL_JSON})",
        "Give the folder of a finished run (c2f train) or of a model.",
    )


def _check_finite(scores: torch.Tensor) -> None:
    if not bool(torch.isfinite(scores).all()):
        raise C2FError(
            "the model's scores are not finite",
            "Its training diverged, or its file was changed: train it again with a lower rate, or "
            "use --precision float32.",
        )
