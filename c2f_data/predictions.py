"""What a classifier said about each image at one resolution: kept, so that every figure can be
recomputed without a network.

One HDF5 file a resolution, one row an image. Attributes: ``schema``, ``schema_version``,
``resolution`` (pixels), ``native``, ``levels`` (coarse to fine). Datasets: ``image_id`` (n) fixed
UTF-8; ``reduced`` (n) uint8; ``true`` and ``predicted`` (n, levels) int32; ``confidence``
(n, levels) float64.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import atomic_path
from c2f_data.errors import ArtefactError
from c2f_data.tables import fixed_text, read_array, read_text

if TYPE_CHECKING:
    import pandas

SCHEMA = "c2f-predictions"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Predictions:
    """One row an image, one column a level.

    Attributes:
        resolution: shorter side in pixels that the images were reduced to.
        native: the images were not reduced; ``resolution`` is then the cap of the sweep.
        levels: level names, coarse to fine.
        image_ids: (n,) ids of the images.
        true: (n, levels) class ids.
        predicted: (n, levels) class ids; the number of classes stands for an answer outside them.
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

    def rows(self, chosen: NDArray[np.int64]) -> Predictions:
        """The same for some of the images, in the order given."""
        return replace(
            self,
            image_ids=tuple(self.image_ids[i] for i in chosen),
            true=self.true[chosen],
            predicted=self.predicted[chosen],
            confidence=self.confidence[chosen],
            reduced=self.reduced[chosen],
        )


def as_frame(predictions: Predictions) -> pandas.DataFrame:
    """A data frame: ``image_id``, ``resolution``, ``reduced``, and three columns a level."""
    import pandas

    columns: dict[str, object] = {
        "image_id": predictions.image_ids,
        "resolution": predictions.resolution,
        "reduced": predictions.reduced,
    }
    for i, level in enumerate(predictions.levels):
        columns[f"true_{level}"] = predictions.true[:, i]
        columns[f"predicted_{level}"] = predictions.predicted[:, i]
        columns[f"confidence_{level}"] = predictions.confidence[:, i]
    return pandas.DataFrame(columns)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one file, atomically. Raises ArtefactError as the disk does."""
    buffer = io.BytesIO()
    # In memory first: the HDF5 library crashes the process when the disk is full.
    with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
        fill(file, predictions)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def fill(file: h5py.File, predictions: Predictions) -> None:
    """Put predictions into an open, empty file; others may add datasets of their own."""
    file.attrs["schema"] = SCHEMA
    file.attrs["schema_version"] = SCHEMA_VERSION
    file.attrs["resolution"] = predictions.resolution
    file.attrs["native"] = predictions.native
    file.attrs["levels"] = list(predictions.levels)
    file["image_id"] = fixed_text(predictions.image_ids)
    file["reduced"] = predictions.reduced.astype("u1")
    file["true"] = predictions.true.astype("<i4")
    file["predicted"] = predictions.predicted.astype("<i4")
    file["confidence"] = predictions.confidence.astype("<f8")


def read_predictions(path: Path) -> Predictions:
    """Read what :func:`write_predictions` wrote.

    Raises:
        ArtefactError: absent, damaged, or of another schema version.
    """
    remedy = "Delete the file and run `c2f calibrate` again: only this resolution is redone."
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("schema") != SCHEMA:
                raise ValueError(f"not a {SCHEMA} file")
            version = file.attrs.get("schema_version")
            if version != SCHEMA_VERSION:
                raise ArtefactError(
                    f"{path}: schema version {version}, this c2f reads version {SCHEMA_VERSION}",
                    f"{remedy} (or use the c2f that wrote it)",
                )
            return _read(file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ArtefactError(f"{path}: damaged predictions ({error})", remedy) from error


def _read(file: h5py.File) -> Predictions:
    levels = tuple(str(level) for level in file.attrs["levels"])
    resolution = int(file.attrs["resolution"])
    ids = read_text(file, "image_id")
    shape = (len(ids), len(levels))
    true = read_array(file, "true", "i4", shape).astype(np.int64)
    predicted = read_array(file, "predicted", "i4", shape).astype(np.int64)
    confidence = read_array(file, "confidence", "f8", shape).astype(np.float64)
    reduced = read_array(file, "reduced", "u1", shape[:1]) != 0
    if resolution < 1 or len(set(ids)) != len(ids):
        raise ValueError("an impossible resolution, or an image twice")
    if (true < 0).any() or (predicted < 0).any():
        raise ValueError("a class below 0")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("a confidence outside 0 to 1")
    native = bool(file.attrs["native"])
    return Predictions(resolution, native, levels, ids, true, predicted, confidence, reduced)
