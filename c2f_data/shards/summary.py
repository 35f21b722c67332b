"""What is inside shards, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.errors import ArtefactError
from c2f_data.resample_spec import Reduction
from c2f_data.shards import schema
from c2f_data.shards.alone import Heads
from c2f_data.shards.head import Head
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.manifest import REBUILD


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """One level of one or more shards.

    Attributes:
        count: number of classes in the hierarchy.
        resolution: shorter side in pixels; None: native.
        encoding: ``source``, or how pixels are stored.
        images: number of images.
        bytes: of all its images together, as stored.
        lowest_side, highest_side: shorter sides in pixels of the smallest and largest picture.
        lowest_label, highest_label: class ids that occur.
        classes_present: number of classes that occur.
    """

    name: str
    count: int
    resolution: int | None
    encoding: str
    images: int
    bytes: int
    lowest_side: int
    highest_side: int
    lowest_label: int
    highest_label: int
    classes_present: int


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """One shard, or all shards of a folder.

    Attributes:
        shards: number of files.
        listed: a manifest lists them, so they were checked against it.
        images: split to number of images.
        canonical: images whose finest level is lossless RGB, not the source's bytes.
        bytes: of the files.
        reduction: how reduced images were made.
        enlarged: the side of a raw layout.
        levels: coarse to fine.
    """

    path: str
    shards: int
    listed: bool
    schema_version: int
    dataset: str
    images: dict[str, int]
    canonical: int
    bytes: int
    layout: schema.Layout
    enlarged: InputSide | None
    reduction: Reduction
    levels: tuple[LevelSummary, ...]
    plan_fingerprint: str
    index_fingerprint: str
    taxonomy_fingerprint: str


@dataclass
class _Sums:
    """What is added up for a level, head after head."""

    bytes: int = 0
    lowest_side: int = 2**62
    highest_side: int = 0
    present: frozenset[int] = frozenset()

    def add(self, head: Head, position: int, level: str) -> None:
        column = head.columns[level]
        sides = column.sizes.min(axis=1)
        self.bytes += int(column.offsets[-1])
        self.lowest_side = min(self.lowest_side, int(sides.min()))
        self.highest_side = max(self.highest_side, int(sides.max()))
        self.present |= frozenset(head.labels[:, position].tolist())


def summarise(heads: Heads) -> ShardSummary:
    """Open every shard, one after another, and add up what is in them.

    Raises:
        ArtefactError: a shard is absent, damaged, or not what the manifest says.
    """
    images: dict[str, int] = {}
    canonical = size = count = 0
    sums: dict[str, _Sums] = {}
    about = None
    for head in heads:
        about = about or head.about
        count += len(head.image_ids)
        images[head.about.split] = images.get(head.about.split, 0) + len(head.image_ids)
        canonical += int(head.canonical.sum())
        size += head.path.stat().st_size
        for position, level in enumerate(head.columns):
            sums.setdefault(level, _Sums()).add(head, position, level)
    if about is None:
        raise ArtefactError(f"{heads.path}: no shards in it", REBUILD)
    plan = about.plan
    levels = tuple(
        LevelSummary(
            name=level.name,
            count=level.count,
            resolution=level.resolution,
            encoding=plan.encoding_of(level.name),
            images=count,
            bytes=sums[level.name].bytes,
            lowest_side=sums[level.name].lowest_side,
            highest_side=sums[level.name].highest_side,
            lowest_label=min(sums[level.name].present),
            highest_label=max(sums[level.name].present),
            classes_present=len(sums[level.name].present),
        )
        for level in plan.levels
    )
    return ShardSummary(
        path=str(heads.path),
        shards=len(heads.files),
        listed=heads.manifest is not None,
        schema_version=schema.SCHEMA_VERSION,
        dataset=plan.dataset,
        images=images,
        canonical=canonical,
        bytes=size,
        layout=plan.layout,
        enlarged=plan.enlarged,
        reduction=plan.reduction,
        levels=levels,
        plan_fingerprint=plan.fingerprint,
        index_fingerprint=plan.index_fingerprint,
        taxonomy_fingerprint=plan.taxonomy_fingerprint,
    )


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """One image at one level.

    Attributes:
        label: its class at this level.
        height, width: in pixels, decoded.
        bytes: as stored.
    """

    level: str
    label: str
    class_id: int
    height: int
    width: int
    bytes: int
    encoding: str


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """One image of a shard.

    Attributes:
        file: name of the shard.
        row: 0-based position in the shard.
        canonical: its finest level is lossless RGB, not the source's bytes.
        pictures: coarse to fine.
    """

    image_id: str
    file: str
    row: int
    split: str
    canonical: bool
    pictures: tuple[StoredPicture, ...]


def describe_image(head: Head, row: int) -> ImageSummary:
    """What a shard says of one of its images; nothing is decoded."""
    pictures = []
    for position, (level, column) in enumerate(head.columns.items()):
        class_id = int(head.labels[row, position])
        height, width = (int(side) for side in column.sizes[row])
        start, end = (int(offset) for offset in column.offsets[row : row + 2])
        label = head.classes[position][class_id]
        picture = StoredPicture(level, label, class_id, height, width, end - start, column.encoding)
        pictures.append(picture)
    return ImageSummary(
        image_id=head.image_ids[row],
        file=head.path.name,
        row=row,
        split=head.about.split,
        canonical=bool(head.canonical[row]),
        pictures=tuple(pictures),
    )
