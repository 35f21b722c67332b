"""Which columns of a parquet file hold the images and their classes, and what the rows say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from c2f_data.errors import DataSetError
from c2f_data.sources.classes import some
from c2f_data.sources.unpacked import MOST_FILES

if TYPE_CHECKING:
    import pyarrow as pa

GET_AGAIN = "Get the file again, or give another copy of the data set."
IMAGE_NAMES = ("image", "img", "jpg")
LABEL_NAMES = ("label", "labels", "class", "class_id", "fine_label", "target", "category")
NAME_NAMES = ("class_name", "label_name", "species", "name", "text")


@dataclass(frozen=True, slots=True)
class Columns:
    """What one file's schema says.

    Attributes:
        image: column of the images: binary, or a struct with binary ``bytes``.
        label: column of the labels, whole numbers or text.
        texts: further text columns; one of them may name the classes.
        names: class names in the order of the labels, as the Hugging Face hub records them.
        rows: number of rows.
    """

    image: str
    label: str
    texts: tuple[str, ...]
    names: tuple[str, ...] | None
    rows: int


@dataclass(frozen=True, slots=True)
class RowLabel:
    """The class of one row: its number, its name, or both."""

    label: int | None
    class_name: str | None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises on damaged files into one clear error."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, OSError, MemoryError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataSetError(f"{path}: damaged parquet file ({first})", GET_AGAIN) from error


def find_columns(path: Path) -> Columns:
    """Read a file's schema. Raises DataSetError without an image or a label column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path), pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    texts = [field.name for field in schema if _is_text(field.type)]
    numbers = [field.name for field in schema if pa.types.is_integer(field.type)]
    images = [field.name for field in schema if _is_image(field.type)]
    image = next((name for name in (*IMAGE_NAMES, *images) if name in images), None)
    wanted = [name for name in LABEL_NAMES if name in (*numbers, *texts)]
    wanted += [name for name in NAME_NAMES if name in texts]
    for what, column in (("image", image), ("label", wanted[0] if wanted else None)):
        if column is None:
            raise DataSetError(
                f"{path}: no {what} column; its columns are "
                + some([f"{field.name} ({field.type})" for field in schema], 8),
                f"Expected images as bytes, and a column {some(LABEL_NAMES, 9)} or class_name.",
            )
    assert image is not None
    label = wanted[0]
    others = tuple(name for name in texts if name != label)
    return Columns(image, label, others, _hub_names(schema, label), rows)


def read_labels(
    files: Sequence[tuple[Path, Columns]],
) -> tuple[tuple[tuple[RowLabel, ...], ...], tuple[str, ...] | None]:
    """The classes of all rows of each file, and the class names in the order of the labels.

    Names come from the schema, or from a text column that is constant for each label.

    Raises:
        DataSetError: an absent or negative label, one that has no name, files that contradict
            each other, or absurdly many rows.
    """
    if sum(columns.rows for _, columns in files) > MOST_FILES:
        raise DataSetError(f"{files[0][0]}: over {MOST_FILES:,} rows", "Give a smaller data set.")
    names = _agreed_names(files)
    values = [_column(path, columns.label) for path, columns in files]
    kinds = {type(value) for column in values for value in column}
    if kinds == {str}:
        return tuple(tuple(RowLabel(None, str(v)) for v in column) for column in values), None
    if not kinds:
        raise DataSetError(f"{files[0][0]}: no rows", GET_AGAIN)
    if kinds != {int}:
        raise DataSetError(
            f"{files[0][0]}: labels are numbers in one file and text in another", GET_AGAIN
        )
    labels = [[value for value in column if isinstance(value, int)] for column in values]
    for (path, columns), column in zip(files, labels, strict=True):
        _check_range(path, columns.label, column, names)
    name_of = dict(enumerate(names)) if names else _constant_text(files, labels)
    rows = tuple(tuple(RowLabel(v, name_of.get(v)) for v in column) for column in labels)
    if names is None and sorted(name_of) == list(range(len(name_of))) and name_of:
        names = tuple(name_of[label] for label in range(len(name_of)))
    return rows, names


def _is_image(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_image(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _hub_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The names of a ClassLabel feature; what has another form counts as absent."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
        return None
    return tuple(names) if names and len(set(names)) == len(names) else None


def _agreed_names(files: Sequence[tuple[Path, Columns]]) -> tuple[str, ...] | None:
    said = {columns.names: path for path, columns in files if columns.names}
    if len(said) > 1:
        first, second = list(said.values())[:2]
        raise DataSetError(
            f"{second}: other class names than in {first.name}",
            "Give files of one data set and version.",
        )
    return next(iter(said), None)


def _column(path: Path, name: str) -> list[object]:
    import pyarrow.parquet as pq

    with reading(path), pq.ParquetFile(path) as file:
        values: list[object] = file.read(columns=[name]).column(0).to_pylist()
    if None in values:
        raise DataSetError(f"{path}, row {values.index(None)}: no {name}", GET_AGAIN)
    return values


def _check_range(
    path: Path, column: str, labels: Sequence[int], names: tuple[str, ...] | None
) -> None:
    for row, label in enumerate(labels):
        if label < 0 or (names is not None and label >= len(names)):
            known = f"the file names {len(names)} classes, from 0" if names else "none is below 0"
            raise DataSetError(f"{path}, row {row}: {column} {label}, but {known}", GET_AGAIN)


def _constant_text(
    files: Sequence[tuple[Path, Columns]], labels: Sequence[Sequence[int]]
) -> dict[int, str]:
    """Label to name, from the first text column with one value a label and one label a value."""
    shared = [t for t in files[0][1].texts if all(t in columns.texts for _, columns in files)]
    for text in shared:
        seen: set[tuple[int, object]] = set()
        for (path, _), column in zip(files, labels, strict=True):
            seen.update(zip(column, _column(path, text), strict=True))
        found = {label: str(value) for label, value in seen}
        if len(seen) == len(set(found.values())):
            return found
    return {}
