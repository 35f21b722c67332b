"""When a stage ends early, and which of its states is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2f_train.meters import LevelSums


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch of a stage so far, on the validation images.

    Attributes:
        epoch: 1-based within the stage.
        accuracy: mean over the trained levels of the share of right images.
        loss: mean over the levels, in nats; decides between equal accuracies.
    """

    epoch: int
    accuracy: float
    loss: float

    @classmethod
    def of(cls, epoch: int, sums: Sequence[LevelSums]) -> Best:
        """An epoch's own."""
        return cls(
            epoch,
            sum(s.right / s.seen for s in sums) / len(sums),
            sum(s.loss / s.seen for s in sums) / len(sums),
        )

    def beats(self, other: Best | None) -> bool:
        """A tie goes to the earlier epoch."""
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


def ended(best: Best | None, epoch: int, patience: int) -> bool:
    """Whether a stage has waited long enough after ``epoch`` epochs."""
    return best is not None and patience > 0 and epoch - best.epoch >= patience
