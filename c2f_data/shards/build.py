"""Build one shard: a plain function of its task, so that any process on any machine can run it.

A shard is finished when it stands under its name with its sidecar, and the sidecar is believed
only as far as the bytes agree: the shard must have the SHA-256 that it names, and so must the
source images. Then it is kept; otherwise it is built again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from c2f_data.artefacts import sha256_file
from c2f_data.errors import ArtefactError
from c2f_data.shards.encode import EncodedImage, encode_image
from c2f_data.shards.hdf5 import write_hdf5
from c2f_data.shards.head import head_sha256
from c2f_data.shards.manifest import PayloadRange, ShardEntry
from c2f_data.shards.publish import publish
from c2f_data.shards.sidecar import Sidecar, read_sidecar
from c2f_data.shards.sources import TaskSources
from c2f_data.shards.tasks import ShardTask
from c2f_data.storage import Url

Tick = Callable[[int], None]


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
        ArtefactError: the disk or the store refused.
    """
    kept = finished(task)
    if kept is not None:
        if tick:
            tick(kept.images)
        return kept
    sources = TaskSources(task)
    images = []
    for position in range(len(task.records)):
        data, name = sources.read(position)
        images.append(encode_image(data, name, task.plan, task.records[position].box))
        if tick:
            tick(1)

    def fill(path: Path) -> Sidecar:
        payloads = write_hdf5(path, task, images)
        entry = _describe(path, task, images, payloads)
        sources.check_unchanged()
        return Sidecar(task.fingerprint, sources.sha256, entry)

    return publish(task, fill).entry


def finished(task: ShardTask) -> ShardEntry | None:
    """The entry of a shard that is whole and was made from just these source images, or None.

    Raises:
        ImageError, DataSetError: the shard is whole, but a source image is gone or has changed.
    """
    try:
        sidecar = read_sidecar(task.sidecar)
        entry = sidecar.entry
        if sidecar.task != task.fingerprint or entry.file != task.file:
            return None
        if task.path.stat().st_size != entry.bytes:
            return None
        # An object's bytes were read back before its sidecar was written, and it can't be torn:
        # reading all of them again at every start is what `c2f verify` is for.
        if not isinstance(task.path, Url) and sha256_file(task.path) != entry.sha256:
            return None
    except (ArtefactError, OSError):
        return None
    sources = TaskSources(task)
    for position in range(len(task.records)):
        sources.read(position)
    return entry if sources.sha256 == sidecar.sources_sha256 else None


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
