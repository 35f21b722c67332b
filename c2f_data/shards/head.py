"""Open a shard without trusting it: everything but the encoded images, checked.

Three gates, from cheap to dear: the file has the size that the manifest names; what is not
payload has the SHA-256 that the manifest names; every array has the type, shape and values that
make sense. Only then is an offset used.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import disk_error
from c2f_data.decode import MAX_BYTES, MAX_PIXELS, Pixels, decode_bytes
from c2f_data.errors import ArtefactError, ImageError
from c2f_data.shards import schema
from c2f_data.shards.manifest import REBUILD, PayloadRange, ShardEntry, ShardManifest
from c2f_data.shards.schema import LevelPlan
from c2f_data.tables import checked_dataset, read_array, read_text


@dataclass(frozen=True)
class LevelColumn:
    """One level of a shard's images.

    Attributes:
        start: position in the file of the first encoded image, in bytes.
        offsets: (n + 1,) int64, relative to ``start``; ascending.
        sizes: (n, 2) int64 height and width in pixels of the decoded pictures.
        crc32: (n,) uint32 of the encoded images.
    """

    start: int
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    crc32: NDArray[np.uint32]


@dataclass(frozen=True)
class Head:
    """A shard without its payloads.

    Attributes:
        path: the shard.
        image_ids: (n,) ids.
        labels: (n, levels) int64 class ids, coarse to fine.
        canonical: (n,) whether the finest level holds lossless RGB, not the source's bytes.
        columns: level name to its images.
    """

    path: Path
    image_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    canonical: NDArray[np.bool_]
    columns: dict[str, LevelColumn]


def damaged(path: Path, what: str) -> ArtefactError:
    """The error for a shard that can't be believed."""
    return ArtefactError(f"{path}: {what}", REBUILD)


def read_head(folder: Path, manifest: ShardManifest, entry: ShardEntry) -> Head:
    """Read and check a shard's head.

    Raises:
        ArtefactError: absent, damaged, or not the shard that the manifest lists.
    """
    path = folder / entry.file
    check_size(path, entry)
    if head_sha256(path, entry.payloads) != entry.head_sha256:
        raise damaged(path, f"not the shard that {folder.name}/manifest.json lists, or damaged")
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, manifest, entry)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise damaged(path, f"not a valid shard ({error})") from error


def head_sha256(path: Path, payloads: Sequence[PayloadRange]) -> str:
    """SHA-256 over a shard without its payloads, which must be in ascending order.

    Raises:
        ArtefactError: the file can't be read.
    """
    digest = hashlib.sha256()
    position = 0
    try:
        with path.open("rb") as file:
            for place in payloads:
                file.seek(position)
                digest.update(file.read(place.offset - position))
                position = place.offset + place.bytes
            file.seek(position)
            digest.update(file.read())
    except OSError as error:
        raise disk_error(error, path) from error
    return digest.hexdigest()


def check_image(head: Head, row: int, level: str, data: bytes) -> bytes:
    """The encoded image itself. Raises ArtefactError when it is not what was written."""
    if zlib.crc32(data) != head.columns[level].crc32[row]:
        raise damaged(head.path, f"{head.image_ids[row]!r} ({level}) is damaged")
    return data


def decode_image(head: Head, row: int, level: str, data: bytes) -> Pixels:
    """(height, width, 3) uint8. Raises ArtefactError when it does not decode to its size."""
    name = f"{head.image_ids[row]!r} ({level})"
    try:
        pixels = decode_bytes(data, name).pixels
    except ImageError as error:
        raise damaged(head.path, error.message) from error
    if pixels.shape[:2] != tuple(head.columns[level].sizes[row]):
        raise damaged(head.path, f"{name} has another size than noted")
    return pixels


def check_size(path: Path, entry: ShardEntry) -> None:
    """Raises ArtefactError when the shard is absent or has another size than the manifest says."""
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise damaged(path, "no such file") from error
    except OSError as error:
        raise disk_error(error, path) from error
    if size != entry.bytes:
        raise damaged(path, f"{size} bytes, but the manifest says {entry.bytes}")


def _read(file: h5py.File, path: Path, manifest: ShardManifest, entry: ShardEntry) -> Head:
    _check_attributes(file, path, manifest, entry)
    n, levels = entry.images, manifest.levels
    labels = read_array(file, schema.LABELS, "i4", (n, len(levels))).astype(np.int64)
    counts = np.asarray([level.count for level in levels])
    if (labels < 0).any() or (labels >= counts).any():
        raise damaged(path, "a label is outside the hierarchy")
    ids = read_text(file, schema.IMAGE_IDS, n)
    if len(set(ids)) != n:
        raise damaged(path, "an image is in it twice")
    for level, names in zip(levels, manifest.taxonomy.names, strict=True):
        if read_text(file, f"{schema.CLASSES}/{level.name}", level.count) != names:
            raise damaged(path, f"its class names of {level.name} are not the manifest's")
    columns = {level.name: _column(file, path, entry, level) for level in levels}
    flags = f"{schema.IMAGES}/{levels[-1].name}/{schema.CANONICAL}"
    canonical = read_array(file, flags, "u1", (n,)) != 0
    return Head(path, ids, labels, canonical, columns)


def _check_attributes(
    file: h5py.File, path: Path, manifest: ShardManifest, entry: ShardEntry
) -> None:
    if file.attrs.get("schema") != schema.SCHEMA:
        raise damaged(path, f"not a {schema.SCHEMA} file")
    version = file.attrs.get("schema_version")
    if version != schema.SCHEMA_VERSION:
        raise ArtefactError(
            f"{path}: schema version {version}, this c2f reads version {schema.SCHEMA_VERSION}",
            "Run `c2f shard --overwrite`, or use the c2f that wrote it.",
        )
    if file.attrs.get("plan_fingerprint") != manifest.plan_fingerprint:
        raise damaged(path, "made by another plan than the manifest")
    if file.attrs.get("split") != entry.split:
        raise damaged(path, f"not of the split {entry.split}")


def _column(file: h5py.File, path: Path, entry: ShardEntry, level: LevelPlan) -> LevelColumn:
    n, group = entry.images, f"{schema.IMAGES}/{level.name}"
    place = next(place for place in entry.payloads if place.level == level.name)
    payload = checked_dataset(file, f"{group}/{schema.PAYLOAD}", "u1", (place.bytes,))
    if payload.id.get_offset() != place.offset:
        raise damaged(path, f"the payload of {level.name} is not where the manifest says")
    offsets = read_array(file, f"{group}/{schema.OFFSETS}", "i8", (n + 1,)).astype(np.int64)
    sizes = read_array(file, f"{group}/{schema.SIZES}", "i4", (n, 2)).astype(np.int64)
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != place.bytes or (lengths < 1).any():
        raise damaged(path, f"the offsets of {level.name} do not fit its payload")
    if (lengths > MAX_BYTES).any() or (sizes < 1).any() or (sizes.prod(axis=1) > MAX_PIXELS).any():
        raise damaged(path, f"an image of {level.name} has an impossible size")
    crc32 = read_array(file, f"{group}/{schema.CRC32}", "u4", (n,)).astype(np.uint32)
    return LevelColumn(place.offset, offsets, sizes, crc32)
