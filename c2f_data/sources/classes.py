"""Match a data set's class names with a hierarchy's, and check paths that a file names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from c2f_data.errors import DataSetError, TaxonomyError
from c2f_data.taxonomy import Taxonomy

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"}
)
_NUMBERED = re.compile(r"^\d+[._ -]+")


def match_classes(
    names: Sequence[str], taxonomy: Taxonomy, *, allow_partial: bool, owner: str
) -> tuple[Taxonomy, Mapping[str, int]]:
    """Restrict the hierarchy to the classes of a data set.

    A class is found by its name in the finest column, or by its parent's and its own name
    (``Tyto_alba`` for genus Tyto, species alba). Numbers before the name (CUB's
    ``001.Black_footed_Albatross``), underscores for spaces and capitals don't matter where the
    exact name is not in the table. Some systems give file names in decomposed Unicode; tables are
    read in composed form (NFC).

    Returns:
        The restricted hierarchy, and for each of ``names`` its class id at the finest level.

    Raises:
        DataSetError: two classes are one row of the table.
        TaxonomyError: a class is not in the table or could be several of its rows, or (unless
            ``allow_partial``) a row has no images; names, file and lines are given.
    """
    table = taxonomy.origin or taxonomy.name
    spellings = Spellings(taxonomy)
    candidates = {name: spellings.rows(name) for name in names}
    absent = [name for name in names if not candidates[name]]
    if absent:
        raise TaxonomyError(
            f"{owner}: {_classes(absent)} not in {table}",
            f"Add a row for each to the table (column {taxonomy.finest}), spelt as there.",
        )
    for name, rows in candidates.items():
        if len(rows) > 1:
            places = ", ".join(taxonomy.where(row) for row in rows)
            raise TaxonomyError(
                f"{owner}: the class {name!r} may be any of {places} of {table}",
                "Name it with its parent before it, for example "
                f"{'_'.join(taxonomy.paths[rows[0]][-2:])!r}.",
            )
    row_of = {name: rows[0] for name, rows in candidates.items()}
    _check_one_to_one(names, row_of, owner)
    _check_used(row_of, taxonomy, allow_partial, owner)
    rank = {row: i for i, row in enumerate(sorted(row_of.values()))}
    return taxonomy.subset(rank), {name: rank[row] for name, row in row_of.items()}


class Spellings:
    """The rows of a table by every spelling of their names, the exact one first."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._exact: dict[str, list[int]] = {}
        self._loose: dict[str, list[int]] = {}
        for row, path in enumerate(taxonomy.paths):
            self._exact.setdefault(path[-1], []).append(row)
            for text in {_loosely(path[-1]), _loosely(" ".join(path[-2:]))}:
                self._loose.setdefault(text, []).append(row)

    def rows(self, name: str) -> list[int]:
        composed = unicodedata.normalize("NFC", name).strip()
        bare = _NUMBERED.sub("", composed)
        return (
            self._exact.get(composed)
            or self._exact.get(bare)
            or self._loose.get(_loosely(composed))
            or self._loose.get(_loosely(bare))
            or []
        )


def _loosely(name: str) -> str:
    return " ".join(re.split(r"[\s_/]+", name.casefold())).strip()


def _check_one_to_one(names: Sequence[str], row_of: Mapping[str, int], owner: str) -> None:
    first: dict[int, str] = {}
    for name in names:
        row = row_of[name]
        if row in first:
            raise DataSetError(
                f"{owner}: the classes {first[row]!r} and {name!r} are one row of the hierarchy",
                "Rename one of them, or merge their images.",
            )
        first[row] = name


def _check_used(
    row_of: Mapping[str, int], taxonomy: Taxonomy, allow_partial: bool, owner: str
) -> None:
    used = set(row_of.values())
    unused = [taxonomy.where(row) for row in range(len(taxonomy.paths)) if row not in used]
    if unused and not allow_partial:
        raise TaxonomyError(
            f"{taxonomy.origin or taxonomy.name}: {_classes(unused)} without images in {owner}",
            "Remove the rows or add the images; --allow-partial accepts unused rows.",
        )


def _classes(names: Sequence[str], most: int = 5) -> str:
    """'3 classes (a, b, c)': enough names to act on, not a page of them."""
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} {'class' if len(names) == 1 else 'classes'} ({shown})"


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
