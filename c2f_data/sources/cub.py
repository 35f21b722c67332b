"""The official CUB_200_2011 folder: four text files and a folder of images.

``images.txt`` (id path), ``image_class_labels.txt`` (id class), ``train_test_split.txt`` (id
is_training), ``classes.txt`` (class name). Ids need not be contiguous, so subsets work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.sources.classes import is_image, match_classes, safe_relative, some
from c2f_data.taxonomy import Taxonomy

OFFICIAL_FOLDER = "CUB_200_2011"
LAYOUT = "official CUB_200_2011 folder"
HINT = "Give the folder that holds images.txt, as unpacked from CUB_200_2011.tgz: --root FOLDER."


@dataclass(frozen=True, slots=True)
class _Column:
    """One of the text files: id to value, and the line of each id."""

    file: Path
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def where(self, key: str) -> str:
        return f"{self.file}, line {self.lines[key]}"


def read_cub(root: Path, taxonomy: Taxonomy, dataset: str, allow_partial: bool) -> DatasetIndex:
    """Read the official layout; ``root`` may be its parent folder.

    A table with more classes than ``classes.txt`` is accepted for cub itself, since subsets of
    the data set are common.

    Raises:
        DataSetError: a text file is missing or has a bad line, the files name different images,
            a listed image is absent; the file, the line and the first names are given.
        TaxonomyError: a class has no row in the hierarchy.
    """
    if not (root / "images.txt").is_file() and (root / OFFICIAL_FOLDER).is_dir():
        root = root / OFFICIAL_FOLDER
    images = _read_column(root / "images.txt")
    labels = _read_column(root / "image_class_labels.txt")
    splits = _read_column(root / "train_test_split.txt")
    classes = _read_column(root / "classes.txt")
    for other in (labels, splits):
        _same_ids(images, other)
    used = {labels.values[key] for key in images.values}
    _known_classes(labels, classes)
    named = [name for number, name in classes.values.items() if number in used]
    restricted, ids = match_classes(
        named, taxonomy, allow_partial=allow_partial or dataset == "cub", owner=str(root)
    )
    records = _records(root, images, labels, splits, classes, ids)
    return DatasetIndex(
        dataset=dataset,
        root=root,
        layout="rendered images in CUB's layout" if dataset == "demo" else LAYOUT,
        taxonomy=restricted,
        records=records,
        warnings=_warnings(root, images, classes, used, len(taxonomy.paths)),
    )


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


def _warnings(
    root: Path, images: _Column, classes: _Column, used: set[str], table: int
) -> tuple[str, ...]:
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
    if len(used) < table:
        warnings.append(f"{len(used)} of the hierarchy's {table} classes are in this folder")
    return tuple(warnings)
