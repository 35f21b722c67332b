"""Read images and labels from shards: random access by plain reads at known positions.

HDF5 is closed as soon as a shard's head is read and checked; an image is then one ``pread`` and
one CRC. So a reader is safe in several threads and after a fork, and pickles for spawned workers:
nothing but the folder and the manifest travels. At a URL an image is one request for its bytes.

Heads and open files that were not used for long are dropped, so a reader's memory does not grow
with the data set.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import disk_error
from c2f_data.decode import Pixels
from c2f_data.errors import ConfigError
from c2f_data.shards.compact import compact
from c2f_data.shards.head import (
    Head,
    Whole,
    check_image,
    check_size,
    decode_image,
    read_head,
)
from c2f_data.shards.manifest import ShardEntry, ShardManifest, read_manifest
from c2f_data.shards.place import listed_sizes
from c2f_data.storage import Place, Url

Value = TypeVar("Value")

# Well below the usual limit of 1024 open files of a process, of which a loader has several.
MAX_OPEN_FILES = 64
# For heads. One that was dropped is read again, at some milliseconds, so this has room for those of
# a million images at three levels; an image's part is estimated from above.
HEAD_BYTES = 128 * 1024 * 1024
HEAD_BYTES_OF_AN_IMAGE = 120
FEWEST_HEADS = 8


class ShardReader:
    """The images of a finished set of shards.

    Images of a split are numbered 0 .. n-1, in the order of the index. Opening checks the
    manifest and that every shard is there with its size; a shard's head is checked when it is
    first needed, an image's CRC at every read.

    Raises:
        ArtefactError: (here and in every method) a file is absent, damaged, or of another schema
            version; the file is named.
        ConfigError: (in every method) no such split, level or position.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self.manifest: ShardManifest = read_manifest(folder)
        sizes = listed_sizes(folder)
        for entry in self.manifest.shards:
            check_size(folder / entry.file, entry, sizes)
        self._prepare()

    def _prepare(self) -> None:
        self._entries = {split: self.manifest.entries(split) for split in self.manifest.images}
        self._starts = {
            split: np.cumsum([0, *(entry.images for entry in entries)]).tolist()
            for split, entries in self._entries.items()
        }
        most = max((entry.images for entry in self.manifest.shards), default=1)
        heads = HEAD_BYTES // (HEAD_BYTES_OF_AN_IMAGE * most)
        self._heads: _Recent[Head] = _Recent(max(FEWEST_HEADS, heads))
        self._files: _Recent[_OpenFile] = _Recent(MAX_OPEN_FILES)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "manifest": self.manifest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder, self.manifest = state["folder"], state["manifest"]
        self._prepare()

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that there are images of, for example ``train`` and ``test``."""
        return tuple(self.manifest.images)

    @property
    def levels(self) -> tuple[str, ...]:
        """Level names, coarse to fine."""
        return tuple(level.name for level in self.manifest.levels)

    def length(self, split: str) -> int:
        """Number of images of a split."""
        self._shards(split)
        return self.manifest.images[split]

    def image_ids(self, split: str) -> tuple[str, ...]:
        """(n,) ids of the images."""
        return tuple(name for head in self._all_heads(split) for name in head.image_ids)

    def labels(self, split: str) -> NDArray[np.int64]:
        """(n, levels) class ids, columns coarse to fine."""
        return _joined([head.labels for head in self._all_heads(split)])

    def canonical(self, split: str) -> NDArray[np.bool_]:
        """(n,) whether the finest level holds lossless RGB instead of the source's bytes."""
        return np.concatenate([head.canonical for head in self._all_heads(split)])

    def native_sizes(self, split: str) -> NDArray[np.int64]:
        """(n, 2) height and width in pixels of the images before they were reduced or enlarged."""
        return _joined([head.native_sizes for head in self._all_heads(split)])

    def sizes(self, split: str, level: str) -> NDArray[np.int64]:
        """(n, 2) height and width in pixels of the decoded pictures."""
        self._check_level(level)
        return _joined([head.columns[level].sizes for head in self._all_heads(split)])

    def read(self, split: str, position: int, level: str) -> bytes:
        """The encoded bytes of an image: at the finest level the source's own, unless flagged."""
        head, row = self._locate(split, position)
        return self._read(head, row, level)

    def pixels(self, split: str, position: int, level: str) -> Pixels:
        """(height, width, 3) uint8 of an image."""
        head, row = self._locate(split, position)
        return decode_image(head, row, level, self._read(head, row, level))

    def _shards(self, split: str) -> tuple[ShardEntry, ...]:
        if split not in self._entries:
            raise ConfigError(
                f"{self.folder}: no split {split!r}", f"There is {', '.join(self.splits)}."
            )
        return self._entries[split]

    def _check_level(self, level: str) -> None:
        if level not in self.levels:
            raise ConfigError(
                f"{self.folder}: no level {level!r}", f"There is {', '.join(self.levels)}."
            )

    def _all_heads(self, split: str) -> Iterator[Head]:
        return (self._head(entry) for entry in self._shards(split))

    def _head(self, entry: ShardEntry) -> Head:
        return self._heads.get(
            entry.file, lambda: compact(read_head(self.folder, self.manifest, entry))
        )

    def _locate(self, split: str, position: int) -> tuple[Head, int]:
        entries = self._shards(split)
        starts = self._starts[split]
        if not 0 <= position < starts[-1]:
            raise ConfigError(
                f"{self.folder}: no image {position} in {split}", f"It has {starts[-1]} images."
            )
        shard = bisect_right(starts, position) - 1
        return self._head(entries[shard]), position - starts[shard]

    def _read(self, head: Head, row: int, level: str) -> bytes:
        self._check_level(level)
        column = head.columns[level]
        begin, end = int(column.offsets[row]), int(column.offsets[row + 1])
        first, last = column.start + begin, column.start + end
        try:
            if isinstance(head.path, Url):
                (data,) = head.path.read_ranges([(first, last)])
            else:
                data = self._file(head.path).read(last - first, first)
        except OSError as error:
            raise disk_error(error, head.path) from error
        return check_image(head, row, level, data)

    def _file(self, path: Path) -> _OpenFile:
        return self._files.get(path.name, lambda: _OpenFile(path))


def _joined(parts: list[Whole]) -> NDArray[np.int64]:
    return np.concatenate(parts).astype(np.int64)


class _Recent(Generic[Value]):
    """The values that were used last, at most ``limit`` of them.

    Without a lock, which a fork could copy while it is held: two threads that miss the same value
    make it twice, and one of the two stays.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str, make: Callable[[], Value]) -> Value:
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = make()
            while len(self._values) > self._limit:
                self._values.popitem(last=False)
        else:
            with contextlib.suppress(KeyError):  # another thread has just dropped it
                self._values.move_to_end(key)
        return value


class _OpenFile:
    """A descriptor that closes when nothing uses it any more, in whichever thread that is."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read(self, count: int, offset: int) -> bytes:
        """Up to ``count`` bytes at ``offset``; fewer only at the end of the file."""
        parts = []
        while count > 0:
            # One call gives at most 2 GiB, and fewer when a signal comes.
            part = os.pread(self._descriptor, count, offset)
            if not part:
                break
            parts.append(part)
            count -= len(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
