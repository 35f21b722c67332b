"""The class hierarchy: one row a class, one column a level, coarse to fine.

Levels are data: an ordered tuple of names taken from the table. Three of them (family, genus,
species) are the usual case, two or five work the same way. Class ids are dense: 0 .. K-1 at every
level, in order of first appearance in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint
from c2f_data.errors import TaxonomyError

DEFAULT_LEVELS = ("family", "genus", "species")


@dataclass(frozen=True)
class Taxonomy:
    """A validated hierarchy.

    Attributes:
        name: short name, for example ``cub``.
        levels: level names, coarse to fine; at least two.
        paths: one tuple of names per class (a class is an entry of the finest level), in the
            order of ``levels``.
        origin: where the table came from, for error messages and reports.
        lines: line of each class in its table (1-based, the header is line 1), or empty.

    Raises:
        TaxonomyError: the table contradicts itself (built by hand: no line numbers).
    """

    name: str
    levels: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    origin: str = ""
    lines: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        from c2f_data.hierarchy.validate import faults

        found = faults(self.levels, self.paths, self.lines)
        if found:
            raise TaxonomyError(
                f"{self.origin or self.name}: " + "; ".join(found),
                "Correct the table: every class needs one parent at each coarser level.",
            )

    @property
    def finest(self) -> str:
        return self.levels[-1]

    @cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Class names per level, coarse to fine; the position is the class id."""
        columns = zip(*self.paths, strict=True)
        return tuple(tuple(dict.fromkeys(column)) for column in columns)

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """(classes, levels) array: the id of each class and of its ancestors."""
        index = [{name: i for i, name in enumerate(names)} for names in self.names]
        rows = [[index[j][name] for j, name in enumerate(path)] for path in self.paths]
        return np.asarray(rows, dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal levels and paths, wherever the table was read from."""
        return fingerprint([self.levels, self.paths])

    def level_index(self, level: str) -> int:
        """Position of a level, coarse to fine. Raises TaxonomyError for an unknown name."""
        if level not in self.levels:
            raise TaxonomyError(
                f"no level {level!r} in {self.origin or self.name}",
                f"Its levels are {', '.join(self.levels)}.",
            )
        return self.levels.index(level)

    def count(self, level: str) -> int:
        """Number of classes at a level."""
        return len(self.names[self.level_index(level)])

    def roll_up(self, fine: NDArray[np.int64], level: str) -> NDArray[np.int64]:
        """Map class ids of the finest level to the ids of their ancestors at ``level``."""
        ancestors: NDArray[np.int64] = self.codes[:, self.level_index(level)]
        return ancestors[np.asarray(fine, dtype=np.int64)]

    def subset(self, classes: Iterable[str]) -> Taxonomy:
        """The part of the hierarchy above the given classes, in the table's order."""
        wanted = set(classes)
        keep = [i for i, path in enumerate(self.paths) if path[-1] in wanted]
        return Taxonomy(
            name=self.name,
            levels=self.levels,
            paths=tuple(self.paths[i] for i in keep),
            origin=self.origin,
            lines=tuple(self.lines[i] for i in keep) if self.lines else (),
        )

    def match(self, classes: Sequence[str], *, allow_unused: bool, owner: str) -> Taxonomy:
        """Restrict the table to a data set's classes.

        Args:
            classes: the class names that have images.
            allow_unused: accept classes of the table that have no images.
            owner: the data set, for the error message.

        Raises:
            TaxonomyError: a class with images is not in the table, or (unless allowed) a class
                of the table has no images; the names, file and lines are given.
        """
        known = {path[-1]: i for i, path in enumerate(self.paths)}
        absent = [name for name in classes if name not in known]
        if absent:
            raise TaxonomyError(
                f"{owner}: {_some(absent)} not in {self.origin or self.name}",
                f"Add a row for each to the table (column {self.finest}), spelt as there.",
            )
        have = set(classes)
        unused = [path[-1] for path in self.paths if path[-1] not in have]
        if unused and not allow_unused:
            where = [
                f"{name} (line {self.lines[known[name]]})" if self.lines else name
                for name in unused
            ]
            raise TaxonomyError(
                f"{self.origin or self.name}: {_some(where)} without images in {owner}",
                "Remove the rows or add the images; --allow-partial accepts unused rows.",
            )
        return self.subset(have)


def _some(names: Sequence[str], most: int = 5) -> str:
    """'3 classes (a, b, c)': enough names to act on, not a page of them."""
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} {'class' if len(names) == 1 else 'classes'} ({shown})"
