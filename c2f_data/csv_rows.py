"""The rows of a CSV file with the line that each starts on, whatever the file is about."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from c2f_data.errors import C2FError


@dataclass(frozen=True, slots=True)
class CsvKind:
    """What a CSV file is about, for the words of its errors.

    Attributes:
        error: the class of error that it raises.
        name: what the file is: ``table``.
        rows: what its rows are, in the plural: ``classes``; and one of them: ``class``.
        quoting: how a cell with a comma in it is written, in words with an example.
        comments: lines that begin with ``#`` are skipped.
    """

    error: type[C2FError]
    name: str
    rows: str
    row: str
    quoting: str
    comments: bool = False


@dataclass(frozen=True, slots=True)
class CsvRows:
    """A header, and rows that are all as long as it.

    Attributes:
        header: stripped cells.
        rows: cells as they are in the file.
        lines: 1-based line that each row starts on; blank lines and comments count, too.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]


def csv_rows(text: str, origin: str, kind: CsvKind) -> CsvRows:
    """Read CSV text with a header line; blank lines are skipped.

    Raises:
        C2FError: (of the kind's class) no rows, a row of another length, or no CSV.
    """
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in _records(text, origin, kind):
        if not header:
            header = [cell.strip() for cell in cells]
            continue
        if len(cells) != len(header):
            raise kind.error(
                f"{origin}: line {line} has {len(cells)} cells, the header {len(header)}",
                f"Add the missing commas, or quote {kind.quoting}.",
            )
        rows.append(cells)
        lines.append(line)
    if not rows:
        raise kind.error(
            f"{origin}: no {kind.rows}", f"Give a header line and one row {_a(kind.row)}."
        )
    return CsvRows(header, rows, lines)


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _records(text: str, origin: str, kind: CsvKind) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of every record that is not blank."""
    source = io.StringIO(text, newline="")
    between = True  # two records, not inside a quoted cell of several lines

    def without_comments() -> Iterator[str]:
        nonlocal between
        for physical in source:
            comment, between = between and physical.startswith("#"), False
            yield "\n" if comment and kind.comments else physical

    reader = csv.reader(without_comments(), strict=True)
    start = 1
    try:
        for cells in reader:
            line, start, between = start, reader.line_num + 1, True
            if any(cell.strip() for cell in cells):
                yield line, cells
    except csv.Error as error:
        raise kind.error(
            f"{origin}: line {reader.line_num}: {error}", f"Save the {kind.name} as plain CSV."
        ) from error
