"""What the epochs of a run's training say: loss, accuracy and learning rate, over both stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from c2f_train.report.plot import (
    Axis,
    Panel,
    Plot,
    Rule,
    Series,
    linear_axis,
    rate_axis,
    share_axis,
)
from c2f_train.report.wording import percent
from c2f_train.results import EpochMetrics, RunResult

EPOCH = "epoch, both stages"
Value = Callable[[EpochMetrics], float | None]


def training_plot(run: RunResult) -> Plot:
    """Loss and accuracy of every trained level, and the learning rate.

    Raises:
        ValueError: the run has no epochs.
    """
    names = [level.name for level in run.levels]
    kinds = {name: len(names) - 1 - names.index(name) for name in names}
    shown = [(name, kinds[name]) for name in reversed(names) if _trained(run, name)]
    epochs, axis = run.epochs, _epoch_axis([run])
    losses = [v for epoch in epochs for v in (*epoch.loss.values(), *_validation(epoch, "loss"))]
    stage = _second_stage(epochs)
    return Plot(
        name=f"training-{run.name}",
        caption=f"Training of run {run.name} over {len(epochs)} epochs: loss (mean cross-entropy "
        "in nats) and accuracy on the training images as they went by, and the learning rate.",
        panels=(
            Panel(
                axis,
                linear_axis("loss (nats)", max(losses), 5),
                tuple(_lines(shown, epochs, "loss", "loss {:.3f}".format)),
                stage,
            ),
            Panel(
                axis,
                share_axis("accuracy"),
                tuple(_lines(shown, epochs, "accuracy", lambda v: f"accuracy {percent(v)}")),
                tuple(Rule(rule.along, rule.value) for rule in stage),
            ),
            _rate_panel(axis, [(run, "", 5)], stage),
        ),
    )


def runs_plot(runs: Sequence[tuple[str, RunResult]]) -> Plot | None:
    """The finest level's loss and accuracy of several runs; None: fewer than two have epochs.

    Args:
        runs: (label, run), the main one first.
    """
    shown = [(label, run) for label, run in runs if run.epochs]
    finest = shown[0][1].levels[-1].name if shown else ""
    lines = [(label, run, kind) for kind, (label, run) in enumerate(shown) if _trained(run, finest)]
    if len(lines) < 2:
        return None
    axis = _epoch_axis([run for _, run, _ in lines])
    losses = [
        epoch.loss[finest] for _, run, _ in lines for epoch in run.epochs if finest in epoch.loss
    ]
    return Plot(
        name="training-compared",
        caption=f"Training of {len(lines)} runs: loss (mean cross-entropy in nats) and accuracy at "
        f"level {finest} on the training images as they went by, and the learning rate.",
        panels=(
            Panel(
                axis,
                linear_axis(f"{finest} loss (nats)", max(losses), 5),
                tuple(
                    _line(label, kind, run.epochs, _reader("loss", finest), "loss {:.3f}".format)
                    for label, run, kind in lines
                ),
            ),
            Panel(
                axis,
                share_axis(f"{finest} accuracy"),
                tuple(
                    _line(
                        label,
                        kind,
                        run.epochs,
                        _reader("accuracy", finest),
                        lambda v: f"accuracy {percent(v)}",
                    )
                    for label, run, kind in lines
                ),
            ),
            _rate_panel(axis, [(run, label, kind) for label, run, kind in lines], ()),
        ),
    )


def _trained(run: RunResult, level: str) -> bool:
    return any(level in epoch.loss for epoch in run.epochs)


def _validation(epoch: EpochMetrics, what: str) -> tuple[float, ...]:
    """What an epoch says of validation images, if any were held out."""
    kept: dict[str, float] = getattr(epoch, f"validation_{what}", {})
    return tuple(kept.values())


def _reader(what: str, level: str) -> Value:
    def read(epoch: EpochMetrics) -> float | None:
        values: dict[str, float] = getattr(epoch, what, {})
        return values.get(level)

    return read


def _lines(
    shown: Sequence[tuple[str, int]],
    epochs: Sequence[EpochMetrics],
    what: str,
    words: Callable[[float], str],
) -> list[Series]:
    """A line a level, and one more for its validation images."""
    found = [_line(name, kind, epochs, _reader(what, name), words) for name, kind in shown]
    for name, kind in shown:
        line = _line(
            f"{name}, validation", kind + 3, epochs, _reader(f"validation_{what}", name), words
        )
        found += [line] if line.x else []
    return found


def _line(
    label: str,
    kind: int,
    epochs: Sequence[EpochMetrics],
    value: Value,
    words: Callable[[float], str],
) -> Series:
    known = [(i, epoch, v) for i, epoch in enumerate(epochs, 1) if (v := value(epoch)) is not None]
    return Series(
        label=label,
        kind=kind,
        x=tuple(float(i) for i, _, _ in known),
        y=tuple(v for _, _, v in known),
        names=tuple(
            f"{label}, stage {epoch.stage}, epoch {epoch.epoch}: {words(v)}".removeprefix(", ")
            for _, epoch, v in known
        ),
        marked=False,
    )


def _epoch_axis(runs: Sequence[RunResult]) -> Axis:
    longest = max(len(run.epochs) for run in runs)
    step = max(1, round(linear_axis("", longest, 10).ticks[1][0]))
    ticks = tuple((float(v), str(v)) for v in range(step, longest + 1, step))
    return Axis(EPOCH, 0.5, longest + 0.5, ticks)


def _second_stage(epochs: Sequence[EpochMetrics]) -> tuple[Rule, ...]:
    first = next((i for i, epoch in enumerate(epochs) if epoch.stage == 2), None)
    return (Rule("x", first + 0.5, "stage 2"),) if first else ()


def _rate_panel(
    axis: Axis, runs: Sequence[tuple[RunResult, str, int]], stage: Sequence[Rule]
) -> Panel:
    rates = [e.learning_rate for run, _, _ in runs for e in run.epochs if e.learning_rate > 0]
    lines = tuple(
        _line(
            label,
            kind,
            run.epochs,
            # A rate of 0, the end of a cosine, has no place on a logarithmic scale.
            lambda epoch: epoch.learning_rate if epoch.learning_rate > 0 else None,
            "learning rate {:.3g}".format,
        )
        for run, label, kind in runs
    )
    title = rate_axis("learning rate", rates or [1.0])
    return Panel(axis, title, lines, tuple(Rule(r.along, r.value) for r in stage), height=0.6)
