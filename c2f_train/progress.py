"""How long work tells its caller where it is, without knowing what a terminal looks like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """A piece of work with a known number of steps."""

    def advance(self, steps: int = 1) -> None:
        """Say that steps are done."""


class Progress(Protocol):
    """Receives tasks and notes; the command line shows them, a library user may ignore them."""

    def task(self, what: str, total: int) -> AbstractContextManager[Task]:
        """Open a task of ``total`` steps."""

    def note(self, text: str) -> None:
        """One line for the user."""


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        """Nothing is shown."""


class Silent:
    """Shows nothing."""

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Task]:  # noqa: ARG002
        """A task that shows nothing."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Nothing is shown."""
