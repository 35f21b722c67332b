"""Recipes and schedules: the paper's is what TrainConfig is without one."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest

from c2f_data.artefacts import from_plain, to_plain
from c2f_data.errors import ConfigError
from c2f_train.config import TrainConfig
from c2f_train.recipes import recipe_values
from c2f_train.schedules import rate


def test_the_papers_recipe_is_the_default() -> None:
    assert TrainConfig(**recipe_values("paper")) == TrainConfig()


def test_the_values_of_a_recipe_are_fields_and_can_be_replaced() -> None:
    values = recipe_values("modern")
    assert values.keys() <= {field.name for field in fields(TrainConfig)}
    assert TrainConfig(**values | {"ema": 0.0}).ema == 0
    config = TrainConfig(**values)
    assert (config.optimizer, config.schedule, config.augment) == ("adamw", "cosine", "randaugment")


@pytest.mark.parametrize("recipe", ["paper", "modern"])
def test_rates_come_with_their_optimizer(recipe: str) -> None:
    sgd, adamw = (TrainConfig(**recipe_values(recipe, name)) for name in ("sgd", "adamw"))
    assert sgd.stage1_lr == 1.0 > 100 * adamw.stage1_lr
    assert sgd.stage2_lr >= 1e-3 > adamw.stage2_lr


def test_what_is_no_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="no recipe 'old'"):
        recipe_values("old")
    with pytest.raises(ConfigError, match="no optimizer 'lion'"):
        recipe_values("modern", "lion")


def test_a_config_of_an_earlier_c2f_is_read() -> None:
    """It lacks the fields that came later, and means their defaults."""
    plain = to_plain(TrainConfig(dim=7))
    later = ("recipe", "optimizer", "schedule", "warmup", "label_smoothing", "ema", "augment",
             "magnitude", "accumulate", "patience", "validation", "compile", "channels_last",
             "save_every", "save_minutes")  # fmt: skip
    earlier = {key: value for key, value in plain.items() if key not in later}
    assert len(earlier) == len(plain) - len(later)
    assert from_plain(earlier, TrainConfig, "config.json") == TrainConfig(dim=7)


def rates(config: TrainConfig, epochs: int, steps: int) -> list[float]:
    return [rate(config, 2, e, s, steps) for e in range(1, epochs + 1) for s in range(steps)]


def test_the_step_schedule_stands_still_within_an_epoch() -> None:
    config = TrainConfig(stage2_lr=0.4, lr_factor=0.5, lr_period=2, stage2_epochs=5)
    assert rates(config, 5, 2) == [0.4] * 4 + [0.2] * 4 + [0.1] * 2


def test_the_cosine_rises_and_falls_to_zero() -> None:
    config = TrainConfig(stage2_lr=2.0, schedule="cosine", warmup=1.5, stage2_epochs=6)
    seen = rates(config, 6, 10)
    assert seen[:15] == pytest.approx([2.0 * (i + 1) / 15 for i in range(15)])
    assert all(a > b for a, b in pairwise(seen[15:]))
    assert seen[15] == pytest.approx(2.0)
    assert seen[37] == pytest.approx(1 + 0.0349, abs=1e-3)  # half-way, half a step early
    assert 0 < seen[-1] < 0.01


def test_a_warm_up_takes_at_most_half_of_a_stage() -> None:
    config = TrainConfig(schedule="cosine", warmup=9.0, stage1_epochs=60, stage2_epochs=4)
    seen = rates(config, 4, 3)
    peak = config.stage2_lr
    assert seen[:6] == pytest.approx([peak * (i + 1) / 6 for i in range(6)])
    assert all(a > b > 0 for a, b in pairwise(seen[6:]))
    stage1 = [rate(config, 1, 1, s, 3) for s in range(3)]
    assert stage1[0] == pytest.approx(1 / 27)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ema", 1.0),
        ("label_smoothing", -0.1),
        ("accumulate", 9),
        ("warmup", float("nan")),
        ("magnitude", 11.0),
        ("patience", -1),
        ("save_every", -2),
    ],
)
def test_values_without_meaning_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ConfigError):
        TrainConfig(**{setting: value})


def test_early_stopping_needs_validation_images() -> None:
    with pytest.raises(ConfigError, match=r"--validation 0\.1"):
        TrainConfig(patience=2, validation=0.0)
