"""Figures and tables as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from c2f_data.artefacts import write_text
from c2f_train.publication.figures import figures
from c2f_train.publication.matplotlib_file import check_matplotlib, write_with_matplotlib
from c2f_train.publication.svg_file import svg_text
from c2f_train.publication.table import csv_text, latex_text
from c2f_train.publication.tables import tables
from c2f_train.report import RunReport

Format = Literal["svg", "png", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)


def file_name(name: str) -> str:
    """A name without what could lead elsewhere: a run's comes from a file."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)


def write_figures(report: RunReport, folder: Path, formats: Sequence[Format] = ()) -> list[Path]:
    """Write every figure as SVG and in the other formats; returns the files.

    Raises:
        ConfigError: PNG or PDF was asked for and matplotlib is not installed.
        ArtefactError: the disk refused.
    """
    if set(formats) - {"svg"}:
        check_matplotlib()
    written = []
    for plot in figures(report):
        for kind in dict.fromkeys(("svg", *formats)):
            path = folder / f"{file_name(plot.name)}.{kind}"
            if kind == "svg":
                write_text(path, svg_text(plot))
            else:
                write_with_matplotlib(plot, path)
            written.append(path)
    return written


def write_tables(report: RunReport, folder: Path) -> list[Path]:
    """Write every table as CSV and as LaTeX; returns the files.

    Raises:
        ArtefactError: the disk refused.
    """
    written = []
    for table in tables(report):
        for suffix, text in ((".csv", csv_text(table)), (".tex", latex_text(table))):
            path = folder / f"{file_name(table.name)}{suffix}"
            write_text(path, text)
            written.append(path)
    return written
