"""Open a shard without trusting it: everything but the encoded images, checked.

Three gates, from cheap to dear: the file has the size that the manifest names; what is not
payload has the SHA-256 that the manifest names; every array has the type, shape and values that
make sense. Only then is an offset used. Of a shard without a manifest there is the last gate alone.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import disk_error
from c2f_data.decode import MAX_BYTES, MAX_PIXELS, Pixels, decode_bytes, decode_plain_jpeg
from c2f_data.errors import ArtefactError, ConfigError, ImageError
from c2f_data.shards import encodings, schema
from c2f_data.shards.attributes import About, read_attributes
from c2f_data.shards.manifest import REBUILD, PayloadRange, ShardEntry, ShardManifest
from c2f_data.shards.picture_sizes import expected_sizes
from c2f_data.shards.remote_head import fetch_head
from c2f_data.shards.structure import open_checked
from c2f_data.storage import Place, Url
from c2f_data.tables import checked_dataset, read_array, read_text

# Of any width: a head that is kept has narrower ones than one that was just read.
Whole = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class LevelColumn:
    """One level of a shard's images.

    Attributes:
        start: position in the file of the first encoded image, in bytes.
        offsets: (n + 1,) int64, relative to ``start``; ascending.
        sizes: (n, 2) height and width in pixels of the decoded pictures.
        crc32: (n,) uint32 of the encoded images.
        encoding: ``source``, or how lossless pixels are stored.
    """

    start: int
    offsets: NDArray[np.int64]
    sizes: Whole
    crc32: NDArray[np.uint32]
    encoding: str


@dataclass(frozen=True)
class Head:
    """A shard without its payloads.

    Attributes:
        path: the shard.
        about: its attributes.
        image_ids: (n,) ids.
        labels: (n, levels) class ids, coarse to fine.
        native_sizes: (n, 2) height and width in pixels before anything was done.
        canonical: (n,) whether the finest level holds lossless RGB, not the source's bytes.
        columns: level name to its images.
        classes: class names per level, coarse to fine; the position is the class id.
    """

    path: Place
    about: About
    image_ids: Sequence[str]
    labels: Whole
    native_sizes: Whole
    canonical: NDArray[np.bool_]
    columns: dict[str, LevelColumn]
    classes: tuple[tuple[str, ...], ...]


def damaged(path: Place, what: str) -> ArtefactError:
    """The error for a shard that can't be believed."""
    return ArtefactError(f"{path}: {what}", REBUILD)


def read_head(folder: Place, manifest: ShardManifest, entry: ShardEntry) -> Head:
    """Read and check a shard's head.

    Raises:
        ArtefactError: absent, damaged, or not the shard that the manifest lists.
    """
    path = folder / entry.file
    source: Path | io.RawIOBase
    if isinstance(path, Url):
        fetched = fetch_head(path, entry)
        source, digest = fetched.file(), fetched.sha256
    else:
        check_size(path, entry)
        source, digest = path, head_sha256(path, entry.payloads)
    if digest != entry.head_sha256:
        raise damaged(path, f"not the shard that {folder.name}/manifest.json lists, or damaged")
    try:
        with open_checked(source, entry.bytes) as file:
            head = read_open(file, path, entry.bytes)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    _check_against(head, manifest, entry)
    # One copy of the names serves all heads.
    return replace(head, classes=manifest.taxonomy.names)


# What h5py and the checks of values raise; a ConfigError comes from a plan that makes no sense.
UNREADABLE = (
    *(OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, MemoryError),
    ConfigError,
)


def unreadable(path: Place, error: Exception) -> ArtefactError:
    """The error for what :func:`read_open` raised."""
    reason = str(error).partition("\n")[0] or type(error).__name__
    return damaged(path, f"not a valid shard ({reason})")


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
    column = head.columns[level]
    height, width = (int(side) for side in column.sizes[row])
    try:
        if column.encoding != encodings.SOURCE_ENCODING or head.canonical[row]:
            return encodings.decode(data, (height, width), column.encoding, name)
        # A source that was kept as it is was plain when the shard was written: no header to study.
        fast = decode_plain_jpeg(data, (height, width))
        pixels = decode_bytes(data, name).pixels if fast is None else fast
    except ImageError as error:
        raise damaged(head.path, error.message) from error
    if pixels.shape[:2] != (height, width):
        raise damaged(head.path, f"{name} has another size than noted")
    return pixels


def check_size(path: Place, entry: ShardEntry, sizes: Mapping[str, int] | None = None) -> None:
    """Raises ArtefactError when the shard is absent or has another size than the manifest says.

    Args:
        sizes: of the folder's files by name, where one listing has told them.
    """
    try:
        if sizes is not None and entry.file not in sizes:
            raise FileNotFoundError
        size = path.stat().st_size if sizes is None else sizes[entry.file]
    except FileNotFoundError as error:
        raise damaged(path, "no such file") from error
    except OSError as error:
        raise disk_error(error, path) from error
    if size != entry.bytes:
        raise damaged(path, f"{size} bytes, but the manifest says {entry.bytes}")


