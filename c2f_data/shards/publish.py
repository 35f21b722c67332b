"""Put a finished shard in its place, so that whoever sees it sees all of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from c2f_data.artefacts import atomic_path, disk_error, sha256_file
from c2f_data.errors import ArtefactError
from c2f_data.shards.sidecar import Sidecar, write_sidecar
from c2f_data.shards.tasks import ShardTask
from c2f_data.storage import Place, Url


def publish(task: ShardTask, fill: Callable[[Path], Sidecar]) -> Sidecar:
    """Have a shard written to a temporary file, and put it and its sidecar where the task says.

    Args:
        fill: writes the shard to the path that it is given, and describes it.

    Raises:
        ArtefactError: the disk or the store refused, or the store gives other bytes back.
    """
    if isinstance(task.path, Url):
        return _upload(task.path, task.sidecar, fill)
    with atomic_path(task.path) as temporary:
        sidecar = fill(temporary)
        # Before the rename: a kill between the two then leaves a sidecar that no shard bears out,
        # never a whole shard that the next build would not know for finished.
        write_sidecar(task.sidecar, sidecar)
    return sidecar


def _upload(shard: Url, place: Place, fill: Callable[[Path], Sidecar]) -> Sidecar:
    """A store has no rename, but an object appears whole. Its sidecar comes last, and an older one
    goes first: a sidecar always stands for bytes that were read back."""
    # On this machine's own disk; TMPDIR says where.
    with tempfile.TemporaryDirectory(prefix="c2f-shard-") as folder:
        local = Path(folder) / shard.name
        try:
            sidecar = fill(local)
        except OSError as error:
            raise disk_error(error, local) from error
        try:
            place.unlink(missing_ok=True)
            shard.upload(local)
            same = shard.stat().st_size == sidecar.entry.bytes
            same = same and sha256_file(shard) == sidecar.entry.sha256
        except OSError as error:
            raise disk_error(error, shard) from error
    if not same:
        raise ArtefactError(
            f"{shard}: the store gives other bytes back than were sent",
            "Run the command again; if it happens again, that store can't be relied on.",
        )
    write_sidecar(place, sidecar)
    return sidecar
