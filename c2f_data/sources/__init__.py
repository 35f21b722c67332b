"""Adapters: one per data set. Each finds the layout of a copy and gives a DatasetIndex."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from c2f_data.errors import ConfigError, DataSetError
from c2f_data.index import DatasetIndex
from c2f_data.sources.request import CROPS, SourceRequest

DATASETS = ("cub", "cars", "folder", "demo")


def read_source(request: SourceRequest) -> DatasetIndex:
    """Read a data set by the adapter of its name; by its listing where there is one.

    Raises:
        ConfigError: no adapter of that name (for want of a listing), or no such crop.
        DataSetError, TaxonomyError: what the adapter found wrong, with file and line.
    """
    if request.crop not in CROPS:
        raise ConfigError(f"no crop {request.crop!r}", f"Choose one of {', '.join(CROPS)}.")
    if request.listing is not None:
        from c2f_data.sources.listing import read_listing

        return replace(read_listing(request, request.listing), crop=request.crop)
    reader = _reader(request.dataset)
    if not request.folder.exists():
        raise DataSetError(
            f"{request.root}: no such folder",
            f"Give the folder of the data set: --root FOLDER ({request.dataset}).",
        )
    return replace(reader(request), crop=request.crop)


def _reader(dataset: str) -> Callable[[SourceRequest], DatasetIndex]:
    if dataset in ("cub", "demo"):
        from c2f_data.sources.cub import read_cub

        return read_cub
    if dataset == "cars":
        from c2f_data.sources.cars import read_cars

        return read_cars
    if dataset == "folder":
        from c2f_data.sources.folder import read_folder

        return read_folder
    raise ConfigError(
        f"no adapter for a data set named {dataset!r}",
        f"Choose one of {', '.join(DATASETS)}, or name its images in a CSV: --listing images.csv.",
    )
