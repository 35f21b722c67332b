"""How many images and classes there are, beside the numbers of the official data set."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources.official import CARS, CUB, OfficialCounts

# Fewer images than this in a split say little about a class.
FEW_IMAGES = 10


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Images of one class (of the finest level)."""

    name: str
    train: int
    test: int

    @property
    def few(self) -> bool:
        """One of its splits has fewer than ten images."""
        return min(self.train, self.test) < FEW_IMAGES


@dataclass(frozen=True, slots=True)
class Counts:
    """Images of an index.

    Attributes:
        per_class: in the order of the hierarchy.
        official: of the complete data set; None where nobody published any.
    """

    images: int
    classes: int
    train: int
    test: int
    official: OfficialCounts | None
    per_class: tuple[ClassCount, ...]

    @property
    def complete(self) -> bool:
        """Equal to the official counts (or there are none)."""
        return self.official in (None, OfficialCounts(self.classes, self.train, self.test))


def official_counts(dataset: str) -> OfficialCounts | None:
    """The published counts of a data set that has some."""
    return {"cub": CUB, "cars": CARS}.get(dataset)


def count_images(index: DatasetIndex, official: OfficialCounts | None) -> Counts:
    """Count by split and class."""
    names = index.taxonomy.names[-1]
    tally = {split: [0] * len(names) for split in (TRAIN, TEST)}
    for record in index.records:
        tally[record.split][record.label] += 1
    return Counts(
        images=len(index.records),
        classes=len(names),
        train=sum(tally[TRAIN]),
        test=sum(tally[TEST]),
        official=official,
        per_class=tuple(map(ClassCount, names, tally[TRAIN], tally[TEST])),
    )
