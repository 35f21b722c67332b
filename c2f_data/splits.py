"""Which images a calibration is measured on: a validation split carved from train, or folds.

The data sets of this field come with train and test only, and choosing anything on the test
images spoils them. So the resolutions are found on images carved from train: stratified by
class, seeded, saved. Where that would leave fewer than 300 images, every training image is
predicted by a model that has not seen it (five-fold cross-validation).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import read_json, write_json
from c2f_data.errors import ConfigError
from c2f_data.index import TEST, TRAIN, DatasetIndex

VALIDATION_FRACTION = 0.2
MINIMUM_IMAGES = 300
FOLDS = 5
HELD_OUT = "held-out validation"
SPLIT = "split.json"
SPLIT_SCHEMA = "c2f-split"
SPLIT_VERSION = 1

ImagesChoice = Literal["val", "test"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which images are measured, and by a model trained on which.

    Attributes:
        images: ``val`` or ``test``, as asked for.
        scheme: ``held-out validation``, ``cross-validation`` or ``official test``.
        seed: seed of the split.
        positions: (n,) positions of the measured images in the index, ascending.
        folds: (n,) the fold of each measured image; model k is trained without fold k.
        train: per fold, the positions of the images that its model is trained on.
    """

    images: str
    scheme: str
    seed: int
    positions: tuple[int, ...]
    folds: tuple[int, ...]
    train: tuple[tuple[int, ...], ...]

    @property
    def n(self) -> int:
        return len(self.positions)

    @property
    def n_folds(self) -> int:
        return len(self.train)


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """split.json: the measured images and the fold that each belongs to."""

    scheme: str
    seed: int
    image_ids: tuple[str, ...]
    folds: tuple[int, ...]


def write_split(folder: Path, index: DatasetIndex, evaluation: Evaluation) -> None:
    """Write down which images are measured. Raises ArtefactError when the disk refuses."""
    ids = tuple(index.records[i].image_id for i in evaluation.positions)
    record = SplitRecord(evaluation.scheme, evaluation.seed, ids, evaluation.folds)
    write_json(folder / SPLIT, record, schema=SPLIT_SCHEMA, version=SPLIT_VERSION)


def read_split(folder: Path) -> SplitRecord | None:
    """What was measured there; None: nothing. Raises ArtefactError where the file is damaged."""
    if not (folder / SPLIT).exists():
        return None
    return read_json(
        folder / SPLIT,
        SplitRecord,
        schema=SPLIT_SCHEMA,
        version=SPLIT_VERSION,
        maker="c2f calibrate",
    )


def make_evaluation(index: DatasetIndex, images: ImagesChoice, seed: int) -> Evaluation:
    """Choose the images to measure; see the module's text for the rule.

    Raises:
        ConfigError: the data set has no training images, or no test images when asked for, or a
            class has too few images to be split.
    """
    train = index.positions(TRAIN)
    if train.size == 0:
        raise ConfigError(
            f"{index.root}: no training images", "Check the split file of the data set."
        )
    if images == "test":
        test = index.positions(TEST)
        if test.size == 0:
            raise ConfigError(
                f"{index.root}: no test images",
                "Use --images val, which needs training images only.",
            )
        return Evaluation(
            "test", "official test", seed, _ints(test), (0,) * test.size, (_ints(train),)
        )
    held_out = stratified(index.labels[train], VALIDATION_FRACTION, seed)
    if held_out.sum() >= MINIMUM_IMAGES:
        val, rest = train[held_out], train[~held_out]
        return Evaluation("val", HELD_OUT, seed, _ints(val), (0,) * val.size, (_ints(rest),))
    folds = _stratified_folds(index, train, seed)
    others = tuple(_ints(train[folds != k]) for k in range(FOLDS))
    return Evaluation("val", "cross-validation", seed, _ints(train), _ints(folds), others)


def _ints(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def stratified(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Mark ``fraction`` of each class: at least one image of two, and never all.

    Args:
        labels: (n,) class ids.
    """
    random = np.random.default_rng([seed, 0x5711])
    chosen = np.zeros(labels.size, dtype=np.bool_)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(fraction * members.size)), members.size - 1)
        chosen[members[:count]] = True
    return chosen


def _stratified_folds(
    index: DatasetIndex, train: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Deal each class's images over the folds in turn, starting where the last class ended."""
    random = np.random.default_rng([seed, 0xF01D])
    labels = index.labels[train]
    folds = np.empty(train.size, dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        if members.size < 2:
            name = index.taxonomy.names[-1][int(label)]
            raise ConfigError(
                f"{index.root}: class {name!r} has {members.size} training image",
                "Cross-validation needs two images a class; add images or use --images test.",
            )
        folds[members] = (start + np.arange(members.size)) % FOLDS
        start += members.size
    return folds
