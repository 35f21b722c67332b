"""Copies with annotation files: cars_train and cars_test, or car_ims with one file for all."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.hierarchy.cars import official_names
from c2f_data.index import TEST, TRAIN
from c2f_data.sources.cars_annotations import (
    Annotation,
    AnnotationFile,
    read_annotations,
    read_class_names,
)
from c2f_data.sources.cars_boxes import (
    Header,
    Pictured,
    check_boxes,
    read_headers,
    upright_box,
)
from c2f_data.sources.cars_copy import CarImage, CarsCopy, official_order
from c2f_data.sources.cars_survey import (
    ALL_IMAGES,
    ALL_LABELS,
    META,
    TEST_BOXES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Survey,
)
from c2f_data.sources.classes import is_image, some
from c2f_data.sources.request import BOX, SourceRequest

WHERE = (
    f"{TRAIN_LABELS} and {META} are in the folder devkit (car_devkit.tgz), {TEST_LABELS} was a "
    "file of its own beside it. c2f fetch cars says where copies are."
)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A row of an annotation file whose image is there."""

    source: Path
    annotation: Annotation
    image_id: str
    path: Path
    split: str
    bytes: int


def split_lacks(found: Survey) -> list[str]:
    """What a copy with cars_train and cars_test lacks; [] where it is complete."""
    lacks = training_lacks(found)
    if TEST_IMAGES not in found.images:
        lacks.append(f"the folder {TEST_IMAGES}")
    if _test_labels(found) is None:
        unlabelled = TEST_BOXES in found.matrices
        lacks.append(f"{TEST_LABELS} ({TEST_BOXES} has no labels)" if unlabelled else TEST_LABELS)
    return lacks


def training_lacks(found: Survey) -> list[str]:
    """What is lacking even to read the training images alone."""
    lacks = []
    if TRAIN_IMAGES not in found.images:
        lacks.append(f"the folder {TRAIN_IMAGES}")
    if TRAIN_LABELS not in found.matrices:
        other = f" ({ALL_LABELS} names the images of {ALL_IMAGES}, not these)"
        lacks.append(TRAIN_LABELS + (other if ALL_LABELS in found.matrices else ""))
    return lacks


def combined_lacks(found: Survey) -> list[str]:
    """What a copy with car_ims lacks; [] where it is complete."""
    return [] if ALL_LABELS in found.matrices else [ALL_LABELS]


def read_split(found: Survey, request: SourceRequest) -> CarsCopy:
    """Read cars_train and cars_test; without the test labels, cars_train alone.

    Raises:
        DataSetError: an annotation file is damaged, names an image that is absent or other
            classes, or its boxes don't fit the images.
    """
    notes = _check_names(found, None)
    rows = _rows_with_images(
        _with_fields(read_annotations(found.matrices[TRAIN_LABELS]), "class"),
        found.images[TRAIN_IMAGES],
        TRAIN,
        request,
        notes,
    )
    folders = _below(found, TRAIN_IMAGES)
    test = _test_labels(found)
    if test is not None and TEST_IMAGES in found.images:
        rows += _rows_with_images(test, found.images[TEST_IMAGES], TEST, request, notes)
        folders += f", {_below(found, TEST_IMAGES)}"
    return _copy(found, request, f"{folders} and annotation files", rows, notes)


def read_combined(found: Survey, request: SourceRequest) -> CarsCopy:
    """Read car_ims with cars_annos.mat.

    Raises:
        DataSetError: as for :func:`read_split`; or the file has no test flags.
    """
    file = _with_fields(read_annotations(found.matrices[ALL_LABELS]), "class", "test")
    notes = _check_names(found, file)
    rows = _rows_with_images(file, found.images[ALL_IMAGES], None, request, notes)
    rows.sort(key=lambda row: row.split == TEST)
    return _copy(found, request, f"{_below(found, ALL_IMAGES)} and {ALL_LABELS}", rows, notes)


def _below(found: Survey, images: str) -> str:
    return found.images[images].relative_to(found.root).as_posix()


def _with_fields(file: AnnotationFile, *needed: str) -> AnnotationFile:
    for field in needed:
        if field not in file.fields:
            raise DataSetError(f"{file.path}: 'annotations' has no field {field!r}", WHERE)
    return file


