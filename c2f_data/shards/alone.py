"""A shard that no manifest vouches for, or a whole folder of shards: heads, one after another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import disk_error
from c2f_data.decode import Pixels
from c2f_data.errors import ArtefactError, C2FError, ConfigError
from c2f_data.shards.head import (
    UNREADABLE,
    Head,
    check_image,
    damaged,
    decode_image,
    read_head,
    read_open,
    unreadable,
)
from c2f_data.shards.manifest import MANIFEST, ShardManifest, read_manifest
from c2f_data.shards.structure import open_checked
from c2f_data.storage import Place, Url

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
PROBE_SECONDS = 60
_PROBE = (
    "import pathlib, sys; from c2f_data.shards.alone import read_alone; "
    "read_alone(pathlib.Path(sys.argv[1]))"
)


@dataclass(frozen=True)
class Heads:
    """The shards that a path means.

    Attributes:
        path: a shard, or a folder (or URL) with a manifest.
        manifest: the one that lists them; None: nothing does, so each was checked alone.
        files: names, in the order of the manifest.
    """

    path: Place
    manifest: ShardManifest | None
    files: tuple[str, ...]

    def __iter__(self) -> Iterator[Head]:
        """Open and check one after another. Raises ArtefactError at the first bad one."""
        manifest, path = self.manifest, self.path
        if manifest is None:
            if isinstance(path, Path):
                yield probed(path)
            return
        folder = path.parent if isinstance(path, Path) and not path.is_dir() else path
        for entry in manifest.shards:
            if entry.file in self.files:
                yield read_head(folder, manifest, entry)


def find_heads(path: Place) -> Heads:
    """The shards of a folder or URL with a manifest, or one file, with or without a manifest.

    Raises:
        ArtefactError: no such file, a folder without a manifest, or a damaged manifest.
    """
    if isinstance(path, Url) or path.is_dir():
        manifest = read_manifest(path)
        return Heads(path, manifest, tuple(entry.file for entry in manifest.shards))
    if not path.exists():
        raise ArtefactError(f"{path}: no such file", "Name a shard, or a folder of shards.")
    # Of an interrupted build, or copied here without its manifest: then the file speaks for itself.
    if (path.parent / MANIFEST).is_file():
        try:
            manifest = read_manifest(path.parent)
        except C2FError:
            return Heads(path, None, (path.name,))
        if any(entry.file == path.name for entry in manifest.shards):
            return Heads(path, manifest, (path.name,))
    return Heads(path, None, (path.name,))


def probed(path: Path) -> Head:
    """The head of a shard without a manifest, opened in another process first.

    The HDF5 library can crash on a damaged file, and nothing but its own reading tells. A crash
    then ends that process and not this one.

    Raises:
        ArtefactError: not a shard, damaged, or HDF5 can't take it.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(HDF5_MARK))
    except OSError as error:
        raise disk_error(error, path) from error
    if start != HDF5_MARK:
        raise ArtefactError(f"{path}: not an HDF5 file", "Name a shard that `c2f shard` wrote.")
    # -P: a file in the current folder that is named as a module must not be imported.
    command = [sys.executable, "-P", "-c", _PROBE, str(path.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise damaged(path, "HDF5 does not come to an end with it") from error
    if done.returncode < 0:
        raise damaged(path, "so damaged that HDF5 crashes on it")
    return read_alone(path)


def read_alone(path: Path) -> Head:
    """The head of a shard, checked against its own attributes; see :func:`probed`.

    Raises:
        ArtefactError: not a shard, of another version, or it contradicts itself.
    """
    try:
        with open_checked(path, path.stat().st_size) as file:
            head = read_open(file, path)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if head.about.plan.fingerprint != head.about.plan_fingerprint:
        raise damaged(path, "its attributes do not give the plan that it names")
    for level, names in zip(head.about.plan.levels, head.classes, strict=True):
        if len(set(names)) != len(names):
            raise damaged(path, f"two classes of {level.name} have one name")
    return head


def find_image(heads: Heads, image: str) -> tuple[Head, int]:
    """An image by its id, or by its position among all images: its shard and row.

    Raises:
        ConfigError: there is no such image.
        ArtefactError: a shard is damaged.
    """
    position = int(image) if image.isdecimal() else -1
    before = 0
    at_position = None
    for head in heads:
        if image in head.image_ids:
            return head, head.image_ids.index(image)
        row = position - before
        if 0 <= row < len(head.image_ids):
            at_position = head, row
        before += len(head.image_ids)
    if at_position is None:
        raise ConfigError(
            f"{heads.path}: no image {image!r}",
            f"Give an id, or a position from 0 to {before - 1}.",
        )
    return at_position


def pixels_of(head: Head, row: int, level: str) -> Pixels:
    """(height, width, 3) uint8 of an image.

    Raises:
        ConfigError: no such level.
        ArtefactError: the image is damaged.
    """
    if level not in head.columns:
        raise ConfigError(
            f"{head.path}: no level {level!r}", f"There is {', '.join(head.columns)}."
        )
    column = head.columns[level]
    start, end = (int(offset) for offset in column.offsets[row : row + 2])
    try:
        data = _bytes_of(head.path, column.start + start, column.start + end)
    except OSError as error:
        raise disk_error(error, head.path) from error
    return decode_image(head, row, level, check_image(head, row, level, data))


def _bytes_of(path: Place, start: int, end: int) -> bytes:
    if isinstance(path, Url):
        return path.read_ranges([(start, end)])[0]
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)
