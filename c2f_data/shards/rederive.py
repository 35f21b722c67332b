"""Hold the images of a shard against their sources: made anew, they must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from c2f_data.decode import Decoded, Pixels, decode_bytes
from c2f_data.errors import ArtefactError, DataSetError, ImageError
from c2f_data.resample import enlarge, reduce_all
from c2f_data.shards.encodings import SOURCE_ENCODING
from c2f_data.shards.faults import DAMAGED, Fault, named, stored_images
from c2f_data.shards.head import Head, check_image, decode_image
from c2f_data.shards.pool import Tick
from c2f_data.shards.schema import ShardPlan
from c2f_data.shards.sidecar import Sidecar
from c2f_data.shards.sources import TaskSources
from c2f_data.shards.tasks import ShardTask

DIFFERS = "not what the source gives"
CHANGED = "not what the source gives, which changed since the shard was written"
GONE = "with a source that is absent, of another size, or damaged"


@dataclass(frozen=True, slots=True)
class _Fresh:
    """An image, made anew.

    Attributes:
        source: bytes of the image file.
        decoded: its pixels, and whether its bytes can be used as they are.
        pictures: level name to what must be stored, (height, width, 3) uint8.
    """

    source: bytes
    decoded: Decoded
    pictures: dict[str, Pixels]


def differing_images(
    head: Head, task: ShardTask, made: Sidecar | None, tick: Tick
) -> Iterator[Fault]:
    """The images that are not what their sources give.

    Args:
        task: the shard as the data set has it; the images must be the shard's, in its order.
        made: tells whether the sources are the ones that the shard was written from; None: there
            is no telling.
        tick: called with the number of bytes done since the last call.

    Raises:
        OSError: the shard can't be read.
    """
    if head.image_ids != tuple(record.image_id for record in task.records):
        return  # which is a problem of its own
    sources = TaskSources(task)
    faults: list[Fault] = []
    fresh: _Fresh | None = None
    at = -1
    for row, level, data in stored_images(head, tick):
        if row != at:
            at, fresh = row, _make(sources, task, row)
        kind = GONE if fresh is None else _fault(head, row, level, data, fresh)
        if kind is not None:
            faults.append(Fault(named(head, row, level), kind))
    changed = made is not None and made.sources_sha256 != sources.sha256
    for fault in faults:
        yield Fault(fault.image, CHANGED) if fault.kind == DIFFERS and changed else fault


def _make(sources: TaskSources, task: ShardTask, row: int) -> _Fresh | None:
    """None: the source can't be read, or is no image any more."""
    try:
        source, name = sources.read(row)
        decoded = decode_bytes(source, name, task.records[row].box)
        pictures = _pictures(decoded, task.plan)
    except (DataSetError, ImageError):
        return None
    names = [level.name for level in task.plan.levels]
    return _Fresh(source, decoded, dict(zip(names, pictures, strict=True)))


def _pictures(decoded: Decoded, plan: ShardPlan) -> list[Pixels]:
    """What each level must show, coarse to fine."""
    resolutions = [level.resolution for level in plan.levels if level.resolution is not None]
    pictures = [*reduce_all(decoded.pixels, resolutions, plan.reduction), decoded.pixels]
    if plan.enlarged is None:
        return pictures
    spec = plan.enlarged.spec(plan.reduction)
    return [enlarge(pixels, spec) for pixels in pictures]


def _fault(head: Head, row: int, level: str, data: bytes, fresh: _Fresh) -> str | None:
    """What is wrong with an image, or None."""
    try:
        check_image(head, row, level, data)
        if head.columns[level].encoding == SOURCE_ENCODING:
            if head.canonical[row] == fresh.decoded.plain:
                return DIFFERS
            if fresh.decoded.plain:
                return None if data == fresh.source else DIFFERS
        pixels = decode_image(head, row, level, data)
    except ArtefactError:
        return DAMAGED
    return None if np.array_equal(pixels, fresh.pictures[level]) else DIFFERS
