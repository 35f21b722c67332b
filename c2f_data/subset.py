"""A part of a data set: some of its classes, and of the hierarchy what is above them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from c2f_data.errors import ConfigError, DataSetError, TaxonomyError
from c2f_data.index import DatasetIndex
from c2f_data.sources.classes import Spellings
from c2f_data.taxonomy import Taxonomy

# A file of class names; a longer one is something else.
MOST_BYTES = 16 * 1024 * 1024
SHOWN = 5


def read_names(values: Sequence[str]) -> tuple[str, ...]:
    """Class names from what was said on a command line.

    Args:
        values: each a text file with one name a line (blank lines and those that begin with #
            are skipped), or names with commas between them.

    Raises:
        ConfigError: a file can't be read, or there is no name at all.
    """
    names: list[str] = []
    for value in values:
        path = Path(value)
        lines = _lines(path) if _is_file(path) else value.split(",")
        names += (line.strip() for line in lines)
    found = tuple(dict.fromkeys(name for name in names if name and not name.startswith("#")))
    if not found:
        raise ConfigError(
            f"no class names in {', '.join(values)!r}", "Give names, or a file with one a line."
        )
    return found


def subset(index: DatasetIndex, names: Sequence[str]) -> DatasetIndex:
    """The images of some classes, with class ids of their own.

    Args:
        names: of any level: a genus means all of its species. ``LEVEL=NAME`` where two levels
            have a name in common. Capitals, and underscores for spaces, don't matter where the
            exact name is not there.

    Raises:
        TaxonomyError: names that are unknown (with the nearest ones), or mean several things.
        DataSetError: these classes have no images.
    """
    taxonomy = index.taxonomy
    rows = [_rows(taxonomy, name) for name in names]
    unknown = [name for name, found in zip(names, rows, strict=True) if not found]
    if unknown:
        raise TaxonomyError(
            f"{_listed(unknown)}: no such class among the images of {index.dataset}",
            _nearest(taxonomy, unknown),
        )
    return _of_rows(index, {row for found in rows for row in found})


def subset_of_paths(index: DatasetIndex, paths: Iterable[tuple[str, ...]]) -> DatasetIndex:
    """The images of the classes with these paths: what a set of shards was made from.

    Raises:
        DataSetError: a path is not in the hierarchy, or none of the classes has images.
    """
    row_of = {path: row for row, path in enumerate(index.taxonomy.paths)}
    wanted = list(paths)
    absent = [" > ".join(path) for path in wanted if path not in row_of]
    if absent:
        raise DataSetError(
            f"{index.dataset}: {_listed(absent)} not in its hierarchy",
            "Choose the hierarchy that the shards were made with: --taxonomy, --levels.",
        )
    return _of_rows(index, {row_of[path] for path in wanted})


def subset_like(index: DatasetIndex, paths: Sequence[tuple[str, ...]]) -> DatasetIndex:
    """The images that shards with these classes were made from, if they are a part of the index.

    The index itself where it has just these classes, or not all of them: then the two are of
    different data sets, and their fingerprints tell.
    """
    known = set(index.taxonomy.paths)
    if tuple(paths) == index.taxonomy.paths or not known.issuperset(paths):
        return index
    return subset_of_paths(index, paths)


def _of_rows(index: DatasetIndex, rows: set[int]) -> DatasetIndex:
    rank = {row: i for i, row in enumerate(sorted(rows))}
    records = tuple(
        replace(record, label=rank[record.label])
        for record in index.records
        if record.label in rank
    )
    if not records:
        raise DataSetError(
            f"{index.root}: no images of these {len(rows)} classes", "Choose other classes."
        )
    return replace(index, taxonomy=index.taxonomy.subset(rows), records=records)


def _rows(taxonomy: Taxonomy, name: str) -> frozenset[int]:
    """The classes that a name means, as rows of the hierarchy; none: it is unknown.

    Raises:
        TaxonomyError: it means several things.
    """
    before, sign, after = name.partition("=")
    levels = range(len(taxonomy.levels))
    if sign and before.strip() in taxonomy.levels:
        levels = range(at := taxonomy.levels.index(before.strip()), at + 1)
        name = after
    wanted = unicodedata.normalize("NFC", name).strip()
    meanings = _exact(taxonomy, wanted, levels) or _loose(taxonomy, wanted, levels)
    # A genus with one species may bear its name: then both mean the same images.
    if len({rows for _, rows in meanings}) > 1:
        raise TaxonomyError(
            f"{wanted!r} may be {' or '.join(title for title, _ in meanings)}",
            "Say which one, as it is written there.",
        )
    return meanings[0][1] if meanings else frozenset()


Meaning = tuple[str, frozenset[int]]


def _exact(taxonomy: Taxonomy, name: str, levels: range) -> list[Meaning]:
    """By a node's own name, or by the one that is unique at its level."""
    return [
        (f"{taxonomy.levels[j]}={unique}", _below(taxonomy, j, i))
        for j in levels
        for i, (unique, node) in enumerate(zip(taxonomy.names[j], taxonomy.nodes[j], strict=True))
        if name in (unique, node[-1])
    ]


def _loose(taxonomy: Taxonomy, name: str, levels: range) -> list[Meaning]:
    finest = len(taxonomy.levels) - 1
    found = [
        (f"{taxonomy.levels[j]}={unique}", _below(taxonomy, j, i))
        for j in levels
        for i, unique in enumerate(taxonomy.names[j])
        if _key(unique) == _key(name)
    ]
    if not found and finest in levels:
        # The names of class folders: 001.Black_footed_Albatross.
        rows = Spellings(taxonomy).rows(name)
        found = [(f"{taxonomy.finest}={taxonomy.names[-1][r]}", frozenset([r])) for r in rows]
    return found


def _below(taxonomy: Taxonomy, level: int, node: int) -> frozenset[int]:
    return frozenset((taxonomy.codes[:, level] == node).nonzero()[0].tolist())


def _key(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.casefold()).strip()


def _nearest(taxonomy: Taxonomy, unknown: Sequence[str]) -> str:
    known = {_key(name): name for names in taxonomy.names for name in names}
    near = [
        known[key]
        for name in unknown[:SHOWN]
        for key in difflib.get_close_matches(_key(name.rpartition("=")[2]), known, n=3)
    ]
    if near:
        return f"Near: {', '.join(dict.fromkeys(near))}."
    counts = (f"{len(n)} x {v}" for v, n in zip(taxonomy.levels, taxonomy.names, strict=True))
    return f"Names of any level ({', '.join(counts)}) as in hierarchy.csv, or a file of them."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for a name, or with a null in it
        return False


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path}: over 16 MiB", "Give a text file with one name a line.")
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "Check --classes.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text", "Save it as UTF-8.") from error
