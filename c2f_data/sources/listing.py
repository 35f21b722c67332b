"""Images named by a table: a CSV with a path, a class and, if it is known, a split in each row.

The one layout that also works at a URL, because nothing has to be looked for: an object store has
no folders, and asking it for every file of a class would take longer than reading the images.
"""

from __future__ import annotations

import stat
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import disk_error
from c2f_data.csv_rows import CsvKind, csv_rows
from c2f_data.errors import DataSetError
from c2f_data.hierarchy.table import FINEST_ALIASES, Table, taxonomy_from_table
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.sources.class_folders import TEST_SHARE, carve_test, check_trained, refuse_boxes
from c2f_data.sources.classes import match_classes, safe_relative, some
from c2f_data.sources.request import SourceRequest
from c2f_data.storage import Place, Url
from c2f_data.taxonomy import Taxonomy

LAYOUT = "images named by a table"
PATH, SPLIT, BYTES = "path", "split", "bytes"
MAX_BYTES = 1024 * 1024 * 1024
KIND = CsvKind(
    error=DataSetError,
    name="listing",
    rows="images",
    row="image",
    quoting='what contains one: "a,b.jpg"',
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The columns of a listing that matter, one entry a row.

    Attributes:
        origin: the file.
        lines: 1-based line of each row.
        paths: relative to the root, as they are.
        classes: cells of the level columns that are there, coarse to fine; the last is the class.
        splits: ``train`` or ``test``; None: no such column.
        bytes: sizes of the files; None: no such column.
    """

    origin: str
    lines: tuple[int, ...]
    paths: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
    splits: tuple[str, ...] | None
    bytes: tuple[int, ...] | None


def load_listing(place: Place, levels: Sequence[str]) -> Listing:
    """Read a listing from a path or a URL; see :func:`parse_listing`.

    Raises:
        DataSetError: absent, too large, not UTF-8, or as :func:`parse_listing`.
        ArtefactError: the store at a URL refused.
    """
    return parse_listing(_text(place), str(place), levels)


def read_listing(request: SourceRequest, rows: Listing) -> DatasetIndex:
    """Read a data set whose images a table names.

    Raises:
        DataSetError: an image is absent, or boxes are asked for.
        TaxonomyError: listing and hierarchy don't name the same classes.
        ArtefactError: the store at a URL refused.
    """
    root = request.root
    refuse_boxes(request, LAYOUT)
    taxonomy, ids = _classes(rows, request)
    splits = rows.splits or (None,) * len(rows.paths)
    check_trained(root, zip(splits, (path[-1] for path in rows.classes), strict=True))
    sizes = rows.bytes or _sizes(rows, root)
    records = [
        ImageRecord(path, path, ids[names], split or TRAIN, size)
        for path, names, split, size in zip(rows.paths, rows.classes, splits, sizes, strict=True)
    ]
    warnings: tuple[str, ...] = ()
    if rows.splits is None:
        records = carve_test(records)
        note = f"no column {SPLIT!r}: {TEST_SHARE:.0%} of each class became test images"
        warnings = (note,)
    return DatasetIndex(request.dataset, root, LAYOUT, taxonomy, tuple(records), warnings)


def listing_taxonomy(rows: Listing, name: str, levels: Sequence[str]) -> Taxonomy | None:
    """The hierarchy of a listing that has a column for every level; None: it has not.

    Raises:
        TaxonomyError: its rows contradict each other; they are named with their lines.
    """
    if len(rows.classes[0]) != len(levels):
        return None
    first: dict[tuple[str, ...], int] = {}
    for path, line in zip(rows.classes, rows.lines, strict=True):
        first.setdefault(path, line)
    cells = tuple(dict(zip(levels, path, strict=True)) for path in first)
    table = Table(rows.origin, tuple(levels), cells, tuple(first.values()))
    return taxonomy_from_table(table, name=name, levels=levels)


def parse_listing(text: str, origin: str, levels: Sequence[str]) -> Listing:
    """Parse CSV text with a header line; blank lines and further columns are skipped.

    Raises:
        DataSetError: a column is missing, a cell has no meaning, or a path leads out of the root;
            file and line are named.
    """
    found = csv_rows(text, origin, KIND)
    header, cells, lines = found.header, found.rows, found.lines
    path = _column(header, origin, PATH)
    # Also as `find .` writes them: ./a.jpg and a.jpg are one image, and a store knows the second.
    paths = tuple(
        str(safe_relative(row[path], f"{origin}: line {line}"))
        for row, line in zip(cells, lines, strict=True)
    )
    columns = _level_columns(header, origin, levels)
    classes = tuple(tuple(_clean(row[column]) for column in columns) for row in cells)
    splits = sizes = None
    if SPLIT in header:
        split = _column(header, origin, SPLIT)
        splits = tuple(
            _split(row[split], f"{origin}: line {line}")
            for row, line in zip(cells, lines, strict=True)
        )
    if BYTES in header:
        size = _column(header, origin, BYTES)
        sizes = tuple(
            _size(row[size], f"{origin}: line {line}")
            for row, line in zip(cells, lines, strict=True)
        )
    return Listing(origin, tuple(lines), paths, classes, splits, sizes)


def _column(header: Sequence[str], origin: str, *names: str) -> int:
    """Position of the first of these columns that is there."""
    for name in names:
        if header.count(name) > 1:
            raise DataSetError(f"{origin}: two columns are named {name!r}", "Rename one of them.")
        if name in header:
            return header.index(name)
    raise DataSetError(
        f"{origin}: no column {names[0]!r}; its columns are {', '.join(header)}",
        f"A listing has a column {PATH!r}, one with the class ({names[-1]!r}, for example), and, "
        f"if the split is known, {SPLIT!r}.",
    )


def _level_columns(header: Sequence[str], origin: str, levels: Sequence[str]) -> list[int]:
    """The columns of all levels, or that of the finest alone."""
    if all(level in header for level in levels):
        return [_column(header, origin, level) for level in levels]
    return [_column(header, origin, levels[-1], *FINEST_ALIASES)]


def _clean(cell: str) -> str:
    # As few strings as there are names: a million rows name a few thousand.
    return sys.intern(unicodedata.normalize("NFC", cell).strip())


def _split(cell: str, where: str) -> str:
    split = cell.strip().lower()
    if split not in (TRAIN, TEST):
        raise DataSetError(
            f"{where}: split {cell!r}",
            f"Name it {TRAIN} or {TEST}; leave the rows of other splits out.",
        )
    return sys.intern(split)


def _size(cell: str, where: str) -> int:
    text = cell.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise DataSetError(
            f"{where}: {cell!r} bytes", f"Give the file's size, or leave the column {BYTES!r} out."
        )
    return int(text)


def _classes(
    rows: Listing, request: SourceRequest
) -> tuple[Taxonomy, Mapping[tuple[str, ...], int]]:
    """The hierarchy of what is there, and the class id of each row's cells."""
    taxonomy = request.taxonomy
    names = tuple(dict.fromkeys(rows.classes))
    if taxonomy.origin == rows.origin:  # made from this very listing
        return taxonomy, {path: label for label, path in enumerate(taxonomy.paths)}
    classes = tuple(dict.fromkeys(path[-1] for path in names))
    taxonomy, ids = match_classes(
        classes, taxonomy, allow_partial=request.allow_partial, owner=rows.origin
    )
    return taxonomy, {path: ids[path[-1]] for path in names}


def _sizes(rows: Listing, root: Place) -> tuple[int, ...]:
    """The size of every file in bytes, at a URL by one listing. Raises DataSetError for absent."""
    if isinstance(root, Url):
        try:
            listed: Mapping[str, int] = root.sizes()
        except OSError as error:
            raise disk_error(error, root) from error
        sizes = [listed.get(path, -1) for path in rows.paths]
    else:
        sizes = [_file_size(root / path) for path in rows.paths]
    absent = [
        f"{path} (line {line})"
        for path, line, size in zip(rows.paths, rows.lines, sizes, strict=True)
        if size < 0
    ]
    if absent:
        raise DataSetError(
            f"{rows.origin}: {len(absent)} of {len(sizes)} images are not in {root}: "
            f"{some(absent)}",
            "Paths are relative to --root; correct it, or remove these rows.",
        )
    return tuple(sizes)


def _file_size(path: Path) -> int:
    try:
        found = path.stat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _text(listing: Place) -> str:
    try:
        if listing.stat().st_size > MAX_BYTES:
            raise DataSetError(f"{listing}: larger than 1 GiB", "Is this really a listing?")
        return listing.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataSetError(
            f"{listing}: no such file", "Give the CSV that names the images: --listing CSV."
        ) from error
    except UnicodeDecodeError as error:
        raise DataSetError(
            f"{listing}: not UTF-8 ({error})", "Save the listing as UTF-8."
        ) from error
    except OSError as error:
        raise disk_error(error, listing) from error
