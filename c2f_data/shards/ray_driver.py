"""The process that speaks to a Ray cluster: hands shard tasks out, and entries back.

It is a process of its own because Ray ends the one it lives in, without a word to Python, when it
loses its cluster or finds itself in a state that it did not expect. Then :mod:`ray_engine` starts
another. It asks for a task when a worker is about to be free, and what comes back is a shard's
entry in the manifest, never its bytes: Ray's processes, objects and logs are kept small.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Any

from c2f_data.errors import C2FError, ConfigError, install_hint
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.ray_worker import build_on_node, content_versions
from c2f_data.shards.tasks import ShardTask
from c2f_data.storage import Place

# Tasks that wait while each worker has one: a free worker never waits for this process.
AHEAD = 2
POLL_SECONDS = 0.5
# How long an interrupted worker may take to finish the image that it has, in seconds.
PATIENCE = 10.0
KNOCK_SECONDS = 5.0
# Results are a few hundred bytes each; Ray's default would take a third of the memory.
OBJECT_STORE_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Connecting:
    """How to reach a cluster.

    Attributes:
        address: as Ray takes it; ``local``: a cluster of this machine's own processes.
        jobs: tasks at a time; None: as many as the cluster has CPUs.
        retries: how often a shard is begun again because its worker died.
    """

    address: str
    jobs: int | None
    retries: int


@dataclass(frozen=True, slots=True)
class NextTask:
    """Asks for a task; answered by (number, task), or by None when there are no more."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Task ``number`` is done."""

    number: int
    entry: ShardEntry


@dataclass(frozen=True, slots=True)
class Failed:
    """The last message: a foreseen failure or an error of Ray's, and its traceback."""

    error: C2FError
    where: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The last message of a driver that lost its cluster: another one may do better."""

    why: str


def drive(connecting: Connecting, pipe: Connection) -> None:
    """Serve tasks until there are no more; the target of a process that was spawned for it."""
    # A Ctrl-C reaches every process of a terminal; the first one hangs up then. Ignored by a
    # handler, and not blocked, because the cluster's processes would inherit that.
    signal.signal(signal.SIGINT, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # Ray tells of workers that died on stdout, where results go.
    os.dup2(2, 1)
    try:
        with cluster(connecting) as ray:
            run(ray, connecting, pipe)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the first process was interrupted, and hung up
    except C2FError as error:
        pipe.send(Failed(error, traceback.format_exc()))
    except Exception as error:
        if isinstance(error, _LostError) or is_of_ray(error):
            pipe.send(Lost(first_line(error)))
            return
        said = C2FError(
            f"Ray could not go on: {first_line(error)}",
            "Run the command again: finished shards are kept. -vv shows where it was.",
        )
        pipe.send(Failed(said, traceback.format_exc()))


class _LostError(Exception):
    """There is no cluster to work with, though there should be one."""


def is_of_ray(error: Exception) -> bool:
    """Whether Ray raised it about itself: its raylet is gone, its services do not answer."""
    ray = sys.modules.get("ray")
    return ray is not None and isinstance(error, ray.exceptions.RayError)


def _leave_with_parent() -> None:
    """End this process, and with it a cluster of our own, some time after its parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        time.sleep(2 * PATIENCE)
        os._exit(1)


def run(ray: Any, connecting: Connecting, pipe: Connection) -> None:
    """Have every task built that the other end of the pipe gives.

    Raises:
        EOFError: the other end hung up; what was out has been ended.
        C2FError: as :func:`build_shard`, or a shard's workers died too often.
    """
    build = ray.remote(num_cpus=1, max_retries=connecting.retries)(build_on_node)
    versions = content_versions()
    pending: dict[Any, tuple[int, ShardTask]] = {}
    more = True
    try:
        while more or pending:
            while more and len(pending) < _slots(ray, connecting):
                given = _ask(pipe)
                more = given is not None
                if given is not None:
                    pending[build.remote(given[1], versions)] = given
            if not pending:
                break
            done, _ = ray.wait(list(pending), num_returns=1, timeout=POLL_SECONDS)
            for reference in done:
                number, task = pending.pop(reference)
                entry = result_of(ray, reference, connecting.retries)
                _check_seen(task.folder / entry.file, entry)
                pipe.send(Finished(number, entry))
            if pipe.poll():
                raise EOFError  # nothing was asked: it can only have hung up
    finally:
        _cancel(ray, list(pending))


def _ask(pipe: Connection) -> tuple[int, ShardTask] | None:
    pipe.send(NextTask())
    given: tuple[int, ShardTask] | None = pipe.recv()
    return given


def _slots(ray: Any, connecting: Connecting) -> int:
    """Tasks to have out now; asked each time, because a cluster may grow and shrink."""
    workers = int(ray.cluster_resources().get("CPU", 1))
    return connecting.jobs or max(1, workers) + AHEAD


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


def result_of(ray: Any, reference: Any, retries: int) -> ShardEntry:
    """What a worker gave, or the error that it met. Other errors of Ray's pass."""
    try:
        result: ShardEntry | C2FError = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise C2FError(
            f"a shard could not be built: {_last_line(error)}",
            "This is a fault of c2f or of that machine; -vv shows where. Finished shards are kept.",
        ) from error
    except (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.NodeDiedError,
    ) as error:
        raise C2FError(
            f"a shard was begun {retries + 1} times, and each time its worker died "
            f"({first_line(error)})",
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
def cluster(connecting: Connecting) -> Iterator[Any]:
    """Ray, connected to a cluster, or to one of our own that ends with the block.

    Raises:
        ConfigError: Ray is absent, or no cluster is at the address.
        _LostError: one of our own did not start.
    """
    try:
        # Ray reads these when it is imported or started.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray", install_hint("ray")) from error
    address = connecting.address
    # Of a cluster of our own; one that exists has its size already.
    ours: dict[str, Any] = {
        "num_cpus": connecting.jobs,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        _knock(address)
        ray.init(
            address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **(ours if address == "local" else {}),
        )
    except Exception as error:
        if address == "local":
            # Mostly a machine that is too busy for the seconds that Ray waits for its own parts.
            raise _LostError(f"it could not start here: {first_line(error)}") from error
        raise ConfigError(
            f"no Ray cluster at {address}: {first_line(error)}",
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


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
