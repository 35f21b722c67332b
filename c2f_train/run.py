"""One training run: what it is made of, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from c2f_data.resample import Pixels, ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.config import TrainConfig
from c2f_train.distributed import ALONE, World
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress


@dataclass(frozen=True)
class ShardPictures:
    """The images of one split at one level's resolution."""

    reader: ShardReader
    split: str
    level: str

    def __len__(self) -> int:
        return self.reader.length(self.split)

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8. Raises ArtefactError where the shard is damaged."""
        return self.reader.pixels(self.split, position, self.level)


@dataclass(frozen=True)
class Run:
    """A training run: what it is made of, and where it is kept.

    Attributes:
        levels: positions of the levels it trains, fine to coarse, the order of alternation.
        key: fingerprint of all that determines it.
        world: the processes that train it together.
        tensorboard: whether the metrics are also written for TensorBoard.
    """

    reader: ShardReader
    config: TrainConfig
    model: HierarchicalClassifier
    spec: ResampleSpec
    folder: Path
    device: torch.device
    progress: Progress
    levels: tuple[int, ...]
    key: str
    world: World = ALONE
    tensorboard: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All level names, coarse to fine."""
        return self.reader.levels

    def pictures(self, split: str, level: int) -> ShardPictures:
        return ShardPictures(self.reader, split, self.names[level])

    def labels(self, split: str, level: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.reader.labels(split)[:, level]))
