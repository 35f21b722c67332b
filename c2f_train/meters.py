"""Loss and accuracy of an epoch, added up on the device.

Reading a number back makes the processor wait for the device, so it is done every few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from c2f_train.distributed import ALONE, World
from c2f_train.divergence import limit

# Steps between two looks at a GPU. Elsewhere a look costs nothing.
GPU_INTERVAL = 16


@dataclass(frozen=True, slots=True)
class LevelSums:
    """What one level has added up to in an epoch that is not finished.

    Attributes:
        level: its position, coarse to fine.
        loss: sum of the images' losses, in nats.
        right: images whose most likely class was the true one.
        seen: images.
    """

    level: int
    loss: float
    right: int
    seen: int


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a training stands inside an epoch.

    Attributes:
        step: steps of the epoch that are done.
        sums: what they have added up to.
        seconds: that they took.
    """

    step: int = 0
    sums: tuple[LevelSums, ...] = ()
    seconds: float = 0.0


class Meters:
    """Sums of an epoch.

    Args:
        counts: classes of each level, coarse to fine.
        start: what was kept of the epoch's first steps.
    """

    def __init__(
        self,
        counts: Sequence[int],
        device: torch.device,
        start: Sequence[LevelSums] = (),
        world: World = ALONE,
    ) -> None:
        wide = torch.float32 if device.type == "mps" else torch.float64
        self._loss = torch.zeros(len(counts), dtype=wide, device=device)
        self._right = torch.zeros(len(counts), dtype=torch.int64, device=device)
        self._seen = [0] * len(counts)
        self._worst = torch.zeros((), device=device)
        self._limits = [limit(count) for count in counts]
        self._world = world
        self.interval = GPU_INTERVAL if device.type == "cuda" else 1
        for sums in start:
            self._seen[sums.level] = sums.seen
            if world.first:  # the others' parts are in it
                self._loss[sums.level] = sums.loss
                self._right[sums.level] = sums.right

    def add(self, level: int, loss: Tensor, right: Tensor, images: int) -> None:
        """Take in one step of a level.

        Args:
            loss: () sum of the losses of this process's images.
            right: () how many of these were right.
            images: of all processes.
        """
        self._loss[level] += loss
        self._right[level] += right
        self._seen[level] += images
        share = loss * self._world.size / (images * self._limits[level])
        self._worst = torch.maximum(self._worst, share)

    def worst(self) -> float:
        """The largest loss since the last look, as a share of what counts as diverged.

        More than 1: exploding; inf: no number. The same in every process.
        """
        found = self._worst.nan_to_num(torch.inf, posinf=torch.inf).cpu()
        self._worst.zero_()
        return float(self._world.largest(found))

    def sums(self) -> tuple[LevelSums, ...]:
        """What the levels have added up to, in all processes, for those that were seen."""
        loss, right = self._world.total(self._loss), self._world.total(self._right)
        return tuple(
            LevelSums(level, float(loss[level]), int(right[level]), seen)
            for level, seen in enumerate(self._seen)
            if seen
        )


def means(
    sums: Sequence[LevelSums], names: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """(level name to mean loss in nats, level name to share of right images)."""
    return (
        {names[s.level]: s.loss / s.seen for s in sums},
        {names[s.level]: s.right / s.seen for s in sums},
    )
