"""Run shard tasks on a Ray cluster: the same function of the same tasks, so the same bytes.

Ray's extra processes, objects and logs are kept small: a task goes out when a worker is about to
be free, and what comes back is a shard's entry in the manifest, never its bytes. A worker or a node
that dies costs the shards that it was building: Ray gives those to another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from c2f_data.errors import C2FError, ConfigError, install_hint
from c2f_data.provenance import package_versions
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.pool import Progress, interrupt_held_back
from c2f_data.shards.tasks import ShardTask
from c2f_data.storage import Place, Url

# Attempts that a shard may lose to workers that die, besides the one that succeeds.
RETRIES = 3
# Tasks that wait while each worker has one: a free worker never waits for this process.
AHEAD = 2
POLL_SECONDS = 0.5
# How long an interrupted worker may take to finish the image that it has, in seconds.
PATIENCE = 10.0
KNOCK_SECONDS = 5.0
# Results are a few hundred bytes each; Ray's default would take a third of the memory.
OBJECT_STORE_BYTES = 128 * 1024 * 1024
# What each node must have in the same version, or its shards would have other bytes.
CONTENT_PACKAGES = ("c2f-toolkit", "torch", "pillow", "simplejpeg", "h5py", "numpy")


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Where shard tasks run.

    Attributes:
        address: of a cluster, as Ray takes it (``auto``, ``HOST:6379``); None:
            what RAY_ADDRESS says, else a cluster of this machine's own processes.
        jobs: tasks at a time; None: as many as the cluster has CPUs.
        retries: how often a shard is begun again because its worker died.
    """

    address: str | None = None
    jobs: int | None = None
    retries: int = RETRIES

    def __call__(
        self, tasks: Sequence[ShardTask], progress: Progress | None
    ) -> tuple[ShardEntry, ...]:
        """Build every shard; the entries are in the order of the tasks.

        Args:
            progress: called with images done and images in all, whenever a shard is finished.

        Raises:
            ConfigError: Ray is absent, there is no such cluster, its machines have other versions
                of what makes the bytes, or don't see the images or the output.
            C2FError: as :func:`build_shard`, or a shard's workers died too often. Finished shards
                are kept.
        """
        with _cluster(self) as ray:
            return _run(ray, self, tasks, progress)


def _run(
    ray: Any, engine: RayEngine, tasks: Sequence[ShardTask], progress: Progress | None
) -> tuple[ShardEntry, ...]:
    total, done = sum(len(task.records) for task in tasks), 0
    if progress:
        progress(0, total)
    build = ray.remote(num_cpus=1, max_retries=engine.retries)(_build)
    versions = _versions()
    waiting = enumerate(tasks)
    pending: dict[Any, int] = {}
    results: dict[int, ShardEntry] = {}
    try:
        while len(results) < len(tasks):
            for number, task in _at_most(_slots(ray, engine) - len(pending), waiting):
                pending[build.remote(task, versions)] = number
            finished, _ = ray.wait(list(pending), num_returns=1, timeout=POLL_SECONDS)
            for reference in finished:
                number = pending.pop(reference)
                entry = results[number] = _result(ray, reference, engine)
                _check_seen(tasks[number].folder / entry.file, entry)
                done += entry.images
                if progress:
                    progress(done, total)
    finally:
        _cancel(ray, list(pending))
    return tuple(results[number] for number in range(len(tasks)))


def _at_most(count: int, tasks: Iterator[tuple[int, ShardTask]]) -> Iterator[tuple[int, ShardTask]]:
    for _ in range(count):
        item = next(tasks, None)
        if item is None:
            return
        yield item


def _slots(ray: Any, engine: RayEngine) -> int:
    """Tasks to have out now; asked each time, because a cluster may grow and shrink."""
    workers = int(ray.cluster_resources().get("CPU", 1))
    return engine.jobs or max(1, workers) + AHEAD


def _build(task: ShardTask, versions: dict[str, str]) -> ShardEntry | C2FError:
    """What a worker does. A foreseen failure is a result: Ray would wrap it, and try it again."""
    try:
        _check_node(task, versions)
        # torch can't be imported again after an import that was broken off, and Ray keeps its
        # workers for as long as the connection lasts.
        with interrupt_held_back():
            from c2f_data.resample import limit_threads
            from c2f_data.shards.build import build_shard

        limit_threads()
        return build_shard(task)
    except C2FError as error:
        return error


def _check_node(task: ShardTask, versions: dict[str, str]) -> None:
    here = f"the machine {platform.node()}"
    mine = _versions()
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


def _check_seen(path: Place, entry: ShardEntry) -> None:
    """The shard must be here, too: another machine's disk may have a folder of the same name."""
    try:
        size = path.stat().st_size
    except OSError:
        size = -1
    if size != entry.bytes:
        raise ConfigError(
            f"{path}: a worker has written it, but it is not here",
            "Give a folder that every machine shares, or a URL: --out s3://bucket/folder.",
        )


def _versions() -> dict[str, str]:
    found = package_versions()
    return {name: found[name] for name in CONTENT_PACKAGES if name in found}


def _result(ray: Any, reference: Any, engine: RayEngine) -> ShardEntry:
    try:
        result: ShardEntry | C2FError = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise C2FError(
            f"a shard could not be built: {_last_line(error)}",
            "This is a fault of c2f or of that machine; -vv shows where. Finished shards are kept.",
        ) from error
    except ray.exceptions.RayError as error:
        raise C2FError(
            f"a shard was begun {engine.retries + 1} times, and each time its worker died "
            f"({_first_line(error)})",
            "Perhaps their memory was used up: give fewer --jobs. Finished shards are kept.",
        ) from error
    if isinstance(result, C2FError):
        raise result
    return result


def _cancel(ray: Any, pending: list[Any]) -> None:
    """End what is still out: gently, so that no half shard is left behind; then by force."""
    with contextlib.suppress(Exception):
        for reference in pending:
            ray.cancel(reference)
        if pending:
            _, pending = ray.wait(pending, num_returns=len(pending), timeout=PATIENCE)
        for reference in pending:
            ray.cancel(reference, force=True)


@contextlib.contextmanager
def _cluster(engine: RayEngine) -> Iterator[Any]:
    """Ray, connected; a connection that was there before stays."""
    try:
        # Ray reads these when it is imported or started.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray", install_hint("ray")) from error
    if ray.is_initialized():
        yield ray
        return
    address = engine.address or os.environ.get("RAY_ADDRESS") or "local"
    # Of a cluster of our own; one that exists has its size already.
    ours: dict[str, Any] = {
        "num_cpus": engine.jobs,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    # Ray tells of workers that died on stdout, where results go.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            _knock(address)
            ray.init(
                address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(ours if address == "local" else {}),
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"no Ray cluster at {address}: {_first_line(error)}",
                "Start one (`ray start --head`), give its --address, or leave --address out.",
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Connect to HOST:PORT and hang up: Ray itself would try for many minutes. Raises OSError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
