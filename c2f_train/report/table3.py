"""The paper's Table 3, each system with our runs of the same one beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2f_data.sources.request import NEEDED
from c2f_data.taxonomy import Taxonomy
from c2f_train.report import paper
from c2f_train.report.tables import AccuracyCell, comparable
from c2f_train.report.wording import MODEL_NAMES
from c2f_train.results import RunResult


@dataclass(frozen=True, slots=True)
class OwnFigure:
    """What one of our runs reached.

    Attributes:
        crop: what its images were cut to, see :class:`c2f_train.results.RunResult`.
    """

    run: str
    cell: AccuracyCell
    crop: str | None = None


@dataclass(frozen=True, slots=True)
class Table3Row:
    """One system at one level.

    Attributes:
        level: of our hierarchy; empty where the paper's row has only the finest level and so have
            we.
        datasets: names of the paper's data sets.
        paper: its accuracies, one a data set, in [0, 1]; None where it has none.
        ours: our runs of this system.
    """

    system: str
    level: str
    datasets: tuple[str, ...]
    paper: tuple[float | None, ...]
    ours: tuple[OwnFigure, ...]


def table3(dataset: str, taxonomy: Taxonomy, runs: Sequence[RunResult]) -> tuple[Table3Row, ...]:
    """Every row of the paper's table, then our systems that it lacks; empty without a run.

    Where the data set is one of the paper's, its column alone; else both.
    """
    if not runs:
        return ()
    keys = [dataset] if comparable(dataset, taxonomy) else list(paper.DATASETS)
    names = tuple(paper.DATASETS[key].name for key in keys)
    rows = []
    for system in paper.SYSTEMS:
        own = [run for run in runs if _is(run, system.model, system.annotated)]
        places = [i for i in (2, 1, 0) if any(system.accuracy[key][i] is not None for key in keys)]
        for place in places:
            levels = taxonomy.levels
            # The paper's three levels are ours only where there are three.
            level = levels[place] if len(levels) == len(system.accuracy[keys[0]]) else ""
            level = level or (levels[-1] if place == 2 else "")
            figures = tuple(_share(system.accuracy[key][place]) for key in keys)
            shown = level if len(places) > 1 else ""
            rows.append(Table3Row(system.system, shown, names, figures, _own(own, level)))
    known = {(system.model, system.annotated) for system in paper.SYSTEMS}
    kinds = dict.fromkeys((run.config.model, run.crop in NEEDED) for run in runs)
    for model, with_them in [kind for kind in kinds if kind not in known]:
        title = MODEL_NAMES[model] + (", with annotations" if with_them else "")
        own = [run for run in runs if _is(run, model, with_them)]
        nothing = (None,) * len(names)
        rows.append(Table3Row(title, "", names, nothing, _own(own, taxonomy.finest)))
    return tuple(rows)


def _is(run: RunResult, model: str, with_them: bool) -> bool:
    """Whether a run is one of this model, with annotations or without."""
    return (run.config.model, run.crop in NEEDED) == (model, with_them)


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _own(runs: Sequence[RunResult], level: str) -> tuple[OwnFigure, ...]:
    return tuple(
        OwnFigure(
            run.name,
            AccuracyCell(
                entry.accuracy, entry.low, entry.high, entry.n, entry.resolution, entry.native
            ),
            run.crop,
        )
        for run in runs
        for entry in run.test
        if entry.level == level
    )
