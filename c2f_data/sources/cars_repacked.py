"""Copies without annotation files: one folder a class, or parquet. They have no boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.hierarchy.cars import official_names
from c2f_data.sources.cars_copy import CarImage, CarsCopy, official_class
from c2f_data.sources.class_folders import find_class_images
from c2f_data.sources.classes import some
from c2f_data.sources.official import CARS
from c2f_data.sources.parquet import ParquetImage, unpack_parquet
from c2f_data.sources.request import SourceRequest


def read_class_folders(root: Path) -> CarsCopy:
    """Read ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``, or ``CLASS/*.jpg``.

    Raises:
        DataSetError: a folder whose name is no spelling of an official one; see also
            :func:`c2f_data.sources.class_folders.find_class_images`.
    """
    folders = find_class_images(root)
    names = {name: official_class(name, str(root)) for name in folders.class_names}
    images = tuple(
        CarImage(
            image_id=image.path.relative_to(root).as_posix(),
            path=image.path,
            class_name=names[image.class_name],
            split=image.split,
            bytes=image.path.stat().st_size,
        )
        for image in folders.images
    )
    others = folders.others
    noticed = f"{len(others)} files are not images and are left out: {some(others)}"
    return CarsCopy(root, "class folders", images, (noticed,) if others else ())


def read_parquet(root: Path, request: SourceRequest) -> CarsCopy:
    """Read parquet files with image bytes and labels; the images are unpacked to the cache.

    Raises:
        DataSetError: a class name that is no spelling of an official one, or labels without names
            that can't be the official numbers.
    """
    copy = unpack_parquet(root, request.dataset)
    nameless = [image for image in copy.images if image.class_name is None]
    noticed = []
    if nameless:
        _check_numbers(nameless, root, request.allow_partial)
        noticed.append("no class names: labels are taken to be the official class ids minus 1")
    written = {image.class_name for image in copy.images if image.class_name is not None}
    official = {name: official_class(name, str(root)) for name in written}
    images = tuple(
        CarImage(
            image_id=image.path.relative_to(copy.folder).as_posix(),
            path=image.path,
            class_name=official[image.class_name]
            if image.class_name is not None
            else official_names()[image.label or 0],
            split=image.split,
            bytes=image.path.stat().st_size,
        )
        for image in copy.images
    )
    return CarsCopy(copy.folder, "parquet", images, tuple(noticed))


def _check_numbers(images: Sequence[ParquetImage], root: Path, allow_partial: bool) -> None:
    labels = {image.label for image in images}
    outside = sorted(str(label) for label in labels if label not in range(CARS.classes))
    if outside:
        raise DataSetError(
            f"{root}: labels without class names that are not from 0 to {CARS.classes - 1}: "
            f"{some(outside)}",
            "Get a copy whose parquet files name the classes.",
        )
    if len(labels) < CARS.classes and not allow_partial:
        raise DataSetError(
            f"{root}: {len(labels)} different labels without class names, instead of "
            f"{CARS.classes}",
            "Get a copy whose parquet files name the classes, or accept the labels as official "
            "class ids minus 1 with --allow-partial.",
        )
