"""From what a user said to a DatasetIndex: which data set, where it is, which hierarchy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from c2f_data.errors import ConfigError
from c2f_data.exclusion import read_exclude_list, without
from c2f_data.hierarchy.builtin import BUILTIN, builtin_taxonomy, is_builtin
from c2f_data.hierarchy.table import read_table, taxonomy_from_table
from c2f_data.index import DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.listing import listing_taxonomy, load_listing
from c2f_data.sources.locate import locate
from c2f_data.sources.request import WHOLE, SourceRequest, without_listing
from c2f_data.storage import Place, Url, place
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy
from c2f_data.workspace import DatasetFolder, DatasetSource, Workspace


@dataclass(frozen=True, slots=True)
class DatasetChoice:
    """What a user said about the data set; None where nothing was said.

    Attributes:
        taxonomy: a built-in hierarchy (``cub``, ``cub:aou2016``), or a CSV file.
        levels: level names of that hierarchy, coarse to fine.
        allow_partial: the table may name classes without images.
        crop: ``none``; ``bbox``: images are cut to their bounding boxes; ``parts``: to a box around
            their visible parts.
        listing: a CSV that names the images.
        exclude: a file that names images to leave out, one a line; empty: none any more.
    """

    dataset: str | None = None
    root: Place | None = None
    taxonomy: str | None = None
    levels: tuple[str, ...] = DEFAULT_LEVELS
    allow_partial: bool = False
    crop: str | None = None
    listing: Place | None = None
    exclude: Path | None = None


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
    listing = choice.listing or (place(recorded.listing) if recorded and recorded.listing else None)
    listing = listing and listing.absolute()
    root = _root(name, choice, recorded, listing)
    taxonomy = choice.taxonomy
    levels, partial = choice.levels, choice.allow_partial
    if recorded and taxonomy is None:
        taxonomy = recorded.taxonomy
        levels = recorded.levels if levels == DEFAULT_LEVELS else levels
        partial = partial or recorded.allow_partial
    crop = choice.crop or (recorded.crop if recorded else WHOLE)
    if taxonomy is not None and not is_builtin(taxonomy):
        taxonomy = str(Path(taxonomy).resolve())
    named = str(listing) if listing else None
    excluded = recorded.excluded if recorded else ()
    if choice.exclude is not None:
        excluded = read_exclude_list(choice.exclude)
    source = DatasetSource(name, str(root), taxonomy, levels, partial, crop, named, excluded)
    hierarchy = load_hierarchy(taxonomy, levels) if taxonomy else None
    rows = load_listing(listing, levels) if listing else None
    if hierarchy is None and rows is not None:
        hierarchy = listing_taxonomy(rows, name, levels)
    if hierarchy is None:
        hierarchy = load_hierarchy(_usual_hierarchy(name, root), levels)
    index = without(
        read_source(SourceRequest(name, root, hierarchy, partial, crop, rows)), excluded
    )
    notes = tuple(str(homonym) for homonym in index.taxonomy.homonyms)
    return replace(index, warnings=(*index.warnings, *notes)), folder, source


def _root(
    name: str, choice: DatasetChoice, recorded: DatasetSource | None, listing: Place | None
) -> Place:
    """Where the images are: as told, as before, beside their listing, or where they often are."""
    if isinstance(choice.root, Path):
        return choice.root.resolve()
    told = choice.root or (place(recorded.root) if recorded and recorded.root else None)
    if isinstance(told, Url):
        if listing is None:
            raise without_listing(told)
        return told
    if told is None and isinstance(listing, Path):
        return listing.parent
    return locate(name, told).resolve()


def _usual_hierarchy(name: str, root: Place) -> str:
    if name in BUILTIN:
        return name
    table = root / "taxonomy.csv"
    if isinstance(table, Path) and table.is_file():
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
    if is_builtin(name):
        return builtin_taxonomy(name, levels)
    return taxonomy_from_table(read_table(Path(name)), name=Path(name).stem, levels=levels)
