"""The hierarchy as rows of a table: for readers without a script, and for screen readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from c2f_data.calibration import CalibrationResult
from c2f_train.report.class_map import ClassMap

# Beyond this many rows the table ends at a coarser level: nobody reads further.
MOST_ROWS = 1500


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class.

    Attributes:
        level: its level's name.
        depth: of the level, 0 at the coarsest.
        name: of the class.
        images: measured ones.
        shares: in [0, 1], of images named rightly, one a column; None without images.
    """

    level: str
    depth: int
    name: str
    images: int
    shares: tuple[float | None, ...]


def columns(calibration: CalibrationResult, classes: ClassMap) -> tuple[int, ...]:
    """Positions of the resolutions that the table shows: native, the answers, the lowest."""
    answers = {c.resolution for c in calibration.crossings}
    inner = [i for i, r in enumerate(classes.resolutions) if i and r in answers]
    return tuple(dict.fromkeys([0, *inner, len(classes.resolutions) - 1]))


def class_rows(classes: ClassMap, shown: tuple[int, ...]) -> list[ClassRow]:
    """Every class below its parent, in the hierarchy's order.

    Args:
        shown: positions of the resolutions to give shares at.
    """
    counts = [len(level.names) for level in classes.levels]
    levels = max(1, sum(sum(counts[: i + 1]) <= MOST_ROWS for i in range(len(counts))))
    children: list[dict[int, list[int]]] = []
    for level in classes.levels[:levels]:
        below: dict[int, list[int]] = {}
        for i, parent in enumerate(level.parents or [0] * len(level.names)):
            below.setdefault(parent, []).append(i)
        children.append(below)

    def walk(depth: int, parent: int) -> Iterator[ClassRow]:
        if depth == levels:
            return
        level = classes.levels[depth]
        for i in children[depth].get(parent, []):
            n = level.images[i]
            shares = tuple(level.correct[i][at] / n if n else None for at in shown)
            yield ClassRow(level.level, depth, level.names[i], n, shares)
            yield from walk(depth + 1, i)

    return list(walk(0, 0))
