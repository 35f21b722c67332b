"""A table as values, and as CSV (raw numbers) and LaTeX (rounded, with intervals)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Literal

from c2f_train.evaluation.matrix import Estimate

Kind = Literal["text", "count", "number", "share", "points"]
Cell = str | int | float | Estimate | None
# What LaTeX reads as commands, and what gives it back as text.
ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{NO-BREAK SPACE}": "~",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: its name in CSV; intervals follow as KEY_low and KEY_high.
        head: in LaTeX; a unit is added where ``kind`` has one.
        kind: ``share`` is printed in percent, ``points`` (a difference of shares) in percentage
            points with its sign; CSV has both as they are, in [0, 1] and [-1, 1].
        ranged: its cells are estimates with an interval.
    """

    key: str
    head: str
    kind: Kind = "text"
    ranged: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        name: of its files, without suffix.
        caption: what it shows, in a sentence or two.
        rows: a cell a column; None: no figure.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def csv_text(table: Table) -> str:
    """One header line, one line a row; numbers with all their digits, an empty cell for none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([key for column in table.columns for key in _keys(column)])
    for row in table.rows:
        cells = zip(table.columns, row, strict=True)
        writer.writerow([value for column, cell in cells for value in _values(column, cell)])
    return buffer.getvalue()


def _keys(column: Column) -> list[str]:
    return (
        [column.key, f"{column.key}_low", f"{column.key}_high"] if column.ranged else [column.key]
    )


def _values(column: Column, cell: Cell) -> list[Cell]:
    if not column.ranged:
        return [cell]
    if not isinstance(cell, Estimate):
        return [cell, None, None]
    return [cell.value, cell.low, cell.high]


def latex_text(table: Table) -> str:
    """A floating table for \\input, with booktabs' rules; every text is escaped."""
    align = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        "% Written by c2f report --tables. Needs \\usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{tab:{label(table.name)}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        _row([_head(column) for column in table.columns]),
        r"\midrule",
        *(
            _row([_shown(column, cell) for column, cell in zip(table.columns, row, strict=True)])
            for row in table.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text for LaTeX: nothing in it is a command, and it has one line."""
    line = " ".join(text.split("\n")).replace("\r", " ")
    return "".join(ESCAPES.get(c, c) for c in line if c.isprintable() or c == "\N{NO-BREAK SPACE}")


def label(name: str) -> str:
    """A name that LaTeX takes as a label."""
    return "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in name)


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _head(column: Column) -> str:
    unit = {"share": r" (\%)", "points": " (points)"}.get(column.kind, "")
    return escaped(column.head) + unit


def _shown(column: Column, cell: Cell) -> str:
    if cell is None:
        return "--"
    if isinstance(cell, Estimate):
        value, low, high = (_number(column, v) for v in (cell.value, cell.low, cell.high))
        middle = " to " if column.kind == "points" else "--"
        return rf"{value} \footnotesize({low}{middle}{high})"
    if isinstance(cell, str):
        return escaped(cell)
    return _number(column, cell)


def _number(column: Column, value: float) -> str:
    if column.kind == "share":
        return f"{100 * value:.1f}"
    if column.kind == "points":
        shown = f"{100 * value:+.1f}"
        return f"${shown}$" if float(shown) else "0.0"
    if column.kind == "count":
        return f"{value:,}"
    return f"{value:.3g}"
