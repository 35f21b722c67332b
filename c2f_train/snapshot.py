"""The state of an unfinished training, so that a killed run goes on where it was.

Model and optimiser are safetensors, the position is JSON. Nothing else has a state: learning
rates, orders and augmentation are functions of the seed and the epoch. Tensors lie in files of
their own epoch, and position.json, which names that epoch, is replaced last: whenever a run is
killed, there is one whole snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from c2f_data.artefacts import atomic_path, read_json, write_json
from c2f_data.errors import ArtefactError
from c2f_train.checkpoint import load_state, read_tensors, write_tensors
from c2f_train.model import HierarchicalClassifier
from c2f_train.results import EpochMetrics

SCHEMA = "c2f-snapshot"
SCHEMA_VERSION = 1
POSITION = "position.json"
MODEL = "model"
OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a training stands.

    Attributes:
        key: fingerprint of everything that determines the run; another key is another run.
        stage, epoch: finished so far; epoch counts from 1 within the stage.
        history: metrics of the finished epochs.
    """

    key: str
    stage: int
    epoch: int
    history: tuple[EpochMetrics, ...]


def save_snapshot(
    folder: Path,
    model: HierarchicalClassifier,
    optimizer: torch.optim.Optimizer | None,
    position: Position,
) -> None:
    """Replace the snapshot, atomically. Raises ArtefactError when the disk refuses."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    parts = {MODEL: state, OPTIMIZER: _optimizer_tensors(optimizer)}
    for part, tensors in parts.items():
        with atomic_path(_tensor_file(folder, part, position)) as temporary:
            write_tensors(temporary, tensors)
    write_json(folder / POSITION, position, schema=SCHEMA, version=SCHEMA_VERSION)
    current = {_tensor_file(folder, part, position) for part in parts}
    for path in set(folder.glob("*.safetensors")) - current:
        path.unlink(missing_ok=True)


def _tensor_file(folder: Path, part: str, position: Position) -> Path:
    return folder / f"{part}-{position.stage}-{position.epoch}.safetensors"


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
