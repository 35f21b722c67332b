"""The answers that a search asks for: in one random order of the images, each once, counted.

The order is the same at every resolution, so what is measured stays paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from c2f_data.errors import ConfigError

# Whether each image's answer at a resolution is right: (resolution, positions) -> (k,) bool.
Score = Callable[[int, NDArray[np.int64]], NDArray[np.bool_]]

SMALLEST_BATCH = 32
BATCHES = 64


@dataclass(frozen=True, slots=True)
class Step:
    """What a search knows about a resolution when it has looked there.

    Attributes:
        right, seen: images right, among those measured so far.
        total: number of images.
        threshold: accuracy that it is compared with; None while it is not known yet, as a share
            of native accuracy is before that is measured.
        below: whether accuracy is below the threshold; None: not sure yet.
    """

    resolution: int
    right: int
    seen: int
    total: int
    threshold: float | None
    below: bool | None


Watch = Callable[[Step], None]


def batch_size(n_images: int) -> int:
    """Images between two looks: few enough to stop early, many enough to keep a network busy."""
    return max(SMALLEST_BATCH, -(-n_images // BATCHES))


def image_order(n_images: int, seed: int) -> NDArray[np.int64]:
    """The random order in which the images are drawn, at every resolution."""
    return np.random.default_rng([seed, 0x0D3D]).permutation(n_images)


class Answers:
    """What a scorer has said so far.

    Args:
        watch: told after every batch, and of every verdict.
    """

    def __init__(
        self, score: Score, n_images: int, *, seed: int = 0, watch: Watch | None = None
    ) -> None:
        self.n = whole_number("number of images", n_images, least=1)
        self._score = score
        self._watch = watch
        self._order = image_order(self.n, whole_number("seed", seed, least=0))
        self._back = np.argsort(self._order)
        self._batch = batch_size(self.n)
        self._right: dict[int, NDArray[np.bool_]] = {}

    def __contains__(self, resolution: int) -> bool:
        """Whether anything was asked there."""
        return resolution in self._right

    @property
    def measured(self) -> dict[int, int]:
        """Resolution to number of images measured there, highest resolution first."""
        return {r: self._right[r].size for r in sorted(self._right, reverse=True)}

    def whole(self, resolution: int) -> NDArray[np.bool_]:
        """(n,) right or wrong, in the images' own order; every one must have been asked."""
        return self._right[resolution][self._back]

    def counts(self, resolution: int) -> tuple[int, int]:
        """(right, seen) so far."""
        right = self._right[resolution]
        return int(right.sum()), right.size

    def first(self, resolution: int, threshold: float | None) -> None:
        """Ask for a first batch, unless anything was asked before."""
        if resolution not in self._right:
            self._ask(resolution, min(self.n, self._batch), threshold)

    def more(self, resolution: int, threshold: float | None) -> None:
        """Ask for one more batch."""
        _, seen = self.counts(resolution)
        self._ask(resolution, min(self.n, seen + self._batch), threshold)

    def all(self, resolution: int, threshold: float | None) -> NDArray[np.bool_]:
        """(n,) right or wrong, in the images' own order."""
        self._ask(resolution, self.n, threshold)
        return self.whole(resolution)

    def say(self, resolution: int, threshold: float | None, below: bool | None) -> None:
        """Tell who watches where a resolution stands."""
        if self._watch is not None:
            right, seen = self.counts(resolution)
            self._watch(Step(resolution, right, seen, self.n, threshold, below))

    def _ask(self, resolution: int, upto: int, threshold: float | None) -> None:
        right = self._right.get(resolution, np.zeros(0, np.bool_))
        while right.size < upto:
            chosen = self._order[right.size : min(upto, right.size + self._batch)]
            answers = self._score(resolution, chosen.copy())  # theirs to sort, if they like
            right = np.concatenate([right, _right_or_wrong(answers, chosen.size, resolution)])
            self._right[resolution] = right
            self.say(resolution, threshold, None)


def _right_or_wrong(answers: object, count: int, resolution: int) -> NDArray[np.bool_]:
    """What a scorer gave, as (count,) bool.

    Raises:
        ConfigError: another number of answers, or anything but true, false, 1 and 0. A share of 0.3
            would count as right if it were taken for a truth value.
    """
    try:
        given = np.asarray(answers)
    except (ValueError, TypeError, RuntimeError):  # rows of different lengths, a GPU's tensor
        given = np.asarray(None)
    if given.shape != (count,):
        shown = f"{given.shape} answers" if given.dtype != object else type(answers).__name__
        raise ConfigError(
            f"at {resolution} px the scorer gave {shown} for {count} images",
            f"It must give one answer for each image, in order: ({count},) of bool.",
        )
    if given.dtype != np.bool_:
        odd = [value for value in given.tolist() if value not in (0, 1)]
        if odd:
            raise ConfigError(
                f"at {resolution} px the scorer gave {odd[0]!r} for an image",
                "It must say whether each answer is right: true or false, or 1 or 0.",
            )
    return given.astype(np.bool_)


def whole_number(what: str, value: object, *, least: int) -> int:
    """A value as an int. Raises ConfigError where it is not whole, or too small."""
    try:
        number = int(value)  # type: ignore[call-overload]
        whole = number == value and number >= least
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise ConfigError(f"{what}: {value!r}", f"Give a whole number from {least} on.")
    return int(number)


def check_grid(grid: Iterable[object]) -> list[int]:
    """The grid as whole numbers of pixels.

    Raises:
        ConfigError: it does not descend, has fewer than two resolutions, or one is not whole.
    """
    pixels = [whole_number("resolution in pixels", r, least=1) for r in grid]
    if len(pixels) < 2 or any(b >= a for a, b in pairwise(pixels)):
        raise ConfigError(
            f"a grid of {', '.join(map(str, pixels)) or 'nothing'}",
            "Give two or more resolutions in pixels, descending: 224,160,112.",
        )
    return pixels
