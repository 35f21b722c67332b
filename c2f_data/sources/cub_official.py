"""The official CUB_200_2011 folder: text files of one line an image, and a folder of images.

``images.txt`` (id path), ``image_class_labels.txt`` (id class), ``train_test_split.txt`` (id
is_training), ``classes.txt`` (class name), and for boxes ``bounding_boxes.txt`` (id x y width
height). Ids need not be contiguous, so subsets work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from c2f_data.decode import Box, native_size
from c2f_data.errors import DataSetError
from c2f_data.index import TEST, TRAIN, ImageRecord
from c2f_data.sources.classes import is_image, match_classes, safe_relative, some
from c2f_data.sources.cub_parts import read_parts
from c2f_data.sources.request import BOX, PARTS, SourceRequest
from c2f_data.taxonomy import Taxonomy

IMAGES, LABELS, SPLIT = "images.txt", "image_class_labels.txt", "train_test_split.txt"
CLASSES, BOXES = "classes.txt", "bounding_boxes.txt"
HINT = "Give the folder that holds images.txt, as unpacked from CUB_200_2011.tgz: --root FOLDER."
# The file's boxes start at 0 (12 of 1,130 do) and end up to 1 pixel outside the image (4 of
# 1,130); a box of another image is off by tens.
SLACK = 4


@dataclass(frozen=True, slots=True)
class _Column:
    """One of the text files: id to value, and the line of each id."""

    file: Path
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def where(self, key: str) -> str:
        return f"{self.file}, line {self.lines[key]}"


def is_official(folder: Path) -> bool:
    """Whether the folder has at least two of the text files, so that a lost one can be named."""
    names = (IMAGES, LABELS, SPLIT, CLASSES)
    return sum((folder / name).exists() for name in names) >= 2


def read_official(
    root: Path, request: SourceRequest
) -> tuple[Taxonomy, tuple[ImageRecord, ...], tuple[str, ...]]:
    """The hierarchy's part, the records and the warnings of an official folder.

    A table with more classes than ``classes.txt`` is accepted for cub itself, since subsets of
    the data set are common.

    Raises:
        DataSetError: a text file is missing or has a bad line, the files name different images,
            a listed image is absent, or a box is missing or not in its image; the file, the line
            and the first names are given.
        TaxonomyError: a class has no row in the hierarchy.
    """
    images, labels, splits, classes = (
        _read_column(root / name) for name in (IMAGES, LABELS, SPLIT, CLASSES)
    )
    for other in (labels, splits):
        _same_ids(images, other)
    used = {labels.values[key] for key in images.values}
    _known_classes(labels, classes)
    named = [name for number, name in classes.values.items() if number in used]
    taxonomy, ids = match_classes(
        named,
        request.taxonomy,
        allow_partial=request.allow_partial or request.dataset == "cub",
        owner=str(root),
    )
    records = _records(root, images, labels, splits, classes, ids)
    if request.crop == BOX:
        records = _with_boxes(root, images, records)
    warnings = _warnings(root, images, classes, used)
    if request.crop == PARTS:
        records, more = _with_parts(root, images, records)
        warnings += more
    return taxonomy, records, warnings


def _read_column(path: Path) -> _Column:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataSetError(f"{path}: no such file", HINT) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f"{path}: unreadable ({error})", HINT) from error
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, _, value = line.strip().partition(" ")
        if not value.strip() or not key.isdigit():
            raise DataSetError(
                f"{path}, line {number}: {line.strip()!r} is not 'number value'",
                "Restore the file.",
            )
        if key in values:
            raise DataSetError(
                f"{path}, line {number}: id {key} again, first on line {lines[key]}",
                "Remove one of the two lines.",
            )
        values[key], lines[key] = value.strip(), number
    if not values:
        raise DataSetError(f"{path}: empty", HINT)
    return _Column(path, values, lines)


def _same_ids(images: _Column, other: _Column) -> None:
    missing = [key for key in images.values if key not in other.values]
    if missing:
        raise DataSetError(
            f"{other.file}: no line for image {some(missing)} ({images.where(missing[0])})",
            "Restore the file: the three image lists must name the same ids.",
        )
    surplus = [key for key in other.values if key not in images.values]
    if surplus:
        raise DataSetError(
            f"{other.where(surplus[0])}: image {some(surplus)} is not in {images.file.name}",
            "Restore the file: the three image lists must name the same ids.",
        )


def _known_classes(labels: _Column, classes: _Column) -> None:
    for key, number in labels.values.items():
        if number not in classes.values:
            raise DataSetError(
                f"{labels.where(key)}: class {number} is not in {classes.file.name}",
                "Add the class or correct the line.",
            )


def _records(
    root: Path,
    images: _Column,
    labels: _Column,
    splits: _Column,
    classes: _Column,
    ids: Mapping[str, int],
) -> tuple[ImageRecord, ...]:
    records, missing = [], []
    for key, path in images.values.items():
        relative = safe_relative(path, images.where(key))
        flag = splits.values[key]
        if flag not in ("0", "1"):
            raise DataSetError(
                f"{splits.where(key)}: {flag!r} is neither 0 (test) nor 1 (train)",
                "Correct the line.",
            )
        try:
            size = (root / "images" / relative).stat().st_size
        except OSError:
            missing.append(f"{path} ({images.where(key)})")
            continue
        records.append(
            ImageRecord(
                image_id=str(relative),
                path=f"images/{relative}",
                label=ids[classes.values[labels.values[key]]],
                split=TRAIN if flag == "1" else TEST,
                bytes=size,
            )
        )
    if missing:
        raise DataSetError(
            f"{root / 'images'}: {len(missing)} listed images are missing: {some(missing)}",
            "Restore the files, or remove their lines from the three image lists.",
        )
    return tuple(records)


def _with_boxes(
    root: Path, images: _Column, records: Sequence[ImageRecord]
) -> tuple[ImageRecord, ...]:
    """Give each record its box."""
    boxes = _read_column(root / BOXES)
    missing = [key for key in images.values if key not in boxes.values]
    if missing:
        raise DataSetError(
            f"{boxes.file}: no box for image {some(missing)} ({images.where(missing[0])})",
            "Restore the file, or leave out --crop bbox.",
        )
    sizes = _sizes(root, records)
    boxed, outside = [], []
    for key, record, size in zip(images.values, records, sizes, strict=True):
        box = _pixels(_numbers(boxes, key), size)
        if box is None:
            outside.append(
                f"{boxes.where(key)}: {boxes.values[key]!r} is not in {record.path} "
                f"({size[1]} x {size[0]} pixels)"
            )
        boxed.append(replace(record, box=box))
    if outside:
        raise DataSetError(
            f"{len(outside)} boxes are not in their images: {'; '.join(outside[:3])}",
            "The file belongs to another copy or size of the images; restore it, or leave out "
            "--crop bbox.",
        )
    return tuple(boxed)


def _with_parts(
    root: Path, images: _Column, records: Sequence[ImageRecord]
) -> tuple[tuple[ImageRecord, ...], tuple[str, ...]]:
    """Give each record the box around its visible parts; (records, warnings)."""
    parts = read_parts(root, images.values)
    boxed, whole, outside = [], [], []
    for key, record, size in zip(images.values, records, _sizes(root, records), strict=True):
        around = parts[key]
        box = None if around is None else around.box(size)
        if around is None:
            whole.append(record.path)
        elif box is None:
            outside.append(f"{around.where} is not in {record.path} ({size[1]} x {size[0]} pixels)")
        boxed.append(replace(record, box=box))
    if outside:
        raise DataSetError(
            f"{len(outside)} images have parts outside them: {'; '.join(outside[:3])}",
            "The file belongs to another copy or size of the images; restore it, or leave out "
            "--crop parts.",
        )
    few = f"{len(whole)} images with fewer than two visible parts stay whole: {some(whole)}"
    return tuple(boxed), (few,) if whole else ()


def _sizes(root: Path, records: Sequence[ImageRecord]) -> list[tuple[int, int]]:
    """(height, width) from the images' headers, several at a time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(native_size, [root / record.path for record in records]))


