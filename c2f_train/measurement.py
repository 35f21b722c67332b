"""Answers of the classifiers at any resolution: asked for block by block, each once, and kept.

The images come in the search's random order, cut into blocks. A block is the unit of work: it is
evaluated as a whole, always in the same batches, and stored when it is done. So an answer depends
neither on which search asked for it nor on where an earlier run was interrupted. Confidences are
scaled by temperatures that are fitted at the first resolution, see :mod:`c2f_train.temperature`.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2f_data.confidence import Confidence
from c2f_data.curve.answers import batch_size, image_order
from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions, read_predictions, write_predictions
from c2f_data.resample import Pixels, ResampleSpec, reduce
from c2f_data.splits import Evaluation
from c2f_train.answering import (
    Classifiers,
    DecodedImages,
    all_logits,
    answers_of,
    batches,
    roll_up,
    share_trunk_of,
)
from c2f_train.config import Precision
from c2f_train.device import autocast
from c2f_train.device_input import network_input
from c2f_train.temperature import Scaling


@dataclass(frozen=True)
class Bench:
    """What is measured, and on what.

    Attributes:
        cap: nominal resolution in pixels of the untouched images.
        folder: one file of predictions a resolution.
        threads: that decode and resize; 0: one a core.
        rolled_up: the coarser levels' answers are sums over the finest level's classes.
        top: resolution in pixels that is measured first, on all images; None: the cap.
        scaled: fit temperatures there. Never for test images: their labels must tune nothing.
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
    top: int | None = None
    scaled: bool = False


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
        self._top = bench.cap if bench.top is None else bench.top
        levels = bench.index.taxonomy.levels
        self._scaling = Scaling(bench.folder, levels, self.n, fit=bench.scaled)
        self._done: dict[int, Predictions] = {}
        self._asked: dict[int, int] = {}
        self._decoded = DecodedImages(bench.index)
        self._input = network_input(bench.spec, bench.device)
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

    def confidence(self, level: str) -> Confidence:
        """How far a level's confidences can be trusted, where all images were measured."""
        return self._scaling.confidence(level, self.complete())

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
        if resolution == self._top and len(done.image_ids) == self.n and not self._scaling.settled:
            self._scale(done)

    def _scale(self, top: Predictions) -> None:
        """Fit the temperatures; those of the top resolution's confidences are stored anew."""
        scaled = self._scaling.settle(top)
        if not np.array_equal(scaled.confidence, top.confidence):
            write_predictions(self._path(self._top), scaled)
        self._done[self._top] = scaled
        self._scaling.finish()

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

    def _evaluate(self, resolution: int, rows: NDArray[np.int64]) -> Predictions:
        bench = self._bench
        native = None if resolution == bench.cap else resolution
        # Before inference mode: for some protocols this trains them.
        models = self._classifiers(native)
        levels = len(bench.index.taxonomy.levels)
        temperatures = (1.0,) * levels if resolution == self._top else self._scaling.values
        scores: list[tuple[NDArray[np.int64], list[Tensor]]] = []
        folds = np.asarray(bench.evaluation.folds)[rows]
        predicted = np.zeros((rows.size, levels), np.int64)
        confidence = np.zeros(predicted.shape)
        sides = np.zeros(rows.size, np.int64)
        with (
            torch.inference_mode(),
            ThreadPoolExecutor(bench.threads or os.cpu_count() or 1) as threads,
        ):
            views = [threads.submit(self._view, int(row), native) for row in rows]
            for chosen in batches(folds, shared=share_trunk_of(models)):
                seen = [views[i].result() for i in chosen]
                sides[chosen] = [side for _, side in seen]
                images = self._input.batch([pixels for pixels, _ in seen])
                with autocast(bench.device, bench.precision):
                    logits = all_logits(models, folds[chosen], images)
                if bench.rolled_up:
                    logits = roll_up(logits[-1], self._ancestors)
                if resolution == self._top and self._scaling.wants(logits):
                    scores.append((chosen, logits))
                answers, confidence[chosen] = answers_of(logits, temperatures)
                # Someone's own classifier may answer with a class that the data set does not have.
                predicted[chosen] = np.minimum(answers, self._counts)
        if scores:  # before the predictions, so that no answer is stored without them
            self._scaling.keep(int(self._back[rows[0]]), scores)
        return self._predictions(resolution, rows, predicted, confidence, sides)

    def _view(self, row: int, resolution: int | None) -> tuple[Pixels, int]:
        """An image at a resolution, prepared for the network, and its native shorter side."""
        pixels = self._decoded.pixels(self._bench.evaluation.positions[row])
        spec = self._bench.spec
        seen = pixels if resolution is None else reduce(pixels, resolution, spec)
        return self._input.prepare(seen), min(pixels.shape[:2])


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
