"""The small JSON file beside a shard: with which bytes it was finished, and from which sources."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.artefacts import read_json, write_json
from c2f_data.shards.manifest import ShardEntry
from c2f_data.storage import Place

SIDECAR_SCHEMA = "c2f-shard-sidecar"
SIDECAR_VERSION = 1


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


def sidecar_path(shard: Place) -> Place:
    """Where the sidecar of a shard is."""
    return shard.with_suffix(".json")


def write_sidecar(path: Place, sidecar: Sidecar) -> None:
    """Write it, atomically. Raises ArtefactError as the disk does."""
    write_json(path, sidecar, schema=SIDECAR_SCHEMA, version=SIDECAR_VERSION)


def read_sidecar(path: Place) -> Sidecar:
    """Read and check it. Raises ArtefactError: absent, damaged, or of another version."""
    return read_json(
        path, Sidecar, schema=SIDECAR_SCHEMA, version=SIDECAR_VERSION, maker="c2f shard"
    )
