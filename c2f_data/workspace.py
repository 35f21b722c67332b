"""The workspace: one folder per data set, and which data set commands mean without --dataset.

::

    c2f_workspace/
        workspace.json          the current data set
        NAME/
            dataset.json        where it was read from
            hierarchy.csv       one column a level, coarse to fine
            calibration/        result.json; one folder of predictions per protocol
            shards/             HDF5 files; manifest.json is written last
            runs/RUN/           config, metrics, checkpoint; run.json is written last
            report/             report.json, report.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from c2f_data.artefacts import disk_error, read_json, write_json
from c2f_data.errors import ArtefactError, ConfigError

SCHEMA_VERSION = 1
DEFAULT = Path("c2f_workspace")
DEMO = "demo"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class CurrentDataset:
    """workspace.json: the data set of the last finished calibrate or shard."""

    dataset: str


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """dataset.json: what a data set's folder was made from.

    Attributes:
        root: absolute folder of the images, or a URL; None: only its hierarchy was chosen so far.
        taxonomy: a built-in hierarchy (``cub``, ``cub:aou2016``), or absolute path of a table;
            None: the usual one.
        levels: level names of that table, coarse to fine.
        allow_partial: the table may name more classes than there are images of.
        crop: ``none``; ``bbox``: images are cut to their bounding boxes; ``parts``: to a box around
            their visible parts.
        listing: absolute path or URL of a CSV that names the images; None: the layout tells.
        excluded: images that are left out, by their ids or paths below the root.
    """

    dataset: str
    root: str | None
    taxonomy: str | None
    levels: tuple[str, ...]
    allow_partial: bool = False
    crop: str = "none"
    listing: str | None = None
    excluded: tuple[str, ...] = ()


def safe_name(name: str, what: str) -> str:
    """A name that can be a folder of its own. Raises ConfigError otherwise."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} {name!r} can't be a folder's name",
            "Use letters, digits, dots, dashes and underscores, at most 64.",
        )
    return name


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """Paths inside a data set's folder. Nothing is created by asking."""

    folder: Path

    @property
    def source(self) -> Path:
        """dataset.json: where the images were read from."""
        return self.folder / "dataset.json"

    @property
    def hierarchy(self) -> Path:
        """hierarchy.csv: one column a level, coarse to fine."""
        return self.folder / "hierarchy.csv"

    @property
    def checkup(self) -> Path:
        """checkup.json: what the last `c2f doctor` found."""
        return self.folder / "checkup.json"

    @property
    def calibration(self) -> Path:
        """Folder of the calibrations."""
        return self.folder / "calibration"

    @property
    def result(self) -> Path:
        """result.json of the last calibration."""
        return self.calibration / "result.json"

    @property
    def shards(self) -> Path:
        """Folder of the shards."""
        return self.folder / "shards"

    @property
    def manifest(self) -> Path:
        """The shards' manifest.json; it is there when all of them are."""
        return self.shards / "manifest.json"

    @property
    def runs(self) -> Path:
        """Folder of the training runs."""
        return self.folder / "runs"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.folder / "report"

    def run(self, name: str) -> Path:
        """Folder of a run. Raises ConfigError for a name that would lead elsewhere."""
        return self.runs / safe_name(name, "run")

    def finished_runs(self) -> list[Path]:
        """Folders of finished runs, the last finished first."""
        done = [path.parent for path in self.runs.glob("*/run.json")]
        return sorted(done, key=lambda p: (p / "run.json").stat().st_mtime_ns, reverse=True)

    def finished_run(self, name: str | None = None) -> Path:
        """Folder of a finished run; without a name of the last one.

        Raises:
            ArtefactError: there is none, or none of that name.
            ConfigError: a name that would lead elsewhere.
        """
        finished = self.finished_runs()
        if name is None and finished:
            return finished[0]
        if name is None:
            raise ArtefactError(f"{self.runs}: no finished run", "Run c2f train first.")
        run = self.run(name)
        if run in finished:
            return run
        hint = f"Finished: {', '.join(path.name for path in finished) or 'none'}."
        if run.exists():
            hint = f"It was not finished: give its c2f train again, with --resume. {hint}"
        raise ArtefactError(f"{self.runs}: no finished run {name!r}", hint)

    def read_source(self) -> DatasetSource | None:
        """dataset.json, or None where there is none yet. Raises ArtefactError if damaged."""
        if not self.source.exists():
            return None
        return read_json(
            self.source,
            DatasetSource,
            schema="c2f-dataset",
            version=SCHEMA_VERSION,
            maker="c2f calibrate --dataset NAME --root FOLDER",
        )

    def write_source(self, source: DatasetSource) -> None:
        """Record where the data set was read from.

        Raises:
            ArtefactError: the folder belongs to images in another place.
        """
        before = self.read_source()
        if before and before.root and source.root and Path(before.root) != Path(source.root):
            raise ArtefactError(
                f"{self.folder}: written for the images in {before.root}, not {source.root}",
                "Choose another --workspace, or delete that folder if it is no longer needed.",
            )
        write_json(self.source, source, schema="c2f-dataset", version=SCHEMA_VERSION)

    def choose_hierarchy(self, dataset: str, taxonomy: str, levels: tuple[str, ...]) -> None:
        """Record the hierarchy that later commands take unless told another one.

        Raises:
            ArtefactError: dataset.json is damaged, or the disk refused.
        """
        before = self.read_source() or DatasetSource(dataset, None, None, levels)
        self.write_source(replace(before, taxonomy=taxonomy, levels=levels))


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that everything is written to."""

    folder: Path

    def dataset(self, name: str) -> DatasetFolder:
        """The folder of a data set. Raises ConfigError for a name that would lead elsewhere."""
        return DatasetFolder(self.folder / safe_name(name, "data set"))

    @property
    def file(self) -> Path:
        """workspace.json: the current data set."""
        return self.folder / "workspace.json"

    def current(self) -> str | None:
        """Name of the current data set, or None. Raises ArtefactError if the file is damaged."""
        if not self.file.exists():
            return None
        read = read_json(
            self.file,
            CurrentDataset,
            schema="c2f-workspace",
            version=SCHEMA_VERSION,
            maker="c2f calibrate --dataset NAME",
        )
        return safe_name(read.dataset, "data set")

    def set_current(self, name: str) -> None:
        """Make a data set the current one; the demo never replaces another."""
        if name == DEMO and self.current() not in (None, DEMO):
            return
        current = CurrentDataset(safe_name(name, "data set"))
        write_json(self.file, current, schema="c2f-workspace", version=SCHEMA_VERSION)

    def check_writable(self) -> None:
        """Create the folder. Raises ArtefactError where that is not possible."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.folder) from error
