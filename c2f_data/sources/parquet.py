"""Images in parquet files, as the Hugging Face hub keeps data sets: image bytes and a label a row.

Which columns mean what, and which row is of which class, is in parquet_schema.py. Here the images
become files in the cache, byte for byte, a small batch of rows at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from c2f_data.errors import ConfigError, DataSetError, install_hint
from c2f_data.index import TEST, TRAIN
from c2f_data.sources.class_folders import TEST_NAMES
from c2f_data.sources.classes import IMAGE_SUFFIXES
from c2f_data.sources.parquet_schema import (
    GET_AGAIN,
    Columns,
    RowLabel,
    find_columns,
    read_labels,
    reading,
)
from c2f_data.sources.unpacked import Filling, total_size, unpack_once

SUFFIX = ".parquet"
PLACES = ("*.parquet", "data/*.parquet", "default/*/*.parquet")
BATCH = 32  # images in memory at once
BUFFER = 1024 * 1024  # without it a whole row group is read at a time
# What files of each format begin with, for rows that don't name their file.
MAGIC = (
    (rb"\xff\xd8\xff", ".jpg"),
    (rb"\x89PNG\r\n\x1a\n", ".png"),
    (rb"RIFF.{4}WEBP", ".webp"),
    (rb"GIF8[79]a", ".gif"),
    (rb"BM", ".bmp"),
    (rb"II\*\0|MM\0\*", ".tif"),
)


@dataclass(frozen=True, slots=True)
class ParquetImage:
    """One row.

    Attributes:
        path: the file that the image was written to.
        split: ``train`` or ``test``.
        label: the label as the row has it, or None where it is text.
        class_name: its class, where the files name it.
    """

    path: Path
    split: str
    label: int | None
    class_name: str | None


@dataclass(frozen=True, slots=True)
class ParquetCopy:
    """A data set taken out of parquet files.

    Attributes:
        folder: what the images' paths are below.
        images: in the order of the files and rows, train before test.
        classes: class names in the order of the labels, where the files name them.
    """

    folder: Path
    images: tuple[ParquetImage, ...]
    classes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Part:
    """One parquet file: the split it belongs to, and its columns."""

    path: Path
    split: str
    columns: Columns


def has_parquet(root: Path) -> bool:
    """Whether ``root`` is a parquet file, or has some where such data sets have them."""
    return bool(_files(root))


def unpack_parquet(root: Path, dataset: str) -> ParquetCopy:
    """Write the images of all rows as files into the cache, now or by an earlier run.

    Files named train, test or validation belong to that split (validation to none where there is
    a test split), others to train.

    Args:
        root: a parquet file, or a folder with some, or with ``data/*.parquet``.
        dataset: the data set's name; the copy's name begins with it.

    Raises:
        ConfigError: pyarrow is not installed.
        DataSetError: no image or label column, a row without image or label or with a label out
            of range; the file and the row (from 0) are named.
        ArtefactError: the disk refused.
    """
    found = _files(root)
    if not found:
        raise DataSetError(f"{root}: no parquet files", "Give the folder that holds them.")
    parts = _parts(found)
    labels, classes = read_labels([(part.path, part.columns) for part in parts])
    files = [part.path for part in parts]
    folder = unpack_once(
        files,
        f"{dataset}-parquet",
        lambda filling: _fill(parts, filling),
        needed=total_size(files),
    )
    images = _images(folder, parts, labels)
    return ParquetCopy(folder, images, classes)


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix.lower() == SUFFIX else []
    for place in PLACES:
        found = sorted(p for p in root.glob(place) if p.is_file() and not p.name.startswith("."))
        if found:
            return found
    return []


def _parts(files: Sequence[Path]) -> list[_Part]:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{files[0].name}: parquet files need pyarrow",
            install_hint("parquet"),
        ) from error
    said = {path: _split_name(path) for path in files}
    test = next((name for name in TEST_NAMES if name in said.values()), None)
    kept = {
        path: TEST if name == test else TRAIN
        for path, name in said.items()
        if name == test or name not in TEST_NAMES
    }
    ordered = sorted(kept, key=lambda path: (kept[path] == TEST, str(path)))
    return [_Part(path, kept[path], find_columns(path)) for path in ordered]


def _split_name(path: Path) -> str:
    """``train-00000-of-00002.parquet`` or ``train/0000.parquet``: train."""
    for word in (path.stem, path.parent.name):
        first = re.split(r"[-_.]", word.lower())[0]
        if first in ("train", *TEST_NAMES):
            return first
    return TRAIN


def _fill(parts: Sequence[_Part], filling: Filling) -> None:
    for number, part in enumerate(parts):
        for row, data, named in _rows(part):
            where = f"{part.path}, row {row}"
            if not data:
                raise DataSetError(f"{where}: no image bytes", GET_AGAIN)
            name = f"{part.split}/{number:05d}-{row:07d}{_suffix(data, named, where)}"
            filling.write(PurePosixPath(name), (data,))


def _rows(part: _Part) -> Iterator[tuple[int, bytes | None, str]]:
    """(row, image bytes, the file name that the row gives), a batch in memory at a time."""
    import pyarrow.parquet as pq

    with (
        reading(part.path),
        pq.ParquetFile(part.path, buffer_size=BUFFER, pre_buffer=False) as file,
    ):
        batches = file.iter_batches(BATCH, columns=[part.columns.image], use_threads=False)
        row = 0
        for batch in batches:
            for value in batch.column(0).to_pylist():
                fields = value if isinstance(value, dict) else {"bytes": value}
                yield row, fields.get("bytes"), str(fields.get("path"))
                row += 1


def _suffix(data: bytes, named: str, where: str) -> str:
    """Of the row's file name, of which nothing else is used, or by the first bytes."""
    suffix = PurePosixPath(named).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return suffix
    for pattern, found in MAGIC:
        if re.match(pattern, data, re.DOTALL):
            return found
    raise DataSetError(f"{where}: no image of a known format", GET_AGAIN)


def _images(
    folder: Path, parts: Sequence[_Part], labels: Sequence[Sequence[RowLabel]]
) -> tuple[ParquetImage, ...]:
    """The files' names sort as the rows do: their numbers have leading zeros."""
    paths = [path for split in (TRAIN, TEST) for path in sorted((folder / split).glob("*"))]
    rows = [(part.split, row) for part, rows in zip(parts, labels, strict=True) for row in rows]
    return tuple(
        ParquetImage(path, split, row.label, row.class_name)
        for path, (split, row) in zip(paths, rows, strict=True)
    )
