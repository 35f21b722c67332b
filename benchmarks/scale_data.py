"""Data sets of any number of images without one image: an index, and shards with tiny payloads."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from c2f_data.artefacts import sha256_file
from c2f_data.index import TEST, TRAIN, DatasetIndex, ImageRecord
from c2f_data.resample_spec import Reduction
from c2f_data.shards.encode import EncodedImage
from c2f_data.shards.hdf5 import write_hdf5
from c2f_data.shards.head import head_sha256
from c2f_data.shards.manifest import (
    PayloadRange,
    ShardEntry,
    make_manifest,
    write_manifest,
)
from c2f_data.shards.pool import Tick
from c2f_data.shards.schema import ShardPlan, make_plan, plan_levels
from c2f_data.shards.tasks import ShardTask, ShardTasks, plan_shards
from c2f_data.taxonomy import Taxonomy

SPECIES = 1000
MEAN_BYTES = 110_000  # of a photograph of 500 x 375 pixels
PAYLOAD = bytes(range(16))


def make_index(images: int) -> DatasetIndex:
    """Names, classes and sizes as a large collection of photographs has them."""
    paths = tuple((f"family {i // 50}", f"genus {i // 5}", f"species {i}") for i in range(SPECIES))
    taxonomy = Taxonomy("synthetic", ("family", "genus", "species"), paths)
    sizes = np.random.default_rng(0).gamma(9.0, MEAN_BYTES / 9.0, images).astype(int) + 1000
    records = []
    for i, size in enumerate(sizes.tolist()):
        label = i * SPECIES // images
        name = f"{label:04d}.species_{label}/photograph_{i:07d}.jpg"
        split = TEST if i % 10 == 9 else TRAIN
        records.append(ImageRecord(name, name, label, split, size))
    return DatasetIndex("synthetic", Path("/nowhere"), "made up", taxonomy, tuple(records))


def make_tasks(index: DatasetIndex, folder: Path) -> tuple[ShardPlan, ShardTasks]:
    levels = plan_levels(index.taxonomy, {"family": 40, "genus": 112})
    plan = make_plan(index, levels, Reduction())
    return plan, plan_shards(index, plan, folder)


def make_shards(images: int, folder: Path) -> None:
    """Shards whose heads are those of a real build; their images are 16 bytes and no images."""
    index = make_index(images)
    plan, tasks = make_tasks(index, folder)
    folder.mkdir(parents=True)
    entries = tuple(_write(task) for task in tasks)
    write_manifest(folder, make_manifest(plan, index.taxonomy, entries))


def make_manifest_alone(images: int, folder: Path) -> None:
    """The manifest of such a build, without its shards."""
    index = make_index(images)
    plan, tasks = make_tasks(index, folder)
    entries = [replace(fake_entry(task), payloads=_ranges(plan)) for task in tasks]
    write_manifest(folder, make_manifest(plan, index.taxonomy, tuple(entries)))


def _ranges(plan: ShardPlan) -> tuple[PayloadRange, ...]:
    return tuple(PayloadRange(v.name, 20_000_000 * i, 9_000_000) for i, v in enumerate(plan.levels))


def fake_entry(task: ShardTask, tick: Tick | None = None) -> ShardEntry:
    """What a worker gives back, without its work."""
    if tick:
        tick(len(task.records))
    digest = "0123456789abcdef" * 4
    return ShardEntry(task.file, task.split, len(task.records), 0, 10**8, digest, digest, ())


@functools.cache
def _image() -> EncodedImage:
    sizes = ((40, 53), (112, 149), (375, 500))
    return EncodedImage((PAYLOAD,) * 3, sizes, sizes[-1], canonical=False)


def _write(task: ShardTask) -> ShardEntry:
    path = Path(str(task.path))
    images = [_image()] * len(task.records)
    payloads = write_hdf5(path, task, images)
    return ShardEntry(
        file=task.file,
        split=task.split,
        images=len(images),
        canonical=0,
        bytes=path.stat().st_size,
        sha256=sha256_file(path),
        head_sha256=head_sha256(path, payloads),
        payloads=payloads,
    )
