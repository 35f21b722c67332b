"""Temperature scaling: one number a level that makes confidences mean something.

Guo et al. 2017 (ICML, "On calibration of modern neural networks", section 4.2): logits are divided
by T > 0, chosen by maximum likelihood on images that the classifier was not trained on. The order
of the classes stays, so no answer changes; T > 1 makes a classifier less sure, T < 1 surer. T is
fitted where a measurement starts, at native resolution, and used at every other one: what a
classifier says of images that it was not trained on is part of what is measured.

Test images fit nothing: their labels must not tune what is reported about them.

What is on disk, beside the predictions, and in which order it comes:

- ``logits/00000.safetensors`` ...: the scores of a block of native images, named by its first
  row; written before the block's predictions, so there is never an answer without its scores.
- ``native.h5``: its confidences are unscaled until all images are measured, then rewritten.
- ``temperatures.json``: last. With it all is done, and the scores are not needed any more.

The fit depends on the scores alone, so a run that was killed in between ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from c2f_data.artefacts import atomic_path, disk_error, read_json, write_json
from c2f_data.confidence import Confidence, EcePoint, TemperatureFit, expected_calibration_error
from c2f_data.errors import ArtefactError
from c2f_data.predictions import Predictions
from c2f_train.checkpoint import read_tensors, write_tensors

SCHEMA = "c2f-temperatures"
SCHEMA_VERSION = 1

# Where every answer is right, the likelihood grows for ever as T falls: it has to end somewhere.
LOWEST, HIGHEST = 0.05, 20.0
# Scores of images x classes, over all levels, that are kept at most: 80 MB.
MOST_SCORES = 20_000_000


@dataclass(frozen=True, slots=True)
class Temperatures:
    """temperatures.json: one entry a level, coarse to fine.

    Attributes:
        values: the logits are divided by these.
        ece_before: expected calibration error at native resolution without them.
    """

    values: tuple[float, ...]
    ece_before: tuple[float, ...]


def fit_temperature(logits: NDArray[np.float32], true: NDArray[np.int64]) -> float:
    """The temperature of maximum likelihood, to four decimals, between LOWEST and HIGHEST.

    Args:
        logits: (n, classes) or wider, finite; log-probabilities will do.
        true: (n,) the right columns.
    """
    scores = logits.astype(np.float64)
    own = scores[np.arange(len(true)), true].copy()
    top = scores.max(axis=1)
    scores -= top[:, None]
    own -= top

    def loss(log_t: float) -> float:
        inverse = float(np.exp(-log_t))
        return float((np.log(np.exp(scores * inverse).sum(axis=1)) - own * inverse).mean())

    # The loss is convex in 1 / T, so it has one valley in log T as well.
    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 4)


def scaled_confidence(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """(n,) the largest softmax share of (n, classes) logits, divided by the temperature first."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    return np.asarray(1 / np.exp(scores / temperature).sum(axis=1), np.float64)


