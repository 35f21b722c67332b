"""Recipes: named sets of defaults of a training. What is not in one is TrainConfig's own default.

Every value can be replaced by its option; the run stores the values, not the recipe alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from c2f_data.errors import ConfigError

Recipe = Literal["paper", "modern"]

# Section 4.1 of the paper, as TrainConfig has it.
_PAPER: Mapping[str, Any] = {}

# What fine-tuning of a pretrained network takes now. Each is from the work that introduced it, with
# the strength that timm's and torchvision's training references use: AdamW (Loshchilov & Hutter
# 2019), one cosine without restarts behind a linear warm-up (Goyal et al. 2017), label smoothing
# of 0.1 (Szegedy et al. 2016), an average of the weights, RandAugment with two operations
# (Cubuk et al. 2020).
_MODERN: Mapping[str, Any] = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "warmup": 2.0,
    "label_smoothing": 0.1,
    "ema": 0.999,
    "augment": "randaugment",
    "batch_size": 32,
}

# A rate is worth nothing without its optimiser.
_MODERN_RATES: Mapping[str, Mapping[str, float]] = {
    "adamw": {
        "stage1_lr": 3e-3,
        "stage1_weight_decay": 0.0,
        "stage2_lr": 1e-4,
        "stage2_weight_decay": 0.05,
    },
    "sgd": {
        "stage1_lr": 1.0,
        "stage1_weight_decay": 5e-6,
        "stage2_lr": 4e-3,
        "stage2_weight_decay": 5e-4,
    },
}


def recipe_values(recipe: str, optimizer: str | None = None) -> dict[str, Any]:
    """The values of a recipe, by the names of TrainConfig's fields.

    Args:
        optimizer: the one that was asked for; None: the recipe's own. Its rates come with it.

    Raises:
        ConfigError: no such recipe or optimiser.
    """
    if recipe not in get_args(Recipe):
        raise ConfigError(f"no recipe {recipe!r}", f"Choose one of {', '.join(get_args(Recipe))}.")
    if recipe == "paper":
        # The paper's rates belong to SGD; with AdamW those of the other recipe are meant.
        rates = {} if optimizer in (None, "sgd") else _rates("adamw")
        return {**_PAPER, "recipe": recipe, "optimizer": optimizer or "sgd", **rates}
    chosen = optimizer or _MODERN["optimizer"]
    return {**_MODERN, "recipe": recipe, "optimizer": chosen, **_rates(chosen)}


def _rates(optimizer: str) -> Mapping[str, float]:
    if optimizer not in _MODERN_RATES:
        raise ConfigError(
            f"no optimizer {optimizer!r}", f"Choose one of {', '.join(_MODERN_RATES)}."
        )
    return _MODERN_RATES[optimizer]
