"""Fine-tuning for a calibration: it learns, it repeats, it goes on, and it stops at nonsense."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from train_samples import CPU, Recorder, changed, make_striped, small_model, state_of

from c2f_data.calibration import read_result
from c2f_data.errors import ArtefactError, C2FError
from c2f_data.index import TRAIN, DatasetIndex
from c2f_data.resample import ResampleSpec
from c2f_train import finetune as module
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.checkpoint import load_models
from c2f_train.data import FilePictures
from c2f_train.finetune import Recipe, finetune, schedule
from c2f_train.model import HierarchicalClassifier
from c2f_train.progress import Progress, Silent
from c2f_train.snapshot import read_position

RECIPE = Recipe(epochs=3, trunk_lr=2e-3, head_lr=2e-2, weight_decay=0.05, batch_size=6)
STEPS = 3  # of 16 images, in batches of 6


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_striped(tmp_path_factory.mktemp("finetune") / "images", train=2, test=1)


def fit(
    index: DatasetIndex,
    snapshot: Path,
    progress: Progress,
    *,
    key: str = "one",
    workers: int = 0,
    recipe: Recipe = RECIPE,
) -> HierarchicalClassifier:
    positions = tuple(int(p) for p in index.positions(TRAIN))
    model = small_model("average")
    finetune(
        model,
        FilePictures(index, positions),
        index.taxonomy.codes[index.labels[np.asarray(positions)]],
        ResampleSpec.for_input(48),
        recipe,
        CPU,
        "float32",
        seed=4,
        workers=workers,
        snapshot=snapshot,
        key=key,
        progress=progress,
        what="Training",
    )
    return model


@pytest.fixture(scope="module")
def whole(index: DatasetIndex, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return state_of(fit(index, tmp_path_factory.mktemp("whole") / "s", Silent()))


def test_it_trains_everything_and_repeats(
    index: DatasetIndex, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    start = state_of(small_model("average"))
    assert changed(start, whole) == start.keys()
    assert not changed(whole, state_of(fit(index, tmp_path / "s", Silent())))


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 1, 2 * STEPS + 2, 3 * STEPS])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    index: DatasetIndex, whole: dict[str, torch.Tensor], tmp_path: Path, step: int
) -> None:
    snapshot, recorder = tmp_path / "s", Recorder(stop_after=step)
    with pytest.raises(KeyboardInterrupt):
        fit(index, snapshot, recorder)
    position = read_position(snapshot)
    assert (position.epoch if position else 0) == (step - 1) // STEPS
    again = Recorder()
    assert not changed(whole, state_of(fit(index, snapshot, again)))


def test_a_snapshot_of_something_else_is_not_used(
    index: DatasetIndex, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    fit(index, tmp_path / "s", Silent(), key="two", recipe=replace(RECIPE, head_lr=1e-3))
    assert read_position(tmp_path / "s") is not None
    assert not changed(whole, state_of(fit(index, tmp_path / "s", Silent())))


def test_another_version_of_the_snapshot_is_refused(index: DatasetIndex, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(index, tmp_path / "s", Recorder(stop_after=STEPS + 1))
    path = tmp_path / "s" / "position.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ArtefactError, match=r"position\.json: schema version 2"):
        fit(index, tmp_path / "s", Silent())


def test_a_loss_that_is_no_number_is_an_error_that_keeps_the_snapshot(
    monkeypatch: pytest.MonkeyPatch, index: DatasetIndex, tmp_path: Path
) -> None:
    real, calls = module.check_finite, []

    def poisoned(loss: torch.Tensor) -> float:
        calls.append(1)
        return real(loss * float("inf") if len(calls) > STEPS + 1 else loss)

    monkeypatch.setattr(module, "check_finite", poisoned)
    with pytest.raises(C2FError, match="the loss is no longer a number"):
        fit(index, tmp_path / "s", Silent())
    position = read_position(tmp_path / "s")
    assert position is not None
    assert position.epoch == len(position.history) == 1


def test_the_rate_rises_and_falls_to_zero() -> None:
    shares = [schedule(step, 100, 0.1) for step in range(100)]
    assert shares[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(shares) == shares[10] == 1.0
    assert all(a > b for a, b in pairwise(shares[10:]))
    assert shares[55] == pytest.approx(0.5)
    assert shares[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))


def test_every_fold_starts_from_the_same_backbone(index: DatasetIndex, tmp_path: Path) -> None:
    """A calibration that fine-tunes, in five folds, interrupted in the second one."""
    config = CalibrateConfig(
        thresholds=(("species", 0.8), ("genus", 0.8)),
        backbone="tiny",
        input_size=32,
        sweep=(16,),
        epochs=1,
        precision="float32",
    )
    calibrate(index, config, tmp_path / "whole", CPU, Silent())
    with pytest.raises(KeyboardInterrupt):
        calibrate(index, config, tmp_path / "cut", CPU, Recorder(1, "Training on I_high, fold 2"))
    calibrate(index, config, tmp_path / "cut", CPU, Silent())
    (whole,), (cut,) = (list((tmp_path / n).glob("*/classifier")) for n in ("whole", "cut"))
    models, meta = load_models(whole)
    assert meta.folds == 5
    assert [p.read_bytes() for p in sorted(whole.iterdir())] == [
        p.read_bytes() for p in sorted(cut.iterdir())
    ]
    results = [read_result(tmp_path / n / "result.json") for n in ("whole", "cut")]
    assert results[0].curves == results[1].curves
    first = next(iter(models[0].backbone.state_dict()))
    tensors = [m.backbone.state_dict()[first] for m in models]
    # One step of training apart, not as far as two random starts would be.
    spread = max(float((t - tensors[0]).abs().max()) for t in tensors[1:])
    assert 0 < spread < 0.02 < float(tensors[0].std())
