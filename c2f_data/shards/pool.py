"""Run work on shards in several processes, so that Ctrl-C, a crash or an error stops all of them.

Processes come from a fork server that has imported what the work needs once, or are spawned where
there is none; they are never forked off the caller, whose torch may have threads. They ignore
Ctrl-C, which reaches every process of a terminal, and stop between two steps when the first
process says so or is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import Array, c_longlong
from itertools import islice
from multiprocessing import connection
from typing import TypeVar

from c2f_data.allocator import keep_freed_memory
from c2f_data.errors import C2FError, ConfigError
from c2f_data.shards.manifest import ShardEntry
from c2f_data.shards.tasks import ShardTask

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
Tick = Callable[[int], None]

POLL_SECONDS = 0.2
# Tasks that are handed over before they are needed, a process. More would only use memory: a task
# holds the records of its images.
AHEAD = 2

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
    from c2f_data.shards.build import build_shard

    total = sum(len(task.records) for task in tasks)
    return run_all(build_shard, tasks, jobs, total, progress)


def run_all(
    work: Callable[[Item, Tick], Result],
    items: Sequence[Item],
    jobs: int,
    total: int,
    progress: Progress | None,
) -> tuple[Result, ...]:
    """Do some work on every item; the results are in the order of the items.

    Args:
        work: a function at the top of a module. It calls its second argument with the number of
            steps done since the last call; an exception raised by that call must pass through.
        jobs: number of processes; 1: in this one.
        total: steps in all.
        progress: called with steps done and steps in all.

    Raises:
        ConfigError: fewer than one job.
        C2FError: as ``work``, or a process was killed.
    """
    if jobs < 1:
        raise ConfigError(f"{jobs} processes", "Give --jobs 1 or more.")
    if progress:
        progress(0, total)
    jobs = min(jobs, len(items))
    if jobs <= 1:
        return tuple(_run_here(work, items, total, progress))
    return _run_in_processes(work, items, jobs, total, progress)


def _run_here(
    work: Callable[[Item, Tick], Result],
    items: Iterable[Item],
    total: int,
    progress: Progress | None,
) -> Iterator[Result]:
    done = 0

    def tick(steps: int) -> None:
        nonlocal done
        done += steps
        if progress:
            progress(done, total)

    return (work(item, tick) for item in items)


def _run_in_processes(
    work: Callable[[Item, Tick], Result],
    items: Sequence[Item],
    jobs: int,
    total: int,
    progress: Progress | None,
) -> tuple[Result, ...]:
    context = _context(work.__module__)
    # One counter an item and a flag at the end, without a lock: each has one writer, and a process
    # that is killed while it holds a lock would hang all others.
    counters = context.RawArray(c_longlong, len(items) + 1)
    executor = ProcessPoolExecutor(jobs, context, _start_worker, (counters,))
    waiting = enumerate(items)
    pending: dict[Future[Result], int] = {}
    results: dict[int, Result] = {}
    try:
        while len(results) < len(items):
            with interrupt_held_back():
                for number, item in islice(waiting, AHEAD * jobs - len(pending)):
                    pending[executor.submit(_work, work, item, number)] = number
            done, _ = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
            if progress:
                progress(sum(counters[:-1]), total)
            for future in sorted(done, key=lambda future: pending[future]):
                results[pending.pop(future)] = future.result()
        return tuple(results[number] for number in range(len(items)))
    except BrokenProcessPool as error:
        raise C2FError(
            "one of the processes was killed, perhaps because the memory was used up",
            "Run the command again with fewer --jobs; finished shards are kept.",
        ) from error
    finally:
        counters[-1] = 1
        executor.shutdown(wait=True, cancel_futures=True)


def _context(module: str) -> multiprocessing.context.BaseContext:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([__name__, module])
    return context


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[None]:
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
    """Another process failed or was interrupted: this one ends its work unfinished."""


# Of a worker process: set once when it starts.
_counters: Array[c_longlong] | None = None


def _start_worker(counters: Array[c_longlong]) -> None:
    global _counters
    _counters = counters
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()


def _leave_with(sentinel: int) -> None:
    """End this process when its parent was killed; it would wait for tasks forever."""
    connection.wait([sentinel])
    os._exit(1)


def _work(work: Callable[[Item, Tick], Result], item: Item, number: int) -> Result:
    if "torch" in sys.modules:
        # There is a process a core already. Only here it is known whether this work needs torch.
        from c2f_data.resample import limit_threads

        limit_threads()

    def tick(steps: int) -> None:
        if _counters is None:
            return
        if _counters[-1]:
            raise _StoppedError
        _counters[number] += steps

    return work(item, tick)
