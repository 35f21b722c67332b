"""Adapters: one per layout of a data set. Each gives a :class:`c2f_data.index.DatasetIndex`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from c2f_data.errors import ConfigError, DataSetError
from c2f_data.index import DatasetIndex
from c2f_data.taxonomy import Taxonomy

DATASETS = ("cub", "folder", "demo")


def read_source(
    dataset: str, root: Path, taxonomy: Taxonomy, *, allow_partial: bool
) -> DatasetIndex:
    """Read a data set by the adapter of its name.

    Args:
        dataset: ``cub``, ``folder`` or ``demo``.
        root: folder of the data set.
        taxonomy: its hierarchy; it may name more classes where ``allow_partial``.

    Raises:
        ConfigError: no adapter of that name.
        DataSetError, TaxonomyError: what the adapter found wrong, with file and line.
    """
    reader = _reader(dataset)
    if not root.is_dir():
        raise DataSetError(
            f"{root}: no such folder",
            f"Give the folder of the data set: --root FOLDER ({dataset}).",
        )
    return reader(root, taxonomy, dataset, allow_partial)


def _reader(dataset: str) -> Callable[[Path, Taxonomy, str, bool], DatasetIndex]:
    if dataset in ("cub", "demo"):
        from c2f_data.sources.cub import read_cub

        return read_cub
    if dataset == "folder":
        from c2f_data.sources.folder import read_folder

        return read_folder
    hint = f"Choose one of {', '.join(DATASETS)}."
    if dataset == "cars":
        hint = (
            "Arrange the images as class folders named as in taxonomies/cars.csv and use "
            "--dataset folder --taxonomy cars."
        )
    raise ConfigError(f"no adapter for a data set named {dataset!r}", hint)
