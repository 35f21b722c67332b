"""``c2f report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c2f_data.errors import ArtefactError, C2FError, ConfigError
from c2f_data.hierarchy.table import read_taxonomy
from c2f_data.open_dataset import DatasetChoice, current_dataset, open_dataset
from c2f_data.workspace import DatasetFolder, Workspace

from .console import Console, print_json
from .demo_data import ensure_demo
from .options import common_options, option, workspace_of
from .report_images import sample_strips
from .report_runs import compared, evaluations, finished_runs, found_ablations
from .steps import read_calibration

if TYPE_CHECKING:
    pass

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
@common_options
def report(
    dataset: str | None,
    run_name: str | None,
    out: Path | None,
    compare: tuple[str, ...],
    workspace: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write report.json and report.html: one page, readable without a network.

    \b
    Example:
      c2f report
      c2f report --run mlph --compare mlp --compare hbp --out mlph.html
    """
    console = Console(quiet=quiet)
    place = workspace_of(workspace)
    name = current_dataset(place, DatasetChoice(dataset=dataset))
    folder = place.dataset(name)
    console.note(f"Data set: {name}")
    html, json_file = write(place, folder, name, run_name, out, console, compare)
    if as_json:
        print_json({"dataset": name, "html": str(html), "json": str(json_file)})
    else:
        click.echo(str(html))
    console.note(f"Next: open {html} in a browser")


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
    place = _target(out or folder.report)
    from c2f_data.provenance import collect
    from c2f_train.report import (
        DatasetFacts,
        Failures,
        build_report,
        class_map,
        read_failures,
        read_kept,
        write_report,
    )

    calibration = read_calibration(folder)
    runs = finished_runs(folder, run_name)
    comparison = compared(folder, runs, compare)
    if calibration is None and not runs:
        raise ArtefactError(
            f"{folder.folder}: neither a calibration nor a finished run of {name}",
            f"Run c2f calibrate --dataset {name} first.",
        )
    try:
        choice = ensure_demo(name, DatasetChoice(dataset=name), console)
        index, _, _ = open_dataset(workspace, choice)
        facts, taxonomy = DatasetFacts.from_index(index), index.taxonomy
    except C2FError as error:
        # A report needs the results; without the images it only lacks the strip of pictures.
        console.warn(f"no sample images: {error.message}")
        index = None
        layout = calibration.layout if calibration else "shards"
        facts = DatasetFacts(name, layout, train=None, test=None, fingerprint=None)
        taxonomy = read_taxonomy(folder.hierarchy, name)
    made = collect(device="cpu", seed=calibration.protocol.seed if calibration else 0)
    failures = Failures()
    if calibration is not None:
        failures = read_failures(calibration, folder.calibration, taxonomy)
        if failures.missing:
            console.warn(f"no section on single classes: {failures.missing}")
    kept = read_kept(calibration, folder.calibration, taxonomy) if calibration else ()
    page = build_report(
        facts,
        taxonomy,
        calibration,
        runs,
        made,
        failures,
        evaluations(folder, runs, console),
        comparison,
        found_ablations(folder, name, taxonomy, runs, console),
        class_map(kept, taxonomy) if kept else None,
    )
    strips = sample_strips(index, page, kept) if index is not None else []
    return write_report(place.parent, page, strips, name=place.name)


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
