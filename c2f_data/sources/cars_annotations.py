"""The .mat files of Stanford Cars: boxes, class ids and file names, every field checked.

Field names and their meaning are those of the devkit's README. The files come from strangers (the
original addresses are gone), so no value is used before its type and range are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.errors import DataSetError
from c2f_data.sources.cars_matlab import RESTORE, StructArray, Value, read_matlab
from c2f_data.sources.classes import safe_relative
from c2f_data.sources.official import CARS

MAX_ROWS = 100_000
MAX_COORDINATE = 100_000
SIDES = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
NAMES = ("fname", "relative_im_path")


@dataclass(frozen=True, slots=True)
class Annotation:
    """One row of an annotation file.

    Attributes:
        row: its number, from 1.
        name: file name of the image, without a folder.
        corners: x1, y1, x2, y2 in pixels, from 1, the last ones inside the box.
        class_id: from 1; 0 where the file has no labels.
        test: whether it is a test image; False where the file doesn't say.
    """

    row: int
    name: str
    corners: tuple[int, int, int, int]
    class_id: int
    test: bool


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """An annotation file.

    Attributes:
        fields: what it says of every image, by the names in the file.
        class_names: in class-id order; None where the file has none.
    """

    path: Path
    rows: tuple[Annotation, ...]
    fields: frozenset[str]
    class_names: tuple[str, ...] | None


def read_annotations(path: Path) -> AnnotationFile:
    """Read ``cars_train_annos.mat``, ``cars_test_annos*.mat`` or ``cars_annos.mat``.

    Raises:
        DataSetError: not a MATLAB 5 file, too large, or a field that is absent, of another type
            or out of range; the file, the row and the value are given.
    """
    content = read_matlab(path, ("annotations", "class_names"))
    table = content.get("annotations")
    if not isinstance(table, StructArray):
        raise DataSetError(f"{path}: no struct array 'annotations'", RESTORE)
    columns = table.fields
    name_field = next((field for field in NAMES if field in columns), NAMES[0])
    missing = [field for field in (*SIDES, name_field) if field not in columns]
    if missing:
        raise DataSetError(f"{path}: 'annotations' has no field {missing[0]!r}", RESTORE)
    if not 0 < table.rows <= MAX_ROWS:
        raise DataSetError(f"{path}: {table.rows:,} annotations", RESTORE)
    rows = tuple(
        _annotation(path, i + 1, {field: column[i] for field, column in columns.items()})
        for i in range(table.rows)
    )
    _check_unique(path, rows)
    names = _class_names(path, content["class_names"]) if "class_names" in content else None
    return AnnotationFile(path, rows, frozenset(columns), names)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read ``cars_meta.mat``: the class names in class-id order. Raises DataSetError."""
    content = read_matlab(path, ("class_names",))
    if "class_names" not in content:
        raise DataSetError(f"{path}: no variable 'class_names'", RESTORE)
    return _class_names(path, content["class_names"])


def _annotation(path: Path, row: int, values: Mapping[str, Value]) -> Annotation:
    where = f"{path}, row {row}"

    def number(field: str, low: int, high: int) -> int:
        return _whole(values[field], low, high, f"{where}: {field}")

    # A zero is outside the image by one pixel; the box is clipped later.
    x1, y1, x2, y2 = (number(side, 0, MAX_COORDINATE) for side in SIDES)
    if x2 < max(x1, 1) or y2 < max(y1, 1):
        raise DataSetError(f"{where}: the box {x1},{y1} to {x2},{y2} is empty", RESTORE)
    name = values.get("fname", values.get("relative_im_path"))
    if not isinstance(name, str) or not name.strip("./"):
        raise DataSetError(f"{where}: the file name is {_shown(name)}", RESTORE)
    return Annotation(
        row=row,
        name=safe_relative(name, where).name,
        corners=(x1, y1, x2, y2),
        class_id=number("class", 1, CARS.classes) if "class" in values else 0,
        test="test" in values and number("test", 0, 1) == 1,
    )


def _whole(value: Value, low: int, high: int, what: str) -> int:
    # MATLAB's numbers are doubles unless someone chose otherwise.
    if isinstance(value, (int, float)) and float(value).is_integer():
        number = int(value)
        if low <= number <= high:
            return number
    raise DataSetError(
        f"{what} is {_shown(value)}, not a whole number from {low} to {high}", RESTORE
    )


def _check_unique(path: Path, rows: Sequence[Annotation]) -> None:
    first: dict[str, int] = {}
    for annotation in rows:
        if annotation.name in first:
            raise DataSetError(
                f"{path}, row {annotation.row}: {annotation.name!r} again, first in row "
                f"{first[annotation.name]}",
                RESTORE,
            )
        first[annotation.name] = annotation.row


def _class_names(path: Path, names: Value) -> tuple[str, ...]:
    if not isinstance(names, tuple):
        raise DataSetError(f"{path}: 'class_names' is {_shown(names)}, not a cell array", RESTORE)
    if not 0 < len(names) <= CARS.classes:
        raise DataSetError(
            f"{path}: {len(names)} class names; the data set has {CARS.classes}", RESTORE
        )
    checked = []
    for number, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            raise DataSetError(f"{path}: class name {number} is {_shown(name)}", RESTORE)
        checked.append(name)
    return tuple(checked)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
