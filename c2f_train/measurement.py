"""Answers of the classifiers at any resolution: asked for block by block, each once, and kept.

The images come in the search's random order, cut into blocks. A block is the unit of work: it is
evaluated as a whole, always in the same batches, and stored when it is done. So an answer depends
neither on which search asked for it nor on where an earlier run was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.curve.search import batch_size, image_order
from c2f_data.decode import decode_file
from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions, read_predictions, write_predictions
from c2f_data.resample import Pixels, ResampleSpec, reduce, to_input
from c2f_data.splits import Evaluation
from c2f_train.config import Precision
from c2f_train.device import autocast
from c2f_train.inference import BATCH, to_device
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


@dataclass(frozen=True)
class Bench:
    """What is measured, and on what.

    Attributes:
        cap: nominal resolution in pixels of the untouched images.
        folder: one file of predictions a resolution.
        threads: that decode and resize; 0: one a core.
        rolled_up: the coarser levels' answers are sums over the finest level's classes.
    """

    index: DatasetIndex
    evaluation: Evaluation
    spec: ResampleSpec
    cap: int
    device: torch.device
    precision: Precision
    folder: Path
    threads: int = 0
    rolled_up: bool = False


class Measurement:
    """Measures resolutions on a bench; finished blocks are read back from its folder.

    Raises:
        ArtefactError: stored predictions are damaged, or of other images.
    """

    def __init__(self, bench: Bench, classifiers: Classifiers) -> None:
        self._bench = bench
        self._classifiers = classifiers
        self.n = bench.evaluation.n
        self._order = image_order(self.n, bench.evaluation.seed)
        self._back = np.argsort(self._order)
        self._block = batch_size(self.n)
        self._done: dict[int, Predictions] = {}
        self._asked: dict[int, int] = {}
        self._decoded = _Decoded(bench.index)
        self._counts = np.asarray([len(nodes) for nodes in bench.index.taxonomy.nodes])
        self._ancestors = torch.from_numpy(bench.index.taxonomy.codes).to(bench.device)
        self._codes = bench.index.taxonomy.codes[
            bench.index.labels[np.asarray(bench.evaluation.positions)]
        ]

    @property
    def images_evaluated(self) -> int:
        """Images times resolutions that were asked for, stored ones included; once each."""
        return sum(self._asked.values())

    @property
    def asked(self) -> dict[int, int]:
        """Resolution to number of images asked for, highest first."""
        return {r: self._asked[r] for r in sorted(self._asked, reverse=True)}

    def right(self, level: str, resolution: int, images: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a level's answers are right, as :data:`c2f_data.curve.search.Score` asks.

        Args:
            images: the next rows of the search's order.

        Raises:
            ImageError: an image can't be decoded; it is named.
            ArtefactError: the disk refused.
        """
        upto = self._asked.get(resolution, 0)
        rows = self._back[images]
        upto = max(upto, int(rows.max()) + 1)
        self._measure(resolution, upto)
        self._asked[resolution] = upto
        return self._done[resolution].correct(level)[rows]

    def complete(self) -> list[Predictions]:
        """The resolutions that were asked for all images, highest first, in the images' order."""
        return [
            self._done[r].rows(self._back) for r, asked in self.asked.items() if asked == self.n
        ]

    def classes(self, level: str) -> NDArray[np.int64]:
        """(n,) the true class of each image at a level."""
        column = self._bench.index.taxonomy.level_index(level)
        return np.asarray(self._codes[:, column], np.int64)

    def _measure(self, resolution: int, upto: int) -> None:
        done = self._stored(resolution)
        while len(done.image_ids) < upto:
            start = len(done.image_ids)
            rows = self._order[start : start + self._block]
            done = _joined(done, self._evaluate(resolution, rows))
            write_predictions(self._path(resolution), done)
            self._done[resolution] = done

    def _stored(self, resolution: int) -> Predictions:
        if resolution not in self._done:
            path = self._path(resolution)
            rows = read_predictions(path) if path.exists() else self._none(resolution)
            ids = self._ids(self._order[: len(rows.image_ids)])
            whole = len(ids) % self._block == 0 or len(ids) == self.n
            same = (rows.resolution, rows.native) == (resolution, resolution == self._bench.cap)
            if rows.image_ids != ids or not whole or not same:
                raise ArtefactError(
                    f"{path}: not the images of this calibration", "Delete the file and run again."
                )
            self._done[resolution] = rows
        return self._done[resolution]

    def _none(self, resolution: int) -> Predictions:
        return self._predictions(
            resolution, np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0)
        )

    def _path(self, resolution: int) -> Path:
        name = "native" if resolution == self._bench.cap else f"r{resolution:05d}"
        return self._bench.folder / f"{name}.h5"

    def _ids(self, rows: NDArray[np.int64]) -> tuple[str, ...]:
        bench = self._bench
        return tuple(bench.index.records[bench.evaluation.positions[i]].image_id for i in rows)

    def _predictions(
        self,
        resolution: int,
        rows: NDArray[np.int64],
        predicted: NDArray[np.generic],
        confidence: NDArray[np.generic],
        sides: NDArray[np.generic],
    ) -> Predictions:
        levels = self._bench.index.taxonomy.levels
        shape, native = (rows.size, len(levels)), resolution == self._bench.cap
        return Predictions(
            resolution=resolution,
            native=native,
            levels=levels,
            image_ids=self._ids(rows),
            true=self._codes[rows],
            predicted=np.asarray(predicted, np.int64).reshape(shape),
            confidence=np.asarray(confidence, np.float64).reshape(shape),
            reduced=np.zeros(rows.size, np.bool_) if native else np.asarray(sides) > resolution,
        )

    @torch.inference_mode()
    def _evaluate(self, resolution: int, rows: NDArray[np.int64]) -> Predictions:
        bench = self._bench
        native = None if resolution == bench.cap else resolution
        models = self._classifiers(native)
        folds = np.asarray(bench.evaluation.folds)[rows]
        predicted = np.zeros((rows.size, len(bench.index.taxonomy.levels)), np.int64)
        confidence = np.zeros(predicted.shape)
        sides = np.zeros(rows.size, np.int64)
        with ThreadPoolExecutor(bench.threads or os.cpu_count() or 1) as threads:
            views = [threads.submit(self._view, int(row), native) for row in rows]
            for chosen in _batches(folds, shared=_share_trunk(models)):
                seen = [views[i].result() for i in chosen]
                sides[chosen] = [side for _, side in seen]
                images = torch.from_numpy(np.stack([pixels for pixels, _ in seen]))
                with autocast(bench.device, bench.precision):
                    logits = _logits(
                        models, folds[chosen], to_device(images.movedim(-1, -3), bench.device)
                    )
                if bench.rolled_up:
                    logits = roll_up(logits[-1], self._ancestors)
                best = [each.float().softmax(dim=1).max(dim=1) for each in logits]
                answers = torch.stack([b.indices for b in best], dim=1).cpu().numpy()
                # Someone's own classifier may answer with a class that the data set does not have.
                predicted[chosen] = np.minimum(answers, self._counts)
                confidence[chosen] = torch.stack([b.values for b in best], dim=1).cpu().numpy()
        return self._predictions(resolution, rows, predicted, confidence, sides)

    def _view(self, row: int, resolution: int | None) -> tuple[Pixels, int]:
        """What the network sees of an image, (crop, crop, 3), and its native shorter side."""
        pixels = self._decoded.pixels(self._bench.evaluation.positions[row])
        spec = self._bench.spec
        seen = pixels if resolution is None else reduce(pixels, resolution, spec)
        return np.ascontiguousarray(to_input(seen, spec)), min(pixels.shape[:2])


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


