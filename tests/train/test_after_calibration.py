"""What follows from a finished calibration: the shards, and the settings of a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import report_samples as samples
from train_samples import make_striped

from c2f_data.calibration import CalibrationResult, LevelResolution
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.resample import ResampleSpec
from c2f_data.resample_spec import Reduction
from c2f_data.shards.calibrated import write_calibrated_shards
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_train.config import TrainConfig
from c2f_train.recipes import recipe_values
from c2f_train.training_defaults import train_defaults

LEVELS = (("family", 12, False), ("genus", 24, False), ("species", 40, True))


@pytest.fixture(scope="module")
def calibration() -> CalibrationResult:
    """Of a small network that began from random weights, on squashed images."""
    found = samples.calibration(samples.taxonomy(), n=600)
    spec = ResampleSpec.for_input(64, "squash", Reduction(filter="bilinear"))
    protocol = replace(
        found.protocol, backbone="tiny", weights="from scratch", spec=spec, taps=("a", "b", "c")
    )
    levels = tuple(LevelResolution(name, 2, pixels, native) for name, pixels, native in LEVELS)
    return replace(found, protocol=protocol, levels=levels, predictions="probe-1/predictions")


def test_shards_have_the_resolutions_and_the_reduction(
    calibration: CalibrationResult, tmp_path: Path
) -> None:
    index = make_striped(tmp_path / "images", train=1, test=1)
    assert calibration.coarser == {"family": 12, "genus": 24}
    seen: list[tuple[int, int]] = []
    made = write_calibrated_shards(
        index, calibration, tmp_path / "shards", progress=lambda *step: seen.append(step)
    )
    assert [(level.name, level.resolution) for level in made.levels] == [
        ("family", 12), ("genus", 24), ("species", None),
    ]  # fmt: skip
    assert made.reduction.filter == "bilinear"
    assert seen[-1] == (len(index.records), len(index.records))
    levels = plan_levels(index.taxonomy, {"family": 12, "genus": 24})
    by_hand = write_shards(index, levels, Reduction(filter="bilinear"), tmp_path / "by hand")
    assert made.shards == by_hand.shards
    other = replace(
        calibration, levels=(replace(calibration.levels[0], resolution=9), *the_others())
    )
    with pytest.raises(ArtefactError, match="holds other shards"):
        write_calibrated_shards(index, other, tmp_path / "shards")
    again = write_calibrated_shards(index, other, tmp_path / "shards", overwrite=True)
    assert again.levels[0].resolution == 9


def the_others() -> tuple[LevelResolution, ...]:
    return tuple(LevelResolution(name, 2, pixels, native) for name, pixels, native in LEVELS[1:])


def test_a_calibration_without_an_answer_makes_no_shards(
    calibration: CalibrationResult, tmp_path: Path
) -> None:
    index = make_striped(tmp_path / "images", train=1, test=1)
    none = replace(
        calibration, levels=(replace(calibration.levels[0], resolution=None), *the_others())
    )
    with pytest.raises(ConfigError, match="no resolution for family"):
        write_calibrated_shards(index, none, tmp_path / "shards")
    assert not (tmp_path / "shards").exists()


def test_a_training_goes_on_where_the_calibration_ended(
    calibration: CalibrationResult, tmp_path: Path
) -> None:
    expected = TrainConfig(backbone="tiny", taps=("a", "b", "c"), input_size=64, fit="squash")
    assert train_defaults(calibration, tmp_path) == expected  # its classifier is not there
    classifier = tmp_path / "probe-1" / "classifier"
    classifier.mkdir(parents=True)
    found = train_defaults(calibration, tmp_path)
    assert found == replace(expected, weights=str(classifier.resolve()))
    assert train_defaults(calibration, tmp_path, input_size=32).input_size == 32
    modern = train_defaults(calibration, tmp_path, recipe="modern")
    assert modern == replace(found, **recipe_values("modern"))


@pytest.mark.parametrize(("given", "absolute"), [("trunk.pth", True), ("none", False)])
def test_weights_that_the_calibration_was_given(
    given: str,
    absolute: bool,
    calibration: CalibrationResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trunk.pth").touch()
    told = replace(calibration, protocol=replace(calibration.protocol, weights_path=given))
    weights = train_defaults(told, tmp_path).weights
    assert weights == (str(Path(given).resolve()) if absolute else given)


def test_with_another_backbone_or_none_nothing_of_it_counts(
    calibration: CalibrationResult, tmp_path: Path
) -> None:
    (tmp_path / "probe-1" / "classifier").mkdir(parents=True)
    other = train_defaults(calibration, tmp_path, backbone="resnet18", model="kp")
    assert other == TrainConfig(model="kp", backbone="resnet18", dim=4096)
    assert train_defaults(None, tmp_path) == TrainConfig()
    with pytest.raises(ConfigError, match="no model 'mlhp'"):
        train_defaults(calibration, tmp_path, model="mlhp")
