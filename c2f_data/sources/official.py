"""How many classes and images the published data sets have, to hold a copy against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OfficialCounts:
    """Numbers of classes, and of images of the official split."""

    classes: int
    train: int
    test: int

    def warnings(self, classes: int, train: int, test: int) -> tuple[str, ...]:
        """What a copy with the official split has less or more of, one line each."""
        images = [("training images", train, self.train), ("test images", test, self.test)]
        return _differences([("classes", classes, self.classes), *images])

    def warnings_without_split(self, classes: int, images: int) -> tuple[str, ...]:
        """The same for a copy whose split is not the official one."""
        all_images = ("images", images, self.train + self.test)
        return _differences([("classes", classes, self.classes), all_images])


def _differences(found: Sequence[tuple[str, int, int]]) -> tuple[str, ...]:
    less = [f"{have:,} of {all_:,} {what}" for what, have, all_ in found if have < all_]
    more = [f"{have:,} {what} instead of {all_:,}" for what, have, all_ in found if have > all_]
    return (
        *((f"a part of the official data set: {', '.join(less)}",) if less else ()),
        *((f"more than the official data set has: {', '.join(more)}",) if more else ()),
    )


# Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, CNS-TR-2011-001.
CUB = OfficialCounts(classes=200, train=5_994, test=5_794)
# Krause et al., 3D Object Representations for Fine-Grained Categorization, 3dRR-13; the devkit's
# cars_train_annos.mat and cars_test_annos_withlabels.mat.
CARS = OfficialCounts(classes=196, train=8_144, test=8_041)
