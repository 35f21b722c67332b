"""The report of a workspace: everything that it holds about a data set, read and put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2f_data.calibration import read_result
from c2f_data.checkup.kept import read_check_up
from c2f_data.errors import ArtefactError, C2FError
from c2f_data.hierarchy.table import read_taxonomy
from c2f_data.index import DatasetIndex
from c2f_data.open_dataset import DatasetChoice, current_dataset, open_dataset
from c2f_data.provenance import collect
from c2f_data.workspace import Workspace
from c2f_train.demo_data import ensure_demo
from c2f_train.progress import Progress, Silent
from c2f_train.report.class_map import class_map, read_kept
from c2f_train.report.failures import Failures, read_failures
from c2f_train.report.gather_runs import (
    Warn,
    compared,
    evaluations,
    finished_runs,
    found_ablations,
    stopping_rules,
)
from c2f_train.report.images import Strip
from c2f_train.report.run_report import DatasetFacts, RunReport, build_report
from c2f_train.report.strips import sample_strips


@dataclass(frozen=True, slots=True)
class GatheredReport:
    """A report and its sample images, as :func:`write_report` takes them.

    Attributes:
        strips: empty where the images are not at hand.
    """

    report: RunReport
    strips: tuple[Strip, ...]


def gather_report(
    workspace: Workspace,
    dataset: str | None = None,
    *,
    run: str | None = None,
    compare: Sequence[str] = (),
    progress: Progress | None = None,
    warn: Warn = lambda _: None,
) -> GatheredReport:
    """Read what a workspace holds about a data set, and put its report together.

    Calibration, finished runs, their evaluations and stopping rules, what they say about MLPH's
    parts, the check-up, and the images, where they are where they were.

    Args:
        dataset: None: the workspace's current one.
        run: name of the run that stands first; None: the last finished.
        compare: runs that are tested against it, image by image: names, or folders with a slash.
        progress: shown where the demo has to be rendered; None: nothing is.
        warn: called with a line for each part that is left out because it is absent or damaged.

    Raises:
        ArtefactError: there is neither a calibration nor a finished run, or one of them is damaged.
        ConfigError: there is no current data set, or the first run is compared with itself.
        TaxonomyError: a calibration or run has a level that the hierarchy lacks.
    """
    name = current_dataset(workspace, DatasetChoice(dataset=dataset))
    folder = workspace.dataset(name)
    calibration = read_result(folder.result) if folder.result.exists() else None
    runs = finished_runs(folder, run)
    comparison = compared(folder, runs, compare)
    if calibration is None and not runs:
        raise ArtefactError(
            f"{folder.folder}: neither a calibration nor a finished run of {name}",
            f"Run c2f calibrate --dataset {name} first.",
        )
    index: DatasetIndex | None = None
    try:
        choice = ensure_demo(name, DatasetChoice(dataset=name), progress or Silent())
        index, _, _ = open_dataset(workspace, choice)
        facts = DatasetFacts.from_index(index, read_check_up(folder.checkup))
        taxonomy = index.taxonomy
    except C2FError as error:
        # A report needs the results; without the images it only lacks the strip of pictures.
        warn(f"no sample images: {error.message}")
        index = None
        layout = calibration.layout if calibration else "shards"
        facts = DatasetFacts(name, layout, train=None, test=None, fingerprint=None)
        taxonomy = read_taxonomy(folder.hierarchy, name)
    made = collect(device="cpu", seed=calibration.protocol.seed if calibration else 0)
    failures = Failures()
    if calibration is not None:
        failures = read_failures(calibration, folder.calibration, taxonomy)
        if failures.missing:
            warn(f"no section on single classes: {failures.missing}")
    kept = read_kept(calibration, folder.calibration, taxonomy) if calibration else ()
    report = build_report(
        facts,
        taxonomy,
        calibration,
        runs,
        made,
        failures,
        evaluations(folder, runs, warn),
        comparison,
        found_ablations(folder, name, taxonomy, runs, warn),
        class_map(kept, taxonomy) if kept else None,
        stopping_rules(folder, runs, warn),
    )
    strips = sample_strips(index, report, kept) if index is not None else []
    return GatheredReport(report, tuple(strips))
