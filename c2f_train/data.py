"""Images to batches: decode, reduce, enlarge, crop. The same chain for sweep, training and test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from c2f_data.errors import C2FError
from c2f_data.index import DatasetIndex
from c2f_data.resample import Pixels, ResampleSpec, enlarge, reduce, to_input

# Enlarged images are kept in memory up to this many bytes, where one process decodes.
CACHE_BYTES = 2 * 1024**3


class Pictures(Protocol):
    """Decoded images by position, whatever they are stored in. Must survive pickling."""

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


class TrainingImages(Dataset[tuple[Pixels, int]]):
    """Random crop and mirror of enlarged images.

    An item's key is (epoch, position): what is drawn depends on (seed, epoch, position) alone, not
    on the order of loading or on how many processes load.
    """

    def __init__(self, pictures: Pictures, spec: ResampleSpec, seed: int, *, cache: bool) -> None:
        self.pictures = pictures
        self.spec = spec
        self.seed = seed
        self._left = CACHE_BYTES if cache else 0
        self._kept: dict[int, Pixels] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Pixels, int]:
        """(crop, crop, 3) uint8 and the position."""
        epoch, position = key
        image = self._enlarged(position)
        random = np.random.default_rng([self.seed, epoch, position])
        size = self.spec.crop
        top = int(random.integers(image.shape[0] - size + 1))
        left = int(random.integers(image.shape[1] - size + 1))
        crop = image[top : top + size, left : left + size]
        return (crop[:, ::-1] if random.random() < 0.5 else crop), position

    def _enlarged(self, position: int) -> Pixels:
        if position in self._kept:
            return self._kept[position]
        image = enlarge(self.pictures.pixels(position), self.spec)
        if image.nbytes <= self._left:
            self._kept[position] = image
            self._left -= image.nbytes
        return image


class CenterImages(Dataset[tuple[Pixels, int]]):
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
        return (image[:, ::-1] if mirrored else image), position


class EpochOrder(Sampler[tuple[int, int]]):
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


def loader(
    dataset: Dataset[tuple[Pixels, int]],
    batch_size: int,
    workers: int,
    sampler: Sampler[tuple[int, int]] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in order (or in the sampler's order), decoded by ``workers`` processes.

    Yields:
        (B, ..., 3, H, W) uint8 images and the (B,) numbers that came with them.

    Raises:
        C2FError: what the dataset raised, also when that happened in another process.
    """
    batches: DataLoader[_Item] = DataLoader(
        _Guarded(dataset),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_stack,
        # fork is unsafe once torch's threads run.
        multiprocessing_context="spawn" if workers else None,
    )
    for batch in batches:
        if isinstance(batch, C2FError):
            raise batch
        yield batch


_Item = tuple[Pixels, int] | C2FError


class _Guarded(Dataset[_Item]):
    """Hands a foreseen error on as an item: raised in a worker it would lose its type."""

    def __init__(self, dataset: Dataset[tuple[Pixels, int]]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(cast("Sized", self.dataset))

    def __getitem__(self, key: int) -> _Item:
        try:
            return self.dataset[key]
        except C2FError as error:
            return error


def _stack(items: Sequence[_Item]) -> tuple[Tensor, Tensor] | C2FError:
    """Collate (..., H, W, 3) arrays to a (B, ..., 3, H, W) uint8 tensor and (B,) numbers."""
    arrays, numbers = [], []
    for item in items:
        if isinstance(item, C2FError):
            return item
        arrays.append(np.ascontiguousarray(item[0]))
        numbers.append(item[1])
    images = torch.from_numpy(np.stack(arrays))
    return images.movedim(-1, -3), torch.tensor(numbers)
