"""The curve that a search shows on a terminal, and the lines that it prints elsewhere."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from rich.console import Console as RichConsole

from c2f_cli.console import Console
from c2f_cli.live_curve import Picture, Speed, duration
from c2f_data.curve.answers import Step
from c2f_train.calibration_course import Course
from c2f_train.progress import Look

GRID = (448, 224, 89, 78, 69, 24, 12)
N = 500
# What a search looks at, in this order: (resolution, right, seen, below).
SEEN = (
    (448, 490, 500, False),
    (12, 1, 32, True),
    (78, 20, 32, None),
    (78, 204, 256, None),
    (224, 62, 64, False),
    (69, 60, 96, True),
    (89, 420, 500, False),
)


def looks(seen: Sequence[tuple[int, int, int, bool | None]] = SEEN, later: int = 1) -> list[Look]:
    course = Course("species", GRID, later=later, full=False)
    counts: dict[int, int] = {}
    found = []
    for resolution, right, n, below in seen:
        counts[resolution] = n
        step = Step(resolution, right, n, N, 0.8, below)
        found.append(course.look(step, sum(counts.values()), len(GRID) * N))
    return found


class Screen:
    """A terminal (or a file) of a size, and what was written to it."""

    def __init__(self, width: int = 80, *, terminal: bool = True, encoding: str = "utf-8") -> None:
        self._bytes = io.BytesIO()
        file = io.TextIOWrapper(self._bytes, encoding=encoding, write_through=True)
        self.rich = RichConsole(
            file=file,
            width=width,
            height=24,
            force_terminal=terminal,
            color_system="standard" if terminal else None,
            soft_wrap=True,
            highlight=False,
            _environ={"TERM": "xterm"},
        )
        self._encoding = encoding

    @property
    def written(self) -> str:
        return self._bytes.getvalue().decode(self._encoding)

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written)


def drawn(look: Look, width: int = 80, rate: float = 35.2, encoding: str = "utf-8") -> list[str]:
    screen = Screen(width, terminal=False, encoding=encoding)
    screen.rich.print(Picture("Measuring", look, rate))
    assert "\x1b" not in screen.written
    return screen.written.splitlines()


def test_the_chart_has_every_point_where_it_belongs() -> None:
    lines = drawn(looks()[-1])
    assert lines[0] == "Measuring species, threshold 80.0%"
    rows = [line for line in lines if line[5:6] == "┤"]
    assert len(rows) == 11
    assert (rows[0][:4], rows[2][:4], rows[-1][:4]) == ("100%", " 80%", "  0%")
    plot = [row[6:] for row in rows]
    assert plot[0].endswith("●")  # native: 98 %, on the right
    assert plot[-1].startswith("○")  # the lowest: 3 of 32, measured in part, on the left
    assert plot[2].count("╌") > 60
    # 78 px: log2(78 / 12) of log2(448 / 12), at 80 % of the height; 89 px beside it.
    column = round(2.700 / 5.222 * 73)
    assert plot[2][column] == "○"
    assert {row[column] for row in plot[:2]} <= {" ", "│"}
    assert plot[2][column + 3 - 1 : column + 3 + 2].count("●") == 1
    axis = next(line for line in lines if line[5:6] == "└")[6:]
    first, last = axis.index("━"), axis.rindex("━")
    assert (first, last) == (round(2.524 / 5.222 * 73), round(2.891 / 5.222 * 73))


def test_the_words_are_the_bracket_the_cost_and_the_time_left() -> None:
    look = looks()[-1]
    assert look.bracket == (69, 89)
    lines = drawn(look)
    assert "Between 89 and 69 px" in lines
    assert "At 89 px: 420 of 500 right" in lines
    assert "1,448 of at most 3,500 images" in lines
    assert f"35 images/s, about {duration(look.left / 35.2)} left" in lines
    assert "At 78 px: 204 of 256 right (500 in all)" in drawn(looks()[3])
    assert not any("left" in line for line in drawn(look, rate=0))


def test_the_bracket_narrows_and_what_is_left_shrinks() -> None:
    seen = looks()
    assert [look.bracket for look in seen] == [
        (None, 448),
        (12, 448),
        (12, 448),
        (12, 448),
        (12, 224),
        (69, 224),
        (69, 89),
    ]
    left = [look.left for look in seen]
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] <= 3500 - 1448
    assert looks(later=0)[-1].left < left[-1]


def test_a_hollow_moves_the_bracket_up() -> None:
    seen = (*SEEN, (224, 300, 500, True))
    assert looks(seen)[-1].bracket == (224, 448)


@pytest.mark.parametrize("width", [40, 30, 24, 12])
def test_it_fits_a_narrow_terminal(width: int) -> None:
    for look in looks():
        lines = drawn(look, width)
        assert all(len(line) <= width for line in lines)
        assert any("┤" in line for line in lines) == (width >= 30)
        assert len(lines) <= 24


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = drawn(looks()[-1], encoding="ascii")
    assert any("o" in line and "|" in line for line in lines)
    assert any("===" in line for line in lines)


@pytest.mark.parametrize("seen", [SEEN[:1], ((448, 0, 32, None),), SEEN])
def test_it_draws_before_a_threshold_or_a_verdict_is_known(
    seen: tuple[tuple[int, int, int, bool | None], ...],
) -> None:
    course = Course("genus", (448, 12), later=0, full=True)
    look = course.look(Step(448, 5, 32, N, None, None), 32, 1000)
    assert "No verdict yet" in drawn(look)
    assert look.left == 968
    assert drawn(looks(seen)[-1])


def test_on_a_terminal_it_is_drawn_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(60)
    console = Console(quiet=False, rich=screen.rich)
    with console.search("Measuring") as watch:
        for look in looks():
            watch(look)
        with console.task("Training", 3) as task:  # it has to give way
            task.advance(3)
        assert "Measuring species" in screen.text
        before = screen.text.count("Measuring species")
        watch(looks()[-1])
    assert screen.text.count("Measuring species") > before
    assert "\x1b[1A" in screen.written  # lines are erased again
    assert "not below" not in screen.text


def test_without_a_terminal_a_verdict_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("c2f_cli.console.Speed", lambda: Speed(lambda: now[0]))
    screen = Screen(terminal=False)
    with Console(quiet=False, rich=screen.rich).search("Measuring") as watch:
        for look in [*looks(), looks()[-1]]:
            watch(look)
            now[0] += 2.0
        now[0] += 60.0  # a resolution takes long: how far it is, without a verdict
        watch(looks()[2])
    lines = screen.written.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "  species at 448 px: 98.0% of all 500 images right, not below 80.0%",
        "  species at 12 px: 3.1% of 32 images right, below 80.0%",
        "  species at 224 px: 96.9% of 64 images right, not below 80.0%",
        "  species at 69 px: 62.5% of 96 images right, below 80.0%",
        "  species at 89 px: 84.0% of all 500 images right, not below 80.0%",
        "  species at 78 px: 62.5% of 32 images right",
    ]
    assert lines[0].endswith("; 500 of at most 3,500 images")
    look = looks()[-1]
    left = duration(look.left / ((look.evaluated - 500) / 12))
    assert lines[4].endswith(f"; 1,448 of at most 3,500 images, about {left} left")


def test_quiet_shows_nothing() -> None:
    screen = Screen()
    with Console(quiet=True, rich=screen.rich).search("Measuring") as watch:
        for look in looks():
            watch(look)
    assert screen.written == ""


def test_no_color_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    rich = RichConsole(file=io.StringIO(), force_terminal=True, width=60, height=24)
    with Console(quiet=False, rich=rich).search("Measuring") as watch:
        watch(looks()[-1])
    assert isinstance(rich.file, io.StringIO)
    assert "━" in rich.file.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", rich.file.getvalue())


def test_the_speed_is_that_of_late() -> None:
    now = [0.0]
    speed = Speed(lambda: now[0])
    assert speed.after(10_000) == 0  # read back from an earlier run, all at once
    rates = []
    for _ in range(20):
        now[0] += 10
        rates.append(speed.after(10_000 + 50 * int(now[0])))
    assert rates[-1] == pytest.approx(50)
    now[0] += 600  # training
    assert speed.after(10_000 + 50 * 200 + 32) < 6


def test_durations_in_words() -> None:
    assert [duration(s) for s in (0.4, 89, 720, 12_600)] == ["0 s", "89 s", "12 min", "3.5 h"]
