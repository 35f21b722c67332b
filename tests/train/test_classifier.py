"""Which classifier a calibration uses: chosen, loaded, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from train_samples import CPU, TWO_LEVELS, Recorder, make_striped, stripe_backbone

from c2f_data.calibration import read_result
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.index import DatasetIndex
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.calibration_plan import make_plan
from c2f_train.checkpoint import read_meta
from c2f_train.classifier import choose_kind, recipe_for
from c2f_train.finetune import FROM_SCRATCH, PRETRAINED
from c2f_train.progress import Silent

CONFIG = CalibrateConfig(
    thresholds=(("species", 0.8), ("genus", 0.8)),
    backbone="stripes",
    input_size=64,
    sweep=(48, 24, 12),
    precision="float32",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_striped(tmp_path_factory.mktemp("classifier") / "images", train=5, test=2)


pytestmark = pytest.mark.usefixtures("stripes")


def classifier_of(index: DatasetIndex, images: str, folder: Path) -> Path:
    """The classifier that a calibration on these images leaves behind."""
    calibrate(index, replace(CONFIG, images=images), folder, CPU, Silent())
    (found,) = folder.glob("*/classifier")
    return found


def test_auto_is_a_probe_on_a_cpu_and_fine_tuning_on_a_gpu() -> None:
    gpu = torch.device("cuda")
    assert choose_kind("auto", "vgg16", None, CPU) == "probe"
    assert choose_kind("auto", "vgg16", None, gpu) == "finetune"
    assert choose_kind("auto", "vgg16", "none", CPU) == "finetune"
    assert choose_kind("auto", "tiny", None, CPU) == "finetune"
    assert choose_kind("auto", "tiny", "file.pth", CPU) == "probe"
    assert choose_kind("probe", "vgg16", None, gpu) == "probe"


@pytest.mark.parametrize(("backbone", "weights"), [("vgg16", "none"), ("tiny", None)])
def test_a_probe_on_random_features_is_refused(backbone: str, weights: str | None) -> None:
    with pytest.raises(ConfigError, match="would classify random features"):
        choose_kind("probe", backbone, weights, CPU)


def test_recipes() -> None:
    trained = stripe_backbone("stripes", None)
    assert recipe_for(trained, None) == PRETRAINED
    assert recipe_for(trained, 3) == replace(PRETRAINED, epochs=3)
    trained.source = "from scratch"
    assert recipe_for(trained, None) == FROM_SCRATCH


def test_a_saved_classifier_measures_the_test_images(index: DatasetIndex, tmp_path: Path) -> None:
    saved = classifier_of(index, "test", tmp_path / "first")
    first = read_result(tmp_path / "first" / "result.json")
    again = replace(CONFIG, images="test", classifier=str(saved), backbone="vgg16", input_size=None)
    recorder = Recorder()
    result = calibrate(index, again, tmp_path / "second", CPU, recorder)
    assert recorder.steps.keys() == {"Measuring"}  # nothing is trained
    assert result.curves == first.curves
    assert result.protocol.classifier == str(saved)
    assert (result.protocol.backbone, result.protocol.spec) == ("stripes", first.protocol.spec)


def test_a_classifier_of_other_crops_is_said(index: DatasetIndex, tmp_path: Path) -> None:
    saved = classifier_of(index, "test", tmp_path / "first")
    assert read_meta(saved).crop == "none"
    config = replace(CONFIG, images="test", classifier=str(saved))
    assert make_plan(index, config, CPU).notes == ()
    (note,) = make_plan(replace(index, crop="parts"), config, CPU).notes
    assert note == (
        "The classifier was trained on images that were whole, and these are cut to boxes around "
        "their visible parts."
    )


def test_a_saved_classifier_does_not_measure_what_it_may_have_seen(
    index: DatasetIndex, tmp_path: Path
) -> None:
    saved = classifier_of(index, "test", tmp_path / "first")  # trained on all of train
    with pytest.raises(
        ConfigError, match=r"may have been trained on the images .*\n.*--images test"
    ):
        calibrate(index, replace(CONFIG, classifier=str(saved)), tmp_path / "c", CPU, Silent())


def test_folds_go_with_the_split_that_they_were_trained_for(
    index: DatasetIndex, tmp_path: Path
) -> None:
    saved = classifier_of(index, "val", tmp_path / "first")
    assert read_meta(saved).folds == 5
    own = replace(CONFIG, classifier=str(saved))
    result = calibrate(index, own, tmp_path / "c", CPU, Silent())
    assert result.curves == read_result(tmp_path / "first" / "result.json").curves
    with pytest.raises(ConfigError, match="may have been trained"):
        calibrate(index, replace(own, seed=1), tmp_path / "c", CPU, Silent())
    with pytest.raises(ConfigError, match=r"5 models of a cross-validation.*\n.*--images val"):
        calibrate(index, replace(own, images="test"), tmp_path / "c", CPU, Silent())


def test_a_classifier_of_another_hierarchy_or_of_one_level_is_refused(
    index: DatasetIndex, tmp_path: Path
) -> None:
    saved = classifier_of(index, "test", tmp_path / "first")
    other = replace(index, taxonomy=TWO_LEVELS)
    config = replace(CONFIG, images="test", classifier=str(saved), thresholds=(("species", 0.8),))
    with pytest.raises(ArtefactError, match="its 8 classes are not those of striped"):
        calibrate(other, config, tmp_path / "c", CPU, Silent())
    text = (saved / "model.json").read_text()
    cut = text.replace('"trained": [\n    "family",\n    "genus",', '"trained": [')
    assert cut != text
    (saved / "model.json").write_text(cut)
    config = replace(CONFIG, images="test", classifier=str(saved))
    with pytest.raises(ArtefactError, match="no trained classifier for family, genus"):
        calibrate(index, config, tmp_path / "c", CPU, Silent())


def test_other_tensors_under_the_same_path_are_another_protocol(
    index: DatasetIndex, tmp_path: Path
) -> None:
    saved = classifier_of(index, "test", tmp_path / "first")
    config = replace(CONFIG, images="test", classifier=str(saved))
    first = calibrate(index, config, tmp_path / "c", CPU, Silent())
    more = replace(index, records=index.records[1:])
    other = classifier_of(more, "test", tmp_path / "more")
    (saved / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    assert calibrate(index, config, tmp_path / "c", CPU, Silent()).predictions != first.predictions


def test_a_weights_folder_counts_by_its_content(index: DatasetIndex, tmp_path: Path) -> None:
    saved = classifier_of(index, "test", tmp_path / "first")
    config = replace(CONFIG, images="test", weights=str(saved), full_curve=True)
    first = calibrate(index, config, tmp_path / "c", CPU, Silent())
    assert calibrate(index, config, tmp_path / "c", CPU, Silent()).predictions == first.predictions
    more = classifier_of(replace(index, records=index.records[1:]), "test", tmp_path / "more")
    (saved / "model.safetensors").write_bytes((more / "model.safetensors").read_bytes())
    assert calibrate(index, config, tmp_path / "c", CPU, Silent()).predictions != first.predictions
