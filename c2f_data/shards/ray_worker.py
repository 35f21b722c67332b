"""What a worker of a Ray cluster does: build one shard, if its machine can make the same bytes."""

from __future__ import annotations

import platform

from c2f_data.allocator import keep_freed_memory
from c2f_data.errors import C2FError, ConfigError
from c2f_data.provenance import package_versions
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.pool import interrupt_held_back
from c2f_data.shards.tasks import ShardTask
from c2f_data.storage import Url

# What each node must have in the same version, or its shards would have other bytes.
CONTENT_PACKAGES = ("c2f-toolkit", "torch", "pillow", "simplejpeg", "h5py", "numpy")


def build_on_node(task: ShardTask, versions: dict[str, str]) -> ShardEntry | C2FError:
    """What a worker does. A foreseen failure is a result: Ray would wrap it, and try it again."""
    try:
        _check_node(task, versions)
        # torch can't be imported again after an import that was broken off, and Ray keeps its
        # workers for as long as the connection lasts.
        with interrupt_held_back():
            from c2f_data.resample import limit_threads
            from c2f_data.shards.build import build_shard

        limit_threads()
        keep_freed_memory()
        return build_shard(task)
    except C2FError as error:
        return error


def _check_node(task: ShardTask, versions: dict[str, str]) -> None:
    here = f"the machine {platform.node()}"
    mine = content_versions()
    for name in CONTENT_PACKAGES:
        if mine.get(name) != versions.get(name):
            raise ConfigError(
                f"{here} has {name} {mine.get(name, 'not')}, this one {versions.get(name, 'not')}",
                "Install the same versions on every machine: its shards would have other bytes.",
            )
    for folder in (task.root, task.folder):
        # Otherwise a folder would be made here, on a disk that no other machine sees.
        if not isinstance(folder, Url) and not folder.is_dir():
            raise ConfigError(
                f"{folder}: not there on {here}",
                "Put images and shards where every machine sees them under the same path, or give "
                "URLs: --root s3://..., --out s3://....",
            )


def content_versions() -> dict[str, str]:
    """Of this machine's packages, those that decide on a shard's bytes."""
    found = package_versions()
    return {name: found[name] for name in CONTENT_PACKAGES if name in found}