class _Decoded:
    """Decoded images, kept while there is room. Several threads may ask at once."""

    def __init__(self, index: DatasetIndex) -> None:
        self._index = index
        self._kept: dict[int, Pixels] = {}
        self._left = CACHE_BYTES

    def pixels(self, position: int) -> Pixels:
        kept = self._kept.get(position)
        if kept is not None:
            return kept
        path, box = self._index.path(position), self._index.records[position].box
        pixels = decode_file(path, box).pixels
        if pixels.nbytes <= self._left:
            self._kept[position] = pixels
            self._left -= pixels.nbytes
        return pixels


def _share_trunk(models: Sequence[Classifier]) -> bool:
    """Whether one pass through one trunk serves the classifiers of every fold."""
    trunks = {
        id(model.backbone) if isinstance(model, HierarchicalClassifier) else id(model)
        for model in models
    }
    return len(trunks) == 1


def _batches(folds: NDArray[np.int64], *, shared: bool) -> Iterator[NDArray[np.int64]]:
    """Positions of a block's images, a batch at a time; without a shared trunk, fold by fold."""
    groups = [np.arange(folds.size)]
    if not shared:
        groups = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    for group in groups:
        for start in range(0, group.size, BATCH):
            yield group[start : start + BATCH]


def _logits(models: Sequence[Classifier], folds: NDArray[np.int64], images: Tensor) -> list[Tensor]:
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


def _joined(one: Predictions, more: Predictions) -> Predictions:
    if not one.image_ids:
        return more
    return Predictions(
        resolution=one.resolution,
        native=one.native,
        levels=one.levels,
        image_ids=one.image_ids + more.image_ids,
        true=np.concatenate([one.true, more.true]),
        predicted=np.concatenate([one.predicted, more.predicted]),
        confidence=np.concatenate([one.confidence, more.confidence]),
        reduced=np.concatenate([one.reduced, more.reduced]),
    )
