"""Put the images through the classifiers down the sweep, and keep every prediction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions, read_predictions, write_predictions
from c2f_data.resample import ResampleSpec, ResolutionSweep
from c2f_data.splits import Evaluation
from c2f_train.classifier import all_unseen
from c2f_train.config import Precision
from c2f_train.data import FilePictures
from c2f_train.inference import as_predictions, predict_sweep
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress, Task

# Resolutions that share one decode of an image. A sweep may end at any of them, and a killed run
# starts its wave again: so dear resolutions, next to which a decode is nothing, go one by one.
WAVE = 4
CHEAP_SECONDS = 10.0


@dataclass(frozen=True)
class Measurement:
    """Measures resolutions, each once: finished ones are read back from ``folder``.

    Attributes:
        cap: nominal resolution in pixels of the untouched images.
        folder: one CSV a resolution.
    """

    index: DatasetIndex
    evaluation: Evaluation
    spec: ResampleSpec
    cap: int
    device: torch.device
    precision: Precision
    workers: int
    folder: Path
    progress: Progress

    def run(
        self,
        sweep: ResolutionSweep,
        models: Callable[[], Sequence[HierarchicalClassifier]],
        enough: Callable[[Sequence[Predictions]], bool],
    ) -> list[Predictions]:
        """Measure native and the sweep from the top until ``enough`` says so.

        Args:
            models: gives the classifiers, one a fold; not called where nothing is left to measure.

        Raises:
            ImageError: an image can't be decoded; it is named.
            ArtefactError: the disk refused, or a stored prediction is damaged.
        """
        wanted: list[int | None] = [None, *sweep.resolutions]
        pictures = all_unseen(self.evaluation, self.index)
        done: list[Predictions] = []
        # What an earlier run measured is read first: it may be enough.
        while wanted and self._path(wanted[0]).exists():
            done.append(self._read(wanted.pop(0), pictures))
            if enough(done):
                return done
        if not wanted:
            return done
        classifiers = models()
        size = 1  # the first one alone tells what a resolution costs
        with self.progress.task("Measuring", len(wanted) * self.evaluation.n) as task:
            while wanted:
                wave, wanted = wanted[:size], wanted[size:]
                missing = self._missing(wave)
                task.advance((len(wave) - len(missing)) * self.evaluation.n)
                if missing:
                    started = time.perf_counter()
                    self._measure(classifiers, missing, pictures, task)
                    cheap = time.perf_counter() - started < CHEAP_SECONDS * len(missing)
                    size = WAVE if cheap else 1
                done += [self._read(r, pictures) for r in wave]
                if enough(done):
                    break
        return done

    def missing(self, sweep: ResolutionSweep) -> list[int | None]:
        """The resolutions, None for native, that no earlier run has measured."""
        return self._missing([None, *sweep.resolutions])

    def _missing(self, wanted: Sequence[int | None]) -> list[int | None]:
        return [r for r in wanted if not self._path(r).exists()]

    def _path(self, resolution: int | None) -> Path:
        return self.folder / ("native.csv" if resolution is None else f"r{resolution:05d}.csv")

    def _measure(
        self,
        models: Sequence[HierarchicalClassifier],
        missing: Sequence[int | None],
        pictures: Sequence[FilePictures],
        task: Task,
    ) -> None:
        predicted, confidence, sides = predict_sweep(
            models,
            pictures,
            missing,
            self.spec,
            self.device,
            self.precision,
            workers=self.workers,
            task=task,
        )
        order = [position for own in pictures for position in own.positions]
        codes = self.index.taxonomy.codes[self.index.labels[np.asarray(order)]]
        for i, resolution in enumerate(missing):
            rows = as_predictions(
                self.cap if resolution is None else resolution,
                resolution is None,
                self.index.taxonomy.levels,
                tuple(self.index.records[p].image_id for p in order),
                codes,
                predicted[i],
                confidence[i],
                sides,
            )
            write_predictions(self._path(resolution), rows)

    def _read(self, resolution: int | None, pictures: Sequence[FilePictures]) -> Predictions:
        """Read back, also what was just written: one path, so a resumed run gives equal results."""
        path = self._path(resolution)
        rows = read_predictions(
            path,
            self.cap if resolution is None else resolution,
            resolution is None,
            self.index.taxonomy.levels,
        )
        ids = tuple(self.index.records[p].image_id for own in pictures for p in own.positions)
        if rows.image_ids != ids:
            raise ArtefactError(
                f"{path}: not the images of this calibration", "Delete the file and run again."
            )
        return rows
