"""Images to batches: loaded by threads, in an order that does not depend on them.

Threads and not processes: what costs time (reading, decoding, resizing) happens outside Python's
lock. Threads start at once, share what is kept in memory, hand images over without a copy, and
their errors and Ctrl-C need no machinery.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Event, Semaphore
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from c2f_data.resample import Pixels, limit_threads

T = TypeVar("T")
R = TypeVar("R")
Key = TypeVar("Key", contravariant=True)
Item = tuple[Pixels, int]

# Each thread needs Python's lock for a small part of its time, so more would wait for each other.
MOST_THREADS = 16


class Images(Protocol[Key]):
    """What batches are made of: an image and its number, by key. Several threads ask at once."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key, /) -> Item: ...


def threads_of(workers: int) -> int:
    """Number of threads; 0 workers stand for one a core that this process may use."""
    if workers:
        return workers
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    # torchrun says how many processes share this machine.
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    cores = max(1, cores // max(1, int(processes) if processes.isdigit() else 1))
    return min(cores, MOST_THREADS)


def loader(
    images: Images[Key],
    batch_size: int,
    workers: int,
    keys: Iterable[Key] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of all images in order, or in the order of ``keys``; see :func:`load`."""
    chosen: Iterable[Key] = range(len(images)) if keys is None else keys  # type: ignore[assignment]
    return load(images.__getitem__, chunks(chosen, batch_size), workers)


def chunks(keys: Iterable[T], size: int) -> Iterator[list[T]]:
    """The keys in lists of ``size``, the last one possibly shorter."""
    left = iter(keys)
    while chunk := list(islice(left, size)):
        yield chunk


def load(
    item: Callable[[T], Item],
    batches: Iterable[Sequence[T]],
    workers: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One batch for each sequence of keys, some batches ahead of the one that is used.

    Args:
        item: the image of a key and its number; several threads ask at once.
        workers: threads; 0: the calling thread loads, nothing ahead.

    Yields:
        (B, 3, H, W) uint8 images, channels last in memory, and the (B,) numbers that came with
        them. The same for any number of threads.

    Raises:
        C2FError: what an image raised; that of the first such image in order.
    """
    if workers == 0:
        for keys in batches:
            yield _batch([item(key) for key in keys])
        return
    ahead: deque[list[Future[Item]]] = deque()
    with _threads(workers) as threads:
        for keys in batches:
            ahead.append([threads.submit(item, key) for key in keys])
            # One batch is used, one is ready, and every thread has something to do.
            if sum(map(len, ahead)) >= 2 * (len(keys) + workers):
                yield _batch([future.result() for future in ahead.popleft()])
        while ahead:
            yield _batch([future.result() for future in ahead.popleft()])


def in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """``work`` of every item, by threads, in the items' order and a few ahead of what is used.

    Raises:
        Whatever ``work`` raised; that of the first such item in order.
    """
    ahead: deque[Future[R]] = deque()
    with _threads(workers) as threads:
        for item in items:
            ahead.append(threads.submit(work, item))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _batch(items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """(..., H, W, 3) arrays to a (B, ..., 3, H, W) uint8 tensor, and (B,) numbers."""
    # CUDA, where it is in use, copies fast and meanwhile from memory that is pinned for it.
    pin: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    images = torch.empty((len(items), *items[0][0].shape), dtype=torch.uint8, pin_memory=pin)
    for row, (pixels, _) in zip(images.numpy(), items, strict=True):
        np.copyto(row, pixels)
    return images.movedim(-1, -3), torch.tensor([number for _, number in items])


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which torch uses no further threads; the caller's setting stays.

    torch keeps one number for each thread and one for threads to come. Setting the first sets the
    second, too, so it is put back once all have started.
    """
    before = torch.get_num_threads()
    ready, go = Semaphore(0), Event()

    def start() -> None:
        # A new thread takes over the general number at its first use: now, not later.
        torch.get_num_threads()
        limit_threads()
        ready.release()
        go.wait()

    pool = ThreadPoolExecutor(count, "c2f-load", initializer=start)
    try:
        try:
            for _ in range(count):
                # None of the earlier threads is free yet, so each of these starts another one.
                pool.submit(int)
            for _ in range(count):
                ready.acquire()
        finally:
            torch.set_num_threads(before)
            go.set()
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
