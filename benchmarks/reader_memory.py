"""What a reader of shards holds in memory, for data sets of different sizes."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.photographs import TAXONOMY, as_jpeg
from c2f_data.index import TRAIN, DatasetIndex, ImageRecord
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards

READS = 100


@dataclass(frozen=True, slots=True)
class ReaderMemory:
    """Most bytes that a reader held at once while it read 100 images from all over the data set.

    Attributes:
        images: in the data set.
        peak: bytes of Python's and numpy's memory.
    """

    images: int
    peak: int


def reader_memory(folder: Path, counts: tuple[int, int]) -> tuple[ReaderMemory, ReaderMemory]:
    """Build a small and a large data set of tiny images and read from both."""
    small, large = (_measure(folder / str(count), count) for count in counts)
    return small, large


def bytes_per_image(small: ReaderMemory, large: ReaderMemory) -> float:
    """What each further image of a data set costs its reader."""
    return (large.peak - small.peak) / (large.images - small.images)


def _measure(folder: Path, count: int) -> ReaderMemory:
    folder.mkdir(parents=True)
    data = as_jpeg(np.full((16, 16, 3), 90, np.uint8))
    (folder / "image.jpg").write_bytes(data)
    # The same file under many names: what a reader holds does not depend on pixels.
    records = tuple(
        ImageRecord(f"image {i:07d}", "image.jpg", i % 2, TRAIN, len(data)) for i in range(count)
    )
    index = DatasetIndex("tiny", folder, "made", TAXONOMY, records)
    write_shards(index, plan_levels(TAXONOMY, {"genus": 8}), ResampleSpec(), folder / "shards")
    _read(folder / "shards", count)  # what is imported at first use is not the reader's
    tracemalloc.start()
    try:
        _read(folder / "shards", count)
        return ReaderMemory(count, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def _read(shards: Path, count: int) -> None:
    reader = ShardReader(shards)
    for position in np.linspace(0, count - 1, READS).astype(int):
        reader.pixels(TRAIN, int(position), "species")
