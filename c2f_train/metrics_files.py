"""The metrics of a run as files for people: JSON lines, CSV, and events for TensorBoard."""

from __future__ import annotations

import csv
import io
import json
from types import TracebackType
from typing import Any

from c2f_data.artefacts import to_plain, write_text
from c2f_data.errors import ConfigError, install_hint
from c2f_train.results import EpochMetrics
from c2f_train.run import Run

JSON_LINES = "metrics.jsonl"
CSV = "metrics.csv"
EVENTS = "tensorboard"
COLUMNS = (
    "stage",
    "epoch",
    "level",
    "learning_rate",
    "loss",
    "accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
)


class MetricsFiles:
    """Written after every epoch, each file as a whole, by the first process alone."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._writer: Any = None

    def __enter__(self) -> MetricsFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def begin(self, history: tuple[EpochMetrics, ...]) -> None:
        """Write what is known before the first epoch of this process.

        Raises:
            ConfigError: TensorBoard is wanted and not installed.
        """
        run = self._run
        if not run.world.first:
            return
        if history:
            self._write(history)
        if run.tensorboard:
            # All epochs are written anew, so that none is there twice.
            for old in (run.folder / EVENTS).glob("events.out.tfevents.*"):
                old.unlink(missing_ok=True)
            self._writer = summary_writer()(str(run.folder / EVENTS))
            for number, metrics in enumerate(history, start=1):
                self._event(number, metrics)

    def add(self, history: tuple[EpochMetrics, ...]) -> None:
        """One epoch more, the last of these."""
        if not self._run.world.first:
            return
        self._write(history)
        if self._writer is not None:
            self._event(len(history), history[-1])
            self._writer.flush()

    def _write(self, history: tuple[EpochMetrics, ...]) -> None:
        lines = "".join(json.dumps(to_plain(metrics)) + "\n" for metrics in history)
        write_text(self._run.folder / JSON_LINES, lines)
        write_text(self._run.folder / CSV, metrics_table(history))

    def _event(self, number: int, metrics: EpochMetrics) -> None:
        """Scalars of an epoch, counted over both stages."""
        add = self._writer.add_scalar
        add("learning rate", metrics.learning_rate, number)
        add("seconds an epoch", metrics.seconds, number)
        groups = {
            "loss/train": metrics.loss,
            "accuracy/train": metrics.accuracy,
            "loss/validation": metrics.validation_loss,
            "accuracy/validation": metrics.validation_accuracy,
        }
        for name, values in groups.items():
            for level, value in values.items():
                add(f"{name}/{level}", value, number)


def metrics_table(history: tuple[EpochMetrics, ...]) -> str:
    """A CSV with a row for each epoch and level; numbers in full, an empty cell: not measured."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for m in history:
        for level, loss in m.loss.items():
            judged = (m.validation_loss.get(level), m.validation_accuracy.get(level))
            table.writerow(
                [m.stage, m.epoch, level, m.learning_rate, loss, m.accuracy[level]]
                + ["" if value is None else value for value in judged]
                + [m.seconds]
            )
    return text.getvalue()


def summary_writer() -> Any:
    """TensorBoard's writer. Raises ConfigError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard: it is not installed", install_hint("tensorboard")) from (
            error
        )
    return SummaryWriter
