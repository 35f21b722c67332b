"""What is said while c2f works, where stderr is not a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console as RichConsole

from c2f_cli import console


def test_no_estimate_from_almost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first seconds are those in which processes start."""
    now = iter([0.0, 20.0, 40.0, 60.0, 80.0, 80.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now))
    said = io.StringIO()
    shown = console.Console(quiet=False, rich=RichConsole(file=said, width=80))
    with shown.task("Writing", 100) as task:
        task.advance(0)
        task.advance(1)
        task.advance(49)
        task.advance(50)
    assert said.getvalue().splitlines() == [
        "Writing: 0/100",
        "Writing: 1/100",
        "Writing: 50/100, about 60 s left",
        "Writing: 100/100, about 0 s left",
        "Writing: 100/100, 80.0 s",
    ]
