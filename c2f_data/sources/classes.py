"""Match a data set's class names with a hierarchy's, and check paths that a file names."""

from __future__ import annotations

import re
import unicodedata
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
    Some systems give file names in decomposed Unicode; tables are read in composed form (NFC).

    Returns:
        The restricted hierarchy, and for each of ``names`` its class id at the finest level.

    Raises:
        DataSetError: two classes have one name.
        TaxonomyError: see :meth:`c2f_data.taxonomy.Taxonomy.match`.
    """
    known = set(taxonomy.names[-1])
    spelt: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in names:
        composed = unicodedata.normalize("NFC", name)
        row = composed if composed in known else _NUMBERED.sub("", composed)
        if row in first:
            raise DataSetError(
                f"{owner}: the classes {first[row]!r} and {name!r} are one row of the hierarchy",
                "Rename one of them, or merge their images.",
            )
        spelt[name], first[row] = row, name
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
    """The first names, and how many more there are; what is not UTF-8 is escaped."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    shown = [name.encode(errors="backslashreplace").decode() for name in names[:most]]
    return ", ".join(shown) + more
