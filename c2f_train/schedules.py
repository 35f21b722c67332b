"""Learning rates: a function of the stage, the epoch and the step, so nothing has to be kept."""

from __future__ import annotations

import math

from c2f_train.config import TrainConfig


def peak_rate(config: TrainConfig, stage: int) -> float:
    """The stage's rate before schedule and warm-up."""
    return config.stage1_lr if stage == 1 else config.stage2_lr


def rate(config: TrainConfig, stage: int, epoch: int, step: int, steps: int) -> float:
    """The learning rate of one step.

    Args:
        epoch: 1-based within the stage.
        step: 0-based within the epoch.
        steps: of an epoch.
    """
    peak = peak_rate(config, stage)
    done = epoch - 1 + step / steps  # epochs, in the middle of one a fraction
    epochs = config.stage1_epochs if stage == 1 else config.stage2_epochs
    # A short stage shall not be all warm-up.
    rising = min(config.warmup, epochs / 2)
    if done < rising:
        # The first step is not lost: it has a rate above zero.
        return peak * min(1.0, (done + 1 / steps) / rising)
    if config.schedule == "step":
        return float(peak * config.lr_factor ** ((epoch - 1) // config.lr_period))
    return 0.5 * peak * (1 + math.cos(math.pi * (done - rising) / (epochs - rising)))
