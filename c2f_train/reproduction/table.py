"""Table 3 of the paper beside what was measured: means over seeds, intervals, paired tests."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2f_data.artefacts import read_json, write_json
from c2f_data.curve import paired_margin, wilson
from c2f_data.errors import ArtefactError
from c2f_data.predictions import read_predictions
from c2f_data.provenance import Provenance, collect
from c2f_data.sources.request import WHOLE, annotated
from c2f_train.evaluation.matrix import Estimate
from c2f_train.evaluation.paired import McNemar, holm, mcnemar
from c2f_train.pooling import MODELS
from c2f_train.report.paper import SYSTEMS, PaperSystem, system_of
from c2f_train.reproduction.settings import Entry
from c2f_train.results import LevelAccuracy, RunResult

SCHEMA = "c2f-reproduction"
SCHEMA_VERSION = 1
FILE = "reproduction.json"
# A difference counts as more than chance below this p value, corrected for the number of tests.
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class TableRow:
    """One level of one system.

    Attributes:
        system: name as papers print it.
        model: empty for a system that is quoted alone.
        crop: ``none``: of whole images.
        level: empty for a system that is quoted alone: the finest.
        resolution: of the images, shorter side in pixels; for native ones the median.
        runs: their names, one a seed.
        accuracies: of these runs, in the same order.
        n: number of test images.
        mean: of the accuracies; None for a system that is quoted alone.
        deviation: standard deviation over seeds; None for fewer than two.
        low, high: 95 % Wilson interval of n images of which the mean's share is right: what other
            images could have given. Seeds share the images, so they don't narrow it.
        paper: accuracy in the paper's Table 3; None where it has none.
    """

    system: str
    model: str
    crop: str
    level: str
    resolution: int | None
    native: bool
    runs: tuple[str, ...]
    accuracies: tuple[float, ...]
    n: int
    mean: float | None
    deviation: float | None
    low: float | None
    high: float | None
    paper: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Two systems on the same test images, image by image, at the finest level.

    Attributes:
        first, second: names of the runs, those of the first seed; they say so where a run's images
            were cut: then it saw a part of each of the same images.
        difference: accuracy of the first minus that of the second; paired 95 % interval.
        p_holm: ``test.p`` after Holm's correction for all tests of the table.
    """

    level: str
    first: str
    second: str
    n: int
    difference: Estimate
    test: McNemar
    p_holm: float

    @property
    def beyond_chance(self) -> bool:
        return self.p_holm < ALPHA


@dataclass(frozen=True, slots=True)
class Table:
    """reproduction.json: the table, and which of its differences are more than chance.

    Attributes:
        stages: 1: the trunk was not trained.
        input_size: side in pixels that the network sees.
        precision: number format of the network.
        recipe: of the trainings, see :mod:`c2f_train.recipes`.
    """

    dataset: str
    stages: int
    input_size: int
    precision: str
    rows: tuple[TableRow, ...]
    differences: tuple[Difference, ...]
    provenance: Provenance
    recipe: str = "paper"


Finished = tuple[Entry, RunResult]


def make_table(dataset: str, runs: Sequence[tuple[Finished, Path]], device: str) -> Table:
    """The table of finished runs.

    Args:
        runs: a run with its folder, those of one system side by side.

    Raises:
        ArtefactError: predictions are absent or damaged, or runs have other test images.
    """
    if not runs:
        raise ArtefactError("no finished runs", "Run c2f reproduce.")
    config = runs[0][0][0].config
    systems: dict[tuple[str, str], list[tuple[Finished, Path]]] = {}
    for run in runs:
        entry = run[0][0]
        systems.setdefault((entry.model, entry.crop), []).append(run)
    rows = [row for own in systems.values() for row in _rows(dataset, [run for run, _ in own])]
    firsts = [own[0] for own in systems.values()]
    return Table(
        dataset=dataset,
        stages=2 if config.stage2_epochs else 1,
        input_size=config.input_size,
        precision=config.precision,
        rows=(*_quoted(dataset), *rows),
        differences=_differences(firsts),
        provenance=collect(device=device, seed=config.seed),
        recipe=config.recipe,
    )


