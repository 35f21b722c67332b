"""A whole training: the same bits again, and what it is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_runs import CONFIG, kept
from train_samples import CPU, changed, make_shards, make_striped, state_of

from c2f_data.errors import ArtefactError
from c2f_data.index import TEST, TRAIN
from c2f_data.predictions import read_predictions
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.checkpoint import load_models
from c2f_train.config import TrainConfig
from c2f_train.inference import predict_centers
from c2f_train.progress import Silent
from c2f_train.results import read_run
from c2f_train.run import ShardPictures
from c2f_train.train import train


def test_one_seed_gives_the_same_bits_twice(shards: Path, whole: Path, tmp_path: Path) -> None:
    train(shards, CONFIG, tmp_path / "run", CPU, Silent())
    assert kept(tmp_path / "run") == kept(whole)
    train(shards, replace(CONFIG, seed=2), tmp_path / "other", CPU, Silent())
    assert kept(tmp_path / "other")["model"] != kept(whole)["model"]


def test_worker_processes_do_not_show(shards: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, stage1_epochs=0, stage2_epochs=1, model="mlp")
    train(shards, config, tmp_path / "here", CPU, Silent())
    train(shards, replace(config, workers=1), tmp_path / "there", CPU, Silent())
    here, there = kept(tmp_path / "here"), kept(tmp_path / "there")
    assert here.pop("config") != there.pop("config")
    assert here == there


def test_the_rate_is_halved_every_period(whole: Path) -> None:
    epochs = read_run(whole / "run.json").epochs
    assert [(e.stage, e.epoch) for e in epochs] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [e.learning_rate for e in epochs] == [1.0, 0.5, 1e-3, 5e-4]
    assert all(e.loss.keys() == {"family", "genus", "species"} for e in epochs)


def test_stage_2_draws_other_crops_and_orders_than_stage_1(
    monkeypatch: pytest.MonkeyPatch, shards: Path, tmp_path: Path
) -> None:
    from c2f_train import supply

    drawn: list[int] = []
    real = supply.alternating_images

    def watch(levels: object, config: TrainConfig, epoch: int, *rest: object) -> object:
        drawn.append(epoch)
        return real(levels, config, epoch, *rest)

    monkeypatch.setattr(supply, "alternating_images", watch)
    train(shards, replace(CONFIG, cache=False), tmp_path / "run", CPU, Silent())
    assert drawn == [1, 2, 3, 4]


def test_the_test_accuracy_is_that_of_the_saved_model(shards: Path, whole: Path) -> None:
    (model,), meta = load_models(whole / "model")
    reader, result = ShardReader(shards), read_run(whole / "run.json")
    assert meta.trained == ("family", "genus", "species")
    assert [t.resolution for t in result.test] == [8, 24, result.levels[2].resolution]
    for level, entry in enumerate(result.test):
        truth = reader.labels(TEST)[:, level]
        predicted, confidence = predict_centers(
            model,
            level,
            ShardPictures(reader, TEST, entry.level),
            ResampleSpec.for_input(32),
            CPU,
            "float32",
            workers=0,
        )
        rows = read_predictions(whole / f"test-{entry.level}.h5")
        assert rows.image_ids == reader.image_ids(TEST)
        assert rows.predicted[:, 0].tolist() == predicted.tolist()
        assert rows.true[:, 0].tolist() == truth.tolist()
        assert abs(rows.confidence[:, 0] - confidence).max() < 1e-6
        assert (entry.n, entry.correct) == (8, int((predicted == truth).sum()))
        assert entry.low <= entry.accuracy <= entry.high


LEARNS = replace(
    CONFIG,
    input_size=64,
    dim=32,
    stage1="hbp",
    stage1_epochs=1,
    stage1_lr=0.3,
    stage2_epochs=8,
    stage2_lr=0.01,
    lr_period=6,
)


def check_learning(
    tmp_path: Path, config: TrainConfig, device: torch.device, at_least: float
) -> None:
    """Losses fall at every level, and the saved model tells the classes apart on a CPU, too."""
    shards = make_shards(make_striped(tmp_path / "images", train=6, test=2), tmp_path / "shards")
    result = train(shards, config, tmp_path / "run", device, Silent())
    first, last = result.epochs[0], result.epochs[-1]
    assert all(last.loss[level] < 0.8 * first.loss[level] for level in last.loss)
    assert all(t.accuracy >= at_least and t.chance <= 0.5 for t in result.test)
    (model,), _ = load_models(tmp_path / "run" / "model")
    reader = ShardReader(shards)
    for level, entry in enumerate(result.test):
        pictures = ShardPictures(reader, TEST, entry.level)
        spec = ResampleSpec.for_input(config.input_size)
        predicted, _ = predict_centers(model, level, pictures, spec, CPU, "float32", workers=0)
        assert (predicted == reader.labels(TEST)[:, level]).mean() >= at_least


def test_training_learns_every_level(tmp_path: Path) -> None:
    check_learning(tmp_path, LEARNS, CPU, at_least=0.8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bfloat16"},
        {"precision": "bfloat16", "compile": True},
        {"precision": "bfloat16", "accumulate": 2},
    ],
    ids=["float32", "bfloat16", "compiled", "accumulated"],
)
def test_training_on_a_gpu_learns_every_level(tmp_path: Path, changes: dict[str, object]) -> None:
    # Eight epochs end between 0.75 and 1 for 16 images of species, by seed and number format.
    config = replace(LEARNS, **changes)
    check_learning(tmp_path, config, torch.device("cuda"), at_least=0.6)


def test_shards_without_test_images_are_refused_before_training(tmp_path: Path) -> None:
    index = make_striped(tmp_path / "images", train=1, test=1)
    only = replace(index, records=tuple(r for r in index.records if r.split == TRAIN))
    with pytest.raises(ArtefactError, match="no test images"):
        train(make_shards(only, tmp_path / "shards"), CONFIG, tmp_path / "run", CPU, Silent())
    assert not (tmp_path / "run").exists()


def test_a_trained_model_has_not_the_first_weights(whole: Path) -> None:
    (model,), meta = load_models(whole / "model")
    from c2f_train.checkpoint import empty_model

    torch.manual_seed(CONFIG.seed)
    start = state_of(empty_model(meta))
    assert len(changed(start, state_of(model))) > len(start) / 2