def _test_labels(found: Survey) -> AnnotationFile | None:
    """The annotations of the test images, None where there are none with labels."""
    for name in (TEST_LABELS, TEST_BOXES):
        if name in found.matrices:
            file = read_annotations(found.matrices[name])
            if "class" in file.fields:
                return file
    return None


def _check_names(found: Survey, file: AnnotationFile | None) -> list[str]:
    """Check every list of class names that is there; a warning where there is none."""
    if file is not None and file.class_names is not None:
        official_order(file.class_names, str(file.path))
    elif META not in found.matrices:
        return [f"no {META}: class ids are taken to be the official ones"]
    if META in found.matrices:
        official_order(read_class_names(found.matrices[META]), str(found.matrices[META]))
    return []


def _rows_with_images(
    file: AnnotationFile, folder: Path, split: str | None, request: SourceRequest, notes: list[str]
) -> list[_Listed]:
    """The rows whose images are in the folder, in the file's order; adds to ``notes``.

    Without a split the file's test flags say it.
    """
    sizes = _image_sizes(folder)
    _check_missing(file, folder, sizes, request, notes)
    surplus = sorted(set(sizes).difference(row.name for row in file.rows))
    if surplus:
        notes.append(
            f"{len(surplus):,} images of {folder} are not in {file.path.name} and are left out: "
            f"{some(surplus)}"
        )
    return [
        _Listed(
            source=file.path,
            annotation=row,
            image_id=f"{folder.name.lower()}/{row.name}",
            path=folder / row.name,
            split=split or (TEST if row.test else TRAIN),
            bytes=sizes[row.name],
        )
        for row in file.rows
        if row.name in sizes
    ]


def _check_missing(
    file: AnnotationFile,
    folder: Path,
    there: Container[str],
    request: SourceRequest,
    notes: list[str],
) -> None:
    missing = [f"{row.name} (row {row.row})" for row in file.rows if row.name not in there]
    if not missing:
        return
    counted = f"{len(missing):,} of {len(file.rows):,} listed images are not in {folder}"
    if len(missing) == len(file.rows):
        raise DataSetError(
            f"{file.path}: {counted}: {some(missing)}",
            "The file belongs to another copy; get images and annotations of one copy.",
        )
    if not request.allow_partial:
        raise DataSetError(
            f"{file.path}: {counted}: {some(missing)}",
            "Restore the images, or accept a part of the data set with --allow-partial.",
        )
    notes.append(f"{file.path.name}: {counted}: {some(missing)}")


def _image_sizes(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as entries:
        return {
            entry.name: entry.stat().st_size
            for entry in entries
            if entry.is_file() and is_image(Path(entry.name))
        }


def _copy(
    found: Survey,
    request: SourceRequest,
    layout: str,
    rows: Sequence[_Listed],
    notes: Sequence[str],
) -> CarsCopy:
    """Hold boxes against images, and cut where that was asked for."""
    headers = read_headers([row.path for row in rows])
    both = list(zip(rows, headers, strict=True))
    cropped = check_boxes(
        [
            Pictured(row.source, row.annotation, row.image_id, header)
            for row, header in both
            if header is not None
        ]
    )
    more = []
    if unread := [row.image_id for row, header in both if header is None]:
        more.append(f"{len(unread):,} images can't be opened: {some(unread)}")
    if cropped:
        layout += ", cut to the bounding boxes"
        vain = "; --crop bbox changes nothing" if request.crop == BOX else ""
        more.append(f"the images are already cut to their bounding boxes{vain}")
    cut = request.crop == BOX and not cropped
    images = tuple(_car_image(row, header if cut else None) for row, header in both)
    return CarsCopy(found.root, layout, images, (*notes, *more))


def _car_image(row: _Listed, header: Header | None) -> CarImage:
    """``header`` is None where the image is not to be cut."""
    return CarImage(
        image_id=row.image_id,
        path=row.path,
        class_name=official_names()[row.annotation.class_id - 1],
        split=row.split,
        bytes=row.bytes,
        box=None if header is None else upright_box(row.annotation, header),
    )
