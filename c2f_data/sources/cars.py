"""Stanford Cars, in whatever layout a copy has.

The original addresses are gone, and what is passed around differs: the devkit with cars_train and
cars_test (often nested twice), car_ims with one annotation file, one folder a class, parquet, any
of them in an archive, some already cut to the bounding boxes. Each is recognised, named in
``DatasetIndex.layout`` and held against the official data set: 196 classes in their official
order, 8,144 training and 8,041 test images, boxes inside their images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.hierarchy.cars import official_names
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.sources.archive import unpack_archive
from c2f_data.sources.cars_copy import CarsCopy, check_counts
from c2f_data.sources.cars_devkit import (
    WHERE,
    combined_lacks,
    read_combined,
    read_split,
    split_lacks,
    training_lacks,
)
from c2f_data.sources.cars_repacked import read_class_folders, read_parquet
from c2f_data.sources.cars_survey import ALL_IMAGES, TEST_IMAGES, TRAIN_IMAGES, Survey, survey
from c2f_data.sources.class_folders import TEST_SHARE, carve_test, check_trained
from c2f_data.sources.classes import match_classes
from c2f_data.sources.parquet import has_parquet
from c2f_data.sources.request import BOX, NEEDED, PARTS, SourceRequest

ACCEPTED = (
    "Accepted: cars_train, cars_test and the devkit's .mat files; car_ims and cars_annos.mat; "
    "train/CLASS/*.jpg and test/CLASS/*.jpg; parquet files; an archive of any of them "
    "(unpack several archives into one folder). "
    "c2f fetch cars says where copies are."
)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A layout that a root holds.

    Attributes:
        lacks: what is missing for it to be read.
        boxes: whether it has bounding boxes.
    """

    name: str
    lacks: tuple[str, ...]
    boxes: bool
    read: Callable[[], CarsCopy]


def read_cars(request: SourceRequest) -> DatasetIndex:
    """Read Stanford Cars from a folder or an archive.

    With ``allow_partial`` classes and images may be absent, but nothing may contradict the
    official data set. Where a copy has no test images (or no labels for them), 30 % of each
    class's images become test images, and a warning says so.

    Raises:
        DataSetError: no layout that is known, a part of it is missing or damaged, numbers differ
            from the official ones, boxes and images contradict each other, or boxes are asked for
            where there are none. Files, rows and sizes are given.
        TaxonomyError: a class has no row in the hierarchy, or a row has no images.
    """
    found, notes = _opened(request.folder)
    layouts = _layouts(found, request)
    taken = _choose(layouts, found, request)
    if request.crop == PARTS or (request.crop == BOX and not taken.boxes):
        raise DataSetError(
            f"{request.root}: {taken.name} have no {NEEDED[request.crop]}",
            "Leave --crop out, or get a copy with the devkit's annotation files (--crop bbox).",
        )
    others = [layout.name for layout in layouts if layout is not taken]
    if others:
        notes.append(f"several layouts: read {taken.name}, not {', '.join(others)}")
    notes += [f"not there: {lack}" for lack in taken.lacks]
    copy = taken.read()
    counted = check_counts(copy, request.allow_partial)
    return _index(request, copy, (*notes, *found.warnings, *copy.warnings, *counted))


def _opened(root: Path) -> tuple[Survey, list[str]]:
    """What the root holds; a root that is an archive, or has nothing but one, is unpacked."""
    archive = root
    if root.is_dir() or has_parquet(root):
        found = survey(root)
        here = bool(found.images) or found.class_root is not None or _parquet(root) is not None
        if here or len(found.archives) != 1:
            return found, []
        archive = found.archives[0]
    folder = unpack_archive(archive)
    return survey(folder), [f"read from {archive}, unpacked to {folder}"]


def _layouts(found: Survey, request: SourceRequest) -> list[_Layout]:
    """The layouts that are there, the ones with annotation files first."""
    there = []
    folders = [name for name in (TRAIN_IMAGES, TEST_IMAGES) if name in found.images]
    if folders:
        lacks = tuple(split_lacks(found))
        read = partial(read_split, found, request)
        there.append(_Layout(" and ".join(folders), lacks, True, read))
    if ALL_IMAGES in found.images:
        lacks = tuple(combined_lacks(found))
        there.append(_Layout(ALL_IMAGES, lacks, True, partial(read_combined, found, request)))
    if found.class_root is not None:
        there.append(
            _Layout("class folders", (), False, partial(read_class_folders, found.class_root))
        )
    folder = _parquet(found.root)
    if folder is not None:
        there.append(_Layout("parquet files", (), False, partial(read_parquet, folder, request)))
    return there


def _parquet(root: Path) -> Path | None:
    """The root, or a folder in it, that is or holds parquet files."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return next((folder for folder in (root, *folders) if has_parquet(folder)), None)


def _choose(layouts: Sequence[_Layout], found: Survey, request: SourceRequest) -> _Layout:
    """The first complete layout; else the training images alone, where a part is accepted."""
    for layout in layouts:
        if not layout.lacks:
            return layout
    if not layouts:
        raise DataSetError(
            f"{request.root}: not recognised as Stanford Cars; found {found.describe()}", ACCEPTED
        )
    first, trainable = layouts[0], not training_lacks(found)
    if trainable and request.allow_partial:
        return first
    more = " --allow-partial reads the training images alone." if trainable else ""
    raise DataSetError(
        f"{request.root}: {first.name} found, but not {', '.join(first.lacks)}", f"{WHERE}{more}"
    )


def _index(request: SourceRequest, copy: CarsCopy, warnings: Sequence[str]) -> DatasetIndex:
    used = {image.class_name for image in copy.images}
    restricted, ids = match_classes(
        [name for name in official_names() if name in used],
        request.taxonomy,
        allow_partial=request.allow_partial,
        owner=str(copy.root),
    )
    check_trained(copy.root, ((image.split, image.class_name) for image in copy.images))
    records = [
        ImageRecord(
            image_id=image.image_id,
            path=image.path.relative_to(copy.root).as_posix(),
            label=ids[image.class_name],
            split=image.split or TRAIN,
            bytes=image.bytes,
            box=image.box,
        )
        for image in copy.images
    ]
    carved = []
    if all(record.split == TRAIN for record in records):
        records = sorted(carve_test(records), key=lambda record: record.split == TEST)
        carved.append(
            f"no test images of the official split: {TEST_SHARE:.0%} of each class's images became "
            "test images; accuracies can't be compared with published ones"
        )
    return DatasetIndex(
        dataset=request.dataset,
        root=copy.root,
        layout=copy.layout,
        taxonomy=restricted,
        records=tuple(records),
        warnings=(*warnings, *carved),
    )
