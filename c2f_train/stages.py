"""The two stages of a training, from wherever an earlier one of the same settings stopped."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from c2f_data.errors import ArtefactError
from c2f_train.early_stopping import Best, ended
from c2f_train.loop import Due, train_epoch
from c2f_train.meters import Inside, means
from c2f_train.metrics_files import MetricsFiles
from c2f_train.results import EpochMetrics
from c2f_train.run import Run
from c2f_train.snapshot import (
    Position,
    read_position,
    restore_average,
    restore_best,
    restore_model,
    restore_optimizer,
    save_snapshot,
)
from c2f_train.step import TrainingStep
from c2f_train.supply import Supply, make_supply
from c2f_train.validation import Held, hold_out, record, validate

SNAPSHOT = "snapshot"


def unfinished(run: Run) -> Position | None:
    """Where an interrupted training in this folder stands; None where there is none.

    Raises:
        ArtefactError: it has other settings or other shards, or its snapshot is damaged.
    """
    snapshot = run.folder / SNAPSHOT
    position = read_position(snapshot)
    if position is not None and position.key != run.key:
        raise ArtefactError(
            f"{snapshot}: an unfinished training with other settings or other shards",
            "Pass --overwrite to start anew, or choose another --name.",
        )
    return position


def run_stages(run: Run, position: Position | None) -> tuple[EpochMetrics, ...]:
    """Train what is left of both stages; metrics of all epochs, the earlier ones included.

    Raises:
        ArtefactError: a shard or the snapshot is damaged.
        DivergenceError: the loss is no longer a number, or exploding; the last snapshot is kept.
    """
    if position is not None:
        run.progress.note(f"Going on after {position.described}.")
        restore_model(run.folder / SNAPSHOT, position, run.model)
    position = position or Position(run.key, 1, 0, ())
    held = hold_out(run)
    if held is not None and run.world.first:
        record(run, held)
    with MetricsFiles(run) as files:
        # The last run may have been killed between its snapshot and these.
        files.begin(position.history)
        for stage in (1, 2):
            if position.stage > stage or not _epochs_of(run, stage):
                continue
            if position.stage < stage:
                position = Position(run.key, stage, 0, position.history)
            position = _Stage(run, stage, held, files).finish(position)
    return position.history


def _epochs_of(run: Run, stage: int) -> int:
    return run.config.stage1_epochs if stage == 1 else run.config.stage2_epochs


class _Stage:
    """One stage: its epochs, its snapshots, and the state that it ends with."""

    def __init__(self, run: Run, stage: int, held: Held | None, files: MetricsFiles) -> None:
        self._run, self._stage, self._held, self._files = run, stage, held, files
        self._epochs = _epochs_of(run, stage)
        self._step = TrainingStep(
            run.model, run.config, stage, run.levels, run.device, world=run.world
        )
        self._due = Due(run.config.save_every, run.config.save_minutes, run.world)

    @property
    def _snapshot(self) -> Path:
        return self._run.folder / SNAPSHOT

    def finish(self, position: Position) -> Position:
        """Run what is left of the stage, and put the state in place that it ends with."""
        if position.epoch or position.inside.step:
            restore_optimizer(self._snapshot, position, self._step.optimizer)
            if self._step.average is not None:
                restore_average(self._snapshot, position, self._step.average)
        if not self._over(position):
            position = self._epochs_left(position)
        self._run.world.wait()  # for what the first process writes
        if position.best is not None:
            restore_best(self._snapshot, position, self._run.model)
        elif self._step.average is not None:
            self._step.average.put_in()
        return position

    def _over(self, position: Position) -> bool:
        early = ended(position.best, position.epoch, self._run.config.patience)
        return early or position.epoch >= self._epochs

    def _epochs_left(self, position: Position) -> Position:
        run = self._run
        supply = make_supply(run, self._stage, self._held)
        with run.progress.task(f"Stage {self._stage}", self._epochs * supply.steps) as task:
            task.advance(position.epoch * supply.steps + position.inside.step)
            while not self._over(position):
                before, epoch = position, position.epoch + 1

                def save(inside: Inside, before: Position = before) -> None:
                    self._save(replace(before, inside=inside))

                metrics = train_epoch(
                    self._step,
                    supply.batches(epoch, before.inside.step),
                    epoch=epoch,
                    steps=supply.steps,
                    names=run.names,
                    task=task,
                    due=self._due,
                    save=save,
                    start=before.inside,
                )
                position = self._judged(before, metrics, supply)
                self._files.add(position.history)
        if position.epoch < self._epochs and position.best is not None:
            run.progress.note(
                f"Stage {self._stage} ends after epoch {position.epoch}: the best on the "
                f"validation images is epoch {position.best.epoch}."
            )
        return position

    def _judged(self, before: Position, metrics: EpochMetrics, supply: Supply) -> Position:
        """The position after an epoch; its snapshot is written."""
        run, best, state = self._run, before.best, None
        if self._held is not None and self._held.validation:
            average = self._step.average
            with average.in_place() if average is not None else nullcontext():
                sums = validate(run, self._held, supply.features)
                own = Best.of(metrics.epoch, sums)
                if own.beats(best):
                    best, state = own, self._state()
            loss, accuracy = means(sums, run.names)
            metrics = replace(metrics, validation_loss=loss, validation_accuracy=accuracy)
        position = Position(
            run.key, self._stage, metrics.epoch, (*before.history, metrics), best=best
        )
        self._save(position, state)
        self._due.done()
        return position

    def _state(self) -> dict[str, Tensor]:
        return {k: v.detach().cpu().clone() for k, v in self._run.model.state_dict().items()}

    def _save(self, position: Position, best: dict[str, Tensor] | None = None) -> None:
        if self._run.world.first:
            step = self._step
            save_snapshot(
                self._snapshot, self._run.model, step.optimizer, position, step.average, best
            )
