"""The table of ``c2f reproduce`` as text: Markdown, so that it can go into a document as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from c2f_data.sources.request import NEEDED

if TYPE_CHECKING:
    from c2f_train.reproduction.plan import Step
    from c2f_train.reproduction.table import Difference, Table, TableRow


def table_lines(table: Table) -> Iterator[str]:
    """The systems, then which differences are more than chance."""
    recipe = "" if table.recipe == "paper" else f", recipe {table.recipe}"
    yield (
        f"{table.dataset}, stage {table.stages}, {table.input_size} px input, {table.precision}"
        f"{recipe}; "
        "accuracy in %, mean over seeds; 95 % Wilson interval of the test images"
    )
    yield ""
    yield "| system | level | images | runs | measured | interval | deviation | paper |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in table.rows:
        yield "| " + " | ".join(_cells(row)) + " |"
    if not table.differences:
        return
    level, n = table.differences[0].level, table.differences[0].n
    yield ""
    yield f"{level}, paired on the same {n} test images, first seed; p by McNemar, Holm-corrected"
    yield ""
    yield "| first | second | difference | 95 % interval | only first, only second | p | |"
    yield "|---|---|---|---|---|---|---|"
    for difference in table.differences:
        yield "| " + " | ".join(_tested(difference)) + " |"
    if any(row.crop in NEEDED for row in table.rows):
        yield ""
        yield "With bounding boxes or part locations, a run saw a part of each of these images."


def _cells(row: TableRow) -> tuple[str, ...]:
    images = "native" if row.native else f"{row.resolution} px"
    return (
        row.system,
        row.level or "quoted",
        images if row.level else "",
        str(len(row.runs)) if row.runs else "",
        _percent(row.mean),
        "" if row.low is None else f"{_percent(row.low)} to {_percent(row.high)}",
        "" if row.deviation is None else f"{100 * row.deviation:.2f}",
        _percent(row.paper),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _tested(found: Difference) -> tuple[str, ...]:
    of, test = found.difference, found.test
    return (
        found.first,
        found.second,
        f"{100 * of.value:+.1f}",
        f"{100 * of.low:+.1f} to {100 * of.high:+.1f}",
        f"{test.only_first}, {test.only_second}",
        f"{found.p_holm:.3f}" if found.p_holm >= 0.001 else "< 0.001",
        "more than chance" if found.beyond_chance else "within chance",
    )


def plan_lines(steps: Sequence[Step]) -> Iterator[str]:
    """A line a step, and the sums."""
    for number, step in enumerate(steps, start=1):
        yield f"{number:3}  {step.state:5}  {step.name}: {step.what}{_cost(step)}"
    left = [step for step in steps if step.state == "to do"]
    seconds = sum(step.seconds or 0 for step in left)
    size = sum(step.bytes or 0 for step in left)
    cost = f"about {duration(seconds)}, {size / 1e9:.1f} GB"
    yield f"To do: {len(left)} of {len(steps)} steps, {cost}"


def _cost(step: Step) -> str:
    if step.state == "done":
        return f" ({step.why})"
    known = [f"about {duration(step.seconds)}"] if step.seconds is not None else []
    known += [f"{step.bytes / 1e9:.2f} GB"] if step.bytes is not None else []
    return f" ({', '.join(known)})" if known else " (time not known yet)"


def duration(seconds: float) -> str:
    """In the unit that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
