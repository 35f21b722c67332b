"""Read images and labels from shards: random access by plain reads at known positions.

HDF5 is closed as soon as a shard's head is read and checked; an image is then one ``pread`` and
one CRC. So a reader is safe in several threads and after a fork, and pickles for spawned workers:
nothing but the folder and the manifest travels.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import disk_error
from c2f_data.decode import Pixels
from c2f_data.errors import ConfigError
from c2f_data.shards.head import Head, check_image, check_size, decode_image, read_head
from c2f_data.shards.manifest import ShardEntry, ShardManifest, read_manifest

# Well below the usual limit of 1024 open files of a process, of which a loader has several.
MAX_OPEN_FILES = 64


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

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: ShardManifest = read_manifest(folder)
        for entry in self.manifest.shards:
            check_size(folder / entry.file, entry)
        self._prepare()

    def _prepare(self) -> None:
        self._entries = {split: self.manifest.entries(split) for split in self.manifest.images}
        self._starts = {
            split: np.cumsum([0, *(entry.images for entry in entries)]).tolist()
            for split, entries in self._entries.items()
        }
        self._heads: dict[str, Head] = {}
        self._files: OrderedDict[str, _OpenFile] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "manifest": self.manifest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder, self.manifest = state["folder"], state["manifest"]
        self._prepare()

    @property
    def splits(self) -> tuple[str, ...]:
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
        return np.concatenate([head.labels for head in self._all_heads(split)])

    def canonical(self, split: str) -> NDArray[np.bool_]:
        """(n,) whether the finest level holds lossless RGB instead of the source's bytes."""
        return np.concatenate([head.canonical for head in self._all_heads(split)])

    def sizes(self, split: str, level: str) -> NDArray[np.int64]:
        """(n, 2) height and width in pixels of the decoded pictures."""
        self._check_level(level)
        return np.concatenate([head.columns[level].sizes for head in self._all_heads(split)])

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

    def _all_heads(self, split: str) -> list[Head]:
        return [self._head(entry) for entry in self._shards(split)]

    def _head(self, entry: ShardEntry) -> Head:
        head = self._heads.get(entry.file)
        if head is None:
            # Two threads may both come here; they read the same, and one of the two stays.
            head = self._heads[entry.file] = read_head(self.folder, self.manifest, entry)
        return head

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
        try:
            data = self._file(head.path).read(end - begin, column.start + begin)
        except OSError as error:
            raise disk_error(error, head.path) from error
        return check_image(head, row, level, data)

    def _file(self, path: Path) -> _OpenFile:
        file = self._files.pop(path.name, None) or _OpenFile(path)
        self._files[path.name] = file
        while len(self._files) > MAX_OPEN_FILES:
            self._files.popitem(last=False)
        return file


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
