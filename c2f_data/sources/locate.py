"""Where a data set is looked for when --root is not given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path

from c2f_data.errors import DataSetError

OFFICIAL_NAMES = {
    "cub": ("CUB_200_2011", "CUB_200_2011.tgz"),
    "cars": ("stanford_cars",),
}
HOW_TO_GET = {
    "cub": (
        "Run `c2f fetch cub`, or give the folder, CUB_200_2011.tgz or parquet files that you "
        "have: --root PATH."
    ),
    "cars": ("`c2f fetch cars` says where copies are; give the folder of yours: --root FOLDER."),
    "folder": "Give the folder that holds the class folders: --root FOLDER.",
}


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """C2F_CACHE_DIR, or the platform's cache folder."""
    chosen = (os.environ if environment is None else environment).get("C2F_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("c2f", appauthor=False)


def places(dataset: str, recorded: Path | None) -> list[Path]:
    """The paths to try, in order: recorded root, C2F_DATA, ./data, the cache folder.

    In each of them the data set's own name, then its official folder and archive.
    """
    names = (dataset, *OFFICIAL_NAMES.get(dataset, ()))
    bases = [Path("data"), cache_folder()]
    if "C2F_DATA" in os.environ:
        bases.insert(0, Path(os.environ["C2F_DATA"]))
    found = [recorded] if recorded else []
    return found + [base / name for base in bases for name in names]


def is_there(place: Path) -> bool:
    """Whether a place has anything: a file, or a folder with more than hidden files (which is
    what an unfinished download is kept in)."""
    if not place.is_dir():
        return place.is_file()
    try:
        return any(not path.name.startswith(".") for path in place.iterdir())
    except OSError:
        return True  # it can't be read; reading it says so


def locate(dataset: str, recorded: Path | None) -> Path:
    """The first place that has anything.

    Raises:
        DataSetError: none has; the places tried and how to get the data set are named.
    """
    tried = places(dataset, recorded)
    for place in tried:
        if is_there(place):
            return place
    raise DataSetError(
        f"no data set {dataset!r}; looked in {', '.join(str(place) for place in tried)}",
        HOW_TO_GET.get(dataset, "Give its folder: --root FOLDER."),
    )