def write_table(folder: Path, table: Table) -> Path:
    """Write reproduction.json. Raises ArtefactError as the disk does."""
    path = folder / FILE
    write_json(path, table, schema=SCHEMA, version=SCHEMA_VERSION)
    return path


def read_table(path: Path) -> Table:
    """Read reproduction.json. Raises ArtefactError: absent, damaged, of another version."""
    return read_json(path, Table, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f reproduce")


def _paper(dataset: str, system: PaperSystem | None) -> tuple[float | None, ...]:
    """Accuracies of a system of Table 3, coarse to fine; nothing where it has none."""
    found = None if system is None else system.accuracy.get(dataset)
    return () if found is None else tuple(None if v is None else v / 100 for v in found)


def _quoted(dataset: str) -> Iterable[TableRow]:
    """Of the systems that the paper itself quotes."""
    for system in (system for system in SYSTEMS if not system.model):
        name, figures = system.system, _paper(dataset, system)
        if figures and figures[-1] is not None:
            yield TableRow(
                name, "", WHOLE, "", None, True, (), (), 0, None, None, None, None, figures[-1]
            )


def _rows(dataset: str, runs: Sequence[Finished]) -> Iterable[TableRow]:
    """Fine to coarse, as the paper's table."""
    entry, first = runs[0]
    figures = _paper(dataset, system_of(entry.model, annotated=entry.crop != WHOLE))
    title = MODELS[entry.model].title + annotated(entry.crop)
    places = {level.name: place for place, level in enumerate(first.levels)}
    for position in reversed(range(len(first.test))):
        tests = [result.test[position] for _, result in runs]
        place = places[tests[0].level]
        # The paper has three levels.
        known = len(figures) == len(first.levels)
        yield _row(title, entry, runs, tests, figures[place] if known else None)


def _row(
    title: str,
    entry: Entry,
    runs: Sequence[Finished],
    tests: Sequence[LevelAccuracy],
    paper: float | None,
) -> TableRow:
    accuracies = tuple(test.accuracy for test in tests)
    mean, n = statistics.fmean(accuracies), tests[0].n
    low, high = wilson(round(mean * n), n)
    return TableRow(
        system=title,
        model=entry.model,
        crop=entry.crop,
        level=tests[0].level,
        resolution=tests[0].resolution,
        native=tests[0].native,
        runs=tuple(result.name for _, result in runs),
        accuracies=accuracies,
        n=n,
        mean=mean,
        deviation=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        low=low,
        high=high,
        paper=paper,
    )


def _differences(runs: Sequence[tuple[Finished, Path]]) -> tuple[Difference, ...]:
    answers = [_right(result, folder) for (_, result), folder in runs]
    names = [result.name + annotated(entry.crop) for (entry, result), _ in runs]
    level = runs[0][0][1].levels[-1].name
    pairs = list(combinations(range(len(runs)), 2))
    tests = [mcnemar(answers[i], answers[j]) for i, j in pairs]
    corrected = holm([test.p for test in tests])
    found = []
    for (i, j), test, p in zip(pairs, tests, corrected, strict=True):
        low, high = paired_margin(answers[i], answers[j], 1.0)
        difference = float(answers[i].mean() - answers[j].mean())
        estimate = Estimate(difference, max(low, -1.0), min(high, 1.0))
        found.append(Difference(level, names[i], names[j], answers[i].size, estimate, test, p))
    return tuple(found)


def _right(result: RunResult, folder: Path) -> NDArray[np.bool_]:
    """(n,) whether the finest level was right, in the order of the images' names."""
    level = result.levels[-1].name
    rows = read_predictions(folder / f"test-{level}.h5")
    order = np.argsort(np.asarray(rows.image_ids))
    right: NDArray[np.bool_] = (rows.true[:, 0] == rows.predicted[:, 0])[order]
    return right
