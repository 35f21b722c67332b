"""How long work tells its caller where it is, without knowing what a terminal looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # The command line's help needs no statistics.
    from c2f_data.curve.search import Step


class Task(Protocol):
    """A piece of work with a known number of steps."""

    def advance(self, steps: int = 1) -> None:
        """Say that steps are done."""


@dataclass(frozen=True, slots=True)
class Look:
    """Where a search stands.

    Attributes:
        level: whose accuracy is compared with its threshold.
        step: the resolution that was looked at, and what is known there.
        evaluated: images evaluated so far, over all resolutions.
        maximum: images that the full sweep would evaluate.
    """

    level: str
    step: Step
    evaluated: int
    maximum: int


class Progress(Protocol):
    """Receives tasks, notes and looks; the command line shows them, a library user need not."""

    def task(self, what: str, total: int) -> AbstractContextManager[Task]:
        """Open a task of ``total`` steps."""

    def search(self, what: str) -> AbstractContextManager[Callable[[Look], None]]:
        """Open a search; what it gives is told of every look. Tasks may open inside it."""

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

    @contextmanager
    def search(self, what: str) -> Iterator[Callable[[Look], None]]:  # noqa: ARG002
        """A search that shows nothing."""
        yield lambda _: None

    def note(self, text: str) -> None:
        """Nothing is shown."""
