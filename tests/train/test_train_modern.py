"""What a recipe adds to a whole training: early stopping, divergence, files of metrics."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from train_runs import CONFIG
from train_samples import CPU, Recorder, make_shards, make_striped

from c2f_data.errors import C2FError, ConfigError
from c2f_data.index import TRAIN
from c2f_data.shards.reader import ShardReader
from c2f_train import stages
from c2f_train.config import TrainConfig
from c2f_train.divergence import DivergenceError, all_finite, limit
from c2f_train.early_stopping import Best, ended
from c2f_train.meters import LevelSums, Meters
from c2f_train.metrics_files import COLUMNS
from c2f_train.progress import Silent
from c2f_train.recipes import recipe_values
from c2f_train.results import read_run
from c2f_train.step import Batch, TrainingStep
from c2f_train.train import train

SMALL: dict[str, Any] = {
    "backbone": "tiny",
    "weights": "none",
    "input_size": 32,
    "dim": 8,
    "stage1_epochs": 1,
    "stage2_epochs": 1,
    "batch_size": 4,
    "stage1_batch_size": 8,
    "seed": 1,
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["paper", "modern"])
def test_divergence_ends_the_run_and_keeps_what_was_sound(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path, recipe: str, precision: str
) -> None:
    """Weights that become infinite at a step of stage 2, as a rate too high makes them."""
    config = replace(
        TrainConfig(**recipe_values(recipe) | SMALL), precision=precision, save_every=2
    )
    real, done = TrainingStep.__call__, []

    def explode(step: TrainingStep, batch: Batch, *rest: int) -> tuple[torch.Tensor, torch.Tensor]:
        found = real(step, batch, *rest)
        done.append(step.stage)
        if done.count(2) == 4:  # the loss of this step is still a number
            with torch.no_grad():
                step.model.pooling.u.weight.fill_(float("inf"))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", explode)
        with pytest.raises(DivergenceError) as caught:
            train(shards, config, tmp_path / "run", CPU, Silent())
    assert "stage 2, epoch 1, by step 4" in caught.value.message
    assert f"--stage2-lr {config.stage2_lr / 10:g}" in caught.value.hint
    assert ("--precision float32" in caught.value.hint) == (precision == "bfloat16")
    assert "\n" not in caught.value.message + caught.value.hint
    position = json.loads((tmp_path / "run" / "snapshot" / "position.json").read_text())
    assert (position["stage"], position["inside"]["step"]) == (2, 2)
    result = train(shards, config, tmp_path / "run", CPU, (again := Recorder()))
    assert "Going on after stage 2, epoch 0 and 2 steps." in again.notes
    assert all(math.isfinite(loss) for e in result.epochs for loss in e.loss.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_rate_far_too_high_is_noticed(shards: Path, tmp_path: Path, precision: str) -> None:
    config = replace(TrainConfig(**SMALL), stage1_lr=1e5, stage1_epochs=4, precision=precision)
    with pytest.raises(C2FError, match=r"stage 1, epoch .* is exploding\n.*--stage1-lr 10000 "):
        train(shards, config, tmp_path / "run", CPU, Silent())


def test_what_counts_as_diverged() -> None:
    meters = Meters((2, 4), CPU)
    for loss in (1.0, 8 * limit(4)):
        meters.add(1, torch.tensor(loss), torch.tensor(0), 8)
    assert meters.worst() == pytest.approx(1)
    assert meters.worst() == 0  # since the last look
    meters.add(0, torch.tensor(float("nan")), torch.tensor(0), 8)
    assert meters.worst() == float("inf")
    assert all_finite([torch.ones(2), torch.zeros(0), torch.tensor([3])])
    assert not all_finite([torch.ones(2), torch.tensor([1.0, float("nan")])])


def test_the_epochs_sums_go_on_where_they_were() -> None:
    losses = [0.1, 1 / 3, 2.7, 1e-9, 5.5]

    def add(meters: Meters, values: list[float]) -> Meters:
        for value in values:
            meters.add(0, torch.tensor(value), torch.tensor(1), 2)
        return meters

    whole = add(Meters((3,), CPU), losses).sums()
    half = add(Meters((3,), CPU), losses[:3]).sums()
    assert add(Meters((3,), CPU, half), losses[3:]).sums() == whole
    assert whole[0].seen == 10


def test_early_stopping_restores_the_best_state(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    """Accuracies are given; the state of the best epoch must be the one that is saved."""
    given = {1: [0.5, 0.5], 2: [0.25, 0.75, 0.75, 0.5, 1.0]}
    states: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
    epochs: list[int] = []

    def validated(run: Any, held: Any, features: Any) -> tuple[LevelSums, ...]:
        stage = 1 if features is not None else 2
        epochs.append(stage)
        number = epochs.count(stage)
        states[stage, number] = {k: v.clone() for k, v in run.model.state_dict().items()}
        right = given[stage][number - 1]
        return tuple(LevelSums(level, 8.0, int(8 * right), 8) for level in run.levels)

    monkeypatch.setattr(stages, "validate", validated)
    config = replace(CONFIG, patience=2, validation=0.5, stage1_epochs=2, stage2_epochs=9, ema=0.5)
    result = train(shards, config, tmp_path / "run", CPU, (notes := Recorder()))
    # A tie goes to the earlier epoch: stage 2 is best after 2 epochs and ends after 4.
    assert [(e.stage, e.epoch) for e in result.epochs] == [(1, 1), (1, 2)] + [
        (2, n) for n in range(1, 5)
    ]
    assert any("ends after epoch 4" in note and "epoch 2" in note for note in notes.notes)
    from c2f_train.checkpoint import load_models

    (model,), _ = load_models(tmp_path / "run" / "model")
    for name, value in model.state_dict().items():
        assert torch.equal(value, states[2, 2][name])
    assert not torch.equal(states[2, 2]["pooling.u.weight"], states[2, 4]["pooling.u.weight"])


def test_held_out_images_are_not_trained_on(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    from c2f_train.data import TrainingImages

    seen: set[int] = set()
    real = TrainingImages.__getitem__

    def watch(images: TrainingImages, key: tuple[int, int]) -> Any:
        seen.add(key[1])
        return real(images, key)

    monkeypatch.setattr(TrainingImages, "__getitem__", watch)
    config = replace(CONFIG, patience=9, validation=0.5, stage1_epochs=1, stage2_epochs=1)
    result = train(shards, config, tmp_path / "run", CPU, Silent())
    record = json.loads((tmp_path / "run" / "validation.json").read_text())
    reader = ShardReader(shards)
    ids = reader.image_ids(TRAIN)
    held = {ids.index(name) for name in record["image_ids"]}
    # One of two of each of the eight species.
    assert sorted(reader.labels(TRAIN)[sorted(held), 2].tolist()) == list(range(8))
    assert seen == set(range(16)) - held
    assert all(e.validation_loss.keys() == e.loss.keys() for e in result.epochs)
    assert all(0 <= a <= 1 for e in result.epochs for a in e.validation_accuracy.values())


def test_a_single_image_a_class_leaves_none_to_hold_out(tmp_path: Path) -> None:
    shards = make_shards(make_striped(tmp_path / "images", train=1, test=1), tmp_path / "shards")
    with pytest.raises(ConfigError, match="every class has a single training image"):
        train(shards, replace(CONFIG, patience=1), tmp_path / "run", CPU, Silent())


def test_when_a_stage_ends() -> None:
    best = Best(3, 0.5, 1.0)
    assert [ended(best, epoch, 2) for epoch in (3, 4, 5, 6)] == [False, False, True, True]
    assert not ended(None, 9, 1)
    assert not ended(best, 9, 0)
    assert Best(4, 0.5, 0.9).beats(best)
    assert not Best(4, 0.5, 1.0).beats(best)
    assert not Best(4, 0.4, 0.1).beats(best)


def test_metrics_are_a_table_too(whole: Path) -> None:
    with (whole / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    epochs = read_run(whole / "run.json").epochs
    assert len(rows) == sum(len(epoch.loss) for epoch in epochs)
    expected = [
        (e.stage, e.epoch, level, e.learning_rate, loss, e.accuracy[level])
        for e in epochs
        for level, loss in e.loss.items()
    ]
    found = [
        (int(r["stage"]), int(r["epoch"]), r["level"], float(r["learning_rate"]),
         float(r["loss"]), float(r["accuracy"]))
        for r in rows
    ]  # fmt: skip
    assert found == expected
    assert {r["validation_loss"] for r in rows} == {""}


def test_tensorboard_has_every_epoch_once(shards: Path, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = replace(CONFIG, stage1_epochs=1)
    with pytest.raises(KeyboardInterrupt):
        train(shards, config, tmp_path / "run", CPU, Recorder(8, "Stage 2"), tensorboard=True)
    result = train(shards, config, tmp_path / "run", CPU, Silent(), tensorboard=True)
    events = reader.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for level in ("family", "species"):
        seen = [(e.step, e.value) for e in events.Scalars(f"loss/train/{level}")]
        assert seen == [
            (n, pytest.approx(e.loss[level])) for n, e in enumerate(result.epochs, start=1)
        ]


def test_tensorboard_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"not installed\n.*\[tensorboard\]"):
        train(shards, CONFIG, tmp_path / "run", CPU, Silent(), tensorboard=True)
    assert not (tmp_path / "run").exists()
