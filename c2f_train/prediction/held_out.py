"""Which images of a run were held out of its training, and what is fitted on them."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.index import TRAIN
from c2f_data.resample import Pixels
from c2f_data.shards.reader import ShardReader
from c2f_train.prediction.pool import Ids


@dataclass(frozen=True)
class HeldOut:
    """Images of the training split that a run was not trained on, from its shards.

    Attributes:
        positions: in the split, ascending.
    """

    reader: ShardReader
    positions: Ids

    def __len__(self) -> int:
        return self.positions.size

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8 at native resolution. Raises ArtefactError: damaged."""
        return self.reader.pixels(TRAIN, int(self.positions[position]), self.reader.levels[-1])

    @property
    def labels(self) -> Ids:
        """(n, levels) class ids."""
        return self.reader.labels(TRAIN)[self.positions]
