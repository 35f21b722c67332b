"""Write one shard as HDF5, with the same bytes every time and without trusting a full disk.

The HDF5 library crashes the process (segmentation fault at exit) when the disk fills up under an
open file. So it never touches the disk here: it lays the file out in memory, without the
payloads, and plain writes put everything in its place; a full disk is then an ordinary OSError.

Layout, all of it contiguous and uncompressed:

======================  ==================  =====================================================
``/image_ids``          (n) fixed UTF-8     in the order of the index
``/labels``             (n, L) int32        class ids, columns coarse to fine (attribute levels)
``/native_sizes``       (n, 2) int32        height and width of the image before all else
``/classes/LEVEL``      (K) fixed UTF-8     class names; the position is the class id
``/images/LEVEL/...``
``   payload``          (bytes) uint8       the encoded images one after another
``   offsets``          (n + 1) int64       image i is payload[offsets[i]:offsets[i + 1]]
``   sizes``            (n, 2) int32        height and width of the decoded picture
``   crc32``            (n) uint32          of each encoded image
``   canonical``        (n) uint8           finest level: 1 = lossless RGB, not the source's bytes
======================  ==================  =====================================================

The attributes are in :mod:`c2f_data.shards.attributes`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from c2f_data.shards import schema
from c2f_data.shards.attributes import About, write_attributes, write_level_attributes
from c2f_data.shards.encode import EncodedImage
from c2f_data.shards.manifest import PayloadRange
from c2f_data.shards.schema import LevelPlan, ShardPlan
from c2f_data.shards.tasks import ShardTask
from c2f_data.tables import fixed_text

# Pinned: the default differs between HDF5 versions, and newer formats store times in groups.
LIBVER = ("earliest", "v110")


class MemoryFile:
    """A file object that notes what is written where, and holds nothing in between.

    Attributes:
        writes: (offset, data), in the order of writing.
        size: length of the file in bytes.
    """

    def __init__(self) -> None:
        self.writes: list[tuple[int, bytes]] = []
        self.size = 0
        self._position = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self.size)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, data: bytes) -> int:
        data = bytes(data)
        self.writes.append((self._position, data))
        self._position += len(data)
        self.size = max(self.size, self._position)
        return len(data)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        start, end = self._position, min(self.size, self._position + len(buffer))
        buffer[: end - start] = bytes(end - start)
        for offset, data in self.writes:
            first, last = max(start, offset), min(end, offset + len(data))
            if first < last:
                buffer[first - start : last - start] = data[first - offset : last - offset]
        self._position = end
        return end - start

    def read(self, count: int = -1) -> bytes:
        buffer = bytearray(self.size - self._position if count < 0 else count)
        return bytes(buffer[: self.readinto(buffer)])

    def truncate(self, size: int) -> int:
        self.size = size
        return size

    def flush(self) -> None:
        """Nothing is buffered."""


def write_hdf5(
    path: Path, task: ShardTask, images: Sequence[EncodedImage]
) -> tuple[PayloadRange, ...]:
    """Write a shard and tell where its payloads are.

    Raises:
        OSError: the disk refused.
    """
    memory = MemoryFile()
    with h5py.File(memory, "w", libver=LIBVER) as file:
        ranges = _lay_out(file, task, images)
    with path.open("wb") as out:
        out.truncate(memory.size)
        for offset, data in memory.writes:
            out.seek(offset)
            out.write(data)
        for place, column in ranges:
            out.seek(place.offset)
            for image in images:
                out.write(image.payloads[column])
    return tuple(sorted((place for place, _ in ranges), key=lambda place: place.offset))


def _lay_out(
    file: h5py.File, task: ShardTask, images: Sequence[EncodedImage]
) -> list[tuple[PayloadRange, int]]:
    plan = task.plan
    names = [level.name for level in plan.levels]
    write_attributes(file, About(plan, plan.fingerprint, task.split, task.number, task.of))
    file[schema.IMAGE_IDS] = fixed_text([record.image_id for record in task.records])
    file[schema.LABELS] = np.asarray(task.labels, dtype="<i4")
    file[schema.LABELS].attrs["levels"] = names
    file[schema.NATIVE_SIZES] = np.asarray([image.native_size for image in images], dtype="<i4")
    for name, classes in zip(names, task.classes, strict=True):
        file[_in_bytes(schema.CLASSES, name)] = fixed_text(classes)
    return [
        (_lay_out_level(file, plan, level, column, images), column)
        for column, level in enumerate(plan.levels)
    ]


def _in_bytes(folder: str, level: str) -> bytes:
    """A level's place in the file. As bytes, because h5py marks a text with other letters than
    ASCII as such, and HDF5 then stores the group in another way, which a reader would have to
    trust; names are read the same."""
    return f"{folder}/{level}".encode()


def _lay_out_level(
    file: h5py.File,
    plan: ShardPlan,
    level: LevelPlan,
    column: int,
    images: Sequence[EncodedImage],
) -> PayloadRange:
    encoded = [image.payloads[column] for image in images]
    group = file.create_group(_in_bytes(schema.IMAGES, level.name))
    write_level_attributes(group, plan, level)
    offsets = np.cumsum([0, *(len(data) for data in encoded)], dtype="<i8")
    group[schema.OFFSETS] = offsets
    group[schema.SIZES] = np.asarray([image.sizes[column] for image in images], dtype="<i4")
    group[schema.CRC32] = np.asarray([zlib.crc32(data) for data in encoded], dtype="<u4")
    if level is plan.native:
        flags = [image.canonical for image in images]
        group[schema.CANONICAL] = np.asarray(flags, dtype="u1")
    total = int(offsets[-1])
    return PayloadRange(level.name, _reserve(group, total), total)


def _reserve(group: h5py.Group, total: int) -> int:
    """Give the payload its place in the file without writing it; the place in bytes."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple((total,))
    name = schema.PAYLOAD.encode()
    dataset = h5py.h5d.create(group.id, name, h5py.h5t.STD_U8LE, space, properties)
    return int(dataset.get_offset())
