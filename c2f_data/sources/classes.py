"""Match a data set's class names with a hierarchy's, and check paths that a file names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from c2f_data.errors import DataSetError
from c2f_data.taxonomy import Taxonomy

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"}
)
_NUMBERED = re.compile(r"^\d+\.")


def match_classes(
    names: Sequence[str], taxonomy: Taxonomy, *, allow_partial: bool, owner: str
) -> tuple[Taxonomy, Mapping[str, int]]:
    """Restrict the hierarchy to the classes of a data set.

    CUB numbers its classes (``001.Black_footed_Albatross``); a table may leave the number out.

    Returns:
        The restricted hierarchy, and for each of ``names`` its class id at the finest level.

    Raises:
        TaxonomyError: see :meth:`c2f_data.taxonomy.Taxonomy.match`.
    """
    known = set(taxonomy.names[-1])
    spelt = {name: name if name in known else _NUMBERED.sub("", name) for name in names}
    restricted = taxonomy.match(tuple(spelt.values()), allow_unused=allow_partial, owner=owner)
    ids = {name: i for i, name in enumerate(restricted.names[-1])}
    return restricted, {name: ids[spelt[name]] for name in names}


def safe_relative(path: str, where: str) -> PurePosixPath:
    """A relative path that stays below its root. Raises DataSetError otherwise."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in path or "\0" in path or not path:
        raise DataSetError(f"{where}: {path!r} leads out of the data set", "Correct the path.")
    return relative


def is_image(path: Path) -> bool:
    """By suffix; hidden files (``.DS_Store``, ``._name.jpg``) are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
