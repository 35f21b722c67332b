"""What a training run leaves behind, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from c2f_data.artefacts import read_json, write_json
from c2f_data.calibration import LevelResolution
from c2f_data.provenance import Provenance
from c2f_train.config import TrainConfig

SCHEMA = "c2f-run"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One epoch. Dictionaries are keyed by level, for the levels that were trained.

    Attributes:
        stage: 1 (classifiers) or 2 (everything).
        epoch: 1-based within its stage.
        learning_rate: at the end of the epoch.
        loss: mean cross-entropy in nats over the epoch's batches.
        accuracy: share of the training images that were right as they went by.
        seconds: wall time of the epoch.
        validation_loss, validation_accuracy: the same of the validation images, one centre crop
            each, with the weights that would be kept; empty where none are held out.
    """

    stage: int
    epoch: int
    learning_rate: float
    loss: dict[str, float]
    accuracy: dict[str, float]
    seconds: float
    validation_loss: dict[str, float] = field(default_factory=dict)
    validation_accuracy: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LevelAccuracy:
    """Test accuracy of one level's classifier at that level's own resolution.

    Attributes:
        resolution: shorter side in pixels; the median native side at the finest level.
        low, high: Wilson interval, 95 %.
        chance: accuracy of always naming the most frequent class of the test images.
    """

    level: str
    resolution: int | None
    native: bool
    n: int
    correct: int
    low: float
    high: float
    chance: float

    @property
    def accuracy(self) -> float:
        """Share of the test images that are right, in [0, 1]."""
        return self.correct / self.n


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        levels: of the shards it was trained on, coarse to fine.
        parameters: number of trained numbers in the network.
        test: one entry a trained level, coarse to fine.
        plan_fingerprint: of the shards.
        crop: what the images of the shards were cut to: ``none``, ``bbox`` or ``parts``; None: not
            known, for it was not recorded yet.
    """

    name: str
    dataset: str
    config: TrainConfig
    levels: tuple[LevelResolution, ...]
    parameters: int
    weights: str
    epochs: tuple[EpochMetrics, ...]
    test: tuple[LevelAccuracy, ...]
    plan_fingerprint: str
    warnings: tuple[str, ...]
    provenance: Provenance
    crop: str | None = None


def write_run(path: Path, result: RunResult) -> None:
    """Write run.json, atomically: its existence means that the run is finished."""
    write_json(path, result, schema=SCHEMA, version=SCHEMA_VERSION)


def read_run(path: Path) -> RunResult:
    """Read run.json. Raises ArtefactError: absent, damaged, of another version."""
    return read_json(path, RunResult, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f train")
