"""Which image goes into which shard: from the index alone, so the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import fingerprint
from c2f_data.errors import DataSetError
from c2f_data.index import DatasetIndex, ImageRecord
from c2f_data.shards.schema import ShardPlan
from c2f_data.storage import Place

_SPLIT_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
SHARD_FILE = re.compile(r"[A-Za-z0-9_]+-\d{5,}-of-\d{5,}-[0-9a-f]{8}\.h5", re.ASCII)


@dataclass(frozen=True)
class ShardTask:
    """One shard to build: all that a process on this or another machine needs.

    Attributes:
        root: folder of the data set, or its URL.
        folder: where the shard goes; also a URL.
        number: 0-based, within the split.
        of: number of shards of the split.
        records: its images, in the order of the index.
        labels: (images, levels) class ids, coarse to fine.
        classes: class names per level; the position is the class id.
    """

    plan: ShardPlan
    root: Place
    folder: Place
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
    def path(self) -> Place:
        return self.folder / self.file

    @property
    def sidecar(self) -> Place:
        """The small JSON file that says that the shard was finished, and with which bytes."""
        return self.path.with_suffix(".json")

    @property
    def fingerprint(self) -> str:
        """Over the plan and the shard's own images; not over folders."""
        images = [[r.image_id, r.label, r.bytes] for r in self.records]
        return fingerprint([self.plan.fingerprint, self.split, self.number, self.of, images])


class ShardTasks(Sequence[ShardTask]):
    """The tasks of a data set, in order; each is made when it is asked for.

    Of an image this keeps its position alone, so the tasks of a million images stay small.
    """

    def __init__(self, index: DatasetIndex, plan: ShardPlan, folder: Place) -> None:
        self._index = index
        self._plan = plan
        # A worker process starts in another folder than a caller that changed its own.
        self._root, self._folder = index.root.absolute(), folder.absolute()
        self._codes = [tuple(row) for row in index.taxonomy.codes.tolist()]
        self._shards = tuple(_deal(index, plan))

    def __len__(self) -> int:
        return len(self._shards)

    @overload
    def __getitem__(self, which: int) -> ShardTask: ...
    @overload
    def __getitem__(self, which: slice) -> tuple[ShardTask, ...]: ...
    def __getitem__(self, which: int | slice) -> ShardTask | tuple[ShardTask, ...]:
        if isinstance(which, slice):
            return tuple(self._task(shard) for shard in self._shards[which])
        return self._task(self._shards[which])

    def _task(self, shard: _Shard) -> ShardTask:
        records = tuple(self._index.records[i] for i in shard.positions.tolist())
        return ShardTask(
            plan=self._plan,
            root=self._root,
            folder=self._folder,
            split=shard.split,
            number=shard.number,
            of=shard.of,
            records=records,
            labels=tuple(self._codes[record.label] for record in records),
            classes=self._index.taxonomy.names,
        )


def plan_shards(index: DatasetIndex, plan: ShardPlan, folder: Place) -> ShardTasks:
    """Deal the images over shards: in index order, never two splits in one shard.

    Raises:
        DataSetError: a split whose name can't be part of a file name, a label outside the
            hierarchy, or an image id that is not valid text.
    """
    _check(index)
    return ShardTasks(index, plan, folder)


@dataclass(frozen=True, slots=True)
class _Shard:
    """Shard ``number`` ``of`` a split: the positions of its images in the index."""

    split: str
    number: int
    of: int
    positions: NDArray[np.int64]


def _deal(index: DatasetIndex, plan: ShardPlan) -> Iterator[_Shard]:
    by_split: dict[str, list[int]] = {}
    for position, record in enumerate(index.records):
        by_split.setdefault(record.split, []).append(position)
    for split, positions in by_split.items():
        sizes = [plan.weight(index.records[position].bytes) for position in positions]
        starts = _starts(sizes, plan.target_bytes)
        groups = np.split(np.asarray(positions, dtype=np.int64), starts[1:])
        for number, group in enumerate(groups):
            yield _Shard(split, number, len(groups), group)


def _starts(sizes: Sequence[int], target: int) -> list[int]:
    """Where each run of images begins: runs of about equal bytes, at most about ``target``, so
    that there is no small rest at the end."""
    # An adapter may list a file as empty; building then says which, so it needs a place here.
    total = max(1, sum(sizes))
    number = -(-total // target)
    starts: list[int] = []
    before, group = 0, -1
    for i, size in enumerate(sizes):
        mine = min(before * number // total, number - 1)
        if mine != group:
            starts.append(i)
            group = mine
        before += size
    return starts


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
