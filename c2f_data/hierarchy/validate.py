"""What can be wrong with a hierarchy table; every fault is found at once, with its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

Paths = Sequence[Sequence[str]]
Where = Callable[[int], str]
# A table saved with the wrong separator has a fault on every line.
MOST_SHOWN = 100


def faults(levels: Sequence[str], paths: Paths, lines: Sequence[int] = ()) -> list[str]:
    """Name every fault of a table; an empty list means that it is a hierarchy.

    Args:
        levels: level names, coarse to fine.
        paths: names per class, in the order of ``levels``.
        lines: line of each class in its file; without them faults name rows.
    """

    def where(row: int) -> str:
        return f"line {lines[row]}" if lines else f"row {row + 1}"

    found = _shape_faults(levels, paths, where)
    if found:
        return found
    found = [
        f"{where(row)}: blank {levels[column]}"
        for row, path in enumerate(paths)
        for column, name in enumerate(path)
        if not name.strip()
    ]
    found += _duplicates(levels[-1], paths, where)
    for column in range(2, len(levels)):
        found += _two_parents(levels, paths, column, where)
    return found + _cycles(paths, where)


def listed(origin: str, found: Sequence[str]) -> str:
    """The faults as one message: one on the line, more below it, each on a line of its own."""
    if len(found) == 1:
        return f"{origin}: {found[0]}"
    shown = [f"  {fault}" for fault in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        shown.append(f"  and {len(found) - MOST_SHOWN} more")
    return "\n".join([f"{origin}: {len(found)} faults", *shown])


def _shape_faults(levels: Sequence[str], paths: Paths, where: Where) -> list[str]:
    if len(levels) < 2:
        found = f"one level, {levels[0]}" if levels else "no level"
        return [f"{found}; a hierarchy needs two or more (--levels names them, coarse to fine)"]
    if len(set(levels)) < len(levels):
        return [f"a level is named twice: {', '.join(levels)}"]
    if not paths:
        return ["no classes"]
    return [
        f"{where(row)}: {len(path)} names for {len(levels)} levels"
        for row, path in enumerate(paths)
        if len(path) != len(levels)
    ]


def _duplicates(finest: str, paths: Paths, where: Where) -> list[str]:
    """The same row twice; the same class under other parents is a fault of its own."""
    first: dict[tuple[str, ...], int] = {}
    found = []
    for row, path in enumerate(paths):
        key = tuple(path)
        if key in first and path[-1].strip():
            found.append(f"{where(row)}: {finest} {path[-1]!r} again, first on {where(first[key])}")
        first.setdefault(key, row)
    return found


def _two_parents(levels: Sequence[str], paths: Paths, column: int, where: Where) -> list[str]:
    """The same name under two parents of one branch, a branch being a name of the coarsest level.

    In different branches it is a homonym, which is legal: nodes are known by their paths.
    """
    first: dict[tuple[str, str], int] = {}
    found = []
    for row, path in enumerate(paths):
        branch, parent, child = path[0], path[column - 1], path[column]
        if not (branch.strip() and parent.strip() and child.strip()):
            continue
        before = first.setdefault((branch, child), row)
        if paths[before][column - 1] != parent:
            found.append(
                f"{where(row)}: {levels[column]} {child!r} has {levels[column - 1]} {parent!r} "
                f"here and {paths[before][column - 1]!r} on {where(before)}"
            )
    return found


def _cycles(paths: Paths, where: Where) -> list[str]:
    """A name above itself by way of another name.

    The same name on two levels of one row is legal (a level padded with its parent's name), so
    only a way back through a different name counts.
    """
    parent_of: dict[str, dict[str, int]] = {}
    for row, path in enumerate(paths):
        for parent, child in pairwise(path):
            if parent != child and parent.strip() and child.strip():
                parent_of.setdefault(child, {}).setdefault(parent, row)
    found: list[str] = []
    done: set[str] = set()
    for start in parent_of:
        found += _climb(start, parent_of, done, where)
    return found


def _climb(
    start: str, parent_of: dict[str, dict[str, int]], done: set[str], where: Where
) -> list[str]:
    """Depth-first from a name to its ancestors, without recursion: names may form a long chain."""
    if start in done:
        return []
    found = []
    trail = {start: iter(parent_of[start].items())}
    while trail:
        current, parents = next(reversed(trail.items()))
        step = next(parents, None)
        if step is None:
            del trail[current]
            done.add(current)
            continue
        parent, row = step
        if parent in trail:
            found.append(f"{where(row)}: a cycle, {parent!r} is above and below {current!r}")
        elif parent not in done:
            trail[parent] = iter(parent_of.get(parent, {}).items())
    return found
