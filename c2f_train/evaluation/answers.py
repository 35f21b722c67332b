"""What a run's classifiers said about the images of a split at one resolution, as it is kept.

The file is one of :mod:`c2f_data.predictions` (the own classifiers, one column a trained level)
with more in it: ``labels`` (n, levels) int32; ``top`` (n, trained levels, 5) int32, the best
answers, best first; ``rolled_up`` (n, coarser levels, 5) int32 and ``rolled_up_confidence``
(n, coarser levels) float64, the same by the finest classifier, whose probabilities are summed over
the classes below each node. -1 fills ``top`` and ``rolled_up`` where a level has fewer classes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import atomic_path
from c2f_data.errors import ArtefactError
from c2f_data.predictions import Predictions, fill, read_predictions
from c2f_data.tables import read_array

VERSION = 1
TOP = 5

Source = Literal["own", "rolled-up"]


@dataclass(frozen=True, slots=True)
class Column:
    """The answers of one classifier to all images.

    Attributes:
        true: (n,) class ids.
        top: (n, k) the k best answers, best first; k is 5, or fewer where there are fewer classes.
        confidence: (n,) probability of the best answer.
    """

    true: NDArray[np.int64]
    top: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(n,) the best answers."""
        return self.top[:, 0]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether the best answer is right."""
        return np.asarray(self.true == self.top[:, 0])


@dataclass(frozen=True, slots=True)
class Answers:
    """All classifiers' answers to images at one resolution.

    Attributes:
        levels: all levels, coarse to fine.
        predictions: of the own classifiers; its levels are those that were trained.
        labels: (n, levels) true class ids.
        top: (n, trained levels, 5) best answers, -1 where a level has fewer classes.
        rolled_top: (n, coarser levels, 5), the same from the finest classifier; no columns where
            that was not trained.
        rolled_confidence: (n, coarser levels).
        device: where the network ran, in words.
    """

    levels: tuple[str, ...]
    predictions: Predictions
    labels: NDArray[np.int64]
    top: NDArray[np.int64]
    rolled_top: NDArray[np.int64]
    rolled_confidence: NDArray[np.float64]
    device: str

    @property
    def image_ids(self) -> tuple[str, ...]:
        """(n,) ids of the images."""
        return self.predictions.image_ids

    def column(self, level: str, source: Source) -> Column | None:
        """A level's answers; None: it was not trained, or there is nothing finer to roll up."""
        position = self.levels.index(level)
        if source == "own":
            if level not in self.predictions.levels:
                return None
            here = self.predictions.levels.index(level)
            top, confidence = self.top[:, here], self.predictions.confidence[:, here]
        else:
            if position >= self.rolled_top.shape[1]:
                return None
            top, confidence = self.rolled_top[:, position], self.rolled_confidence[:, position]
        width = int((top[0] >= 0).sum())
        return Column(self.labels[:, position], top[:, :width], confidence)


def write_answers(path: Path, answers: Answers) -> None:
    """Write one file, atomically. Raises ArtefactError as the disk does."""
    buffer = io.BytesIO()
    # In memory first: the HDF5 library crashes the process when the disk is full.
    with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
        fill(file, answers.predictions)
        file.attrs["answers_version"] = VERSION
        file.attrs["all_levels"] = list(answers.levels)
        file.attrs["device"] = answers.device
        file["labels"] = answers.labels.astype("<i4")
        file["top"] = answers.top.astype("<i4")
        if answers.rolled_top.shape[1]:
            file["rolled_up"] = answers.rolled_top.astype("<i4")
            file["rolled_up_confidence"] = answers.rolled_confidence.astype("<f8")
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_answers(path: Path, counts: tuple[int, ...]) -> Answers:
    """Read what :func:`write_answers` wrote.

    Args:
        counts: classes of every level, coarse to fine.

    Raises:
        ArtefactError: absent, damaged, of another version, or with classes that are not there.
    """
    predictions = read_predictions(path)
    try:
        with h5py.File(path, "r") as file:
            return _read(file, predictions, counts)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ArtefactError(
            f"{path}: damaged answers ({error})",
            "Delete the file and run `c2f evaluate` again: only this resolution is redone.",
        ) from error


def _read(file: h5py.File, predictions: Predictions, counts: tuple[int, ...]) -> Answers:
    if file.attrs["answers_version"] != VERSION:
        raise ValueError(f"version {file.attrs['answers_version']}, not {VERSION}")
    levels = tuple(str(level) for level in file.attrs["all_levels"])
    if len(levels) != len(counts) or not set(predictions.levels) <= set(levels):
        raise ValueError(f"levels {', '.join(levels)}")
    n, trained = len(predictions.image_ids), len(predictions.levels)
    rolled = len(levels) - 1 if "rolled_up" in file else 0
    rolled_top = np.zeros((n, 0, TOP), np.int64)
    confidence = np.zeros((n, 0))
    if rolled:
        rolled_top = read_array(file, "rolled_up", "i4", (n, rolled, TOP)).astype(np.int64)
        read = read_array(file, "rolled_up_confidence", "f8", (n, rolled))
        confidence = read.astype(np.float64)
    top = read_array(file, "top", "i4", (n, trained, TOP)).astype(np.int64)
    labels = read_array(file, "labels", "i4", (n, len(levels))).astype(np.int64)
    own = [levels.index(level) for level in predictions.levels]
    sizes = np.array(counts)
    _check_top(top, sizes[own])
    _check_top(rolled_top, sizes[:rolled])
    if not ((labels >= 0) & (labels < sizes)).all() or not np.array_equal(
        labels[:, own], predictions.true
    ):
        raise ValueError("labels that are no classes, or not those of the predictions")
    if not np.array_equal(top[:, :, 0], predictions.predicted):
        raise ValueError("best answers that are not those of the predictions")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("a confidence outside 0 to 1")
    device = str(file.attrs["device"])
    return Answers(levels, predictions, labels, top, rolled_top, confidence, device)


def _check_top(top: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Every rank below the number of classes holds one of them, every other -1."""
    there = np.arange(TOP) < counts[:, None]
    inside = (top >= 0) & (top < counts[:, None])
    if not np.where(there, inside, top == -1).all():
        raise ValueError("answers that are no classes")
