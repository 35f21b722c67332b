"""What a set of shards will cost, before it is built: measured on a sample of its images."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import numpy as np

from c2f_data.decode import read_bytes
from c2f_data.index import DatasetIndex
from c2f_data.shards.encode import encode_image
from c2f_data.shards.schema import ShardPlan
from c2f_data.shards.tasks import ShardTasks

SAMPLE = 16


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """A level of the shards to come.

    Attributes:
        count: number of classes.
        resolution: shorter side in pixels; None: native.
        encoding: how its images are stored.
        bytes: of all its images together, estimated.
    """

    name: str
    count: int
    resolution: int | None
    encoding: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What building the shards will give and take.

    Attributes:
        levels: coarse to fine.
        images: split to number of images.
        shards: split to number of files.
        source_bytes: size of the images that will be read.
        seconds: of building, for ``jobs`` processes that do not hinder each other; without
            their start and the disk's share of writing.
        sample: number of images that bytes and seconds were measured on.
    """

    levels: tuple[LevelEstimate, ...]
    images: dict[str, int]
    shards: dict[str, int]
    source_bytes: int
    seconds: float
    jobs: int
    sample: int

    @property
    def bytes(self) -> int:
        """Of all levels."""
        return sum(level.bytes for level in self.levels)


def estimate(
    index: DatasetIndex, plan: ShardPlan, tasks: ShardTasks, jobs: int, seed: int = 0
) -> Estimate:
    """Encode a few images at every level and scale up; nothing is written.

    Native images that keep their source's bytes scale with the sizes of the files, all others
    with the number of images.

    Args:
        tasks: of the same index and plan.
        seed: of the choice of the sample.

    Raises:
        ImageError: an image of the sample is absent or damaged.
        ConfigError: the package of the encoding is absent.
    """
    count = len(index.records)
    random = np.random.default_rng(seed)
    positions = random.choice(count, min(SAMPLE, count), replace=False).tolist()
    _encode(index, plan, positions[0])  # the first one pays for what is loaded only once
    started = time.perf_counter()
    sizes = np.asarray([_encode(index, plan, position) for position in positions])
    seconds = (time.perf_counter() - started) / len(positions)
    source_bytes = sum(record.bytes for record in index.records)
    totals = sizes.mean(axis=0) * count
    if plan.enlarged is None:
        sampled = sum(index.records[position].bytes for position in positions)
        totals[-1] = sizes[:, -1].sum() / max(1, sampled) * source_bytes
    of = _shards(tasks)
    return Estimate(
        levels=tuple(
            LevelEstimate(v.name, v.count, v.resolution, plan.encoding_of(v.name), round(total))
            for v, total in zip(plan.levels, totals.tolist(), strict=True)
        ),
        images={split: int(index.positions(split).size) for split in of},
        shards=of,
        source_bytes=source_bytes,
        seconds=seconds * count / max(1, min(jobs, len(tasks))),
        jobs=jobs,
        sample=len(positions),
    )


def _encode(index: DatasetIndex, plan: ShardPlan, position: int) -> list[int]:
    """Bytes of an image at every level, coarse to fine."""
    path = index.path(position)
    image = encode_image(read_bytes(path), str(path), plan, index.records[position].box)
    for payload in image.payloads:  # as the finished shard is
        hashlib.sha256(payload).digest()
    return [len(payload) for payload in image.payloads]


def _shards(tasks: ShardTasks) -> dict[str, int]:
    """Split to number of files, without making every task."""
    counts: dict[str, int] = {}
    number = 0
    while number < len(tasks):
        first = tasks[number]
        counts[first.split] = first.of
        number += first.of
    return counts
