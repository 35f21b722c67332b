"""Where the parts of CUB's birds are: ``parts/part_locs.txt``, and the box around those seen.

Each line is ``image part x y visible``, with pixels from 0 and 15 parts an image (beak, crown, tail
...). A part is a point, so the box around all of them would cut off what lies outside the points:
it is made larger by a margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from c2f_data.decode import Box
from c2f_data.errors import DataSetError

PART_FILE = "parts/part_locs.txt"
# On each side, as a share of the longer side of the box around the points.
MARGIN = 0.125
# Points up to this far outside an image are clipped to it, as boxes are.
SLACK = 4


@dataclass(frozen=True, slots=True)
class VisibleParts:
    """The visible parts of one image.

    Attributes:
        where: file and line of the first.
        x, y: extent (least, greatest), in pixels of the upright image.
    """

    where: str
    x: tuple[float, float]
    y: tuple[float, float]

    def box(self, size: tuple[int, int]) -> Box | None:
        """(left, top, right, bottom) with the margin, inside (height, width); None: elsewhere."""
        height, width = size
        beyond = max(self.x[1] - width, self.y[1] - height, -self.x[0], -self.y[0])
        if beyond > SLACK:
            return None
        margin = MARGIN * max(self.x[1] - self.x[0], self.y[1] - self.y[0])
        left, top = (max(0, math.floor(low - margin)) for low in (self.x[0], self.y[0]))
        right = min(width, math.ceil(self.x[1] + margin))
        bottom = min(height, math.ceil(self.y[1] + margin))
        return (left, top, right, bottom) if left < right and top < bottom else None


def read_parts(root: Path, ids: Iterable[str]) -> Mapping[str, VisibleParts | None]:
    """Image id to its visible parts; None where fewer than two are seen.

    Raises:
        DataSetError: the file is missing or has a bad line, or an image has no line.
    """
    file = root / PART_FILE
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataSetError(
            f"{file}: no such file", "Restore the folder parts, or leave out --crop parts."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f"{file}: unreadable ({error})", "Restore the file.") from error
    points: dict[str, list[tuple[float, float]]] = {}
    first: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            image, point = _point(line, f"{file}, line {number}")
            first.setdefault(image, number)
            seen = points.setdefault(image, [])
            if point is not None:
                seen.append(point)
    found: dict[str, VisibleParts | None] = {}
    for image in ids:
        if image not in points:
            raise DataSetError(
                f"{file}: no line for image {image}", "Restore the file, or leave out --crop parts."
            )
        x, y = zip(*points[image], strict=True) if points[image] else ((), ())
        apart = len(set(points[image])) >= 2
        where = f"{file}, line {first[image]}"
        found[image] = VisibleParts(where, (min(x), max(x)), (min(y), max(y))) if apart else None
    return found


def _point(line: str, where: str) -> tuple[str, tuple[float, float] | None]:
    """Image id, and the part's place where it is visible."""
    words = line.split()
    try:
        image, part, x, y, visible = words
        place = float(x), float(y)
        if not (part.isdigit() and visible in ("0", "1") and math.isfinite(sum(place))):
            raise ValueError
    except ValueError as error:
        raise DataSetError(
            f"{where}: {line.strip()!r} is not 'image part x y visible'", "Correct the line."
        ) from error
    return image, place if visible == "1" else None
