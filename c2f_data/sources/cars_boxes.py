"""Do Stanford Cars' bounding boxes fit the images that they are said to belong to?

Wrong copies are common: annotations of another order of the files, resized images, images already
cut to their boxes. A box that reaches outside its image gives them away.

The boxes were drawn on the pixels as they are stored: the devkit is of 2013 and MATLAB, whose
imread does not apply an EXIF turn. So they are compared with the stored size, and turned with the
image where it has to be turned. In the official copy every box is inside its image so measured: the
``cars196`` builder of TensorFlow Datasets takes the size by Pillow, without a turn, and refuses a
box that is not inside.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from c2f_data.decode import EXIF_ORIENTATION, Box
from c2f_data.errors import DataSetError
from c2f_data.sources.cars_annotations import Annotation

# Cutting with or without the last row and column, and re-encoding, move an edge by so much.
TOLERANCE = 2
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Header:
    """Size of the stored pixels, and the EXIF orientation (1: upright)."""

    width: int
    height: int
    orientation: int


@dataclass(frozen=True, slots=True)
class Pictured:
    """An annotation, the file that it is from, and the header of its image."""

    source: Path
    annotation: Annotation
    image_id: str
    header: Header


def read_headers(paths: Sequence[Path]) -> list[Header | None]:
    """The headers of many files, in order; None where one can't be read."""
    # Most of the time is spent waiting for the disk. Too many pixels are decoding's business.
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return list(pool.map(_read_header, paths))


def _read_header(path: Path) -> Header | None:
    try:
        with Image.open(path) as image:
            return Header(*image.size, image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:
        # Decoding the image says what is wrong with it; here it only can't be compared.
        return None


def check_boxes(pictures: Sequence[Pictured]) -> bool:
    """Compare every box with its image.

    Returns:
        Whether the images are already cut to their boxes.

    Raises:
        DataSetError: boxes and images contradict each other; the first rows and sizes are given.
    """
    outside = [picture for picture in pictures if not _inside(picture)]
    if not outside:
        return False
    differing = [picture for picture in pictures if not _same_size(picture)]
    if len(differing) * 2 >= len(pictures):
        raise DataSetError(
            f"{outside[0].source.parent}: {len(outside):,} of {len(pictures):,} boxes reach "
            f"outside their images: {_rows(outside)}",
            "The annotations belong to other files, or the images were resized. Get images and "
            "annotations of one copy; class folders need no annotations.",
        )
    if differing:
        raise DataSetError(
            f"{differing[0].source.parent}: the images are cut to their boxes, but "
            f"{len(differing):,} of {len(pictures):,} have another size: {_rows(differing)}",
            "The annotations of these rows belong to other files. Get images and annotations of "
            "one copy.",
        )
    return True


def upright_box(annotation: Annotation, header: Header) -> Box:
    """(left, top, right, bottom) in the upright image, right and bottom outside, clipped to it."""
    x1, y1, x2, y2 = annotation.corners
    width, height = header.width, header.height
    left, top = max(x1 - 1, 0), max(y1 - 1, 0)
    right, bottom = min(x2, width), min(y2, height)
    # The distances from the other two sides, which become coordinates where an axis is reversed.
    from_right, to_right = width - right, width - left
    from_bottom, to_bottom = height - bottom, height - top
    turned: dict[int, Box] = {
        2: (from_right, top, to_right, bottom),
        3: (from_right, from_bottom, to_right, to_bottom),
        4: (left, from_bottom, right, to_bottom),
        5: (top, left, bottom, right),
        6: (from_bottom, left, to_bottom, right),
        7: (from_bottom, from_right, to_bottom, to_right),
        8: (top, from_right, bottom, to_right),
    }
    return turned.get(header.orientation, (left, top, right, bottom))


def _inside(picture: Pictured) -> bool:
    header, (x1, y1, x2, y2) = picture.header, picture.annotation.corners
    return (
        x1 <= header.width
        and y1 <= header.height
        and x2 <= header.width + TOLERANCE
        and y2 <= header.height + TOLERANCE
    )


def _same_size(picture: Pictured) -> bool:
    header, (x1, y1, x2, y2) = picture.header, picture.annotation.corners
    return (
        abs(header.width - (x2 - x1 + 1)) <= TOLERANCE
        and abs(header.height - (y2 - y1 + 1)) <= TOLERANCE
    )


def _rows(pictures: Sequence[Pictured], most: int = 3) -> str:
    shown = []
    for picture in pictures[:most]:
        header, (x1, y1, x2, y2) = picture.header, picture.annotation.corners
        shown.append(
            f"{picture.source.name} row {picture.annotation.row} ({picture.image_id}: "
            f"{header.width} x {header.height} pixels, box {x1},{y1} to {x2},{y2})"
        )
    more = f" and {len(pictures) - most:,} more" if len(pictures) > most else ""
    return "; ".join(shown) + more
