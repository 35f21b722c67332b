"""``c2f report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c2f_data.errors import ConfigError
from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_data.workspace import DatasetFolder, Workspace

from .console import Console, print_json
from .options import common_options, option, workspace_of

if TYPE_CHECKING:
    from c2f_train.publication.write import Format

PAGE = "report.html"
PAGE_SUFFIXES = (".html", ".htm")


@click.command("report")
@option("--dataset", help="Default: the workspace's current data set.")
@option("--run", "run_name", help="Run to show first.  [default: the last finished]")
@option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write to, or the page itself, FILE.html, with FILE.json beside it; default: "
    "report/ in the data set's folder.",
)
@option(
    "--compare",
    multiple=True,
    metavar="RUN",
    help="Test the first run against this one, image by image: a name, or the folder of a run "
    "(with a slash in it); may be repeated.",
)
@option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the figures there as well, as SVG of a paper column's width.",
)
@option(
    "--figure-format",
    type=click.Choice(["svg", "png", "pdf"]),
    multiple=True,
    help="A further format of --figures; may be repeated. Needs the extra [figures].",
)
@option(
    "--tables",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the tables there as well, as CSV and LaTeX.",
)
@common_options
def report(
    dataset: str | None,
    run_name: str | None,
    out: Path | None,
    compare: tuple[str, ...],
    figures: Path | None,
    figure_format: tuple[Format, ...],
    tables: Path | None,
    workspace: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write report.json and report.html: one page, readable without a network.

    \b
    Example:
      c2f report
      c2f report --run mlph --compare mlp --compare hbp --out mlph.html
      c2f report --figures figures --figure-format pdf --tables tables
    """
    if figure_format and figures is None:
        raise ConfigError("--figure-format without --figures", "Say where: --figures FOLDER.")
    if set(figure_format) - {"svg"}:
        from c2f_train.publication.matplotlib_file import check_matplotlib

        check_matplotlib()
    console = Console(quiet=quiet)
    place = workspace_of(workspace)
    name = current_dataset(place, DatasetChoice(dataset=dataset))
    folder = place.dataset(name)
    console.note(f"Data set: {name}")
    html, json_file = write(place, folder, name, run_name, out, console, compare)
    drawn, tabled = _publish(json_file, figures, figure_format, tables)
    if as_json:
        print_json(
            {
                "dataset": name,
                "html": str(html),
                "json": str(json_file),
                "figures": [str(path) for path in drawn],
                "tables": [str(path) for path in tabled],
            }
        )
    else:
        for path in (html, *drawn, *tabled):
            click.echo(str(path))
    console.note(f"Next: open {html} in a browser")


def _publish(
    json_file: Path, figures: Path | None, formats: tuple[Format, ...], tables: Path | None
) -> tuple[list[Path], list[Path]]:
    """Figures and tables, from the JSON that was written."""
    if figures is None and tables is None:
        return [], []
    from c2f_train.publication import write_figures, write_tables
    from c2f_train.report import read_report

    shown = read_report(json_file)
    return (
        write_figures(shown, figures, formats) if figures is not None else [],
        write_tables(shown, tables) if tables is not None else [],
    )


def write(
    workspace: Workspace,
    folder: DatasetFolder,
    name: str,
    run_name: str | None,
    out: Path | None,
    console: Console,
    compare: Sequence[str] = (),
) -> tuple[Path, Path]:
    """Gather what there is and write the page; returns (html, json)."""
    from c2f_train.report import gather_report, write_report

    place = _target(out or folder.report)
    found = gather_report(
        workspace, name, run=run_name, compare=compare, progress=console, warn=console.warn
    )
    return write_report(place.parent, found.report, found.strips, name=place.name)


def _target(out: Path) -> Path:
    """The page's own path. Raises ConfigError: a file that is no page would be replaced."""
    if out.suffix.lower() in PAGE_SUFFIXES and not out.is_dir():
        return out
    if out.exists() and not out.is_dir():
        raise ConfigError(
            f"--out {out}: a file whose name does not end in .html",
            "Name a folder, or a page: --out FILE.html.",
        )
    return out / PAGE
