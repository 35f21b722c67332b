"""The state of an unfinished training, so that a killed run goes on where it was.

Model, optimiser and averaged weights are safetensors, the position is JSON. Nothing else has a
state: learning rates, orders, augmentation and dropout are functions of the seed, the epoch and
the step. Tensors lie in files of their own step, and position.json, which names that step, is
replaced last: whenever a run is killed, there is one whole snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from c2f_data.artefacts import atomic_path, read_json, write_json
from c2f_data.errors import ArtefactError
from c2f_train.checkpoint import load_state, read_tensors, write_tensors
from c2f_train.early_stopping import Best
from c2f_train.ema import Average
from c2f_train.meters import Inside
from c2f_train.model import HierarchicalClassifier
from c2f_train.results import EpochMetrics

SCHEMA = "c2f-snapshot"
SCHEMA_VERSION = 1
POSITION = "position.json"
MODEL = "model"
OPTIMIZER = "optimizer"
AVERAGE = "average"
BEST = "best"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training stands.

    Attributes:
        key: fingerprint of everything that determines the run; another key is another run.
        stage, epoch: finished so far; epoch counts from 1 within the stage.
        history: metrics of the finished epochs.
        inside: what is done of the epoch after them.
        best: the stage's best epoch on the validation images; None: there are none.
    """

    key: str
    stage: int
    epoch: int
    history: tuple[EpochMetrics, ...]
    inside: Inside = Inside()  # noqa: RUF009  (frozen)
    best: Best | None = None

    @property
    def described(self) -> str:
        """In words."""
        words = f"stage {self.stage}, epoch {self.epoch}"
        return words + (f" and {self.inside.step} steps" if self.inside.step else "")


def save_snapshot(
    folder: Path,
    model: HierarchicalClassifier,
    optimizer: torch.optim.Optimizer | None,
    position: Position,
    average: Average | None = None,
    best: Mapping[str, Tensor] | None = None,
) -> None:
    """Replace the snapshot, atomically.

    Args:
        average: of the weights, where there is one.
        best: the model's tensors at ``position.best``, where that is new; else they are kept.

    Raises:
        ArtefactError: the disk refuses.
    """
    parts = {MODEL: model.state_dict(), OPTIMIZER: _optimizer_tensors(optimizer)}
    if average is not None:
        parts[AVERAGE] = average.state()
    files = {_tensor_file(folder, part, position): tensors for part, tensors in parts.items()}
    if best is not None:
        files[_best_file(folder, position)] = dict(best)
    for path, tensors in files.items():
        with atomic_path(path) as temporary:
            plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
            write_tensors(temporary, plain)
    write_json(folder / POSITION, position, schema=SCHEMA, version=SCHEMA_VERSION)
    current = set(files) | ({_best_file(folder, position)} if position.best else set())
    for path in set(folder.glob("*.safetensors")) - current:
        path.unlink(missing_ok=True)


def _tensor_file(folder: Path, part: str, position: Position) -> Path:
    place = f"{position.stage}-{position.epoch}-{position.inside.step}"
    return folder / f"{part}-{place}.safetensors"


def _best_file(folder: Path, position: Position) -> Path:
    epoch = position.best.epoch if position.best else 0
    return folder / f"{BEST}-{position.stage}-{epoch}.safetensors"


def read_position(folder: Path) -> Position | None:
    """Where the training in this folder stands; None where there is none.

    Raises:
        ArtefactError: damaged, or of another version.
    """
    if not (folder / POSITION).exists():
        return None
    return read_json(
        folder / POSITION,
        Position,
        schema=SCHEMA,
        version=SCHEMA_VERSION,
        maker="c2f train --overwrite",
    )


def restore_model(folder: Path, position: Position, model: HierarchicalClassifier) -> None:
    """Fill the model. Raises ArtefactError where the snapshot is damaged or does not fit."""
    load_state(model, read_tensors(_tensor_file(folder, MODEL, position)), folder)


def restore_average(folder: Path, position: Position, average: Average) -> None:
    """Fill the average. Raises ArtefactError where the snapshot is damaged or does not fit."""
    path = _tensor_file(folder, AVERAGE, position)
    average.restore(read_tensors(path), str(path))


def restore_best(folder: Path, position: Position, model: HierarchicalClassifier) -> None:
    """Fill the model with the best state of the stage. Raises ArtefactError as above."""
    load_state(model, read_tensors(_best_file(folder, position)), folder)


def restore_optimizer(folder: Path, position: Position, optimizer: torch.optim.Optimizer) -> None:
    """Fill the optimiser's state. Raises ArtefactError where the snapshot is damaged."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in read_tensors(_tensor_file(folder, OPTIMIZER, position)).items():
        number, _, key = name.partition(".")
        if not number.isdigit():
            raise ArtefactError(
                f"{folder}: damaged optimiser state", "Train again with --overwrite."
            )
        state.setdefault(int(number), {})[key] = value
    current = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def _optimizer_tensors(optimizer: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    if optimizer is None:
        return {}
    return {
        f"{number}.{key}": value.detach().cpu().contiguous().clone()
        for number, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }
