"""What changes between two hierarchies of the same levels: two editions, two rules, two files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from c2f_data.errors import TaxonomyError
from c2f_data.taxonomy import Taxonomy

# A class or a group by name: itself last, its ancestors before it.
Names = tuple[str, ...]
Rows = tuple[tuple[str, ...], ...]
Kind = Literal["renamed", "split", "merged", "regrouped"]


@dataclass(frozen=True, slots=True)
class LevelCount:
    """Number of names at one level, before and after."""

    level: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ClassChange:
    """A class with another ancestor; ``before`` and ``after`` are all of them, coarse to fine."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Groups of one level that hold the same classes together and not one by one.

    Only classes that are in both hierarchies count. ``renamed``: one group, the same classes,
    another name. ``split``: one becomes several (one of them may keep the name). ``merged``:
    several become one. ``regrouped``: several become several others.
    """

    level: str
    kind: Kind
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HierarchyDiff:
    """The differences between two hierarchies.

    Attributes:
        before, after: where the two came from.
        levels: level names, coarse to fine, the same on both sides.
        counts: one entry a level, coarse to fine.
        classes: the classes in both whose ancestors differ, in the order of the first table.
        removed, added: the classes that only the first or only the second has.
        groups: what happened to the groups above the classes, coarse to fine.
    """

    before: str
    after: str
    levels: tuple[str, ...]
    counts: tuple[LevelCount, ...]
    classes: tuple[ClassChange, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    groups: tuple[GroupChange, ...]

    @property
    def same(self) -> bool:
        """Whether both hold the same classes under the same ancestors."""
        return not (self.classes or self.removed or self.added)


def compare(a: Taxonomy, b: Taxonomy) -> HierarchyDiff:
    """Compare two hierarchies class by class; ``a`` is before, ``b`` after.

    A class is matched by its name. Where several classes share a name, those on the same path
    match first; what is left matches only if it is one on each side.

    Raises:
        TaxonomyError: the two have different levels.
    """
    if a.levels != b.levels:
        raise TaxonomyError(
            f"{_origin(a)} has the levels {', '.join(a.levels)}, "
            f"{_origin(b)} {', '.join(b.levels)}",
            "Compare two hierarchies with the same levels; --levels selects them.",
        )
    after = _matched(a.paths, b.paths)
    pairs = list(after.items())
    found, shown, new_shown = set(after.values()), _shown(a), _shown(b)
    return HierarchyDiff(
        before=_origin(a),
        after=_origin(b),
        levels=a.levels,
        counts=tuple(LevelCount(level, a.count(level), b.count(level)) for level in a.levels),
        classes=tuple(ClassChange(shown[x], x[:-1], y[:-1]) for x, y in pairs if x != y),
        removed=tuple(shown[path] for path in a.paths if path not in after),
        added=tuple(new_shown[path] for path in b.paths if path not in found),
        groups=tuple(
            GroupChange(
                level,
                kind,
                tuple(sorted(shown[group] for group in old)),
                tuple(sorted(new_shown[group] for group in new)),
            )
            for depth, level in enumerate(a.levels[:-1], start=1)
            for kind, old, new in _changes([(x[:depth], y[:depth]) for x, y in pairs])
        ),
    )


def count_rows(diff: HierarchyDiff) -> Rows:
    """A header and one row a level: how many names before and after."""
    return (
        ("level", "before", "after"),
        *((count.level, str(count.before), str(count.after)) for count in diff.counts),
    )


def class_rows(diff: HierarchyDiff) -> Rows:
    """A header and one row a changed class: its ancestors, ``old -> new`` where they differ."""
    return (
        (diff.levels[-1], *diff.levels[:-1]),
        *(
            (
                change.name,
                *(
                    old if old == new else f"{old} -> {new}"
                    for old, new in zip(change.before, change.after, strict=True)
                ),
            )
            for change in diff.classes
        ),
    )


def group_rows(diff: HierarchyDiff) -> Rows:
    """A header and one row a changed group: level, what happened, names before and after."""
    return (
        ("level", "change", "before", "after"),
        *(
            (change.level, change.kind, ", ".join(change.before), ", ".join(change.after))
            for change in diff.groups
        ),
    )


def _origin(taxonomy: Taxonomy) -> str:
    return taxonomy.origin or taxonomy.name


def _shown(taxonomy: Taxonomy) -> dict[Names, str]:
    """How each class and group is written: homonyms with their parent."""
    return {
        node: name
        for nodes, names in zip(taxonomy.nodes, taxonomy.names, strict=True)
        for node, name in zip(nodes, names, strict=True)
    }


def _matched(before: Sequence[Names], after: Sequence[Names]) -> dict[Names, Names]:
    """Path before to path after of every class that is on both sides, in the order of before."""
    same = set(before) & set(after)
    old, new = _alone(before, same), _alone(after, same)
    moved = {path: new[name] for name, path in old.items() if name in new}
    return {path: moved.get(path, path) for path in before if path in same or path in moved}


def _alone(paths: Iterable[Names], same: set[Names]) -> dict[str, Names]:
    """By name the paths that are not in ``same``, unless several have that name."""
    rest = [path for path in paths if path not in same]
    times = Counter(path[-1] for path in rest)
    return {path[-1]: path for path in rest if times[path[-1]] == 1}


def _changes(
    pairs: Iterable[tuple[Names, Names]],
) -> Iterator[tuple[Kind, list[Names], list[Names]]]:
    """``pairs``: for every class on both sides, the group that held it before and the one after."""
    for before, after in _connected(dict.fromkeys(pairs)):
        if len(before) > 1:
            yield "merged" if len(after) == 1 else "regrouped", before, after
        elif len(after) > 1:
            yield "split", before, after
        elif before[0][-1] != after[0][-1]:
            yield "renamed", before, after


def _connected(pairs: Iterable[tuple[Names, Names]]) -> list[tuple[list[Names], list[Names]]]:
    """Sort groups into the smallest sets that no class leaves: (groups before, groups after).

    A union-find over both sides; True marks the groups after, whose names may be the same.
    """
    parent: dict[tuple[bool, Names], tuple[bool, Names]] = {}

    def top(node: tuple[bool, Names]) -> tuple[bool, Names]:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for before, after in pairs:
        parent[top((True, after))] = top((False, before))
    sets: dict[tuple[bool, Names], tuple[list[Names], list[Names]]] = {}
    for node in list(parent):
        sets.setdefault(top(node), ([], []))[node[0]].append(node[1])
    return list(sets.values())
