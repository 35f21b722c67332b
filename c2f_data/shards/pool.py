"""Run shard tasks in several processes, so that Ctrl-C, a crash or an error stops all of them.

Processes come from a fork server that has imported torch once, or are spawned where there is
none; they are never forked off the caller, whose torch may have threads. They ignore Ctrl-C,
which reaches every process of a terminal, and stop between two images when the first process
says so or is gone.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import Array, c_longlong
from multiprocessing import connection

from c2f_data.errors import C2FError, ConfigError
from c2f_data.resample import limit_threads
from c2f_data.shards.build import build_shard
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.tasks import ShardTask

Progress = Callable[[int, int], None]

POLL_SECONDS = 0.2

# Windows has no masks; Ctrl-C is a different thing there.
_mask = getattr(signal, "pthread_sigmask", None)


def run_tasks(
    tasks: Sequence[ShardTask], jobs: int, progress: Progress | None
) -> tuple[ShardEntry, ...]:
    """Build every shard; the entries are in the order of the tasks.

    Args:
        jobs: number of processes; 1: in this one.
        progress: called with images done and images in all.

    Raises:
        ConfigError: fewer than one job.
        C2FError: as :func:`build_shard`, or a process was killed. Finished shards are kept.
    """
    if jobs < 1:
        raise ConfigError(f"{jobs} processes", "Give --workers 1 or more.")
    total = sum(len(task.records) for task in tasks)
    if progress:
        progress(0, total)
    if min(jobs, len(tasks)) <= 1:
        return _run_here(tasks, total, progress)
    return _run_in_processes(tasks, min(jobs, len(tasks)), total, progress)


def _run_here(
    tasks: Sequence[ShardTask], total: int, progress: Progress | None
) -> tuple[ShardEntry, ...]:
    done = 0

    def tick(images: int) -> None:
        nonlocal done
        done += images
        if progress:
            progress(done, total)

    return tuple(build_shard(task, tick) for task in tasks)


def _run_in_processes(
    tasks: Sequence[ShardTask], jobs: int, total: int, progress: Progress | None
) -> tuple[ShardEntry, ...]:
    context = _context()
    # One counter a task and a flag at the end, without a lock: each has one writer, and a process
    # that is killed while it holds a lock would hang all others.
    counters = context.RawArray(c_longlong, len(tasks) + 1)
    executor = ProcessPoolExecutor(jobs, context, _start_worker, (counters,))
    try:
        with _interrupt_held_back():
            futures = [executor.submit(_work, task, i) for i, task in enumerate(tasks)]
        pending: set[Future[ShardEntry]] = set(futures)
        while pending:
            _, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
            if progress:
                progress(sum(counters[:-1]), total)
            _raise_first_error(futures)
        return tuple(future.result() for future in futures)
    except BrokenProcessPool as error:
        raise C2FError(
            "a process that builds shards was killed, perhaps because the memory was used up",
            "Run the command again with fewer --workers; finished shards are kept.",
        ) from error
    finally:
        counters[-1] = 1
        executor.shutdown(wait=True, cancel_futures=True)


def _context() -> multiprocessing.context.BaseContext:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([__name__])
    return context


def _raise_first_error(futures: Sequence[Future[ShardEntry]]) -> None:
    for future in futures:
        if future.done():
            future.result()


@contextlib.contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Hold Ctrl-C back while processes start; it takes effect afterwards.

    A process that starts inherits the mask; without it a Ctrl-C makes each of them print a
    traceback, and an interrupted start leaves one behind that waits for its parent. The mask is
    this thread's alone, and libraries have threads that take the signal: hence the handler too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    mask = _mask(signal.SIG_BLOCK, {signal.SIGINT}) if _mask else None
    try:
        yield
    finally:
        if _mask and mask is not None:
            _mask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
    if held:
        signal.raise_signal(signal.SIGINT)


class _StoppedError(Exception):
    """Another process failed or was interrupted: this one ends its shard unfinished."""


# Of a worker process: set once when it starts.
_counters: Array[c_longlong] | None = None


def _start_worker(counters: Array[c_longlong]) -> None:
    global _counters
    _counters = counters
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_threads()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    """End this process when its parent was killed; it would wait for tasks forever."""
    connection.wait([sentinel])
    os._exit(1)


def _work(task: ShardTask, number: int) -> ShardEntry:
    return build_shard(task, functools.partial(_tick, number))


def _tick(number: int, images: int) -> None:
    if _counters is None:
        return
    if _counters[-1]:
        raise _StoppedError
    _counters[number] += images