def _numbers(boxes: _Column, key: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(word) for word in boxes.values[key].split())
        if not (math.isfinite(x + y + width + height) and min(width, height) > 0):
            raise ValueError
    except ValueError as error:
        raise DataSetError(
            f"{boxes.where(key)}: {boxes.values[key]!r} is not 'x y width height'",
            "Correct the line.",
        ) from error
    return x, y, width, height


def _pixels(box: tuple[float, float, float, float], size: tuple[int, int]) -> Box | None:
    """Whole pixels, rounded outwards and clipped to (height, width); None for a box elsewhere."""
    x, y, width, height = box
    right, bottom = x + width, y + height
    if min(x, y) < -SLACK or right > size[1] + SLACK or bottom > size[0] + SLACK:
        return None
    left, top = max(0, math.floor(x)), max(0, math.floor(y))
    right, bottom = min(size[1], math.ceil(right)), min(size[0], math.ceil(bottom))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _warnings(root: Path, images: _Column, classes: _Column, used: set[str]) -> tuple[str, ...]:
    warnings = []
    listed = set(images.values.values())
    surplus = sorted(
        str(path.relative_to(root / "images").as_posix())
        for path in (root / "images").rglob("*")
        if is_image(path) and path.relative_to(root / "images").as_posix() not in listed
    )
    if surplus:
        warnings.append(
            f"{len(surplus)} image files are not in images.txt and are left out: {some(surplus)}"
        )
    empty = [name for number, name in classes.values.items() if number not in used]
    if empty:
        warnings.append(f"{len(empty)} classes of classes.txt have no images: {some(empty)}")
    return tuple(warnings)
