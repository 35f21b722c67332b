"""What a classifier said about each image at one resolution: kept, so that every figure can be
recomputed without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
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

    def classes(self, level: str) -> NDArray[np.int64]:
        """(n,) the true class of each image at a level."""
        return self.true[:, self.levels.index(level)]

    def correct(self, level: str) -> NDArray[np.bool_]:
        """(n,) whether the prediction at a level is right."""
        column = self.levels.index(level)
        return np.asarray(self.true[:, column] == self.predicted[:, column])


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one CSV, atomically: ``image_id, reduced`` and three columns a level."""
    columns: dict[str, object] = {
        "image_id": predictions.image_ids,
        "reduced": predictions.reduced.astype(np.int64),
    }
    for i, level in enumerate(predictions.levels):
        columns[f"true_{level}"] = predictions.true[:, i]
        columns[f"predicted_{level}"] = predictions.predicted[:, i]
        columns[f"confidence_{level}"] = predictions.confidence[:, i]
    table = pd.DataFrame(columns)
    write_text(path, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))


def read_predictions(
    path: Path, resolution: int, native: bool, levels: Sequence[str]
) -> Predictions:
    """Read what :func:`write_predictions` wrote. Raises ArtefactError when it is damaged."""
    integers = [f"{what}_{level}" for level in levels for what in ("true", "predicted")]
    numbers = [f"confidence_{level}" for level in levels]
    kinds = {"image_id": str, "reduced": int}
    kinds |= dict.fromkeys(integers, int) | dict.fromkeys(numbers, float)
    try:
        # Ids such as "NA" are names here, never missing values.
        table = pd.read_csv(path, dtype=kinds, usecols=list(kinds), keep_default_na=False)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ArtefactError(
            f"{path}: damaged predictions ({str(error).splitlines()[0]})",
            "Delete the file and run `c2f calibrate` again: only this resolution is redone.",
        ) from error
    return Predictions(
        resolution=resolution,
        native=native,
        levels=tuple(levels),
        image_ids=tuple(table["image_id"]),
        true=table[integers[0::2]].to_numpy(np.int64),
        predicted=table[integers[1::2]].to_numpy(np.int64),
        confidence=table[numbers].to_numpy(np.float64),
        reduced=table["reduced"].to_numpy() == 1,
    )
