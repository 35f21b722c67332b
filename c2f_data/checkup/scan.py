"""Read every image once, in full, and keep what the checks need: about 1.1 kB an image.

Threads, not processes: decoding, hashing and resizing leave Python's lock, so two threads are
1.9 times as fast as one, start at once and stop at once.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2f_data.checkup.look import THUMBNAIL_SIDE, Look, look_at
from c2f_data.decode import decode_bytes, read_bytes
from c2f_data.errors import ConfigError, ImageError
from c2f_data.index import DatasetIndex

Progress = Callable[[int, int], None]

# Images handed to the threads at once: the facts of no more than these wait for their row.
WINDOW = 256


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that can't be decoded.

    Attributes:
        reason: what is wrong with it, without its path.
    """

    image_id: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """Facts about the n images of an index, in its order; zeros where one could not be read.

    All but the sizes are those of the whole image, also where only a box of it is used.

    Attributes:
        readable: (n,) bool.
        sizes: (n, 2) int32, height and width of the upright image, or of its box.
        digests: (n,) SHA-256 of the file; "" if unreadable.
        hashes: (n,) uint64, perceptual.
        thumbnails: (n, 1024) uint8, grey.
        grey: (n,) bool.
        foliage: (n,) int8, see :func:`c2f_data.checkup.colour.foliage_vote`.
        unreadable: the images that could not be read, in order.
    """

    readable: NDArray[np.bool_]
    sizes: NDArray[np.int32]
    digests: tuple[str, ...]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    grey: NDArray[np.bool_]
    foliage: NDArray[np.int8]
    unreadable: tuple[Unreadable, ...]

    @property
    def short_sides(self) -> NDArray[np.int32]:
        """(n,) shorter side in pixels; 0 where unreadable."""
        sides: NDArray[np.int32] = self.sizes.min(axis=1)
        return sides


@dataclass(frozen=True, slots=True)
class _Facts:
    size: tuple[int, int]
    digest: str
    look: Look


def scan_images(
    index: DatasetIndex, workers: int | None = None, progress: Progress | None = None
) -> Scan:
    """Decode every image of an index. A broken file is noted and the scan goes on.

    Args:
        workers: threads; None: one a core.
        progress: called with images done and images in all.

    Raises:
        ConfigError: fewer than one worker.
    """
    threads = _cores() if workers is None else workers
    if threads < 1:
        raise ConfigError(f"{threads} threads", "Give 1 or more.")
    n = len(index.records)
    table = _Table(n)
    # Pillow warns about odd metadata on stderr, and the filters of `warnings` belong to all
    # threads: set once here, they are put back when the threads are done.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")
        try:
            for start in range(0, n, WINDOW):
                window = range(start, min(start + WINDOW, n))
                found = pool.map(lambda j: _read(index, j), window)
                for i, facts in zip(window, found, strict=True):
                    table.put(i, facts)
                    if progress:
                        progress(i + 1, n)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return table.finish(index)


class _Table:
    """The columns of a Scan while they fill."""

    def __init__(self, n: int) -> None:
        self.sizes = np.zeros((n, 2), np.int32)
        self.hashes = np.zeros(n, np.uint64)
        self.thumbnails = np.zeros((n, THUMBNAIL_SIDE**2), np.uint8)
        self.grey = np.zeros(n, np.bool_)
        self.foliage = np.zeros(n, np.int8)
        self.digests = [""] * n
        self.reasons: dict[int, str] = {}

    def put(self, i: int, facts: _Facts | str) -> None:
        if isinstance(facts, str):
            self.reasons[i] = facts
            return
        self.sizes[i], self.digests[i] = facts.size, facts.digest
        self.hashes[i], self.thumbnails[i] = facts.look.hash, facts.look.thumbnail.ravel()
        self.grey[i], self.foliage[i] = facts.look.grey, facts.look.foliage

    def finish(self, index: DatasetIndex) -> Scan:
        ids = [record.image_id for record in index.records]
        return Scan(
            readable=np.asarray([digest != "" for digest in self.digests]),
            sizes=self.sizes,
            digests=tuple(self.digests),
            hashes=self.hashes,
            thumbnails=self.thumbnails,
            grey=self.grey,
            foliage=self.foliage,
            unreadable=tuple(Unreadable(ids[i], why) for i, why in sorted(self.reasons.items())),
        )


def _read(index: DatasetIndex, position: int) -> _Facts | str:
    """The facts of one image, or why it can't be read."""
    path, box = index.path(position), index.records[position].box
    try:
        data = read_bytes(path)
        pixels = decode_bytes(data, str(path), box).pixels
        # Boxes drawn by two people would hide that the photograph is the same.
        whole = pixels if box is None else decode_bytes(data, str(path)).pixels
    except ImageError as error:
        return error.message.removeprefix(f"{path}: ")
    except Exception as error:
        # Whatever a decoder trips over, the other images still want to be looked at.
        return f"damaged image ({type(error).__name__}: {error})"
    height, width = pixels.shape[:2]
    return _Facts((height, width), hashlib.sha256(data).hexdigest(), look_at(whole))


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
