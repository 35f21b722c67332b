"""Where a data set is looked for when --root is not given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path

from c2f_data.errors import DataSetError

OFFICIAL_NAMES = {"cub": ("CUB_200_2011",), "cars": ("stanford_cars",)}
HOW_TO_GET = {
    "cub": (
        "Download CUB_200_2011.tgz (data.caltech.edu/records/65de6-vp158), unpack it, and give "
        "its folder: --root FOLDER."
    ),
    "folder": "Give the folder that holds the class folders: --root FOLDER.",
}


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """C2F_CACHE_DIR, or the platform's cache folder."""
    chosen = (os.environ if environment is None else environment).get("C2F_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("c2f", appauthor=False)


def places(dataset: str, recorded: Path | None) -> list[Path]:
    """The folders to try, in order: recorded root, C2F_DATA, ./data, the cache folder."""
    names = (dataset, *OFFICIAL_NAMES.get(dataset, ()))
    bases = [Path("data"), cache_folder()]
    if "C2F_DATA" in os.environ:
        bases.insert(0, Path(os.environ["C2F_DATA"]))
    found = [recorded] if recorded else []
    return found + [base / name for base in bases for name in names]


def locate(dataset: str, recorded: Path | None) -> Path:
    """The first place that exists.

    Raises:
        DataSetError: none exists; the places tried and how to get the data set are named.
    """
    tried = places(dataset, recorded)
    for place in tried:
        if place.is_dir():
            return place
    raise DataSetError(
        f"no data set {dataset!r}; looked in {', '.join(str(place) for place in tried)}",
        HOW_TO_GET.get(dataset, "Give its folder: --root FOLDER."),
    )
