"""What a person sees while c2f works: bars on a terminal, plain lines otherwise. All on stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from c2f_data.artefacts import to_plain
from c2f_train.progress import Look, Task

from .live_curve import LiveCurve, Speed, cost, time_left

# Where stderr is not a terminal (a log, a pipe), a line this often, in seconds.
PLAIN_INTERVAL = 15.0
# The part of the steps that must be done before the rest is estimated from them.
ESTIMATED_FROM = 0.02


class Console:
    """Shows tasks and notes; implements :class:`c2f_train.progress.Progress`."""

    def __init__(self, *, quiet: bool, rich: RichConsole | None = None) -> None:
        """Args: rich: what is written to; None: stderr."""
        self._quiet = quiet
        self._rich = rich or RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._live: _Search | None = None

    def note(self, text: str) -> None:
        """One line for the user."""
        if not self._quiet:
            self._rich.print(text, markup=False)

    def warn(self, text: str) -> None:
        """One line that --quiet does not hide."""
        self._rich.print(f"Warning: {text}", markup=False, style="yellow")

    @contextmanager
    def task(self, what: str, total: int) -> Iterator[Task]:
        """A task of ``total`` steps."""
        if self._live is not None:
            self._live.pause()
        if self._quiet:
            yield _Plain("", total, None)
        elif self._rich.is_terminal:
            with self._bar() as bar:
                yield _Bar(bar, bar.add_task(what, total=total))
        else:
            plain = _Plain(what, total, self._rich)
            yield plain
            plain.finish()

    @contextmanager
    def search(self, what: str) -> Iterator[Callable[[Look], None]]:
        """A search: on a terminal the curve as it forms, elsewhere a line a verdict."""
        if self._quiet:
            yield lambda _: None
            return
        shown = _Search(what, self._rich)
        self._live = shown
        try:
            yield shown
        finally:
            shown.pause()
            self._live = None

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._rich,
            transient=True,
        )


class _Search:
    """The looks of a search: on a terminal the curve as it forms, elsewhere a line a verdict.

    Where none comes for long, a line says how far it is.
    """

    def __init__(self, what: str, console: RichConsole) -> None:
        self._console = console
        self._curve = LiveCurve(what, console) if console.is_interactive else None
        self._speed = Speed()
        self._last = time.monotonic()
        self._said: set[tuple[str, int, int]] = set()

    def __call__(self, look: Look) -> None:
        if self._curve is not None:
            self._curve.show(look)
            return
        rate, now = self._speed.after(look.evaluated), time.monotonic()
        key = (look.level, look.step.resolution, look.step.seen)
        verdict = look.step.below is not None and key not in self._said
        unfinished = look.step.below is None and look.step.seen < look.step.total
        if verdict or (unfinished and now - self._last >= PLAIN_INTERVAL):
            self._last = now
            self._said |= {key} if verdict else set()
            left = f", {time_left(look, rate)}" if rate > 0 else ""
            self._console.print(f"  {_verdict(look)}; {cost(look)}{left}", markup=False)

    def pause(self) -> None:
        """Give the terminal free."""
        if self._curve is not None:
            self._curve.pause()


def _verdict(look: Look) -> str:
    step = look.step
    seen = f"all {step.total:,}" if step.seen == step.total else f"{step.seen:,}"
    so_far = (
        f"{look.level} at {step.resolution} px: {step.right / step.seen:.1%} of {seen} images right"
    )
    if step.below is None:
        return so_far
    return f"{so_far}, {'below' if step.below else 'not below'} {step.threshold:.1%}"


class _Bar:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._bar.advance(self._task, steps)


class _Plain:
    """A line at the start, now and then, and at the end."""

    def __init__(self, what: str, total: int, console: RichConsole | None) -> None:
        self._what, self._total, self._console = what, total, console
        self._done = 0
        self._started = self._last = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last >= PLAIN_INTERVAL:
            self._last = now
            text = f"{self._done}/{self._total}"
            # Before that it is the time in which processes start, and says nothing of the rest.
            if self._done > ESTIMATED_FROM * self._total:
                left = (now - self._started) / self._done * (self._total - self._done)
                text += f", about {left:.0f} s left"
            self._line(text)

    def finish(self) -> None:
        self._line(f"{self._done}/{self._total}, {time.monotonic() - self._started:.1f} s")

    def _line(self, text: str) -> None:
        if self._console is not None:
            self._console.print(f"{self._what}: {text}", markup=False)


def print_json(value: object) -> None:
    """One object on stdout."""
    click.echo(json.dumps(to_plain(value), indent=2, ensure_ascii=False))


def level_aliases(levels: Any) -> dict[str, int | None]:
    """``species``, ``genera``, ``families``, ``r_med``, ``r_low`` beside the general ``levels``.

    Args:
        levels: objects with ``name``, ``count`` and ``resolution``, coarse to fine.
    """
    plural = {"species": "species", "genus": "genera", "family": "families"}
    aliases: dict[str, int | None] = {
        plural[level.name]: level.count for level in levels if level.name in plural
    }
    if len(levels) == 3:
        aliases |= {"r_med": levels[1].resolution, "r_low": levels[0].resolution}
    return aliases
