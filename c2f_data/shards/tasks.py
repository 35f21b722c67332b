"""Which image goes into which shard: from the index alone, so the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import fingerprint
from c2f_data.errors import DataSetError
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.shards.schema import ShardPlan

_SPLIT_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
SHARD_FILE = re.compile(r"[A-Za-z0-9_]+-\d{5,}-of-\d{5,}-[0-9a-f]{8}\.h5", re.ASCII)


@dataclass(frozen=True)
class ShardTask:
    """One shard to build: all that a process on this or another machine needs.

    Attributes:
        root: folder of the data set.
        folder: where the shard goes.
        number: 0-based, within the split.
        of: number of shards of the split.
        records: its images, in the order of the index.
        labels: (images, levels) class ids, coarse to fine.
        classes: class names per level; the position is the class id.
    """

    plan: ShardPlan
    root: Path
    folder: Path
    split: str
    number: int
    of: int
    records: tuple[ImageRecord, ...]
    labels: tuple[tuple[int, ...], ...]
    classes: tuple[tuple[str, ...], ...]

    @property
    def file(self) -> str:
        """Name of the shard. It has the plan in it: shards of two plans never share a name."""
        short = self.plan.fingerprint[:8]
        return f"{self.split}-{self.number:05d}-of-{self.of:05d}-{short}.h5"

    @property
    def path(self) -> Path:
        return self.folder / self.file

    @property
    def sidecar(self) -> Path:
        """The small JSON file that says that the shard was finished, and with which bytes."""
        return self.path.with_suffix(".json")

    @property
    def fingerprint(self) -> str:
        """Over the plan and the shard's own images; not over folders."""
        images = [[r.image_id, r.label, r.bytes] for r in self.records]
        return fingerprint([self.plan.fingerprint, self.split, self.number, self.of, images])


def plan_shards(index: DatasetIndex, plan: ShardPlan, folder: Path) -> tuple[ShardTask, ...]:
    """Deal the images over shards: in index order, never two splits in one shard.

    Raises:
        DataSetError: a split whose name can't be part of a file name, a label outside the
            hierarchy, or an image id that is not valid text.
    """
    taxonomy = index.taxonomy
    _check(index)
    codes = [tuple(row) for row in taxonomy.codes.tolist()]
    tasks = []
    for split in dict.fromkeys(record.split for record in index.records):
        records = [record for record in index.records if record.split == split]
        groups = list(_groups(records, plan.target_bytes))
        tasks += [
            ShardTask(
                plan=plan,
                # A worker process starts in another folder than a caller that changed its own.
                root=index.root.absolute(),
                folder=folder.absolute(),
                split=split,
                number=number,
                of=len(groups),
                records=group,
                labels=tuple(codes[record.label] for record in group),
                classes=taxonomy.names,
            )
            for number, group in enumerate(groups)
        ]
    return tuple(tasks)


def _groups(records: list[ImageRecord], target: int) -> Iterator[tuple[ImageRecord, ...]]:
    """Runs of images of about equal bytes, at most about ``target``: no small rest at the end."""
    # An adapter may list a file as empty; building then says which, so it needs a place here.
    total = max(1, sum(record.bytes for record in records))
    number = -(-total // target)
    start = 0
    groups: dict[int, list[ImageRecord]] = {}
    for record in records:
        groups.setdefault(min(start * number // total, number - 1), []).append(record)
        start += record.bytes
    return (tuple(group) for group in groups.values())


def _check(index: DatasetIndex) -> None:
    classes = len(index.taxonomy.paths)
    for record in index.records:
        if not _SPLIT_NAME.fullmatch(record.split):
            raise DataSetError(
                f"{index.root}: {record.image_id!r} is in a split named {record.split!r}",
                "Name the splits with letters, digits and _ only.",
            )
        if not 0 <= record.label < classes:
            raise DataSetError(
                f"{index.root}: {record.image_id!r} has class {record.label} of {classes}",
                "Build the hierarchy of this data set again: `c2f build-hierarchy`.",
            )
        if "\0" in record.image_id or not record.image_id:
            raise DataSetError(f"{index.root}: image id {record.image_id!r}", "Rename the image.")
