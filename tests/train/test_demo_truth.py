"""The demo's limits are known; a calibration that works finds them (docs/demo.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from c2f_data import resample
from c2f_data.calibration import CalibrationResult
from c2f_data.demo import DemoSpec, render_dataset
from c2f_data.demo.texture import TextureName
from c2f_data.index import DatasetIndex
from c2f_data.open_dataset import load_hierarchy
from c2f_data.resample import Pixels, ResampleSpec
from c2f_data.sources import read_source
from c2f_data.sources.request import SourceRequest
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.progress import Silent

PERIODS = [(7.0, 24.0), (6.0, 18.0)]


def spec_of(fine: float, coarse: float, texture: TextureName = "plain") -> DemoSpec:
    return DemoSpec(period_species=fine, period_genus=coarse, texture=texture)


# A quarter of the default's side and half of its images; in the network's input of 56 px its
# bars are 3.5 px wide, the default's in 128 px are 4. Half of the images need half as many epochs
# more.
SMALL = DemoSpec(
    side=64, period_species=3.5, period_genus=8.0, images_per_species=60, train_per_species=42
)
# The network needs twice the epochs for the harder textures (docs/demo.md).
SETTINGS = [
    pytest.param((SMALL, {"epochs": 24, "input_size": 56}), id="quarter size"),
    *(
        pytest.param((spec, more), id=name, marks=pytest.mark.slow)
        for name, spec, more in (
            ("periods 7 and 24", spec_of(*PERIODS[0]), {}),
            ("periods 6 and 18", spec_of(*PERIODS[1]), {}),
            ("hard texture", spec_of(*PERIODS[0], "hard"), {"epochs": 32}),
        )
    ),
]


@dataclass(frozen=True)
class Calibrated:
    spec: DemoSpec
    more: dict[str, object]
    index: DatasetIndex
    result: CalibrationResult
    folder: Path


def config(**more: object) -> CalibrateConfig:
    base = CalibrateConfig(
        thresholds=(("species", 0.8), ("genus", 0.8)), backbone="tiny", images="test"
    )
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=SETTINGS)
def calibrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Calibrated:
    spec, more = request.param
    root = tmp_path_factory.mktemp("demo")
    render_dataset(spec, root / "data", jobs=2)
    hierarchy = load_hierarchy(str(root / "data" / "taxonomy.csv"))
    index = read_source(SourceRequest("demo", root / "data", hierarchy))
    folder = root / "calibration"
    result = calibrate(index, config(**more), folder, torch.device("cpu"), Silent())
    return Calibrated(spec, more, index, result, folder)


@pytest.mark.timeout(1200)
def test_the_calibration_finds_the_limits(
    calibrated: Calibrated, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, result = calibrated.spec, calibrated.result
    network = result.protocol.spec
    assert spec.period_species * network.enlarge_to / spec.side >= 3  # px at the network's input
    assert result.curve("species").native.accuracy >= 0.9
    r_med, r_low = (crossing.resolution for crossing in result.crossings)
    assert r_med is not None
    assert r_low is not None
    assert 0.85 <= r_med / spec.limit_species <= 2
    assert 0.85 <= r_low / spec.limit_genus <= 2
    if spec in (SMALL, DemoSpec()):
        _r_med_falls_without_antialiasing(calibrated, r_med, monkeypatch)


def _r_med_falls_without_antialiasing(
    calibrated: Calibrated, r_med: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same classifier, images and sweep; only the reduction's kernel is not widened."""

    def aliased(pixels: Pixels, resolution: int, spec: ResampleSpec) -> Pixels:
        return resample.reduce(pixels, resolution, replace(spec, antialias=False))

    monkeypatch.setattr("c2f_train.measurement.reduce", aliased)
    classifier = calibrated.folder / Path(calibrated.result.predictions).parent / "classifier"
    sweep = [p.resolution for p in calibrated.result.curve("species").points if not p.native]
    lower = [max(12, round(sweep[-1] * 0.88**k)) for k in range(1, 4)]
    again = config(
        **calibrated.more,
        classifier=str(classifier),
        precision="float32",
        sweep=tuple(sorted({*sweep, *lower}, reverse=True)),
    )
    folder = calibrated.folder.parent / "aliased"
    result = calibrate(calibrated.index, again, folder, torch.device("cpu"), Silent())
    without = result.crossings[0].resolution
    assert without is not None
    # By seed and processor 0.4 to 0.95 of it in the small set, which 56 px can hardly show.
    assert without <= (0.97 if calibrated.spec == SMALL else 0.85) * r_med
