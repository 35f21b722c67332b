"""What is said about one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from c2f_train.prediction.guarantee import Guarantee

# Why an answer is no finer than it is.
Stop = Literal["finest level", "resolution", "confidence"]


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the hierarchy with its probability.

    Attributes:
        class_id: at its level. name: unique at its level.
    """

    level: str
    name: str
    class_id: int
    confidence: float


@dataclass(frozen=True, slots=True)
class LevelAnswers:
    """The most probable nodes of one level, best first; the probabilities of all add up to 1."""

    level: str
    top: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class UsableResolution:
    """How many pixels of an image are to be believed; all in pixels of the shorter side.

    Attributes:
        native: of the image as it came.
        effective: estimate of what is really resolved, where that is less; None: no sign of it.
        given: what the caller said; the image was reduced to it. None: nothing.
        usable: what decides which level may be named.
    """

    native: int
    effective: int | None
    given: int | None
    usable: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    Attributes:
        image: its name: a path, or ``image 3``.
        height, width: in pixels, upright.
        resolution: see :class:`UsableResolution`.
        allowed: finest level that the calibration allows at the usable resolution.
        path: the answer, coarse to fine, one node a level; each is the child of the one before.
            Empty: not even the coarsest level is probable enough.
        stop: why it is no finer: ``finest level`` (it can't be), ``resolution`` (too few pixels)
            or ``confidence`` (no child is probable enough).
        why: the same in a sentence.
        levels: the most probable nodes of every allowed level, coarse to fine.
        guarantee: how often such answers are wrong; None: nothing was measured for them.
        promise: the same in a sentence.
        warnings: one line each.
    """

    image: str
    height: int
    width: int
    resolution: UsableResolution
    allowed: str
    path: tuple[Node, ...]
    stop: Stop
    why: str
    levels: tuple[LevelAnswers, ...]
    guarantee: Guarantee | None
    promise: str
    warnings: tuple[str, ...]

    @property
    def answer(self) -> Node | None:
        """The deepest node that is named."""
        return self.path[-1] if self.path else None


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be read: what is wrong, and what to do."""

    image: str
    error: str
    hint: str
