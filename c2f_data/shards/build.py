"""Build one shard: a plain function of its task, so that any process on any machine can run it.

A shard is finished when it stands under its name with its sidecar, and the sidecar is believed
only as far as the bytes agree: the shard must have the SHA-256 that it names, and so must the
source images. Then it is kept; otherwise it is built again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import atomic_path, read_json, sha256_file, write_json
from c2f_data.decode import read_bytes
from c2f_data.errors import ArtefactError, DataSetError
from c2f_data.shards.encode import EncodedImage, encode_image
from c2f_data.shards.hdf5 import write_hdf5
from c2f_data.shards.head import head_sha256
from c2f_data.shards.manifest import PayloadRange, ShardEntry
from c2f_data.shards.tasks import ShardTask

SIDECAR_SCHEMA = "c2f-shard-sidecar"
SIDECAR_VERSION = 1

Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a finished shard was made from.

    Attributes:
        task: fingerprint of the task.
        sources_sha256: over the bytes of the source images, each with its length before it.
    """

    task: str
    sources_sha256: str
    entry: ShardEntry


def build_shard(task: ShardTask, tick: Tick | None = None) -> ShardEntry:
    """Build a shard, or keep it if it is finished and whole.

    The shard appears under its name by rename and is finished from then on: its sidecar is there
    already. Whatever happens before leaves no shard behind.

    Args:
        tick: called with the number of images that were done since the last call; an exception
            raised by it stops the work.

    Raises:
        ImageError: a source image is absent or can't be decoded.
        DataSetError: a source image changed since the data set was listed.
        ArtefactError: the disk refused.
    """
    kept = finished(task)
    if kept is not None:
        if tick:
            tick(kept.images)
        return kept
    sources = hashlib.sha256()
    images = []
    for position in range(len(task.records)):
        data, name = _source(task, position)
        _add(sources, data)
        images.append(encode_image(data, name, task.plan, task.records[position].box))
        if tick:
            tick(1)
    with atomic_path(task.path) as temporary:
        payloads = write_hdf5(temporary, task, images)
        entry = _describe(temporary, task, images, payloads)
        sidecar = Sidecar(task.fingerprint, sources.hexdigest(), entry)
        # Before the rename: a kill between the two then leaves a sidecar that no shard bears out,
        # never a whole shard that the next build would not know for finished.
        write_json(task.sidecar, sidecar, schema=SIDECAR_SCHEMA, version=SIDECAR_VERSION)
    return entry


def finished(task: ShardTask) -> ShardEntry | None:
    """The entry of a shard that is whole and was made from just these source images, or None.

    Raises:
        ImageError, DataSetError: the shard is whole, but a source image is gone or has changed.
    """
    try:
        sidecar = read_json(
            task.sidecar, Sidecar, schema=SIDECAR_SCHEMA, version=SIDECAR_VERSION, maker="c2f shard"
        )
        entry = sidecar.entry
        if sidecar.task != task.fingerprint or entry.file != task.file:
            return None
        if task.path.stat().st_size != entry.bytes or sha256_file(task.path) != entry.sha256:
            return None
    except (ArtefactError, OSError):
        return None
    sources = hashlib.sha256()
    for position in range(len(task.records)):
        _add(sources, _source(task, position)[0])
    return entry if sources.hexdigest() == sidecar.sources_sha256 else None


def _describe(
    path: Path,
    task: ShardTask,
    images: Sequence[EncodedImage],
    payloads: tuple[PayloadRange, ...],
) -> ShardEntry:
    return ShardEntry(
        file=task.file,
        split=task.split,
        images=len(images),
        canonical=sum(image.canonical for image in images),
        bytes=path.stat().st_size,
        sha256=sha256_file(path),
        head_sha256=head_sha256(path, payloads),
        payloads=payloads,
    )


def _source(task: ShardTask, position: int) -> tuple[bytes, str]:
    """The bytes of a source image and its name; it must still have the size it was listed with."""
    record = task.records[position]
    path = task.root / record.path
    data = read_bytes(path)
    if len(data) != record.bytes:
        raise DataSetError(
            f"{path}: {len(data)} bytes, but {record.bytes} when the data set was listed",
            "The images changed meanwhile: run the command again when they are complete.",
        )
    return data, str(path)


def _add(digest: hashlib._Hash, data: bytes) -> None:
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)
