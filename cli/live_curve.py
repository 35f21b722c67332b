"""The curve of a search on a terminal, as it forms: chart, bracket, cost, time left."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from c2f_train.progress import Look

# The speed is that of the last so many seconds: training in between must show, and what an earlier
# run has left, which comes at once, must not.
WINDOW = 60.0
MARGIN = 6  # columns left of the plot: "100% "
WIDEST, ROWS, FEWEST_ROWS, NARROWEST = 84, 11, 5, 30
WORDS = 5  # lines beside the plot's rows, at most


@dataclass(frozen=True, slots=True)
class _Signs:
    whole: str
    part: str
    interval: str
    threshold: str
    axis: str
    bracket: str
    edge: str
    corner: str


FINE = _Signs("●", "○", "│", "╌", "─", "━", "┤", "└")
PLAIN = _Signs("O", "o", "|", ".", "-", "=", "|", "+")


class LiveCurve:
    """Follows a search until it is paused; goes on with the next look."""

    def __init__(self, what: str, console: RichConsole) -> None:
        self._what = what
        self._console = console
        self._live: Live | None = None
        self._speed = Speed()

    def show(self, look: Look) -> None:
        """Draw what is known now."""
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=4)
            self._live.start()
        rate = self._speed.after(look.evaluated)
        self._live.update(Picture(self._what, look, rate))

    def pause(self) -> None:
        """Give the terminal free; nothing of the drawing stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class Speed:
    """Images per second of late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, evaluated: int) -> float:
        now = self._clock()
        self._seen.append((now, evaluated))
        while len(self._seen) > 2 and self._seen[1][0] < now - WINDOW:
            self._seen.popleft()
        since, before = self._seen[0]
        return (evaluated - before) / (now - since) if now > since else 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One look, drawn to fit the terminal.

    Attributes:
        what: what is being done, in a word.
        rate: images per second; 0: not known yet.
    """

    what: str
    look: Look
    rate: float = 0.0

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST)
        rows = min(ROWS, (options.height or console.height) - WORDS - 3)
        yield _fitted(_title(self.what, self.look), width)
        if width >= NARROWEST and rows >= FEWEST_ROWS:
            signs = PLAIN if options.ascii_only else FINE
            yield from _Chart(self.look, width - MARGIN, rows, signs).lines()
        for line in words(self.look, self.rate):
            yield _fitted(line, width)


def words(look: Look, rate: float) -> list[str]:
    """The bracket, the resolution that is looked at, the cost, the time left."""
    step = look.step
    lines = [
        where(look),
        f"At {step.resolution} px: {step.right:,} of {step.seen:,} right"
        + ("" if step.seen == step.total else f" ({step.total:,} in all)"),
        cost(look),
    ]
    if rate > 0:
        lines.append(f"{rate:.0f} images/s, {time_left(look, rate)}")
    return lines


def cost(look: Look) -> str:
    """Images evaluated of the maximum."""
    return f"{look.evaluated:,} of at most {look.maximum:,} images"


def time_left(look: Look, rate: float) -> str:
    """A guess, at so many images per second."""
    return f"about {duration(look.left / rate)} left"


def where(look: Look) -> str:
    """The bracket so far."""
    below, above = look.bracket
    if below is not None and above is not None:
        return f"Between {above} and {below} px"
    if below is not None:
        return f"Below already at {below} px"
    return f"Not below at {above} px" if above is not None else "No verdict yet"


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _title(what: str, look: Look) -> str:
    threshold = look.step.threshold
    asked = "" if threshold is None else f", threshold {threshold:.1%}"
    return f"{what} {look.level}{asked}"


def _fitted(line: str, width: int) -> Text:
    text = Text(line, no_wrap=True)
    text.truncate(width, overflow="crop")  # no ellipsis: not every terminal has one
    return text


class _Chart:
    """Accuracy from 0 to 100 % over log2 of the resolution, in characters."""

    def __init__(self, look: Look, columns: int, rows: int, signs: _Signs) -> None:
        self._look = look
        self._columns = columns
        self._rows = rows
        self._signs = signs
        self._cells: dict[tuple[int, int], tuple[str, str]] = {}

    def lines(self) -> list[Text]:
        """The plot's rows, the axis and its labels."""
        self._draw()
        drawn = []
        for row in range(self._rows):
            share = 1 - row / (self._rows - 1)
            label = f"{share:4.0%} " if row % 2 == 0 or row == self._rows - 1 else " " * 5
            line = Text(label + self._signs.edge, no_wrap=True, end="\n")
            for column in range(self._columns):
                sign, style = self._cells.get((row, column), (" ", ""))
                line.append(sign, style)
            drawn.append(line)
        return [*drawn, self._axis(), self._labels()]

    def _draw(self) -> None:
        from c2f_data.curve import wilson

        signs, threshold = self._signs, self._look.step.threshold
        if threshold is not None:
            for column in range(self._columns):
                self._cells[self._row(threshold), column] = (signs.threshold, "yellow")
        for step in reversed(self._look.steps):
            column = self._column(step.resolution)
            low, high = wilson(step.right, step.seen)
            for row in range(self._row(high), self._row(low) + 1):
                self._cells[row, column] = (signs.interval, "dim")
        for step in reversed(self._look.steps):
            sign = signs.whole if step.seen == step.total else signs.part
            style = "bold cyan" if step.resolution == self._look.step.resolution else "cyan"
            place = self._row(step.right / step.seen), self._column(step.resolution)
            self._cells[place] = (sign, style)

    def _axis(self) -> Text:
        line = Text(" " * 5 + self._signs.corner, no_wrap=True)
        below, above = self._look.bracket
        first = 0 if below is None else self._column(below)
        last = self._columns - 1 if above is None else self._column(above)
        for column in range(self._columns):
            inside = (below, above) != (None, None) and first <= column <= last
            line.append(*((self._signs.bracket, "bold cyan") if inside else (self._signs.axis, "")))
        return line

    def _labels(self) -> Text:
        """Resolutions at powers of two times the lowest one, as many as fit; the last with px."""
        highest, lowest = self._look.grid
        text = [" "] * (MARGIN + self._columns)
        marks = [lowest * 2**i for i in range(int(math.log2(highest / lowest)) + 1)]
        free = len(text)
        for value in [highest, *reversed(marks)]:
            label = f"{value} px" if value == highest else str(value)
            start = min(MARGIN + self._column(value), len(text) - len(label))
            if start + len(label) < free or value == highest:
                text[start : start + len(label)] = label
                free = start
        return Text("".join(text), style="dim", no_wrap=True)

    def _row(self, accuracy: float) -> int:
        return round((1 - accuracy) * (self._rows - 1))

    def _column(self, resolution: int) -> int:
        highest, lowest = self._look.grid
        share = (
            math.log(resolution / lowest) / math.log(highest / lowest) if highest > lowest else 0
        )
        return max(0, min(self._columns - 1, round(share * (self._columns - 1))))
