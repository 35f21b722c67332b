"""The images of shards, one shard after another: never more than one image in memory.

Nothing is encoded again that need not be: the bytes that a shard stores are passed on wherever
they are a JPEG, PNG or WebP file. Everything else (plain pixels, JPEG XL, a TIFF source) becomes
lossless WebP, or PNG where it is too long for WebP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from c2f_data.export.plan import ExportPlan
from c2f_data.shards.encodings import RAW, WEBP, encode
from c2f_data.shards.head import Head, read_head
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.reader import ShardReader


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image.

    Attributes:
        suffix: ``jpg``, ``png`` or ``webp``.
        size: (height, width) in pixels.
    """

    data: bytes
    suffix: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set.

    Attributes:
        position: within the split.
        labels: class ids of all levels, coarse to fine.
        pictures: one a level that is exported, coarse to fine.
    """

    split: str
    position: int
    image_id: str
    labels: tuple[int, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Part:
    """The samples of one shard.

    Attributes:
        number, of: which shard of how many of its split.
        first: position of its first image within the split.
        samples: can be gone through once.
    """

    split: str
    number: int
    of: int
    first: int
    samples: Iterator[Sample]


def parts(reader: ShardReader, plan: ExportPlan) -> Iterator[Part]:
    """The shards of the plan's splits. What they hold is read as it is asked for.

    Raises:
        ArtefactError: (while it is read) a shard is absent or damaged.
    """
    for split in plan.splits:
        entries = plan.entries(split)
        first = 0
        for number, entry in enumerate(entries):
            samples = _samples(reader, plan, entry, first)
            yield Part(split, number, len(entries), first, samples)
            first += entry.images


def _samples(
    reader: ShardReader, plan: ExportPlan, entry: ShardEntry, first: int
) -> Iterator[Sample]:
    head = read_head(reader.folder, reader.manifest, entry)
    for row in range(entry.images):
        position = first + row
        pictures = tuple(_picture(reader, head, entry.split, first, row, v) for v in plan.levels)
        labels = tuple(int(label) for label in head.labels[row])
        yield Sample(entry.split, position, head.image_ids[row], labels, pictures)


def _picture(
    reader: ShardReader, head: Head, split: str, first: int, row: int, level: str
) -> Picture:
    height, width = (int(side) for side in head.columns[level].sizes[row])
    data = reader.read(split, first + row, level)
    # Plain pixels can begin like a JPEG by chance.
    suffix = None if head.columns[level].encoding == RAW else suffix_of(data)
    if suffix is None:
        data = encode(reader.pixels(split, first + row, level), WEBP)
        suffix = "webp" if suffix_of(data) == "webp" else "png"
    return Picture(data, suffix, (height, width))


def suffix_of(data: bytes) -> str | None:
    """``jpg``, ``png`` or ``webp`` by how the bytes begin; None: something else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None
