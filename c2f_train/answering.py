"""What classifiers say about a batch of images, each by the model of its own fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.index import DatasetIndex
from c2f_data.resample import Pixels
from c2f_train.inference import BATCH
from c2f_train.model import HierarchicalClassifier

# Decoded images are kept in memory up to this many bytes, so that each is decoded once however
# many resolutions are measured; what does not fit is decoded again.
CACHE_BYTES = 4 * 1024**3


class Classifier(Protocol):
    """What is measured: scores of every level, coarse to fine, from one pass."""

    def all_logits(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) uint8 to one tensor a level, (B, classes) or wider.

        Columns beyond the level's classes stand for answers outside the data set.
        """


# The classifiers for a resolution (None: untouched images), one a fold.
Classifiers = Callable[[int | None], Sequence[Classifier]]


def answers_of(
    logits: Sequence[Tensor], temperatures: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best class of every level and its scaled share, (B, levels) each."""
    # Unscaled, so that rounding can't make two classes equal and change an answer.
    best = [each.float().softmax(dim=1).max(dim=1).indices for each in logits]
    shares = [
        (each.float() / t).softmax(dim=1).amax(dim=1)
        for each, t in zip(logits, temperatures, strict=True)
    ]
    return torch.stack(best, dim=1).cpu().numpy(), torch.stack(shares, dim=1).cpu().numpy()


def roll_up(logits: Tensor, ancestors: Tensor) -> list[Tensor]:
    """Log-probabilities of every level: a class has the sum of its children's.

    Args:
        logits: (B, classes) of the finest level.
        ancestors: (classes, levels) ids of each class and of its ancestors, coarse to fine.
    """
    shares = logits.float().softmax(dim=1)
    rolled = []
    for level in range(ancestors.shape[1]):
        ids = ancestors[:, level]
        sums = torch.zeros(len(shares), int(ids.max()) + 1, device=shares.device)
        rolled.append(sums.index_add_(1, ids, shares).clamp_min(1e-30).log())
    return rolled


class DecodedImages:
    """Decoded images, kept while there is room. Several threads may ask at once."""

    def __init__(self, index: DatasetIndex) -> None:
        self._index = index
        self._kept: dict[int, Pixels] = {}
        self._left = CACHE_BYTES

    def pixels(self, position: int) -> Pixels:
        kept = self._kept.get(position)
        if kept is not None:
            return kept
        pixels = self._index.pixels(position)
        if pixels.nbytes <= self._left:
            self._kept[position] = pixels
            self._left -= pixels.nbytes
        return pixels


def share_trunk_of(models: Sequence[Classifier]) -> bool:
    """Whether one pass through one trunk serves the classifiers of every fold."""
    trunks = {
        id(model.backbone) if isinstance(model, HierarchicalClassifier) else id(model)
        for model in models
    }
    return len(trunks) == 1


def batches(folds: NDArray[np.int64], *, shared: bool) -> Iterator[NDArray[np.int64]]:
    """Positions of a block's images, a batch at a time; without a shared trunk, fold by fold."""
    groups = [np.arange(folds.size)]
    if not shared:
        groups = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    for group in groups:
        for start in range(0, group.size, BATCH):
            yield group[start : start + BATCH]


def all_logits(
    models: Sequence[Classifier], folds: NDArray[np.int64], images: Tensor
) -> list[Tensor]:
    """Scores of every level; each image's by the classifiers of its own fold."""
    used = np.unique(folds)
    first = models[int(used[0])]
    if used.size == 1 or not isinstance(first, HierarchicalClassifier):
        return first.all_logits(images)
    features = first.features(images)
    logits = []
    for level in range(len(first.counts)):
        rows = torch.zeros(len(images), first.counts[level], device=features.device)
        for fold in used:
            model = models[int(fold)]
            assert isinstance(model, HierarchicalClassifier)
            own = torch.from_numpy(np.flatnonzero(folds == fold)).to(features.device)
            rows[own] = model.classify(features[own], level).float()
        logits.append(rows)
    return logits
