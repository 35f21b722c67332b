"""prediction.json, in a model's folder: how its classifiers are combined and what is promised."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from c2f_data.artefacts import read_json, sha256_file, write_json
from c2f_data.errors import ArtefactError
from c2f_data.provenance import Provenance
from c2f_train.checkpoint import MODEL_FILE, MOST_JSON_BYTES
from c2f_train.prediction.guarantee import Guarantee, RiskPoint, guarantee
from c2f_train.prediction.pool import HIGHEST_WEIGHT, Ids, Scores

FILE = "prediction.json"
SCHEMA = "c2f-prediction"
SCHEMA_VERSION = 1
MAKER = "c2f evaluate"


@dataclass(frozen=True)
class Condition:
    """Images of one resolution: what is asked there, with which weights, and how often it is wrong.

    Attributes:
        resolution: shorter side in pixels of the images it was fitted on; the median for native
            ones.
        native: these were the images as they are; the others were reduced to ``resolution``.
        from_side: it holds for images of at least this usable resolution in pixels, up to the
            next condition's.
        allowed: finest level that may be named there.
        experts: levels whose classifiers are asked, coarse to fine.
        weights: of their log-probabilities, see :mod:`c2f_train.prediction.pool`.
        n_fit: images that the weights were fitted on.
        loss_equal, loss_fitted: mean negative log-likelihood in nats of the right class of the
            allowed level on the other images, with equal weights and with these.
        confidence: of the other images, a tuple a level, coarse to fine: the probabilities along
            the descent (:class:`c2f_train.prediction.stopping.Descent`).
        right: of the same images, how many levels of the descent are right.
        curve: risk and coverage on them.
    """

    resolution: int
    native: bool
    from_side: int
    allowed: str
    experts: tuple[str, ...]
    weights: tuple[float, ...]
    n_fit: int
    loss_equal: float
    loss_fitted: float
    confidence: tuple[tuple[float, ...], ...]
    right: tuple[int, ...]
    curve: tuple[RiskPoint, ...]

    @cached_property
    def _rows(self) -> tuple[Scores, Ids]:
        return np.array(self.confidence).T, np.array(self.right, np.int64)

    def guarantee(self, confidence: float, images: str = "held-out images") -> Guarantee:
        """What is promised of answers at a confidence.

        Args:
            images: what the held-out images are, in words.

        Raises:
            ConfigError: the confidence is no probability.
        """
        return guarantee(*self._rows, confidence, self.resolution, images)


@dataclass(frozen=True)
class SequenceFit:
    """How frames are fused, and how often sequences that end at native resolution are wrong.

    Attributes:
        kappa: see :mod:`c2f_train.prediction.sequence`.
        others: frames beside the best one in the fit.
        resolution: of the best frame, the median shorter side in pixels.
        loss_best, loss_fused: mean negative log-likelihood in nats of the right class on the
            images that were not fitted on, by the best frame alone and by all.
        confidence, right: as of a :class:`Condition`, of the fused answers.
    """

    kappa: float
    others: int
    resolution: int
    loss_best: float
    loss_fused: float
    confidence: tuple[tuple[float, ...], ...]
    right: tuple[int, ...]

    def guarantee(self, confidence: float, images: str = "held-out images") -> Guarantee:
        """As of a :class:`Condition`."""
        rows = np.array(self.confidence).T, np.array(self.right, np.int64)
        return guarantee(*rows, confidence, self.resolution, images)


@dataclass(frozen=True)
class PredictionFit:
    """What was found on images that were held out of a model's training.

    Attributes:
        model_sha256: of the model's tensors.
        levels: of the hierarchy, coarse to fine.
        images: where the held-out images come from, in words.
        n: their number.
        seed: of the split into images to fit on and images to test on.
        conditions: highest resolution first.
        sequence: None: there is one condition alone, or too few images.
    """

    model_sha256: str
    levels: tuple[str, ...]
    images: str
    n: int
    seed: int
    precision: str
    conditions: tuple[Condition, ...]
    provenance: Provenance
    sequence: SequenceFit | None = None

    def condition(self, usable: int) -> Condition | None:
        """The one for a usable resolution in pixels; None: below all that was measured."""
        return next((each for each in self.conditions if usable >= each.from_side), None)


def write_fit(model: Path, fit: PredictionFit) -> None:
    """Write prediction.json into a model's folder. Raises ArtefactError as the disk does."""
    write_json(model / FILE, fit, schema=SCHEMA, version=SCHEMA_VERSION)


def read_fit(model: Path) -> PredictionFit | None:
    """What is stored beside a model; None: nothing is.

    Raises:
        ArtefactError: damaged, of another version, or made for other tensors than those beside.
    """
    path = model / FILE
    if not path.exists():
        return None
    if path.stat().st_size > MOST_JSON_BYTES:
        raise ArtefactError(f"{path}: too large for a {FILE}", f"Run `{MAKER}` again.")
    fit = read_json(path, PredictionFit, schema=SCHEMA, version=SCHEMA_VERSION, maker=MAKER)
    fault = _fault(fit)
    if fault is not None:
        raise ArtefactError(f"{path}: {fault}", f"Delete the file and run `{MAKER}` again.")
    if fit.model_sha256 != sha256_file(model / MODEL_FILE):
        raise ArtefactError(
            f"{path}: made for another {MODEL_FILE} than the one beside it",
            f"Delete the file and run `{MAKER}` again.",
        )
    return fit


def _fault(fit: PredictionFit) -> str | None:
    """What can not be in a file that c2f wrote."""
    for each in fit.conditions:
        known = {each.allowed, *each.experts} <= set(fit.levels) and each.experts
        if not known or len(each.experts) != len(each.weights):
            return "experts that are no levels, or not one weight each"
        if not all(0 <= weight <= HIGHEST_WEIGHT for weight in each.weights):
            return f"a weight outside 0 to {HIGHEST_WEIGHT:g}"
        depth = fit.levels.index(each.allowed) + 1
        rows = len(each.right)
        if len(each.confidence) != depth or any(len(c) != rows for c in each.confidence):
            return "not one confidence a level and image"
        if not all(0 <= c <= 1 for column in each.confidence for c in column):
            return "a confidence outside 0 to 1"
        if not all(0 <= right <= depth for right in each.right):
            return "more right levels than there are"
    kept = fit.sequence
    if kept is not None and not (0 <= kept.kappa <= 1 and kept.others >= 1):
        return "frames that count more than a frame"
    return None
