"""The runs of a workspace that a report shows, and those that it compares.

What a report need not have is left out where it is damaged, and ``warn`` is told why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.taxonomy import Taxonomy
from c2f_data.workspace import DatasetFolder
from c2f_train.evaluation import EvaluationResult, read_evaluation, result_path
from c2f_train.report import paper, tables
from c2f_train.report.ablations import STEPS, Ablation, ablations
from c2f_train.report.comparison import RunComparison, compare_runs
from c2f_train.report.run_answers import read_run_answers
from c2f_train.report.stopping import RunStopping, read_stopping
from c2f_train.results import RunResult, read_run

Warn = Callable[[str], None]


def finished_runs(folder: DatasetFolder, first: str | None) -> list[RunResult]:
    """All of them, the main one first. Raises ArtefactError: ``first`` is none of them."""
    runs = [read_run(path / "run.json") for path in folder.finished_runs()]
    if first is not None:
        main = folder.finished_run(first).name
        runs.sort(key=lambda run: run.name != main)
    return runs


def evaluations(
    folder: DatasetFolder, runs: Sequence[RunResult], warn: Warn
) -> list[EvaluationResult]:
    """What `c2f evaluate` has found about these runs; it is no part that a report must have."""
    found = []
    for run in runs:
        place = folder.run(run.name)
        if result_path(place).exists():
            try:
                found.append(read_evaluation(place))
            except ArtefactError as error:
                warn(f"no section on run {run.name}'s evaluation: {error.message}")
    return found


def stopping_rules(
    folder: DatasetFolder, runs: Sequence[RunResult], warn: Warn
) -> list[RunStopping]:
    """How often each run's answers are wrong; it is no part that a report must have."""
    found = []
    for run in runs:
        try:
            stopping = read_stopping(folder.run(run.name), run)
        except ArtefactError as error:
            warn(f"no section on how far run {run.name} can be trusted: {error.message}")
            continue
        if stopping is not None:
            found.append(stopping)
    return found


def compared(
    folder: DatasetFolder, runs: Sequence[RunResult], words: Sequence[str]
) -> RunComparison | None:
    """The main run beside those that were named; None: none was.

    Args:
        words: names of runs of this data set, or folders of others' (with a slash).

    Raises:
        ArtefactError: one of them is not a finished run, or is damaged.
        ConfigError: one of them is the main run itself.
    """
    if not words:
        return None
    if not runs:
        raise ArtefactError(f"{folder.runs}: no finished run to compare", "Run c2f train first.")
    places = {word: _place(folder, word) for word in dict.fromkeys(words)}
    main = folder.run(runs[0].name)
    for word, place in places.items():
        if place.resolve() == main.resolve():
            raise ConfigError(
                f"--compare {word}: that is the main run itself",
                "Name another one, or choose the main run by --run.",
            )
    count = Counter([main.name, *(place.name for place in places.values())])
    labels = {
        word: place.name if count[place.name] == 1 else f"{place.name} ({word})"
        for word, place in places.items()
    }
    others = [read_run_answers(place, labels[word]) for word, place in places.items()]
    return compare_runs(read_run_answers(main, main.name), others)


def _place(folder: DatasetFolder, word: str) -> Path:
    """A run of this data set by name, or anyone's by its folder."""
    return Path(word).resolve() if "/" in word else folder.run(word)


def found_ablations(
    folder: DatasetFolder,
    dataset: str,
    taxonomy: Taxonomy,
    runs: Sequence[RunResult],
    warn: Warn,
) -> tuple[Ablation, ...]:
    """What the workspace's own runs say about MLPH's parts; it is no part that must be there."""
    models = {model for with_it, without, _ in STEPS for model in (with_it, without)}
    answers = []
    for run in runs:
        if run.config.model in models:
            try:
                answers.append(read_run_answers(folder.run(run.name), run.name))
            except ArtefactError as error:
                warn(f"run {run.name} is left out of the ablations: {error.message}")
    keys = [dataset] if tables.comparable(dataset, taxonomy) else list(paper.DATASETS)
    return ablations(answers, keys)
