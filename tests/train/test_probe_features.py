"""Features of the training images are kept, so a probe is fitted again without the network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from train_samples import CPU, Recorder, make_striped, small_model

from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.probe_features import weights_digest
from c2f_train.progress import Silent

CONFIG = CalibrateConfig(
    thresholds=(("species", 0.8), ("genus", 0.8)),
    images="test",
    backbone="stripes",
    input_size=64,
    sweep=(48, 24, 12),
    precision="float32",
)
FEATURES = "Features of the training images, I_high"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_striped(tmp_path_factory.mktemp("features") / "images", train=5, test=2)


pytestmark = pytest.mark.usefixtures("stripes")


def run(index: DatasetIndex, folder: Path, **changes: object) -> Recorder:
    calibrate(index, replace(CONFIG, **changes), folder, CPU, recorder := Recorder())
    return recorder


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "features").glob("*.safetensors"))


def test_a_classifier_that_was_deleted_is_fitted_again_to_the_same_numbers(
    index: DatasetIndex, tmp_path: Path
) -> None:
    assert FEATURES in run(index, tmp_path).steps
    (place,) = tmp_path.glob("*/classifier")
    (file,) = kept(tmp_path)
    assert load_file(file)["features"].shape == (40, 6)
    before = (place / "model.safetensors").read_bytes()
    shutil.rmtree(place)
    for path in tmp_path.glob("*/predictions/*.h5"):
        path.unlink()
    again = run(index, tmp_path)
    assert FEATURES not in again.steps
    assert "Fitting the probe" in again.steps
    assert any(str(file) in note for note in again.notes)
    assert (place / "model.safetensors").read_bytes() == before


def test_another_seed_or_other_measured_images_use_the_same_features(
    index: DatasetIndex, tmp_path: Path
) -> None:
    """Test images and cross-validation both train on all training images."""
    run(index, tmp_path)
    for changes in ({"seed": 1}, {"images": "val"}, {"images": "val", "seed": 2}):
        assert FEATURES not in run(index, tmp_path, **changes).steps
    assert len(kept(tmp_path)) == 1


def test_what_moves_a_feature_gets_a_file_of_its_own(index: DatasetIndex, tmp_path: Path) -> None:
    run(index, tmp_path)
    fewer = replace(index, records=index.records[1:])
    for count, (images, changes) in enumerate(
        ((fewer, {}), (index, {"input_size": 56}), (index, {"precision": "bfloat16"})), start=2
    ):
        assert FEATURES in run(images, tmp_path, **changes).steps
        assert len(kept(tmp_path)) == count


def test_retraining_keeps_the_features_of_each_resolution(
    index: DatasetIndex, tmp_path: Path
) -> None:
    first = calibrate(index, replace(CONFIG, training="retrained"), tmp_path, CPU, Silent())
    trained = list(tmp_path.glob("*/classifier*"))
    assert len(kept(tmp_path)) == len(trained) > 1
    for path in trained:
        shutil.rmtree(path)
    for path in tmp_path.glob("*/predictions/*.h5"):
        path.unlink()
    config = replace(CONFIG, training="retrained")
    again = calibrate(index, config, tmp_path, CPU, recorder := Recorder())
    assert not [what for what in recorder.steps if what.startswith("Features")]
    assert again.crossings == first.crossings


@pytest.mark.parametrize("how", ["torn", "other"])
def test_damaged_features_are_refused(index: DatasetIndex, tmp_path: Path, how: str) -> None:
    run(index, tmp_path)
    (file,) = kept(tmp_path)
    if how == "torn":
        file.write_bytes(file.read_bytes()[:100])
    else:
        save_file({"features": torch.zeros(39, 6)}, file)
    shutil.rmtree(next(tmp_path.glob("*/classifier")))
    for path in tmp_path.glob("*/predictions/*.h5"):
        path.unlink()
    with pytest.raises(ArtefactError, match=r"features/.*\nDelete the file and run again"):
        run(index, tmp_path)


def test_the_digest_is_of_the_numbers() -> None:
    one, same, other = small_model("average"), small_model("average"), small_model("average")
    with torch.no_grad():
        next(other.parameters())[0] += 1
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)
