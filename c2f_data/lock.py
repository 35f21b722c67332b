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


def _owner(path: Path) -> str:
    """The holder as it named itself; its file may not be there yet, or be from elsewhere."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:100].strip()
    except OSError:
        text = ""
    return text if text and text.isprintable() else "another process"
