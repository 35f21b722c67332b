"""A calibration of the striped data set, whose answers are known by construction.

Its backbone has fixed filters, so a probe takes a moment and knows every class at native
resolution; fine stripes vanish near 30 px, coarse ones near 5 px, colours never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from train_samples import (
    CPU,
    TWO_LEVELS,
    Recorder,
    make_striped,
    stripe_backbone,
    sweep_rows,
)

from c2f_data.calibration import CalibrationResult, read_result
from c2f_data.curve import Outcome
from c2f_data.errors import ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions
from c2f_train import calibration_plan, checkpoint, sweep
from c2f_train.calibrate import CalibrateConfig, calibrate, find_crossings
from c2f_train.calibration_result import finished
from c2f_train.checkpoint import load_models
from c2f_train.progress import Silent

SWEEP = (64, 48, 36, 28, 16, 8, 6, 4, 3, 2)
CONFIG = CalibrateConfig(
    thresholds=(("species", 0.8), ("genus", 0.8)),
    images="test",
    backbone="stripes",
    input_size=64,
    sweep=SWEEP,
    precision="float32",
)
N = 24


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_striped(tmp_path_factory.mktemp("calibrate") / "images", train=8, test=3)


@pytest.fixture(autouse=True)
def _stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_plan, "build_backbone", stripe_backbone)
    monkeypatch.setattr(checkpoint, "build_backbone", stripe_backbone)


@pytest.fixture
def folder(index: DatasetIndex, tmp_path: Path) -> Path:
    """The folder of a finished calibration."""
    calibrate(index, CONFIG, tmp_path / "finished", CPU, Silent())
    return tmp_path / "finished"


def plain(result: CalibrationResult) -> CalibrationResult:
    """Without the time and place."""
    return replace(result, provenance=replace(result.provenance, created=""))


def stored(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("*/predictions/*.csv")}


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("an image went through the network")

    monkeypatch.setattr(torch.nn.Conv2d, "forward", fail)


def test_the_crossings_are_where_the_stripes_vanish(index: DatasetIndex, folder: Path) -> None:
    result = read_result(folder / "result.json")
    species, genus = result.crossings
    assert (species.level, species.next_level, species.outcome) == (
        "species",
        "genus",
        Outcome.CROSSED,
    )
    assert (species.upper, species.resolution) == (36, 28)
    assert (genus.level, genus.next_level, genus.outcome) == ("genus", "family", Outcome.CROSSED)
    assert genus.resolution in (6, 4, 3)
    assert [(v.name, v.count, v.native) for v in result.levels] == [
        ("family", 2, False),
        ("genus", 4, False),
        ("species", 8, True),
    ]
    assert [v.resolution for v in result.levels[:2]] == [genus.resolution, 28]
    assert result.protocol.classifier == "probe"
    assert (result.protocol.n, result.protocol.scheme) == (N, "official test")
    assert result.protocol.cap == 74  # of 72 .. 83 px, drawn from 8/7 of 64
    assert all(curve.native.accuracy > 0.9 for curve in result.curves)
    native = result.curve("species").native
    assert (native.resolution, native.reduced) == (74, 0)
    below = result.curve("species").points[1]
    assert (below.resolution, below.reduced) == (64, N)
    assert result.images_evaluated == N * len(result.curves[0].points)


def test_other_thresholds_need_no_network(
    monkeypatch: pytest.MonkeyPatch, index: DatasetIndex, folder: Path
) -> None:
    before = read_result(folder / "result.json")
    no_network(monkeypatch)
    other = replace(CONFIG, thresholds=(("species", 0.45), ("genus", 0.95)))
    result = calibrate(index, other, folder, CPU, recorder := Recorder())
    assert not recorder.steps
    assert not any("At most" in note for note in recorder.notes)
    assert result.crossings[0].threshold == 0.45
    assert (result.crossings[0].resolution or 99) < (before.crossings[0].resolution or 0)
    assert result.curves == before.curves
    assert result.predictions == before.predictions
    relative = calibrate(index, replace(CONFIG, relative=True), folder, CPU, Silent())
    assert relative.crossings[0].relative
    assert read_result(folder / "result.json") == relative


def test_what_moves_a_prediction_gets_a_folder_of_its_own(
    index: DatasetIndex, folder: Path
) -> None:
    first = read_result(folder / "result.json").predictions
    others = [
        calibrate(index, replace(CONFIG, **changes), folder, CPU, Silent()).predictions
        for changes in ({"input_size": 56}, {"fit": "squash"}, {"seed": 1}, {"images": "val"})
    ]
    assert len({first, *others}) == 5
    assert all((folder / place / "native.csv").exists() for place in (first, *others))


@pytest.mark.parametrize(
    ("task", "steps", "finished"),
    [
        ("Features", 1, 0),
        ("Fitting", 1, 0),
        ("Measuring", 1, 0),
        ("Measuring", N + 1, 1),
        ("Measuring", 5 * N + 1, 5),
    ],
)
def test_an_interrupted_calibration_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    index: DatasetIndex,
    folder: Path,
    tmp_path: Path,
    task: str,
    steps: int,
    finished: int,
) -> None:
    place = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        calibrate(index, CONFIG, place, CPU, Recorder(steps, task))
    assert not (place / "result.json").exists()
    assert len(stored(place)) == finished

    measured: list[int | None] = []
    real = sweep.predict_sweep

    def watch(models: object, pictures: object, resolutions: Sequence[int | None], *a, **k):
        measured.extend(resolutions)
        return real(models, pictures, resolutions, *a, **k)

    monkeypatch.setattr(sweep, "predict_sweep", watch)
    result = calibrate(index, CONFIG, place, CPU, Silent())
    whole = read_result(folder / "result.json")
    assert measured == [None, *SWEEP][finished : len(whole.curves[0].points)]
    assert plain(result) == plain(whole)
    assert stored(place) == stored(folder)


def test_a_full_curve_goes_on_below_the_last_crossing(index: DatasetIndex, folder: Path) -> None:
    short = read_result(folder / "result.json").curves[0].points
    full = calibrate(index, replace(CONFIG, full_curve=True), folder, CPU, Silent())
    assert [p.resolution for p in full.curves[0].points] == [74, *SWEEP]
    assert full.curves[0].points[: len(short)] == short


def made_up(resolution: int, species: int, genus: int) -> Predictions:
    """Ten images, of which so many are right."""
    right = np.arange(10)[:, None] < np.array([[10, genus, species]])
    return Predictions(
        resolution=resolution,
        native=resolution == 74,
        levels=("family", "genus", "species"),
        image_ids=tuple("abcdefghij"),
        true=np.zeros((10, 3), np.int64),
        predicted=np.where(right, 0, 1),
        confidence=np.full((10, 3), 0.5),
        reduced=np.full(10, resolution < 74),
    )


def test_the_genera_go_on_where_the_species_ended_and_two_points_confirm(
    index: DatasetIndex, tmp_path: Path
) -> None:
    right = {74: (10, 10), 60: (9, 7), 40: (7, 9), 30: (5, 9), 20: (3, 7), 15: (2, 5), 10: (1, 4)}
    points = [made_up(resolution, *counts) for resolution, counts in right.items()]
    crossings = find_crossings(points, CONFIG, 74)
    # The genera are below 0.8 at 60 px too, which lies above the species' answer.
    assert [(c.level, c.resolution) for c in crossings] == [("species", 40), ("genus", 20)]
    plan = calibration_plan.make_plan(index, CONFIG, CPU)
    assert [finished(points[:n], plan) for n in range(1, 8)] == [False] * 6 + [True]
    assert not finished(points, replace(plan, config=replace(CONFIG, full_curve=True)))


def test_cross_validation_measures_every_training_image_once(
    index: DatasetIndex, tmp_path: Path
) -> None:
    result = calibrate(index, replace(CONFIG, images="val"), tmp_path / "c", CPU, Silent())
    assert (result.protocol.scheme, result.protocol.n) == ("cross-validation", 64)
    rows = sweep_rows(tmp_path / "c", 36)
    assert len(set(rows.image_ids)) == 64
    assert all(name.startswith("train/") for name in rows.image_ids)
    models, meta = load_models(next((tmp_path / "c").glob("*/classifier")))
    assert meta.folds == len(models) == 5
    weights = {m.classifiers[2].weight.detach().numpy().tobytes() for m in models}
    assert len(weights) == 5


def test_two_levels_have_one_crossing(tmp_path: Path) -> None:
    index = make_striped(tmp_path / "images", train=4, test=2, taxonomy=TWO_LEVELS)
    config = replace(CONFIG, thresholds=(("species", 0.8),))
    result = calibrate(index, config, tmp_path / "c", CPU, Silent())
    assert [c.level for c in result.crossings] == ["species"]
    assert [v.name for v in result.levels] == ["genus", "species"]
    assert result.levels[0].resolution == result.crossings[0].resolution is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"thresholds": (("species", 0.8),)}, "genus does not fit\n.*--threshold genus=0.8"),
        ({"thresholds": ()}, "thresholds for no level"),
        (
            {"thresholds": (("species", 0.8), ("genus", 0.8), ("family", 0.8))},
            "family does not fit",
        ),
        ({"sweep": (75, 40)}, "starts at 75 px, but the network's input, .* ends at 74 px"),
        ({"sweep": (40, 40)}, "not descending"),
        ({"sweep": (40, 1)}, "down to 1 px"),
        ({"lowest": 80, "sweep": ()}, "leave nothing to sweep"),
        ({"classifier": "absent"}, "neither probe nor finetune"),
        ({"precision": "int8"}, "no precision"),
    ],
)
def test_settings_that_make_no_sense(
    index: DatasetIndex, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        calibrate(index, replace(CONFIG, **changes), tmp_path / "c", CPU, Silent())
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 80.0, float("nan")])
def test_a_threshold_lies_between_0_and_1(value: float) -> None:
    with pytest.raises(ConfigError, match=r"A threshold lies between 0 and 1: 0\.8"):
        CalibrateConfig(thresholds=(("species", value),))


def test_dear_resolutions_go_one_by_one_to_the_same_answers(
    index: DatasetIndex, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a kill costs one resolution at most; what shares a decode never shows in a result."""
    monkeypatch.setattr("c2f_train.sweep.CHEAP_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        calibrate(index, CONFIG, tmp_path, CPU, Recorder(3 * N + 1, "Measuring"))
    assert len(stored(tmp_path)) == 3
    calibrate(index, CONFIG, tmp_path, CPU, Silent())
    one_by_one, in_waves = stored(tmp_path), stored(folder)
    assert one_by_one
    assert all(in_waves[name] == rows for name, rows in one_by_one.items() if name in in_waves)
