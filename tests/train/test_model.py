"""The model: which classifiers a batch touches, and what a stage of the training changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from train_samples import CPU, changed, make_shards, make_striped, small_model, state_of

from c2f_data.errors import ConfigError
from c2f_data.index import TRAIN
from c2f_data.resample import ResampleSpec
from c2f_data.shards.reader import ShardReader
from c2f_train.alternation import (
    LevelImages,
    alternating_features,
    alternating_images,
    steps_of,
)
from c2f_train.config import TrainConfig
from c2f_train.data import TrainingImages
from c2f_train.model import share_trunk
from c2f_train.progress import Silent
from c2f_train.run import ShardPictures
from c2f_train.step import Batch, TrainingStep
from c2f_train.train import train

FAMILY, GENUS, SPECIES = 0, 1, 2


def images(count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8)


LEVELS = (SPECIES, GENUS, FAMILY)
SGD = TrainConfig(stage2_lr=0.1, stage2_weight_decay=0.1)


def one_step(step: TrainingStep, level: int) -> None:
    step.train()
    step(Batch(level, images(), torch.zeros(4, dtype=torch.long)), 1, 0, 1)


def test_logits_of_a_level_come_from_its_own_classifier() -> None:
    model = small_model().eval()
    features = model.features(images())
    assert features.shape == (4, 4 * 8)
    everything = model.all_logits(images())
    for level, count in enumerate((2, 4, 8)):
        linear = model.classifiers[level]
        expected = features @ linear.weight.T + linear.bias
        assert expected.shape == (4, count)
        torch.testing.assert_close(model(images(), level), expected)
        torch.testing.assert_close(everything[level], expected)


@pytest.mark.parametrize("level", [FAMILY, GENUS, SPECIES])
@pytest.mark.parametrize("config", [SGD, replace(SGD, optimizer="adamw")], ids=["sgd", "adamw"])
def test_unused_classifiers_have_no_gradient_and_stay(level: int, config: TrainConfig) -> None:
    model = small_model()
    step = TrainingStep(model, config, 2, LEVELS, CPU)
    # Every classifier gets a momentum first, which would move it without a gradient of its own.
    for earlier in LEVELS:
        one_step(step, earlier)
    kept = "momentum_buffer" if config.optimizer == "sgd" else "exp_avg"
    assert all(kept in step.optimizer.state[p] for p in model.classifiers.parameters())
    before = state_of(model)
    one_step(step, level)
    for other in {FAMILY, GENUS, SPECIES} - {level}:
        assert all(p.grad is None for p in model.classifiers[other].parameters())
    untouched = before.keys() - changed(before, state_of(model))
    others = {name for name in before if name.startswith("classifiers.")}
    assert untouched == {n for n in others if not n.startswith(f"classifiers.{level}.")}


def test_a_gradient_of_zeros_would_not_do() -> None:
    """The test above can fail: with zeros instead of None, decay and momentum move them all."""
    model = small_model()
    step = TrainingStep(model, SGD, 2, LEVELS, CPU)
    one_step(step, GENUS)
    before = state_of(model)
    for parameter in model.classifiers[GENUS].parameters():
        parameter.grad = torch.zeros_like(parameter)
    step.optimizer.step()
    assert "classifiers.1.weight" in changed(before, state_of(model))


def test_a_shared_trunk_has_classifiers_of_its_own() -> None:
    model = small_model("average")
    twin = share_trunk(model)
    assert twin.backbone is model.backbone
    with torch.no_grad():
        twin.classifiers[0].weight.zero_()
    assert model.classifiers[0].weight.any()


def test_new_parameters_depend_on_the_seed_alone() -> None:
    first = state_of(small_model(seed=4))
    torch.rand(3)
    assert not changed(first, state_of(small_model(seed=4)))
    assert "pooling.u.weight" in changed(first, state_of(small_model(seed=5)))


def test_batches_of_cached_features_go_from_fine_to_coarse() -> None:
    rows = {
        level: torch.arange(5.0).unsqueeze(1) + 10 * level for level in (SPECIES, GENUS, FAMILY)
    }
    labels = {level: torch.arange(5) for level in rows}
    config = TrainConfig(stage1_batch_size=2, seed=3)
    batches = list(alternating_features(rows, labels, config, epoch=1))
    assert [b.level for b in batches] == [SPECIES, GENUS, FAMILY] * 3
    assert [len(b.inputs) for b in batches] == [2] * 6 + [1] * 3
    for batch in batches:
        torch.testing.assert_close(batch.inputs[:, 0], batch.labels + 10.0 * batch.level)
    for level in rows:
        order = torch.cat([b.labels for b in batches if b.level == level])
        assert sorted(order.tolist()) == list(range(5))
    again = list(alternating_features(rows, labels, config, epoch=1))
    other = list(alternating_features(rows, labels, config, epoch=2))
    orders = [torch.cat([b.labels for b in bs]).tolist() for bs in (batches, again, other)]
    assert orders[0] == orders[1] != orders[2]


def test_batches_of_images_go_from_fine_to_coarse(shards: Path) -> None:
    reader, spec = ShardReader(shards), ResampleSpec.for_input(32)
    levels = [
        LevelImages(
            level,
            TrainingImages(ShardPictures(reader, TRAIN, reader.levels[level]), spec, 0, cache=True),
            torch.from_numpy(reader.labels(TRAIN)[:, level].copy()),
        )
        for level in (SPECIES, GENUS, FAMILY)
    ]
    config = TrainConfig(batch_size=3)
    assert steps_of(levels, 3) == 9
    batches = list(alternating_images(levels, config, epoch=1))
    assert [(b.level, len(b.inputs)) for b in batches] == [
        (level, count) for count in (3, 3, 2) for level in (SPECIES, GENUS, FAMILY)
    ]
    taxonomy = reader.manifest.taxonomy
    for own in levels:
        mine = [b for b in batches if b.level == own.level]
        # Every image once, at its level's resolution, under its own label.
        assert sorted(torch.cat([b.labels for b in mine]).tolist()) == sorted(
            taxonomy.codes[:, own.level].tolist()
        )
        shown = {own.images[1, i][0].tobytes(): int(own.labels[i]) for i in range(8)}
        for batch in mine:
            for image, label in zip(batch.inputs, batch.labels, strict=True):
                assert shown[image.permute(1, 2, 0).numpy().tobytes()] == label


@pytest.mark.parametrize(
    ("settings", "groups"),
    [
        ({"stage1": "softmax"}, {"classifiers"}),
        ({"stage1": "softmax", "cache": False}, {"classifiers"}),
        ({"stage1": "hbp"}, {"classifiers", "pooling"}),
        ({"stage1_epochs": 0, "stage2_epochs": 1}, {"classifiers", "pooling", "backbone"}),
    ],
    ids=["softmax", "softmax without cache", "hbp", "stage 2"],
)
@pytest.mark.parametrize("model", ["mlph", "mlp", "hbp"])
def test_what_a_stage_trains(
    monkeypatch: pytest.MonkeyPatch,
    shards: Path,
    tmp_path: Path,
    model: str,
    settings: dict[str, object],
    groups: set[str],
) -> None:
    from c2f_train import train as module

    build, built = module.build_model, []

    def keep(*arguments: object) -> nn.Module:
        made = build(*arguments)
        built.append((made, state_of(made)))
        return made

    monkeypatch.setattr(module, "build_model", keep)
    config = TrainConfig(
        **{
            "model": model,
            "backbone": "tiny",
            "weights": "none",
            "input_size": 32,
            "dim": 8,
            "stage1_epochs": 1,
            "stage2_epochs": 0,
            **settings,
        }
    )
    result = train(shards, config, tmp_path / "run", CPU, Silent())
    after, before = built[0]
    moved = changed(before, state_of(after))
    # All weights of a group move, and only the finest classifier where one level is trained.
    names = {n for n in before if n.partition(".")[0] in groups}
    if model != "mlph":
        names -= {n for n in before if n.startswith(("classifiers.0.", "classifiers.1."))}
    # A bias behind a dead activation may stay where it is; nothing outside the groups moves.
    assert moved <= names
    assert {n for n in names if n.endswith("weight")} <= moved
    assert [t.level for t in result.test] == (
        ["family", "genus", "species"] if model == "mlph" else ["species"]
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stages")
    return make_shards(make_striped(folder / "images", train=1, test=1), folder / "shards")


@pytest.mark.parametrize(
    ("setting", "value", "word"),
    [
        ("model", "vgg", "no model 'vgg'"),
        ("batch_size", 0, "batch_size = 0"),
        ("workers", -1, "workers = -1"),
        ("stage2_lr", 0.0, "stage2_lr = 0"),
        ("taps", ("a", "b"), "2 taps"),
    ],
)
def test_settings_without_meaning_are_refused(setting: str, value: object, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        TrainConfig(**{setting: value})
    with pytest.raises(ConfigError, match="no epochs"):
        TrainConfig(stage1_epochs=0, stage2_epochs=0)
