"""What a data set contains: every source gives the same DatasetIndex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint_of_rows
from c2f_data.decode import Box, Pixels, decode_file, native_size
from c2f_data.errors import DataSetError
from c2f_data.storage import Place
from c2f_data.taxonomy import Taxonomy

TRAIN = "train"
TEST = "test"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image.

    Attributes:
        image_id: stable name, unique in the data set (its path relative to the image folder).
        path: POSIX path relative to the data set's root.
        label: class id at the finest level.
        split: ``train`` or ``test``, as the data set's authors split it.
        bytes: size of the file.
        box: (left, top, right, bottom) in pixels of the upright image, right and bottom outside:
            the part of the file that is the image. None: all of it.

    Raises:
        DataSetError: the file's name is not UTF-8, so no artefact could hold it.
    """

    image_id: str
    path: str
    label: int
    split: str
    bytes: int
    box: Box | None = None

    def __post_init__(self) -> None:
        try:
            self.path.encode()
        except UnicodeEncodeError as error:
            raise DataSetError(
                f"{self.path!r}: the file's name is not UTF-8", "Rename the file."
            ) from error


@dataclass(frozen=True)
class DatasetIndex:
    """All images of a data set with their labels, in a fixed order.

    Attributes:
        dataset: name, for example ``cub``; also the name of its folder in the workspace.
        root: folder (or URL) that the records' paths are relative to.
        layout: which adapter read it, in words.
        warnings: what the adapter noticed and a user should know, one line each.
        crop: ``none``, ``bbox`` or ``parts``, as the adapter was asked; the records' boxes say
            the same in pixels.
    """

    dataset: str
    root: Place
    layout: str
    taxonomy: Taxonomy
    records: tuple[ImageRecord, ...]
    warnings: tuple[str, ...] = ()
    crop: str = "none"

    def __post_init__(self) -> None:
        if not self.records:
            raise DataSetError(f"{self.root}: no images", "Check --root.")
        seen: set[str] = set()
        for record in self.records:
            if record.image_id in seen:
                raise DataSetError(
                    f"{self.root}: image {record.image_id!r} is listed twice",
                    "Remove one of the two entries.",
                )
            seen.add(record.image_id)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(images,) class ids at the finest level."""
        return np.asarray([record.label for record in self.records], dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Over ids, labels, splits, file sizes, boxes and the hierarchy; not the folder's place."""
        rows = (
            [r.image_id, r.label, r.split, r.bytes, *([r.box] if r.box else [])]
            for r in self.records
        )
        return fingerprint_of_rows([self.dataset, self.taxonomy.fingerprint], rows)

    def positions(self, split: str) -> NDArray[np.int64]:
        """Positions of a split's images in ``records``, ascending."""
        return np.asarray([i for i, r in enumerate(self.records) if r.split == split], np.int64)

    def path(self, position: int) -> Place:
        """Absolute path of an image, or its URL."""
        return self.root / self.records[position].path

    def pixels(self, position: int) -> Pixels:
        """(height, width, 3) uint8 of an image, or of its box. Raises ImageError."""
        return decode_file(self.path(position), self.records[position].box).pixels

    def shorter_side(self, position: int) -> int:
        """Native shorter side in pixels, of the box where there is one. Raises ImageError."""
        box = self.records[position].box
        if box is not None:
            return min(box[2] - box[0], box[3] - box[1])
        return min(native_size(self.path(position)))

    def paths(self, positions: Sequence[int] | NDArray[np.int64]) -> list[Place]:
        """Absolute paths of several images."""
        return [self.path(int(i)) for i in positions]

    def limited(self, per_class: int) -> DatasetIndex:
        """At most ``per_class`` images of each class and split, the first ones: for a quick try."""
        counts: dict[tuple[int, str], int] = {}
        kept = []
        for record in self.records:
            key = (record.label, record.split)
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= per_class:
                kept.append(record)
        return replace(self, records=tuple(kept))
