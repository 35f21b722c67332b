"""The class hierarchy: one row a class, one column a level, coarse to fine.

Levels are data: an ordered tuple of names taken from the table. Three of them (family, genus,
species) are the usual case, two or five work the same way. Class ids are dense: 0 .. K-1 at every
level, in order of first appearance in the table.

A node is known by its path from the top, not by its name: one name in two branches (a homonym,
such as the bird genus Prunella and the plant genus Prunella) means two nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint
from c2f_data.errors import TaxonomyError

DEFAULT_LEVELS = ("family", "genus", "species")


@dataclass(frozen=True, slots=True)
class Homonym:
    """One name for several nodes of a level, in different branches.

    Attributes:
        paths: their paths, coarse to fine, the last name being ``name``.
        lines: line of the first class below each; None where the table has no lines.
    """

    level: str
    name: str
    paths: tuple[tuple[str, ...], ...]
    lines: tuple[int | None, ...]

    def __str__(self) -> str:
        places = [
            f"{' > '.join(path[:-1])}" + (f" (line {line})" if line else "")
            for path, line in zip(self.paths, self.lines, strict=True)
        ]
        return (
            f"{self.level} {self.name!r} is in {len(places)} branches: {', '.join(places)}; "
            f"taken as {len(places)} that share a name"
        )


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
        from c2f_data.hierarchy.validate import faults, listed

        found = faults(self.levels, self.paths, self.lines)
        if found:
            raise TaxonomyError(
                listed(self.origin or self.name, found),
                "Correct the table: every class needs one parent at each coarser level.",
            )

    @property
    def finest(self) -> str:
        """Name of the finest level."""
        return self.levels[-1]

    @cached_property
    def nodes(self) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Per level, coarse to fine, the paths of its nodes; the position is the class id."""
        return tuple(
            tuple(dict.fromkeys(path[: j + 1] for path in self.paths))
            for j in range(len(self.levels))
        )

    @cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Names per level, coarse to fine, unique at their level; the position is the class id.

        A homonym bears its parent's name in brackets.
        """
        return tuple(_unique_names(nodes) for nodes in self.nodes)

    @cached_property
    def homonyms(self) -> tuple[Homonym, ...]:
        """Every name that two or more nodes of one level share."""
        found = []
        for level, nodes in zip(self.levels, self.nodes, strict=True):
            by_name: dict[str, list[tuple[str, ...]]] = {}
            for node in nodes:
                by_name.setdefault(node[-1], []).append(node)
            found += [
                Homonym(level, name, tuple(paths), tuple(self._first_line(path) for path in paths))
                for name, paths in by_name.items()
                if len(paths) > 1
            ]
        return tuple(found)

    def _first_line(self, node: tuple[str, ...]) -> int | None:
        row = next(i for i, path in enumerate(self.paths) if path[: len(node)] == node)
        return self.lines[row] if self.lines else None

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """(classes, levels) array: the id of each class and of its ancestors."""
        index = [{node: i for i, node in enumerate(nodes)} for nodes in self.nodes]
        rows = [[ids[path[: j + 1]] for j, ids in enumerate(index)] for path in self.paths]
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

    def subset(self, rows: Iterable[int]) -> Taxonomy:
        """The part of the hierarchy above the given classes (ids), in the table's order."""
        keep = sorted(set(rows))
        return Taxonomy(
            name=self.name,
            levels=self.levels,
            paths=tuple(self.paths[i] for i in keep),
            origin=self.origin,
            lines=tuple(self.lines[i] for i in keep) if self.lines else (),
        )

    def where(self, row: int) -> str:
        """A class with its line, for messages: ``Raven (line 4)``."""
        name = self.names[-1][row]
        return f"{name} (line {self.lines[row]})" if self.lines else name


def _unique_names(nodes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The last name of each path where that is unique, else with its parent's, else the path."""
    spellings = [[path[-1] for path in nodes]]
    spellings.append([f"{path[-1]} ({path[-2]})" if len(path) > 1 else path[-1] for path in nodes])
    spellings.append([" > ".join(path) for path in nodes])
    spellings.append([repr(path) for path in nodes])
    chosen = spellings[0]
    for fuller in spellings[1:]:
        counts = Counter(chosen)
        if len(counts) == len(chosen):
            break
        chosen = [
            longer if counts[name] > 1 else name
            for name, longer in zip(chosen, fuller, strict=True)
        ]
    return tuple(chosen)
