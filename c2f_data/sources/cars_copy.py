"""A copy of Stanford Cars as any of its layouts gives it, held against the official data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.decode import Box
from c2f_data.errors import DataSetError
from c2f_data.hierarchy.cars import canonical_name, official_names
from c2f_data.index import TEST, TRAIN
from c2f_data.sources.cars_survey import META
from c2f_data.sources.official import CARS


@dataclass(frozen=True, slots=True)
class CarImage:
    """An image and its official class name; the split is None where the copy doesn't say.

    Attributes:
        path: below the copy's root.
        box: as in :class:`c2f_data.index.ImageRecord`.
    """

    image_id: str
    path: Path
    class_name: str
    split: str | None
    bytes: int
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class CarsCopy:
    """All images of a copy, training images first; ``layout`` in words."""

    root: Path
    layout: str
    images: tuple[CarImage, ...]
    warnings: tuple[str, ...] = ()


def check_counts(copy: CarsCopy, allow_partial: bool) -> tuple[str, ...]:
    """Hold the numbers of images against the official ones.

    Returns:
        A warning where ``allow_partial`` accepted a part.

    Raises:
        DataSetError: more images than the official data set has, or fewer without
            ``allow_partial``.
    """
    counts = Counter(image.split for image in copy.images)
    if None in counts:
        expected = [("images", counts[None], CARS.train + CARS.test)]
    else:
        expected = [
            ("training images", counts[TRAIN], CARS.train),
            ("test images", counts[TEST], CARS.test),
        ]
    found = " and ".join(f"{have:,} of {official:,} {what}" for what, have, official in expected)
    if any(have > official for _, have, official in expected):
        raise DataSetError(
            f"{copy.root} ({copy.layout}): {found}; these can't be the official images",
            "Read class folders of your own with --dataset folder --taxonomy cars.",
        )
    if all(have == official for _, have, official in expected):
        return ()
    if not allow_partial:
        raise DataSetError(
            f"{copy.root} ({copy.layout}): {found}",
            "Complete the copy, or accept a part of the data set with --allow-partial.",
        )
    classes = len({image.class_name for image in copy.images})
    return (f"a part of the data set: {classes} of {CARS.classes} classes, {found}",)


def official_order(names: Sequence[str], where: str) -> None:
    """Check that names listed in class-id order are the official ones, whatever their spelling.

    Raises:
        DataSetError: another name at some place, so that labels would mean other cars.
    """
    for number, (name, official) in enumerate(zip(names, official_names(), strict=False), start=1):
        if canonical_name(name) != official:
            raise DataSetError(
                f"{where}: class {number} is {name!r}, officially {official!r}",
                f"This copy numbers its labels otherwise; get one with the official {META}.",
            )


def official_class(name: str, where: str) -> str:
    """The official name of a class however it is spelt. Raises DataSetError for an unknown one."""
    official = canonical_name(name)
    if official is None:
        raise DataSetError(
            f"{where}: {name!r} is none of the {CARS.classes} class names",
            "Rename it to an official name (they are listed by c2f build-hierarchy cars), or read "
            "class folders of your own with --dataset folder --taxonomy TABLE.csv.",
        )
    return official