def read_open(file: h5py.File, path: Place, size: int | None = None) -> Head:
    """The head of an open shard, checked against what its own attributes say.

    Args:
        size: of the shard in bytes; None: as its file has.

    Raises:
        ArtefactError: no shard, of another version, or its arrays contradict each other.
        UNREADABLE: it is something else; see :func:`unreadable`.
    """
    size = path.stat().st_size if size is None else size
    about = read_attributes(file, path)
    levels = about.plan.levels
    n = int(checked_dataset(file, schema.IMAGE_IDS, "S", None).shape[0])
    labels = read_array(file, schema.LABELS, "i4", (n, len(levels))).astype(np.int64)
    counts = np.asarray([level.count for level in levels])
    if (labels < 0).any() or (labels >= counts).any():
        raise damaged(path, "a label is outside the hierarchy")
    ids = read_text(file, schema.IMAGE_IDS, n)
    if len(set(ids)) != n or not n:
        raise damaged(path, "an image is in it twice" if n else "no images")
    classes = tuple(read_text(file, f"{schema.CLASSES}/{v.name}", v.count) for v in levels)
    native = _sizes(file, schema.NATIVE_SIZES, n)
    columns = {level.name: _column(file, path, size, about, level.name, n) for level in levels}
    for level in levels:
        if (columns[level.name].sizes != expected_sizes(native, level, about.plan)).any():
            raise damaged(path, f"sizes of {level.name} do not follow from the native sizes")
    flags = f"{schema.IMAGES}/{levels[-1].name}/{schema.CANONICAL}"
    canonical = read_array(file, flags, "u1", (n,)) != 0
    return Head(path, about, ids, labels, native, canonical, columns, classes)


def _column(
    file: h5py.File, path: Place, size: int, about: About, level: str, n: int
) -> LevelColumn:
    group = f"{schema.IMAGES}/{level}"
    payload = checked_dataset(file, f"{group}/{schema.PAYLOAD}", "u1", None)
    start, total = payload.id.get_offset(), int(payload.shape[0])
    if start is None or start + total > size:
        raise damaged(path, f"the payload of {level} is not inside the file")
    offsets = read_array(file, f"{group}/{schema.OFFSETS}", "i8", (n + 1,)).astype(np.int64)
    sizes = _sizes(file, f"{group}/{schema.SIZES}", n)
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != total or (lengths < 1).any():
        raise damaged(path, f"the offsets of {level} do not fit its payload")
    if (lengths > MAX_BYTES).any():
        raise damaged(path, f"an image of {level} has an impossible size")
    encoding = about.plan.encoding_of(level)
    if encoding == encodings.RAW and (lengths != sizes.prod(axis=1) * encodings.CHANNELS).any():
        raise damaged(path, f"an image of {level} has other bytes than its size needs")
    crc32 = read_array(file, f"{group}/{schema.CRC32}", "u4", (n,)).astype(np.uint32)
    return LevelColumn(int(start), offsets, sizes, crc32, encoding)


def _sizes(file: h5py.File, name: str, n: int) -> NDArray[np.int64]:
    """(n, 2) height and width in pixels. Raises ValueError where no image could have them."""
    sizes = read_array(file, name, "i4", (n, 2)).astype(np.int64)
    if (sizes < 1).any() or (sizes.prod(axis=1) > MAX_PIXELS).any():
        raise ValueError(f"an impossible size in {name}")
    return sizes


def _check_against(head: Head, manifest: ShardManifest, entry: ShardEntry) -> None:
    """Raise ArtefactError where a shard is not what the manifest says."""
    path, about = head.path, head.about
    if about.plan_fingerprint != manifest.plan_fingerprint or about.plan != manifest.plan:
        raise damaged(path, "made by another plan than the manifest")
    if about.split != entry.split:
        raise damaged(path, f"not of the split {entry.split}")
    if len(head.image_ids) != entry.images:
        raise damaged(path, f"{len(head.image_ids)} images, but the manifest says {entry.images}")
    for level, names, right in zip(
        manifest.levels, head.classes, manifest.taxonomy.names, strict=True
    ):
        if names != right:
            raise damaged(path, f"its class names of {level.name} are not the manifest's")
    for place in entry.payloads:
        column = head.columns[place.level]
        if (column.start, int(column.offsets[-1])) != (place.offset, place.bytes):
            raise damaged(path, f"the payload of {place.level} is not where the manifest says")
