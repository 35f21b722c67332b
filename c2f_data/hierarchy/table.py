"""Read and write hierarchy tables: any CSV with one column a level and one row a class."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import write_text
from c2f_data.csv_rows import CsvKind, csv_rows
from c2f_data.errors import TaxonomyError
from c2f_data.hierarchy.formats import csv_text
from c2f_data.hierarchy.validate import faults, listed
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

MAX_BYTES = 256 * 1024 * 1024
FINEST_ALIASES = ("class_name", "class")
KIND = CsvKind(
    error=TaxonomyError,
    name="table",
    rows="classes",
    row="class",
    quoting='names that contain one: "Ram C/V, 2012"',
    comments=True,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file as text: header, rows, and the line each row starts on.

    Attributes:
        rows: one mapping per class, column name to cell, stripped and in Unicode NFC.
        lines: 1-based line numbers; the header is line 1.
    """

    origin: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]


def read_table(path: Path) -> Table:
    """Read a CSV file (UTF-8, a byte-order mark is accepted; ``#`` lines and blank lines skipped).

    Raises:
        TaxonomyError: absent, too large, not UTF-8, no header, or a row of another length.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TaxonomyError(f"{path}: larger than 256 MiB", "Is this really a class table?")
        # Line ends as they are: a quoted name may hold one.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise TaxonomyError(
            f"{path}: no such file",
            "Give the path of a CSV file, or the name of a built-in hierarchy (cub, cars).",
        ) from error
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path}: not UTF-8 ({error})", "Save the table as UTF-8.") from error
    except OSError as error:
        raise TaxonomyError(f"{path}: {error.strerror}", "Give the path of a CSV file.") from error
    return parse_table(text, str(path))


def parse_table(text: str, origin: str) -> Table:
    """Parse CSV text; see :func:`read_table`."""
    found = csv_rows(text, origin, KIND)
    header = tuple(_clean(cell) for cell in found.header)
    rows = tuple(
        dict(zip(header, (_clean(cell) for cell in cells), strict=True)) for cells in found.rows
    )
    return Table(origin, header, rows, tuple(found.lines))


def _clean(cell: str) -> str:
    return unicodedata.normalize("NFC", cell).strip()


def taxonomy_from_table(
    table: Table,
    *,
    name: str,
    levels: Sequence[str] = DEFAULT_LEVELS,
    columns: Mapping[str, str] | None = None,
) -> Taxonomy:
    """Make a validated Taxonomy.

    Args:
        levels: level names, coarse to fine.
        columns: level name to column name, where they differ. The finest level is also found
            under ``class_name`` or ``class``.

    Raises:
        TaxonomyError: a column is missing, or the table has faults; all are named with lines.
    """
    chosen = [
        _column(table, level, (columns or {}).get(level), level == levels[-1]) for level in levels
    ]
    paths = tuple(tuple(row[column] for column in chosen) for row in table.rows)
    found = faults(levels, paths, table.lines)
    if found:
        raise TaxonomyError(
            listed(table.origin, found),
            "Correct these lines: every class needs exactly one parent at each coarser level.",
        )
    return Taxonomy(name, tuple(levels), paths, table.origin, table.lines)


def _column(table: Table, level: str, column: str | None, finest: bool) -> str:
    candidates: tuple[str, ...] = (
        (column,) if column else (level, *(FINEST_ALIASES if finest else ()))
    )
    for candidate in candidates:
        if table.columns.count(candidate) > 1:
            raise TaxonomyError(
                f"{table.origin}: two columns are named {candidate!r}", "Rename one of them."
            )
        if candidate in table.columns:
            return candidate
    raise TaxonomyError(
        f"{table.origin}: no column {level!r}; its columns are {', '.join(table.columns)}",
        "Name the columns after the levels, or the levels after the columns, coarse to fine: "
        "--levels family,genus,species.",
    )


def write_taxonomy(path: Path, taxonomy: Taxonomy) -> None:
    """Write ``hierarchy.csv`` atomically: one column a level, coarse to fine."""
    write_text(path, csv_text(taxonomy))


def read_taxonomy(path: Path, name: str) -> Taxonomy:
    """Read a ``hierarchy.csv`` that :func:`write_taxonomy` wrote: every column is a level."""
    table = read_table(path)
    return taxonomy_from_table(table, name=name, levels=table.columns)
