"""``c2f evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.index import TEST, TRAIN
from c2f_data.open_dataset import DatasetChoice, current_dataset
from c2f_data.workspace import DatasetFolder

from .console import Console, print_json
from .evaluate_text import print_comparisons, print_evaluation
from .options import common_options, device_options, option, workspace_of

if TYPE_CHECKING:
    from c2f_data.shards.reader import ShardReader
    from c2f_train.evaluation import Comparison, EvaluationResult
    from c2f_train.evaluation.measure import Compute


@click.command("evaluate")
@option("--dataset", help="Default: the workspace's current data set.")
@option(
    "--run",
    "run_names",
    multiple=True,
    metavar="NAME",
    help="A finished run; may be repeated.  [default: the last finished]",
)
@option(
    "--compare",
    multiple=True,
    metavar="RUN",
    help="Test each --run against this one, image by image: a name, or the folder of an "
    "evaluated run (with a slash in it); may be repeated.",
)
@option(
    "--split",
    type=click.Choice([TEST, TRAIN]),
    default=TEST,
    show_default=True,
    help="Images to evaluate on.",
)
@device_options
@common_options
def evaluate(
    dataset: str | None,
    run_names: tuple[str, ...],
    compare: tuple[str, ...],
    split: str,
    device: str,
    precision: str,
    workers: int,
    workspace: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Ask every level's classifier at every resolution; measure whole paths; compare runs.

    The answers are kept: what was measured is not measured again.

    \b
    Example:
      c2f evaluate
      c2f evaluate --run mlph --compare hbp
    """
    from c2f_data.shards.reader import ShardReader
    from c2f_train.device import pick_device, pick_precision
    from c2f_train.evaluation.measure import Compute

    console = Console(quiet=quiet)
    whole = workspace_of(workspace)
    name = current_dataset(whole, DatasetChoice(dataset=dataset))
    folder = whole.dataset(name)
    console.note(f"Data set: {name} ({folder.shards})")
    named = [folder.finished_run(word) for word in dict.fromkeys(run_names)]
    runs = named or [_last(folder, compare)]
    others = [_other(folder, word) for word in dict.fromkeys(compare)]
    _check_pairs(runs, others)
    chosen = pick_device(device)
    compute = Compute(chosen, pick_precision(precision, chosen), workers)
    reader = ShardReader(folder.shards)
    results = [_evaluated(run, reader, compute, split, console) for run in runs]
    for word, other in zip(dict.fromkeys(compare), others, strict=True):
        if "/" not in word:
            _evaluated(other, reader, compute, split, console)
    comparisons = _compared(runs, others, split)
    if as_json:
        print_json({"dataset": name, "split": split, "runs": results, "comparisons": comparisons})
    else:
        for result in results:
            print_evaluation(result)
        if comparisons:
            print_comparisons(comparisons)
    console.note("Next: c2f report" if split == TEST else "The report shows test images.")


def _last(folder: DatasetFolder, others: Sequence[str]) -> Path:
    """The last finished run that is not one to compare with."""
    finished = [run for run in folder.finished_runs() if run.name not in others]
    if not finished:
        what = "no other finished run" if others else "no finished run"
        raise ArtefactError(f"{folder.runs}: {what}", "Run c2f train first.")
    return finished[0]


def _other(folder: DatasetFolder, word: str) -> Path:
    """A run to compare with: of this workspace by name, or anyone's by its folder."""
    return Path(word).resolve() if "/" in word else folder.finished_run(word)


def _check_pairs(runs: Sequence[Path], others: Sequence[Path]) -> None:
    same = next((run for run in runs if run.resolve() in {o.resolve() for o in others}), None)
    if same is not None:
        raise ConfigError(
            f"--compare {same.name}: that is the run itself", "Name another finished run."
        )


def _evaluated(
    run: Path, reader: ShardReader, compute: Compute, split: str, console: Console
) -> EvaluationResult:
    from c2f_train.evaluation.evaluate_run import evaluate_run
    from c2f_train.prediction.held_out import FEWEST, fit_held_out, held_out

    result = evaluate_run(run, reader, compute, console, split=split)
    for warning in result.warnings:
        console.warn(f"run {run.name}: {warning}")
    if split == TEST and fit_held_out(run, reader, compute, console) is None:
        images = held_out(run, reader)
        console.note(
            f"run {run.name}: {0 if images is None else len(images)} images were held out of "
            f"training; {FEWEST} are the least for c2f predict to promise anything (c2f train "
            "--held-out 0.1)."
        )
    return result


def _compared(runs: Sequence[Path], others: Sequence[Path], split: str) -> tuple[Comparison, ...]:
    from c2f_train.evaluation import compare, read_evaluated

    if not others:
        return ()
    second = [read_evaluated(other, split) for other in others]
    return compare([(read_evaluated(run, split), other) for run in runs for other in second])
