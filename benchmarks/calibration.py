"""The search for a crossing against the linear sweep, on simulated classifiers.

``python -m benchmarks.calibration --json`` prints what the search costs, how often its interval
holds the true crossing, and whether it gives the sweep's answer: per curve, and the worst of all.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.curves import (
    CURVES,
    LOWEST,
    NATIVE,
    PLATEAUS,
    Accuracy,
    crossing_of,
    draw_answers,
    geometric_grid,
)
from c2f_data.curve import Criterion, Crossing, find_crossing
from c2f_data.curve.crossing import Measured, Question, read_crossing

THRESHOLD = 0.8


@dataclass(frozen=True, slots=True)
class Row:
    """One curve.

    Attributes:
        truth: the population's crossing in pixels, or None.
        cost_fraction: mean of images evaluated / (resolutions x images).
        sweep_fraction: the same for a linear sweep that stops two points below the crossing.
        coverage: share of runs whose interval holds the truth.
        width_ratio: median width of the interval / of that from all images at all resolutions.
        bias_px: mean of (middle of the bracket - truth).
        same_grid_answer: share of runs with the full sweep's answer, or a neighbour of it inside
            the interval.
        outcomes: how often each was named.
    """

    curve: str
    truth: float | None
    cost_fraction: float
    sweep_fraction: float
    coverage: float | None
    width_ratio: float | None
    bias_px: float | None
    same_grid_answer: float
    outcomes: dict[str, int]


def run_curve(name: str, curve: Accuracy, n: int, points: int, runs: int, seed: int) -> Row:
    grid = geometric_grid(points)
    truth = crossing_of(curve, THRESHOLD)
    place = {r: i for i, r in enumerate(grid)}
    found, swept = [], []
    for run in range(runs):
        answers = draw_answers(curve, grid, n, np.random.default_rng([seed, run]))
        found.append(
            find_crossing(
                lambda r, images, a=answers: a[place[r]][images], grid, THRESHOLD, n, seed=run
            )
        )
        swept.append(
            read_crossing(
                [Measured(r, a) for r, a in zip(grid, answers, strict=True)],
                Criterion(THRESHOLD),
                Question(),
            )
        )
    outcomes = [crossing.outcome.value for crossing in found]
    return Row(
        curve=name,
        truth=truth,
        cost_fraction=float(np.mean([f.images_evaluated for f in found])) / (n * len(grid)),
        sweep_fraction=float(np.mean([_until_crossing(s, grid) for s in swept])) / len(grid),
        coverage=None if truth is None else float(np.mean([_covers(f, truth) for f in found])),
        width_ratio=None if truth is None else _median_width(found) / _median_width(swept),
        bias_px=None if truth is None else float(np.mean([_middle(f) - truth for f in found])),
        same_grid_answer=float(
            np.mean([_same(f, s, grid) for f, s in zip(found, swept, strict=True)])
        ),
        outcomes={name: outcomes.count(name) for name in dict.fromkeys(outcomes)},
    )


def _until_crossing(crossing: Crossing, grid: list[int]) -> int:
    """Points of a sweep from the top that looks two points below the crossing."""
    if crossing.resolution is None:
        return len(grid) if crossing.largest_threshold is None else 1
    return min(len(grid), grid.index(crossing.resolution) + 3)


def _ends(crossing: Crossing) -> tuple[float, float]:
    """The interval; an open side reaches to the end of the grid, no answer means all of it."""
    low, high = crossing.interval
    return (LOWEST if low is None else low, NATIVE if high is None else high)


def _covers(crossing: Crossing, truth: float) -> bool:
    low, high = _ends(crossing)
    return crossing.resolution is not None and low <= truth <= high


def _median_width(crossings: list[Crossing]) -> float:
    return float(np.median([high - low for low, high in map(_ends, crossings)]))


def _middle(crossing: Crossing) -> float:
    low, high = crossing.bracket
    return NATIVE if low is None else (low + (high or low)) / 2


def _same(found: Crossing, swept: Crossing, grid: list[int]) -> bool:
    if found.resolution == swept.resolution:
        return True
    if found.resolution is None or swept.resolution is None:
        return False
    apart = abs(grid.index(found.resolution) - grid.index(swept.resolution))
    low, high = _ends(found)
    return apart == 1 and low <= swept.resolution <= high


def summary(rows: list[Row], plateaus: list[Row]) -> dict[str, object]:
    """The worst curve of each figure, and all of them.

    Args:
        plateaus: curves that stay on the threshold itself; of these only the coverage counts.
    """
    crossing = [row for row in rows if row.truth is not None]
    return {
        "cost_fraction": max(row.cost_fraction for row in rows),
        "coverage_min": min(row.coverage or 0.0 for row in (*crossing, *plateaus)),
        "width_ratio": max(row.width_ratio or 0.0 for row in crossing),
        "bias_px": max((row.bias_px or 0.0 for row in crossing), key=abs),
        "same_grid_answer": min(row.same_grid_answer for row in rows),
        "curves": [asdict(row) for row in rows],
        "plateaus": [asdict(row) for row in plateaus],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=200, help="simulated runs a curve")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--points", type=int, default=28, help="resolutions of the grid")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows, plateaus = (
        [
            run_curve(name, curve, given.images, given.points, given.runs, given.seed)
            for name, curve in curves.items()
        ]
        for curves in (CURVES, PLATEAUS)
    )
    if given.json:
        settings = {"runs": given.runs, "images": given.images, "points": given.points}
        print(json.dumps({**summary(rows, plateaus), **settings}, indent=2))
        return
    print(f"{given.runs} runs, n = {given.images}, {given.points} resolutions, t = {THRESHOLD}")
    print(
        f"{'curve':14}{'truth':>8}{'cost':>7}{'sweep':>7}{'cover':>7}{'width':>7}{'bias':>7}{'same':>7}"
    )
    for row in (*rows, *plateaus):
        cells = (row.truth, row.cost_fraction, row.sweep_fraction, row.coverage, row.width_ratio,
                 row.bias_px, row.same_grid_answer)  # fmt: skip
        print(f"{row.curve:14}" + "".join("      -" if c is None else f"{c:7.2f}" for c in cells))


if __name__ == "__main__":
    main()
