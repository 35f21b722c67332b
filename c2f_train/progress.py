"""How long work tells its caller where it is, without knowing what a terminal looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # The command line's help needs no statistics.
    from c2f_data.curve.answers import Step


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
        evaluated: images evaluated so far, over all resolutions and levels.
        maximum: images that the full sweep would evaluate.
        left: images that will probably still be evaluated: an estimate.
        steps: the level's curve so far, the latest step of each resolution, highest first.
        grid: the highest and the lowest resolution of the search, in pixels.
    """

    level: str
    step: Step
    evaluated: int
    maximum: int
    left: int
    steps: tuple[Step, ...]
    grid: tuple[int, int]

    @property
    def bracket(self) -> tuple[int | None, int | None]:
        """(below, above): the highest resolution seen below the threshold, the next one not."""
        below = max((s.resolution for s in self.steps if s.below), default=None)
        above = [s.resolution for s in self.steps if s.below is False]
        return below, min((r for r in above if below is None or r > below), default=None)


class Progress(Protocol):
    """Receives tasks, notes and looks; the command line shows them, a library user need not."""

    def task(self, what: str, total: int) -> AbstractContextManager[Task]:
        """Open a task of ``total`` steps."""

    def search(self, what: str) -> AbstractContextManager[Callable[[Look], None]]:
        """Open a search; what it gives is told of every look. Tasks may open inside it."""

    def note(self, text: str) -> None:
        """One line for the user."""


def counting(task: Task) -> Callable[[int, int], None]:
    """A callback (done, total) that moves a task."""
    before = 0

    def progress(done: int, _: int) -> None:
        nonlocal before
        task.advance(done - before)
        before = done

    return progress


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
