"""Model folders: a round trip, and every kind of damage is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from train_samples import STRIPED, changed, state_of

from c2f_data.calibration import LevelResolution
from c2f_data.errors import ArtefactError
from c2f_data.resample import ResampleSpec
from c2f_train.backbones import build_backbone
from c2f_train.checkpoint import ModelMeta, load_models, read_meta, save_models, write_tensors
from c2f_train.model import HierarchicalClassifier, build_model

META = ModelMeta(
    backbone="tiny",
    taps=(),
    pooling="multilinear",
    dim=8,
    weights="from scratch",
    taxonomy="striped",
    levels=STRIPED.levels,
    paths=STRIPED.paths,
    trained=STRIPED.levels,
    spec=ResampleSpec.for_input(64),
    resolutions=(LevelResolution("family", 2, 8), LevelResolution("species", 8, 72, native=True)),
    train_fingerprint="ab",
    folds=1,
    seed=3,
)


def tiny_model(seed: int = 0, dim: int = 8) -> HierarchicalClassifier:
    torch.manual_seed(seed)
    return build_model(build_backbone("tiny", "none"), "multilinear", dim, META.counts, seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_models(tmp_path / "model", [tiny_model()], META)
    return tmp_path / "model"


def test_a_round_trip(folder: Path) -> None:
    models, meta = load_models(folder)
    assert meta == META
    assert meta.hierarchy().paths == STRIPED.paths
    assert meta.counts == (2, 4, 8)
    assert len(models) == 1
    assert models[0].backbone.source == "from scratch"
    assert not changed(state_of(tiny_model()), state_of(models[0]))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(models[0].eval()(images, 2), tiny_model().eval()(images, 2))


def test_folds_are_kept_as_differences(tmp_path: Path) -> None:
    first = tiny_model()
    other_classifiers, other_everything = tiny_model(), tiny_model(seed=9)
    with torch.no_grad():
        other_classifiers.classifiers[1].weight.add_(1)
    models = [first, other_classifiers, other_everything]
    save_models(tmp_path / "model", models, replace(META, folds=3))
    assert load_file(tmp_path / "model" / "fold-1.safetensors").keys() == {"classifiers.1.weight"}
    loaded, meta = load_models(tmp_path / "model")
    assert meta.folds == len(loaded) == 3
    for mine, theirs in zip(models, loaded, strict=True):
        assert not changed(state_of(mine), state_of(theirs))


def test_saving_again_replaces_the_folder(folder: Path) -> None:
    (folder / "fold-1.safetensors").write_bytes(b"of an earlier model")
    save_models(folder, [tiny_model(seed=5)], META)
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "model.json",
        "model.safetensors",
    ]
    assert not changed(state_of(load_models(folder)[0][0]), state_of(tiny_model(seed=5)))
    assert [p.name for p in folder.parent.iterdir()] == ["model"]
    # Whoever may read one file of it may read all.
    assert len({p.stat().st_mode for p in folder.iterdir()}) == 1


def edit_meta(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_another_schema_version_is_refused(folder: Path) -> None:
    edit_meta(folder, schema_version=99)
    with pytest.raises(ArtefactError, match=r"model\.json: schema version 99, this c2f reads"):
        read_meta(folder)


def test_a_file_of_the_first_version_is_read(folder: Path) -> None:
    path = folder / "model.json"
    data = json.loads(path.read_text()) | {"schema_version": 1}
    for name in ("dataset", "train_images", "metrics", "recipe", "provenance"):
        del data[name]
    path.write_text(json.dumps(data))
    assert load_models(folder)[1] == META
    del data["spec"]  # what the first version had is still needed
    path.write_text(json.dumps(data))
    with pytest.raises(ArtefactError, match=r"model\.json: not a valid ModelMeta"):
        load_models(folder)


def test_a_file_of_before_crops_were_recorded_is_read(folder: Path) -> None:
    save_models(folder, [tiny_model()], replace(META, crop="parts"))
    assert read_meta(folder).crop == "parts"
    path = folder / "model.json"
    data = json.loads(path.read_text()) | {"schema_version": 2}
    del data["crop"]
    path.write_text(json.dumps(data))
    assert read_meta(folder) == replace(META, crop=None)
    edit_meta(folder, crop="circle")
    with pytest.raises(ArtefactError, match=r"model\.json: no crop 'circle'"):
        read_meta(folder)


def test_a_folder_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    edit_meta(folder, schema="c2f-run")
    with pytest.raises(ArtefactError, match=r"model\.json: not a c2f-model file"):
        load_models(folder)
    with pytest.raises(ArtefactError, match=r"model\.json: no such file\nRun `c2f train`"):
        load_models(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_truncated_tensors_are_refused(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtefactError, match=r"model\.safetensors"):
        load_models(folder)


def test_a_missing_fold_is_named(folder: Path) -> None:
    edit_meta(folder, folds=2)
    with pytest.raises(ArtefactError, match=r"fold-1\.safetensors"):
        load_models(folder)


def test_tensors_of_another_model_are_refused(folder: Path) -> None:
    tensors = {k: v.contiguous() for k, v in tiny_model(dim=9).state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ArtefactError, match=r"model: the tensors don't fit .*size mismatch"):
        load_models(folder)
    tensors = {k: v.contiguous() for k, v in tiny_model().state_dict().items()}
    del tensors["pooling.u.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ArtefactError, match=r"model: the tensors don't fit .*pooling\.u\.bias"):
        load_models(folder)


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors has an error of its own for what the system calls ENOSPC."""

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("c2f_train.checkpoint.save_file", full)
    with pytest.raises(ArtefactError, match="No space left on device\nFree some space"):
        write_tensors(tmp_path / "model.safetensors", {"a": torch.zeros(1)})
