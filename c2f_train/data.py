"""Pictures and what is cut from them: the same chain for sweep, training and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from c2f_data.index import DatasetIndex
from c2f_data.resample import Pixels, ResampleSpec, enlarge, reduce, to_input
from c2f_train.augment import Change
from c2f_train.loader import loader as loader

# Enlarged images are kept in memory up to this many bytes a set.
CACHE_BYTES = 2 * 1024**3


class Pictures(Protocol):
    """Decoded images by position, whatever they are stored in. Several threads may ask at once."""

    def __len__(self) -> int: ...

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8."""


@dataclass(frozen=True)
class FilePictures:
    """The images of a data set at native resolution, from their files."""

    index: DatasetIndex
    positions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8, upright RGB. Raises ImageError naming a damaged file."""
        return self.index.pixels(self.positions[position])


@dataclass(frozen=True)
class ReducedPictures:
    """Pictures reduced to a resolution in pixels when they are read."""

    pictures: Pictures
    resolution: int
    spec: ResampleSpec

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, position: int) -> Pixels:
        """(h, w, 3) uint8 with min(h, w) at most ``resolution``."""
        return reduce(self.pictures.pixels(position), self.resolution, self.spec)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a training image is cut from an enlarged one, in pixels, and whether it is mirrored."""

    top: int
    left: int
    mirrored: bool

    @classmethod
    def draw(cls, key: tuple[int, int, int], size: tuple[int, int], crop: int) -> Cut:
        """Draw a square of ``crop`` pixels inside ``size`` (height, width).

        Args:
            key: (seed, epoch, position), all that the cut depends on besides the size.
        """
        random = np.random.default_rng(key)
        top = int(random.integers(size[0] - crop + 1))
        left = int(random.integers(size[1] - crop + 1))
        return cls(top, left, bool(random.random() < 0.5))


def mirror(pixels: Pixels) -> Pixels:
    """(H, W, 3) uint8 mirrored left to right; torch does it in blocks, numpy pixel by pixel."""
    own = pixels if pixels.flags.writeable else pixels.copy()
    mirrored: Pixels = torch.from_numpy(own).flip(1).numpy()
    return mirrored


class TrainingImages:
    """Random crop and mirror of enlarged images.

    An item's key is (epoch, position): what is drawn depends on (seed, epoch, position) alone, not
    on the order of loading or on how many threads load.

    Args:
        cache: keep enlarged images in memory, as many as fit.
        change: what happens to a crop, see :mod:`c2f_train.augment`; None: nothing.
    """

    def __init__(
        self,
        pictures: Pictures,
        spec: ResampleSpec,
        seed: int,
        *,
        cache: bool,
        change: Change | None = None,
    ) -> None:
        self.pictures = pictures
        self.spec = spec
        self.seed = seed
        self.change = change
        self._left = CACHE_BYTES if cache else 0
        self._kept: dict[int, Pixels] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Pixels, int]:
        """(crop, crop, 3) uint8 and the position."""
        epoch, position = key
        image, size = self._enlarged(position), self.spec.crop
        cut = Cut.draw((self.seed, epoch, position), image.shape[:2], size)
        crop = image[cut.top : cut.top + size, cut.left : cut.left + size]
        if cut.mirrored:
            crop = mirror(crop)
        if self.change is not None:
            own = crop if crop.flags.writeable else crop.copy()
            crop = self.change(torch.from_numpy(own), (self.seed, epoch, position)).numpy()
        return crop, position

    def _enlarged(self, position: int) -> Pixels:
        kept = self._kept.get(position)
        if kept is not None:
            return kept
        image = enlarge(self.pictures.pixels(position), self.spec)
        if image.nbytes <= self._left:
            self._kept[position] = image
            self._left -= image.nbytes
        return image


class CenterImages:
    """The centre crop of each image, and its mirror image where asked for."""

    def __init__(self, pictures: Pictures, spec: ResampleSpec, *, mirror: bool = False) -> None:
        self.pictures = pictures
        self.spec = spec
        self.mirror = mirror

    def __len__(self) -> int:
        return len(self.pictures) * (2 if self.mirror else 1)

    def __getitem__(self, item: int) -> tuple[Pixels, int]:
        """(crop, crop, 3) uint8 and the image's position; mirrored ones come after all others."""
        mirrored, position = divmod(item, len(self.pictures))
        image = to_input(self.pictures.pixels(position), self.spec)
        return (mirror(image) if mirrored else image), position


class EpochOrder:
    """(epoch, position) for each image once, shuffled by (seed, epoch)."""

    def __init__(self, count: int, epoch: int, seed: int) -> None:
        self.count = count
        self.epoch = epoch
        self.seed = seed

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch, 0x0DE]).permutation(self.count)
        return ((self.epoch, int(position)) for position in order)

    def __len__(self) -> int:
        return self.count
