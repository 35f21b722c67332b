"""Stands in for Ray in the process that speaks to it: one worker, the process itself.

Ray's own process ending is not to be had on demand; here FAKE_RAY says when: ``dies N``: by
SIGABRT whenever N shards are finished, ``leaves``: with an exit code when it is connected to,
``fails``: to start, ``wrong``: with an error that nobody foresaw, ``loses``: its raylet,
``crashes``: its workers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Reference:
    """A task that waits."""

    def __init__(self, function: Callable[..., Any], given: tuple[Any, ...]) -> None:
        self.function = function
        self.given = given


class RayError(Exception):
    """As in Ray: the base of all others."""


class RayTaskError(RayError):
    """A task raised something."""


class WorkerCrashedError(RayError):
    """A task's worker died too often."""


exceptions = SimpleNamespace(
    RayError=RayError,
    RayTaskError=RayTaskError,
    WorkerCrashedError=WorkerCrashedError,
    OutOfMemoryError=WorkerCrashedError,
    NodeDiedError=WorkerCrashedError,
)
_how, _, _count = os.environ.get("FAKE_RAY", "").partition(" ")
_done = 0


def init(*_: object, **__: object) -> None:
    if _how == "leaves":
        os._exit(7)
    if _how == "fails":
        raise RuntimeError("timed out\nand more")


def shutdown() -> None:
    pass


def cluster_resources() -> dict[str, float]:
    if _how == "wrong":
        raise AttributeError("no such thing\nat all")
    return {"CPU": 1.0}


def remote(**_: object) -> Callable[[Callable[..., Any]], Any]:
    return lambda function: SimpleNamespace(remote=lambda *given: Reference(function, given))


def wait(references: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
    return references[:1], references[1:]


def get(reference: Reference) -> object:
    global _done
    if _how == "dies" and _done == int(_count):
        os.abort()
    if _how == "loses":
        raise RayError("the raylet died.\nand more")
    if _how == "crashes":
        raise WorkerCrashedError("killed.")
    # Of a worker that died Ray writes a paragraph there.
    sys.stdout.write("a word of Ray's")
    sys.stdout.flush()
    result = reference.function(*reference.given)
    _done += 1
    return result


def cancel(*_: object, **__: object) -> None:
    pass
