"""The optimiser of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from c2f_train.config import TrainConfig
from c2f_train.schedules import peak_rate


def make_optimizer(
    config: TrainConfig, stage: int, parameters: Sequence[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """SGD as in section 4.1 of the paper, or AdamW.

    On CUDA one kernel updates all parameters. A parameter without a gradient is left alone by
    either: no decay, no momentum.

    Args:
        parameters: what the stage trains.
    """
    decay = config.stage1_weight_decay if stage == 1 else config.stage2_weight_decay
    peak = peak_rate(config, stage)
    fused = True if device.type == "cuda" else None
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=peak, momentum=config.momentum, weight_decay=decay, fused=fused
        )
    # Decay pulls scales and offsets to zero, where they do harm.
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices},
        {"params": vectors, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=peak, weight_decay=decay, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
