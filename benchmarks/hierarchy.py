"""Whole-process time of ``c2f build-hierarchy cub --json``: ``python -m benchmarks.hierarchy``.

The baselines run in turn with it: Python alone, Python with numpy (which c2f needs), and the same
task as a new user would write it with pandas. The goal is a second for the whole process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from benchmarks.timing import Machine, Timing, output_of, this_machine, time_commands
from c2f_data.artefacts import to_plain
from c2f_data.errors import C2FError

GOAL_S = 1.0
C2F = "c2f build-hierarchy cub --json"
PANDAS = """
import json, sys
import pandas as pd
table = pd.read_csv(sys.argv[1])[["class_name", "genus", "family"]]
assert not table.isna().any().any() and table.class_name.is_unique
assert (table.groupby("genus").family.nunique() == 1).all()
answer = {"species": len(table), "genera": table.genus.nunique()}
answer["families"] = table.family.nunique()
print(json.dumps({**answer, "table": table.to_dict("records")}))
"""


@dataclass(frozen=True, slots=True)
class HierarchyBenchmark:
    """What was measured.

    Attributes:
        goal_s: what c2f's median should stay below, in seconds.
        timings: c2f first, then the baselines.
        ratios: c2f's median by each baseline's; below 1 c2f is faster.
    """

    benchmark: str
    machine: Machine
    goal_s: float
    timings: tuple[Timing, ...]
    ratios: dict[str, float]


def measure(runs: int) -> HierarchyBenchmark:
    """Time c2f and the baselines. Raises C2FError where one fails or their answers differ."""
    with tempfile.TemporaryDirectory() as workspace:
        commands = _commands(workspace)
        _check_answers(commands)
        timings = time_commands(commands, runs)
    own, *others = timings
    ratios = {other.name: own.median_s / other.median_s for other in others}
    return HierarchyBenchmark("hierarchy", this_machine(), GOAL_S, timings, ratios)


def _commands(workspace: str) -> Mapping[str, Sequence[str]]:
    python, table = sys.executable, str(files("c2f_taxonomies") / "cub.csv")
    build = ["build-hierarchy", "cub", "--json", "--quiet", "--workspace", workspace]
    return {
        C2F: [python, "-m", "c2f_cli", *build],
        "python": [python, "-c", "pass"],
        "python, import numpy": [python, "-c", "import numpy"],
        "pandas script": [python, "-c", PANDAS, table],
    }


def _check_answers(commands: Mapping[str, Sequence[str]]) -> None:
    """A time counts only where the two answers are the same."""
    own, other = (json.loads(output_of(commands[name])) for name in (C2F, "pandas script"))
    rows = [{key: row[key] for key in ("class_name", "genus", "family")} for row in own["table"]]
    counts = ("species", "genera", "families")
    if rows != other["table"] or [own[key] for key in counts] != [other[key] for key in counts]:
        raise C2FError(
            "c2f and the pandas script give different hierarchies",
            "Compare c2f build-hierarchy cub --json with taxonomies/cub.csv.",
        )


def text(result: HierarchyBenchmark) -> str:
    """The result as a table."""
    width = max(len(timing.name) for timing in result.timings)
    lines = [f"{'whole process, seconds':{width}}  median    min    max  c2f / this"]
    for timing in result.timings:
        ratio = f"{result.ratios[timing.name]:.2f}" if timing.name in result.ratios else ""
        figures = f"{timing.median_s:6.3f} {timing.min_s:6.3f} {timing.max_s:6.3f}"
        lines.append(f"{timing.name:{width}}  {figures}  {ratio:>10}".rstrip())
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hierarchy", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--runs", type=int, default=10, help="default: 10")
    chosen = parser.parse_args(words)
    if chosen.runs < 1:
        parser.error("--runs must be 1 or more")
    try:
        result = measure(chosen.runs)
    except C2FError as error:
        print(f"Error: {error.message}\n  {error.hint}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(to_plain(result), indent=2) if chosen.json else text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
