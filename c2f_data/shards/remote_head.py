"""The head of a shard at a URL: fetched by a few ranges at once, then read as a file in memory."""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from c2f_data.artefacts import disk_error
from c2f_data.shards.manifest import ShardEntry
from c2f_data.storage import Url


@dataclass(frozen=True)
class RemoteHead:
    """All of a shard but its payloads.

    Attributes:
        parts: (position in the shard, bytes), ascending.
        size: of the whole shard, in bytes.
    """

    parts: tuple[tuple[int, bytes], ...]
    size: int

    @cached_property
    def sha256(self) -> str:
        """The same as :func:`head_sha256` of the whole file."""
        digest = hashlib.sha256()
        for _, data in self.parts:
            digest.update(data)
        return digest.hexdigest()

    def file(self) -> io.RawIOBase:
        """As a file for HDF5; where the payloads are it has zeros."""
        return _SparseFile(self)


def fetch_head(url: Url, entry: ShardEntry) -> RemoteHead:
    """Fetch the bytes between the payloads that the manifest names.

    Raises:
        ArtefactError: the store refused.
    """
    ends = [0, *(place.offset + place.bytes for place in entry.payloads)]
    starts = [*(place.offset for place in entry.payloads), entry.bytes]
    ranges = list(zip(ends, starts, strict=True))
    try:
        data = url.read_ranges(ranges)
    except OSError as error:
        raise disk_error(error, url) from error
    parts = tuple((start, part) for (start, _), part in zip(ranges, data, strict=True) if part)
    return RemoteHead(parts, entry.bytes)


class _SparseFile(io.RawIOBase):
    def __init__(self, head: RemoteHead) -> None:
        self._head = head
        self._starts = [start for start, _ in head.parts]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = (0, self._position, self._head.size)[whence] + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        begin = self._position
        count = max(0, min(len(buffer), self._head.size - begin))
        buffer[:count] = bytes(count)
        first = max(0, bisect_right(self._starts, begin) - 1)
        for start, data in self._head.parts[first:]:
            if start >= begin + count:
                break
            low, high = max(begin, start), min(begin + count, start + len(data))
            if low < high:
                buffer[low - begin : high - begin] = data[low - start : high - start]
        self._position += count
        return count
