"""What the parts of MLPH are worth: MLPH without the hierarchy is MLP, MLP without the trilinear
part is HBP (section 4.3 of the paper), tested on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from c2f_data.sources.request import annotated
from c2f_train.config import TrainConfig
from c2f_train.report import paper
from c2f_train.report.comparison import Difference, corrected, differences
from c2f_train.report.run_answers import RunAnswers

# (with the part, without it, the part)
STEPS = (("mlp", "hbp", "trilinear pooling"), ("mlph", "mlp", "the hierarchy"))
# Settings that change no more than the time.
_TIME = ("model", "workers", "save_every", "save_minutes")


@dataclass(frozen=True, slots=True)
class PaperDifference:
    """What the paper's Table 3 gives for a step, in percentage points of the finest level."""

    dataset: str
    points: float


@dataclass(frozen=True, slots=True)
class Ablation:
    """One part, and what it is worth at the finest level.

    Attributes:
        part: what the first run has and the second lacks.
        row: our two runs; None where one of them is absent.
        settings: names of settings in which our two runs differ besides, ``crop`` where their
            images were cut in other ways; then the part is not all that the difference shows.
        paper: the same step in the paper.
    """

    part: str
    row: Difference | None
    settings: tuple[str, ...]
    paper: tuple[PaperDifference, ...]


def ablations(runs: Sequence[RunAnswers], datasets: Sequence[str]) -> tuple[Ablation, ...]:
    """Both steps, tested together; empty where no two runs are one step apart.

    Of several runs of a model those two are taken that differ in the fewest settings.

    Args:
        datasets: keys of the paper's data sets whose figures stand beside.
    """
    pairs = [_closest(runs, with_it, without) for with_it, without, _ in STEPS]
    if not any(pairs):
        return ()
    rows = [_finest(*pair) if pair else None for pair in pairs]
    tested = iter(corrected([row for row in rows if row is not None]))
    return tuple(
        Ablation(
            part,
            next(tested) if row is not None else None,
            _other_settings(*pair) if pair else (),
            _papers(with_it, without, datasets),
        )
        for (with_it, without, part), pair, row in zip(STEPS, pairs, rows, strict=True)
    )


def _closest(
    runs: Sequence[RunAnswers], with_it: str, without: str
) -> tuple[RunAnswers, RunAnswers] | None:
    pairs = [
        (one, other)
        for one in runs
        if one.result.config.model == with_it
        for other in runs
        if other.result.config.model == without
    ]
    return min(pairs, key=lambda pair: len(_other_settings(*pair)), default=None)


def _finest(first: RunAnswers, second: RunAnswers) -> Difference | None:
    finest = first.result.levels[-1].name
    return next((row for row in differences(first, second) if row.level == finest), None)


def _other_settings(first: RunAnswers, second: RunAnswers) -> tuple[str, ...]:
    one, other = first.result.config, second.result.config
    names = [field.name for field in fields(TrainConfig) if field.name not in _TIME]
    found = [name for name in names if getattr(one, name) != getattr(other, name)]
    if annotated(first.result.crop) != annotated(second.result.crop):
        found.append("crop")
    return tuple(found)


def _papers(with_it: str, without: str, datasets: Sequence[str]) -> tuple[PaperDifference, ...]:
    found = []
    for key in datasets:
        systems = [paper.system_of(model) for model in (with_it, without)]
        first, second = (system.accuracy[key][-1] if system else None for system in systems)
        if first is not None and second is not None:
            name = paper.DATASETS[key].name
            found.append(PaperDifference(name, round(first - second, 1)))
    return tuple(found)
