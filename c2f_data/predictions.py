"""What a classifier said about each image at one resolution: kept, so that every figure can be
recomputed without a network."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import write_text
from c2f_data.errors import ArtefactError


@dataclass(frozen=True)
class Predictions:
    """One row an image, one column a level.

    Attributes:
        resolution: shorter side in pixels that the images were reduced to.
        native: the images were not reduced; ``resolution`` is then the cap of the sweep.
        levels: level names, coarse to fine.
        image_ids: (n,) ids of the images.
        true: (n, levels) class ids.
        predicted: (n, levels) class ids.
        confidence: (n, levels) softmax probability of the predicted class, in [0, 1].
        reduced: (n,) whether the image was larger than ``resolution``, so really reduced.
    """

    resolution: int
    native: bool
    levels: tuple[str, ...]
    image_ids: tuple[str, ...]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    reduced: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = (len(self.image_ids), len(self.levels))
        for name in ("true", "predicted", "confidence"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")

    def correct(self, level: str) -> NDArray[np.bool_]:
        """(n,) whether the prediction at a level is right."""
        column = self.levels.index(level)
        return np.asarray(self.true[:, column] == self.predicted[:, column])


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one CSV, atomically: ``image_id, reduced`` and three columns a level."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [f"{what}_{level}" for level in predictions.levels for what in _COLUMNS]
    writer.writerow(["image_id", "reduced", *columns])
    for i, image_id in enumerate(predictions.image_ids):
        row: list[object] = [image_id, int(predictions.reduced[i])]
        for j in range(len(predictions.levels)):
            row += [
                int(predictions.true[i, j]),
                int(predictions.predicted[i, j]),
                f"{predictions.confidence[i, j]:.6f}",
            ]
        writer.writerow(row)
    write_text(path, buffer.getvalue())


_COLUMNS = ("true", "predicted", "confidence")


def read_predictions(
    path: Path, resolution: int, native: bool, levels: Sequence[str]
) -> Predictions:
    """Read what :func:`write_predictions` wrote. Raises ArtefactError when it is damaged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        table = [
            [[float(row[f"{what}_{level}"]) for level in levels] for what in _COLUMNS]
            for row in rows
        ]
        values = np.asarray(table, dtype=np.float64).reshape(len(rows), 3, len(levels))
        return Predictions(
            resolution=resolution,
            native=native,
            levels=tuple(levels),
            image_ids=tuple(row["image_id"] for row in rows),
            true=values[:, 0].astype(np.int64),
            predicted=values[:, 1].astype(np.int64),
            confidence=values[:, 2],
            reduced=np.asarray([row["reduced"] == "1" for row in rows], dtype=np.bool_),
        )
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ArtefactError(
            f"{path}: damaged predictions ({error})",
            "Delete the file and run `c2f calibrate` again: only this resolution is redone.",
        ) from error
