"""Every line of the registry: what it says is true, and its model is built, saved and trained."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_checkpoint import META
from train_runs import CONFIG
from train_samples import CPU, changed, state_of

from c2f_data.errors import ArtefactError, ConfigError
from c2f_train.backbones import build_backbone
from c2f_train.checkpoint import load_models, save_models
from c2f_train.config import TrainConfig
from c2f_train.model import HierarchicalClassifier, build_model
from c2f_train.pooling import MODELS, POOLINGS, make_pooling
from c2f_train.progress import Silent
from c2f_train.train import train

CHANNELS = (3, 4, 5)


def tiny(pooling: str, seed: int = 3, dim: int = 6) -> HierarchicalClassifier:
    return build_model(build_backbone("tiny", "none"), pooling, dim, META.counts, seed)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_uses_the_maps_that_it_names(name: str) -> None:
    torch.manual_seed(0)
    pooling = make_pooling(name, CHANNELS, 7)
    maps = [torch.rand(2, c, 3, 3, requires_grad=True) for c in CHANNELS]
    features = pooling(*maps)
    assert features.shape == (2, pooling.out_features)
    assert features.dtype == torch.float32
    features.sum().backward()
    used = "".join(n for n, m in zip("xyz", maps, strict=True) if m.grad is not None)
    assert used == POOLINGS[name].maps


@pytest.mark.parametrize("name", POOLINGS)
def test_dim_matters_where_the_registry_gives_one(name: str) -> None:
    widths = {make_pooling(name, CHANNELS, dim).out_features for dim in (6, 7)}
    assert len(widths) == (1 if POOLINGS[name].dim is None else 2)


@pytest.mark.parametrize("model", MODELS)
def test_features_of_a_model_have_unit_parts(model: str) -> None:
    """One learning rate suits all: the length is the square root of the number of parts."""
    torch.manual_seed(0)
    pooling = make_pooling(MODELS[model].pooling, CHANNELS, 64)
    length = pooling(*[torch.rand(3, c, 4, 4) for c in CHANNELS]).norm(dim=1)
    parts = {"mlph": 4, "mlp": 4, "hbp": 3}.get(model, 1)
    torch.testing.assert_close(length, torch.full((3,), parts**0.5))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_checkpoint_brings_it_back(pooling: str, tmp_path: Path) -> None:
    model = tiny(pooling)
    meta = replace(META, pooling=pooling, dim=6, seed=99)  # other hashes than the stored ones
    save_models(tmp_path / "model", [model], meta)
    (loaded,), _ = load_models(tmp_path / "model")
    assert not changed(state_of(model), state_of(loaded))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(images, 2), model.eval()(images, 2))


@pytest.mark.parametrize("pooling", ["tensor-sketch", "kernel"])
def test_hashes_outside_the_sketch_are_refused(pooling: str, tmp_path: Path) -> None:
    save_models(tmp_path / "model", [tiny(pooling)], replace(META, pooling=pooling, dim=6))
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    tensors["pooling.hashes"][0, 0] = 6
    save_file(tensors, file)
    with pytest.raises(ArtefactError, match=r"hashes outside 0 \.\. 5"):
        load_models(tmp_path / "model")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_new_parameters_and_hashes_depend_on_the_seed_alone(pooling: str) -> None:
    first = state_of(tiny(pooling).pooling)
    torch.rand(3)
    assert not changed(first, state_of(tiny(pooling).pooling))
    others = changed(first, state_of(tiny(pooling, seed=4).pooling))
    drawn = {name for name in first if name.endswith(("weight", "hashes", "signs"))}
    assert others == drawn


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_trained_and_loaded(model: str, shards: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, model=model, stage1_epochs=1, stage2_epochs=1)
    result = train(shards, config, tmp_path / "run", CPU, Silent())
    levels = [test.level for test in result.test]
    assert levels == (["family", "genus", "species"] if model == "mlph" else ["species"])
    (loaded,), meta = load_models(tmp_path / "run" / "model")
    assert meta.pooling == MODELS[model].pooling
    assert meta.trained == tuple(levels)
    again = train(shards, config, tmp_path / "again", CPU, Silent())
    assert again.test == result.test
    (other,), _ = load_models(tmp_path / "again" / "model")
    assert not changed(state_of(loaded), state_of(other))


@pytest.mark.parametrize(("model", "moved"), [("kp", True), ("kp-rbf", False)])
def test_stage_2_learns_the_coefficients_unless_they_are_fixed(
    model: str, moved: bool, shards: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, model=model, stage1_epochs=0, stage2_epochs=1)
    train(shards, config, tmp_path / "run", CPU, Silent())
    (loaded,), _ = load_models(tmp_path / "run" / "model")
    start = make_pooling(MODELS[model].pooling, CHANNELS, 8).state_dict()["coefficients"]
    assert torch.equal(loaded.pooling.state_dict()["coefficients"], start) != moved


def test_no_model_of_that_name() -> None:
    with pytest.raises(ConfigError, match=r"no model 'vgg'\nChoose one of mlph, .*bcnn"):
        TrainConfig(model="vgg")


def test_the_registry_is_read_without_torch() -> None:
    code = "import sys, c2f_train.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
