"""One writer a place: the lock of a folder, or at a URL an object that says who writes there.

An object does not vanish with the process that made it, so its owner writes it anew every minute,
and one that was not written for ten minutes counts for nothing. This is a courtesy, not a proof:
clocks differ, and not every store can refuse to replace an object. Two builds of the same plan that
meet all the same write the same bytes; of two plans the later manifest holds.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from c2f_data.artefacts import disk_error, json_text, read_json
from c2f_data.errors import ArtefactError
from c2f_data.lock import only_writer
from c2f_data.storage import Place, Url

LOCK = ".lock-owner.json"
SCHEMA = "c2f-lock"
VERSION = 1
# In seconds. Ten missed renewals: a store may be slow, and two clocks may differ by minutes.
RENEWED_EVERY = 60.0
STALE_AFTER = 600.0


@dataclass(frozen=True, slots=True)
class Owner:
    """Who writes at a URL.

    Attributes:
        host: name of the machine.
        process: its process id.
        renewed: time of the last sign of life, in seconds since 1970 by that machine's clock.
    """

    host: str
    process: int
    renewed: float

    def is_gone(self) -> bool:
        """Its process is known to have ended, or gave no sign of life for long."""
        if self.host == platform.node() and not _runs(self.process):
            return True
        return time.time() - self.renewed > STALE_AFTER


def writer_lock(place: Place) -> AbstractContextManager[None]:
    """Hold the lock of a folder or a URL.

    Raises:
        ArtefactError: (on entering) another process holds it (named), or the place refused.
    """
    return only_writer(place) if isinstance(place, Path) else _only_writer_at(place)


@contextmanager
def _only_writer_at(url: Url) -> Iterator[None]:
    lock = url / LOCK
    try:
        _take(url, lock)
    except OSError as error:
        raise disk_error(error, url) from error
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(lock, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):  # what was built is whole without this, too
            lock.unlink(missing_ok=True)


def _take(url: Url, lock: Url) -> None:
    owner = _owner(lock)
    if owner is not None and not owner.is_gone():
        raise ArtefactError(
            f"{url}: process {owner.process} on {owner.host} is writing here",
            f"Wait until it has finished. If it was killed: in {STALE_AFTER / 60:.0f} minutes its "
            f"lock counts for nothing, or delete {lock}.",
        )
    lock.unlink(missing_ok=True)
    try:
        # Where the store can: of two processes that come at once, one is refused.
        lock.write_bytes(_signature(), new=True)
    except FileExistsError as error:
        raise ArtefactError(
            f"{url}: another process has just begun to write here",
            "Wait until it has finished, then run the command again.",
        ) from error


def _owner(lock: Url) -> Owner | None:
    """None: nobody, or an object that can't be read as a lock."""
    with suppress(ArtefactError):
        if lock.exists():
            return read_json(lock, Owner, schema=SCHEMA, version=VERSION, maker="c2f shard")
    return None


def _signature() -> bytes:
    owner = Owner(platform.node(), os.getpid(), time.time())
    return json_text(owner, schema=SCHEMA, version=VERSION).encode()


def _renew(lock: Url, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        with suppress(OSError):
            lock.write_bytes(_signature())


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # there, asking is a signal of its own
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
