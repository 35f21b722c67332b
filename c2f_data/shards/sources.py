"""The source images of one shard: read once each, and watched for changes meanwhile."""

from __future__ import annotations

import hashlib

from c2f_data.decode import read_bytes
from c2f_data.errors import DataSetError, ImageError
from c2f_data.shards.tasks import ShardTask
from c2f_data.storage import Place, Url

# Which file, how long, and when it was last written.
Stamp = tuple[int, int, int]

AGAIN = "The images changed meanwhile: run the command again when they are complete."


class TaskSources:
    """Reads the source images of a task.

    An image file that is copied or synchronised while shards are built may be half written. Its
    size tells most of that, its time of change the rest: it is compared before and after the
    reading, and once more when the shard is about to be written.
    """

    def __init__(self, task: ShardTask) -> None:
        self._task = task
        self._stamps: dict[Place, Stamp | None] = {}
        self._digest = hashlib.sha256()

    def read(self, position: int) -> tuple[bytes, str]:
        """The bytes of a source image, and its name.

        Raises:
            ImageError: it is absent, empty or absurdly large.
            DataSetError: it has another size than it was listed with, or is being written.
        """
        record = self._task.records[position]
        path = self._task.root / record.path
        before = _stamp(path)
        data = read_bytes(path)
        if len(data) != record.bytes:
            raise DataSetError(
                f"{path}: {len(data)} bytes, but {record.bytes} when the data set was listed", AGAIN
            )
        self._stamps[path] = before
        self._check(path)
        self._digest.update(len(data).to_bytes(8, "little"))
        self._digest.update(data)
        return data, str(path)

    def check_unchanged(self) -> None:
        """Raises DataSetError or ImageError: a file changed or vanished after it was read."""
        for path in self._stamps:
            self._check(path)

    @property
    def sha256(self) -> str:
        """Over what was read so far, in the order of reading, each with its length before it."""
        return self._digest.hexdigest()

    def _check(self, path: Place) -> None:
        if _stamp(path) != self._stamps[path]:
            raise DataSetError(f"{path}: changed while its shard was built", AGAIN)


def _stamp(path: Place) -> Stamp | None:
    if isinstance(path, Url):
        return None  # an object is read by one request, and is never half written
    try:
        found = path.stat()
    except OSError as error:
        raise ImageError(
            f"{path}: {error.strerror}", "Restore the file or remove it from the data set."
        ) from error
    # An object at a URL has a size alone.
    return getattr(found, "st_ino", 0), found.st_size, getattr(found, "st_mtime_ns", 0)