class Scaling:
    """The temperatures of one measurement: scores are kept first, then the fit is settled.

    Args:
        folder: of the measurement's predictions.
        levels: their names, coarse to fine.
        n: number of images.
        fit: False for test images: all temperatures are 1 and no scores are kept.
    """

    def __init__(self, folder: Path, levels: Sequence[str], n: int, *, fit: bool) -> None:
        self._folder = folder / "logits"
        self._record = folder / "temperatures.json"
        self._levels = tuple(levels)
        self._n = n
        self._fit = fit
        self._settled: tuple[Temperatures, TemperatureFit] | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """One a level, coarse to fine. Only after :meth:`settle`."""
        return self._known()[0].values

    @property
    def settled(self) -> bool:
        """Whether the temperatures are known."""
        return self._settled is not None

    def wants(self, logits: Sequence[Tensor]) -> bool:
        """Whether scores of this width, one tensor a level, are to be kept."""
        return self._fit and self._n * sum(x.shape[1] for x in logits) <= MOST_SCORES

    def keep(
        self, start: int, batches: Sequence[tuple[NDArray[np.int64], Sequence[Tensor]]]
    ) -> None:
        """Write the scores of one block.

        Args:
            start: the block's first row.
            batches: positions in the block, each once, and their logits, one tensor a level.

        Raises:
            ArtefactError: the disk refused.
        """
        # Native is measured (again): what was settled before does not hold for its new file.
        try:
            self._record.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, self._record) from error
        order = torch.from_numpy(np.argsort(np.concatenate([chosen for chosen, _ in batches])))
        levels = zip(*(logits for _, logits in batches), strict=True)
        tensors = {
            str(level): torch.cat([each.float().cpu() for each in parts])[order]
            for level, parts in enumerate(levels)
        }
        with atomic_path(self._folder / f"{start:05d}.safetensors") as temporary:
            write_tensors(temporary, tensors)

    def settle(self, native: Predictions) -> Predictions:
        """Fit the temperatures; the same predictions with confidences that they are used on.

        Call :meth:`finish` when these are stored.

        Args:
            native: all images, in the order in which they were kept.

        Raises:
            ArtefactError: what was kept is damaged.
        """
        if self._fit and self._record.exists():
            self._settled = self._read_record(), TemperatureFit.FITTED
            return native
        logits = self._read_logits(native) if self._fit else None
        if logits is None:
            ones = Temperatures((1.0,) * len(self._levels), _errors(native))
            fit = TemperatureFit.NOT_KEPT if self._fit else TemperatureFit.TEST
            self._settled = ones, fit
            return native
        values = tuple(
            fit_temperature(own, native.true[:, level]) for level, own in enumerate(logits)
        )
        before = _errors(_scaled(native, logits, (1.0,) * len(values)))
        self._settled = Temperatures(values, before), TemperatureFit.FITTED
        return _scaled(native, logits, values)

    def finish(self) -> None:
        """Note on disk that the confidences at native resolution are stored as settled."""
        temperatures, fit = self._known()
        if fit is TemperatureFit.FITTED and not self._record.exists():
            write_json(self._record, temperatures, schema=SCHEMA, version=SCHEMA_VERSION)

    def confidence(self, level: str, measured: Sequence[Predictions]) -> Confidence:
        """What came of it at one level.

        Args:
            measured: the resolutions that were measured on all images, highest first; the first
                is the one where the temperatures were fitted.
        """
        temperatures, fit = self._known()
        column = self._levels.index(level)
        points = tuple(EcePoint(rows.resolution, _error(rows, column)) for rows in measured)
        return Confidence(
            level=level,
            resolution=points[0].resolution,
            temperature=temperatures.values[column],
            fit=fit,
            ece_before=temperatures.ece_before[column],
            ece_after=points[0].ece,
            points=points,
        )

    def _known(self) -> tuple[Temperatures, TemperatureFit]:
        assert self._settled is not None, "native resolution is measured first, on all images"
        return self._settled

    def _read_record(self) -> Temperatures:
        read = read_json(
            self._record,
            Temperatures,
            schema=SCHEMA,
            version=SCHEMA_VERSION,
            maker="c2f calibrate",
        )
        shape = {len(read.values), len(read.ece_before)} == {len(self._levels)}
        if not shape or not all(LOWEST <= value <= HIGHEST for value in read.values):
            raise ArtefactError(f"{self._record}: not temperatures of these levels", self._remedy)
        return read

    def _read_logits(self, native: Predictions) -> list[NDArray[np.float32]] | None:
        """(n, classes) or wider for each level; None where not all images have theirs."""
        parts: list[dict[str, Tensor]] = []
        rows = 0
        while rows < self._n:
            path = self._folder / f"{rows:05d}.safetensors"
            if not path.exists():
                return None
            part = self._read_block(path)
            parts.append(part)
            rows += len(part["0"])
        try:
            joined = [
                torch.cat([part[str(i)] for part in parts]).numpy()
                for i in range(len(self._levels))
            ]
        except RuntimeError:  # blocks of different widths
            joined = []
        fits = [
            len(own) == self._n and own.shape[1] > native.true[:, level].max()
            for level, own in enumerate(joined)
        ]
        if not fits or not all(fits):
            raise ArtefactError(f"{self._folder}: not scores of these images", self._remedy)
        return joined

    def _read_block(self, path: Path) -> dict[str, Tensor]:
        try:
            part = read_tensors(path)
        except ArtefactError as error:
            raise ArtefactError(f"{path}: damaged ({error.__cause__})", self._remedy) from error
        wanted = {str(level) for level in range(len(self._levels))}
        good = part.keys() == wanted and all(
            x.dtype == torch.float32 and x.ndim == 2 and bool(x.isfinite().all())
            for x in part.values()
        )
        if not good or len({len(x) for x in part.values()} | {0}) != 2:
            raise ArtefactError(f"{path}: not scores of a block of images", self._remedy)
        return part

    @property
    def _remedy(self) -> str:
        return f"Delete the folder {self._record.parent} and run again: it is measured anew."


def _scaled(
    rows: Predictions, logits: Sequence[NDArray[np.float32]], values: Sequence[float]
) -> Predictions:
    columns = [scaled_confidence(own, t) for own, t in zip(logits, values, strict=True)]
    return replace(rows, confidence=np.stack(columns, axis=1))


def _errors(rows: Predictions) -> tuple[float, ...]:
    return tuple(_error(rows, column) for column in range(len(rows.levels)))


def _error(rows: Predictions, column: int) -> float:
    right = rows.correct(rows.levels[column])
    return expected_calibration_error(rows.confidence[:, column], right)
