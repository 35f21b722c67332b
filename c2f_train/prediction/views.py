"""What each level's classifier is shown of an image: crops at the levels' resolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from c2f_data.calibration import LevelResolution
from c2f_data.resample import Pixels, ResampleSpec, reduce, to_input


@dataclass(frozen=True, slots=True)
class View:
    """One pass of the network: a crop, and which levels' classifiers judge it.

    Attributes:
        crop: (S, S, 3) uint8.
        keys: who asked for it: (condition, level).
    """

    crop: Pixels
    keys: tuple[tuple[int, int], ...]


def views(
    asked: Mapping[int, tuple[Pixels, Sequence[int]]],
    levels: Sequence[LevelResolution],
    spec: ResampleSpec,
) -> tuple[View, ...]:
    """The crops that answer all questions, each once.

    A level's classifier is shown the image at its level's resolution, as in training; an image
    that is smaller than that as it is.

    Args:
        asked: by condition, the pixels (height, width, 3) and the levels to be judged.
        levels: with the resolutions they were trained at, coarse to fine.
    """
    found: dict[bytes, tuple[Pixels, list[tuple[int, int]]]] = {}
    for condition, (pixels, judged) in asked.items():
        for level in judged:
            crop = to_input(_at_level(pixels, levels, level, spec), spec)
            found.setdefault(crop.tobytes(), (crop, []))[1].append((condition, level))
    return tuple(View(crop, tuple(keys)) for crop, keys in found.values())


def _at_level(
    pixels: Pixels, levels: Sequence[LevelResolution], level: int, spec: ResampleSpec
) -> Pixels:
    own = levels[level]
    if own.native or own.resolution is None:
        return pixels
    return reduce(pixels, own.resolution, spec)
