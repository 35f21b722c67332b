"""From what a user said to a DatasetIndex: which data set, where it is, which hierarchy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from c2f_data.errors import ConfigError
from c2f_data.hierarchy.builtin import COLUMNS, builtin_taxonomy
from c2f_data.hierarchy.table import read_table, taxonomy_from_table
from c2f_data.index import DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.locate import locate
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy
from c2f_data.workspace import DatasetFolder, DatasetSource, Workspace


@dataclass(frozen=True, slots=True)
class DatasetChoice:
    """What a user said about the data set; None where nothing was said.

    Attributes:
        taxonomy: name of a built-in hierarchy, or a CSV file.
        levels: level names of that file, coarse to fine.
        allow_partial: the table may name classes without images.
    """

    dataset: str | None = None
    root: Path | None = None
    taxonomy: str | None = None
    levels: tuple[str, ...] = DEFAULT_LEVELS
    allow_partial: bool = False


def current_dataset(workspace: Workspace, choice: DatasetChoice) -> str:
    """The data set that a command means. Raises ConfigError where nothing says which."""
    name = choice.dataset or workspace.current()
    if name is None:
        raise ConfigError(
            f"{workspace.folder}: no data set has been calibrated here yet",
            "Run `c2f calibrate --dataset cub --root FOLDER` first (or `c2f demo`).",
        )
    return name


def open_dataset(
    workspace: Workspace, choice: DatasetChoice
) -> tuple[DatasetIndex, DatasetFolder, DatasetSource]:
    """Read a data set; what was said before and recorded in the workspace need not be said again.

    Raises:
        ConfigError, DataSetError, TaxonomyError: what is wrong, with places, files and lines.
    """
    name = current_dataset(workspace, choice)
    folder = workspace.dataset(name)
    recorded = folder.read_source()
    recorded_root = Path(recorded.root) if recorded else None
    root = (choice.root or locate(name, recorded_root)).resolve()
    taxonomy = choice.taxonomy
    levels, partial = choice.levels, choice.allow_partial
    if recorded and taxonomy is None:
        taxonomy = recorded.taxonomy
        levels = recorded.levels if levels == DEFAULT_LEVELS else levels
        partial = partial or recorded.allow_partial
    if taxonomy is not None and taxonomy not in COLUMNS:
        taxonomy = str(Path(taxonomy).resolve())
    source = DatasetSource(name, str(root), taxonomy, levels, partial)
    hierarchy = load_hierarchy(taxonomy or _usual_hierarchy(name, root), levels)
    return read_source(name, root, hierarchy, allow_partial=partial), folder, source


def _usual_hierarchy(name: str, root: Path) -> str:
    if name in COLUMNS:
        return name
    table = root / "taxonomy.csv"
    if table.is_file():
        return str(table)
    raise ConfigError(
        f"no hierarchy for {name!r}: {table} is not there",
        "Give a CSV with the columns family,genus,species: --taxonomy TABLE.csv.",
    )


def load_hierarchy(name: str, levels: tuple[str, ...] = DEFAULT_LEVELS) -> Taxonomy:
    """A built-in hierarchy by name, or a CSV file.

    Raises:
        TaxonomyError: no such name or file, or the table has faults.
    """
    if name in COLUMNS:
        return builtin_taxonomy(name)
    return taxonomy_from_table(read_table(Path(name)), name=Path(name).stem, levels=levels)
