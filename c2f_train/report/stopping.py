"""How often `c2f predict` is wrong and how often it answers, at each confidence asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from c2f_data.curve import wilson
from c2f_train.evaluation.matrix import Estimate
from c2f_train.prediction.guarantee import Guarantee, RiskPoint
from c2f_train.prediction.stored import Condition, read_fit
from c2f_train.report.plot import Axis, Panel, Plot, Series, linear_axis, share_axis
from c2f_train.report.wording import percent, pixels
from c2f_train.results import RunResult

# What `c2f predict` asks for unless told otherwise.
USUAL = 0.9


@dataclass(frozen=True, slots=True)
class StoppingPoint:
    """The rule at one threshold.

    Attributes:
        threshold: probability that a node must reach to be named.
        answered: images that get an answer, of all n.
        wrong: answers whose deepest node is not on the true path.
        risk: ``wrong / answered`` with its 95 % Wilson interval; None: nothing is answered.
        named: images whose answer reaches a level, coarse to fine.
    """

    threshold: float
    answered: int
    wrong: int
    risk: Estimate | None
    named: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoppingCurve:
    """The rule on held-out images of one resolution.

    Attributes:
        resolution: their shorter side in pixels; the median for native ones.
        allowed: finest level that may be named there.
        n: images.
        points: ascending in the threshold.
        promise: what is promised at a confidence of 90 %.
        statement: the promise in words.
    """

    resolution: int
    native: bool
    allowed: str
    n: int
    points: tuple[StoppingPoint, ...]
    promise: Guarantee
    statement: str

    @property
    def name(self) -> str:
        """The resolution in words."""
        return "native images" if self.native else f"images at {pixels(self.resolution)}"


@dataclass(frozen=True, slots=True)
class RunStopping:
    """One run's stopping rule.

    Attributes:
        images: where the held-out images come from, in words.
        levels: coarse to fine.
        curves: highest resolution first.
    """

    run: str
    images: str
    levels: tuple[str, ...]
    curves: tuple[StoppingCurve, ...]


def read_stopping(folder: Path, run: RunResult) -> RunStopping | None:
    """What is stored beside a run's model; None: nothing is.

    Args:
        folder: of the run.

    Raises:
        ArtefactError: damaged, or made for another model.
    """
    fit = read_fit(folder / "model")
    if fit is None or not fit.conditions:
        return None
    return RunStopping(run.name, fit.images, fit.levels, tuple(map(_curve, fit.conditions)))


def stopping_plot(stopping: RunStopping) -> Plot:
    """Risk against coverage, a line a resolution."""
    shown = [
        (curve, [(p, p.risk) for p in curve.points if p.risk is not None])
        for curve in stopping.curves
    ]
    risks = [risk.high for _, points in shown for _, risk in points]
    series = tuple(
        Series(
            label=curve.name,
            kind=kind,
            x=tuple(p.answered / curve.n for p, _ in points),
            y=tuple(risk.value for _, risk in points),
            low=tuple(risk.low for _, risk in points),
            high=tuple(risk.high for _, risk in points),
            names=tuple(
                f"{curve.name}, confidence {p.threshold:g}: {percent(p.answered / curve.n)} "
                f"answered, {percent(risk.value)} of them wrong"
                for p, risk in points
            ),
            marked=False,
            band=True,
        )
        for kind, (curve, points) in enumerate(shown)
        if points
    )
    n = ", ".join(f"{curve.n:,}" for curve in stopping.curves)
    return Plot(
        name=f"risk-coverage-{stopping.run}",
        caption=f"Run {stopping.run}: share of wrong answers against the share of images that get "
        f"an answer, as the confidence asked for rises (right to left); {n} held-out images, "
        "95 % Wilson intervals.",
        panels=(
            Panel(share_axis("images with an answer"), _risk_axis(max(risks, default=1.0)), series),
        ),
    )


def _risk_axis(high: float) -> Axis:
    """Shares from 0 up to a round one, in percent."""
    axis = linear_axis("answers that are wrong", 100 * min(high, 1.0), 5)
    ticks = tuple((value / 100, f"{label} %") for value, label in axis.ticks)
    return Axis(axis.title, 0.0, min(axis.high, 100.0) / 100, ticks[: _up_to_one(ticks)])


def _up_to_one(ticks: Sequence[tuple[float, str]]) -> int:
    return sum(value <= 1.0 for value, _ in ticks)


def _curve(condition: Condition) -> StoppingCurve:
    promise = condition.guarantee(USUAL)
    return StoppingCurve(
        resolution=condition.resolution,
        native=condition.native,
        allowed=condition.allowed,
        n=len(condition.right),
        points=tuple(map(_point, condition.curve)),
        promise=promise,
        statement=promise.statement,
    )


def _point(point: RiskPoint) -> StoppingPoint:
    risk = None
    if point.answered:
        low, high = wilson(point.wrong, point.answered)
        risk = Estimate(point.wrong / point.answered, low, high)
    return StoppingPoint(point.threshold, point.answered, point.wrong, risk, point.named)


def at(curve: StoppingCurve, thresholds: Sequence[float]) -> list[StoppingPoint]:
    """The points at some thresholds, for a short table."""
    return [p for p in curve.points if any(abs(p.threshold - t) < 1e-9 for t in thresholds)]
