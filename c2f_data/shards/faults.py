"""What can be wrong with an image in a shard, as far as the shard itself can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from c2f_data.errors import ArtefactError
from c2f_data.shards.head import Head, check_image, decode_image
from c2f_data.shards.pool import Tick

DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with one image.

    Attributes:
        image: its id and level, as a person reads it.
        kind: in words, to follow the name of the image.
    """

    image: str
    kind: str


def damaged_images(head: Head, tick: Tick, *, decode: bool) -> Iterator[Fault]:
    """The images that have another checksum than noted, or do not decode.

    Args:
        decode: also decode every image and compare its size.
        tick: called with the number of bytes done since the last call.

    Raises:
        OSError: the file can't be read.
    """
    for row, level, data in stored_images(head, tick):
        try:
            check_image(head, row, level, data)
            if decode:
                decode_image(head, row, level, data)
        except ArtefactError:
            yield Fault(named(head, row, level), DAMAGED)


def stored_images(head: Head, tick: Tick) -> Iterator[tuple[int, str, bytes]]:
    """Row, level and bytes of every image, all levels of one image after another."""
    with head.path.open("rb") as file:
        for row in range(len(head.image_ids)):
            for level, column in head.columns.items():
                begin, end = column.offsets[row : row + 2].tolist()
                file.seek(column.start + begin)
                yield row, level, file.read(end - begin)
                tick(end - begin)


def named(head: Head, row: int, level: str) -> str:
    """An image of a level, as a person reads it."""
    return f"{head.image_ids[row]} ({level})"


def in_words(faults: Sequence[Fault], most: int = 3) -> str:
    """``2 images (a (genus), b (genus)) damaged``, a part for each kind of fault."""
    parts = []
    for kind in dict.fromkeys(fault.kind for fault in faults):
        images = [fault.image for fault in faults if fault.kind == kind]
        shown = ", ".join(images[:most]) + (", ..." if len(images) > most else "")
        parts.append(f"{len(images)} image{'' if len(images) == 1 else 's'} ({shown}) {kind}")
    return "; ".join(parts) or "no image damaged"
