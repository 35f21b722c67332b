"""A training that diverges is stopped, and what it last held that was sound is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from c2f_data.errors import C2FError
from c2f_train.config import TrainConfig

# Times the loss of guessing. A rate that is far too high gets there in a few steps; a training
# that learns at all never does.
EXPLODED = 100.0


class DivergenceError(C2FError):
    """The loss is no longer a number, or beyond anything that a training recovers from."""


def limit(classes: int) -> float:
    """The loss in nats beyond which a level with that many classes has diverged."""
    return EXPLODED * (math.log(classes) + 1)


def diverged(
    config: TrainConfig, stage: int, epoch: int, step: int, worst: float
) -> DivergenceError:
    """The error of a training whose losses were bad.

    Args:
        step: 1-based within the epoch: where it was noticed.
        worst: the largest loss as a share of :func:`limit`; inf or NaN: no number.
    """
    what = "no longer a number" if not math.isfinite(worst) else "exploding"
    name = f"stage{stage}_lr"
    option, value = f"--stage{stage}-lr", getattr(config, name)
    tries = [f"{option} {value / 10:g} instead of {value:g}"]
    if config.warmup == 0:
        tries.append("--warmup 1")
    if config.precision != "float32":
        tries.append("--precision float32")
    return DivergenceError(
        f"the training diverged in stage {stage}, epoch {epoch}, by step {step}: the loss is "
        f"{what}",
        f"Lower the learning rate and start anew: {', or '.join(tries)}, with --overwrite. "
        "Until then the last sound snapshot is kept.",
    )


@torch.no_grad()
def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers are finite, at the cost of one wait for the device."""
    norms = [
        t.detach().float().abs().amax() for t in tensors if t.is_floating_point() and t.numel()
    ]
    return not norms or bool(torch.stack(norms).isfinite().all())
