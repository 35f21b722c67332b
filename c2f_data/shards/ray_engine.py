"""Run shard tasks on a Ray cluster: the same function of the same tasks, so the same bytes.

A worker or a node that dies costs the shards that it was building: Ray gives those to another. The
process that speaks to Ray (:mod:`ray_driver`) is a child of this one, because Ray may end it at any
time; then another is started, and goes on with the shards that are not finished.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from c2f_data.errors import C2FError, ConfigError, install_hint
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.pool import Progress, interrupt_held_back
from c2f_data.shards.ray_driver import PATIENCE, Connecting, Failed, Finished, Lost, NextTask, drive
from c2f_data.shards.tasks import ShardTask

# Attempts that a shard may lose to workers that die, besides the one that succeeds.
RETRIES = 3
# How often a process that Ray ended is started again without one shard finished in between.
RESTARTS = 2
POLL_SECONDS = 0.5
# How long the cluster's processes may take to end, in seconds: gently, then the process is killed.
FAREWELL_SECONDS = 3 * PATIENCE


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Where shard tasks run.

    A script that calls this needs the usual ``if __name__ == "__main__":``, because a new process
    imports it.

    Attributes:
        address: of a cluster, as Ray takes it (``auto``, ``HOST:6379``); None: the cluster that
            this process is connected to, else what RAY_ADDRESS says, else one of this machine's
            own processes.
        jobs: tasks at a time; None: as many as the cluster has CPUs.
        retries: how often a shard is begun again because its worker died.
        restarts: how often Ray may end the process that speaks to it before a shard is finished.
    """

    address: str | None = None
    jobs: int | None = None
    retries: int = RETRIES
    restarts: int = RESTARTS

    def __call__(
        self, tasks: Sequence[ShardTask], progress: Progress | None
    ) -> tuple[ShardEntry, ...]:
        """Build every shard; the entries are in the order of the tasks.

        Args:
            progress: called with images done and images in all, whenever a shard is finished.

        Raises:
            ConfigError: Ray is absent, there is no such cluster, its machines have other versions
                of what makes the bytes, or don't see the images or the output.
            C2FError: as :func:`build_shard`, a shard's workers died too often, or Ray ended its
                own process too often. Finished shards are kept.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("--engine ray needs Ray", install_hint("ray"))
        course = _Course(tasks, progress)
        course.report()
        left = self.restarts
        while len(course.entries) < len(tasks):
            before = len(course.entries)
            with _driver(self._connecting()) as (process, pipe):
                why = course.serve(pipe)
                process.join(FAREWELL_SECONDS)
                why = why or _ending(process.exitcode)
            if len(course.entries) > before:
                left = self.restarts
            elif not left:
                raise C2FError(
                    f"Ray gave up {self.restarts + 1} times in a row ({why})",
                    "Its reason is in Ray's logs (/tmp/ray/session_latest/logs). Run the command "
                    "again, or with --engine local: finished shards are kept.",
                )
            else:
                left -= 1
        return tuple(course.entries[number] for number in range(len(tasks)))

    def _connecting(self) -> Connecting:
        address = self.address or _connected() or os.environ.get("RAY_ADDRESS") or "local"
        return Connecting(address, self.jobs, self.retries)


@dataclass
class _Course:
    """What is finished so far, over all processes that Ray ended meanwhile."""

    tasks: Sequence[ShardTask]
    progress: Progress | None
    entries: dict[int, ShardEntry] = field(default_factory=dict)
    images: int = 0

    def __post_init__(self) -> None:
        self.total = sum(len(task.records) for task in self.tasks)

    def report(self) -> None:
        if self.progress:
            self.progress(self.images, self.total)

    def serve(self, pipe: Connection) -> str | None:
        """Answer one driver until it has nothing more to say; why it gave up, if it did and knew.

        Raises:
            C2FError: what the driver met.
        """
        waiting = (number for number in range(len(self.tasks)) if number not in self.entries)
        while (message := _received(pipe)) is not None:
            if isinstance(message, NextTask):
                number = next(waiting, None)
                with contextlib.suppress(OSError):  # it may have ended since it asked
                    pipe.send(None if number is None else (number, self.tasks[number]))
            elif isinstance(message, Finished):
                self.entries[message.number] = message.entry
                self.images += message.entry.images
                self.report()
            elif isinstance(message, Failed):
                raise message.error from _InDriverError(message.where)
            else:
                return message.why
        return None


class _InDriverError(Exception):
    """Carries the traceback of another process, for `-vv`."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _received(pipe: Connection) -> NextTask | Finished | Failed | Lost | None:
    """The next message; None: the other end is gone."""
    try:
        while not pipe.poll(POLL_SECONDS):
            pass
        message: NextTask | Finished | Failed | Lost = pipe.recv()
        return message
    except (EOFError, OSError):
        return None


@contextlib.contextmanager
def _driver(connecting: Connecting) -> Iterator[tuple[SpawnProcess, Connection]]:
    """A process that speaks to Ray, and the pipe to it; it is gone after the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=drive, args=(connecting, there), name="c2f-ray")
    with interrupt_held_back():
        process.start()
    there.close()
    try:
        yield process, here
    finally:
        here.close()
        try:
            process.join(FAREWELL_SECONDS)
        finally:
            process.kill()
            process.join()


def _connected() -> str | None:
    """The cluster that this process speaks to already, perhaps in a notebook."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    address: str = ray.get_runtime_context().gcs_address
    return address


def _ending(code: int | None) -> str:
    if code is None:
        return "its process hung"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"its process ended with {how}"
