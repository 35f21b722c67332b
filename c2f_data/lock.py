"""One writer a folder: a lock that ends with its process, and that can say who holds it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from c2f_data.artefacts import disk_error, write_text
from c2f_data.errors import ArtefactError

LOCK = ".lock"
OWNER = ".lock-owner"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the operating system releases it if the process is killed.

    Raises:
        ArtefactError: another process holds it (named), or the disk refused.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    owner = folder / OWNER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ArtefactError(
            f"{folder}: {_owner(owner)} is writing here",
            "Wait until it has finished, or stop it, then run the command again.",
        ) from error
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        write_text(owner, f"process {os.getpid()} on {platform.node()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


class SameFolder:
    """Tells when a locked folder was removed, or another one put in its place.

    A writer would not notice: it makes a folder that is not there, and goes on in the new one,
    without what it finished before and without the lock.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = folder / LOCK
        self._first = self._seen()

    def check(self) -> None:
        """Raises ArtefactError when it is not the folder any more that was locked."""
        if self._seen() != self._first:
            raise ArtefactError(
                f"{self._lock.parent}: the folder was removed or replaced while c2f wrote to it",
                "Run the command again; what is finished there is kept.",
            )

    def _seen(self) -> tuple[int, int] | None:
        try:
            found = self._lock.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, self._lock.parent) from error
        return found.st_dev, found.st_ino


def _owner(path: Path) -> str:
    """The holder as it named itself; its file may not be there yet, or be from elsewhere."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:100].strip()
    except OSError:
        text = ""
    return text if text and text.isprintable() else "another process"
