"""A calibration of the striped data set, whose answers are known by construction.

Its backbone has fixed filters, so a probe takes a moment and knows every class at native
resolution; fine stripes vanish near 30 px, coarse ones near 5 px, colours never.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from train_samples import (
    CPU,
    TWO_LEVELS,
    Recorder,
    make_striped,
    sweep_rows,
)

from c2f_data.calibration import CalibrationResult, read_result
from c2f_data.curve import Outcome
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.index import DatasetIndex
from c2f_data.lock import only_writer
from c2f_data.predictions import Predictions, read_predictions
from c2f_data.stored import Thresholds, ask_again, read_stored
from c2f_train.answering import roll_up
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.checkpoint import load_models
from c2f_train.measurement import Measurement
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


pytestmark = pytest.mark.usefixtures("stripes")


@pytest.fixture(scope="module")
def finished(index: DatasetIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    calibrate(index, CONFIG, folder, CPU, Silent())
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """The folder of a finished calibration, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "finished"))


def plain(result: CalibrationResult) -> CalibrationResult:
    """Without the time and place."""
    return replace(result, provenance=replace(result.provenance, created=""))


def stored(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("*/predictions*/*.h5")}


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
    assert below.reduced == N
    # 24 images are less than a block, so every resolution that is looked at is measured whole.
    assert result.images_evaluated == N * len(result.curves[0].points)
    assert result.grid == (74, *SWEEP)
    assert result.sweep_images == N * len(result.grid) >= result.images_evaluated
    assert result.stopped_sweep_images <= result.sweep_images
    assert (result.search, result.accuracy, result.floor) == ("bisection", "top-1", None)


def test_other_thresholds_need_no_network(
    monkeypatch: pytest.MonkeyPatch, index: DatasetIndex, folder: Path
) -> None:
    before = calibrate(index, replace(CONFIG, full_curve=True), folder, CPU, Silent())
    no_network(monkeypatch)
    other = replace(CONFIG, thresholds=(("species", 0.45), ("genus", 0.95)))
    result = calibrate(index, other, folder, CPU, recorder := Recorder())
    assert not any("Features" in what for what in recorder.steps)
    assert not any("About" in note for note in recorder.notes)
    assert result.crossings[0].threshold == 0.45
    assert (result.crossings[0].resolution or 99) < (before.crossings[0].resolution or 0)
    assert result.predictions == before.predictions
    relative = calibrate(index, replace(CONFIG, relative=True), folder, CPU, Silent())
    assert relative.crossings[0].relative
    assert read_result(folder / "result.json") == relative


def test_a_bisection_over_what_is_stored_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, index: DatasetIndex, folder: Path
) -> None:
    asked = [replace(CONFIG, thresholds=(("species", t), ("genus", t))) for t in (0.3, 0.6)]
    for config in asked:
        calibrate(index, config, folder, CPU, Silent())
    no_network(monkeypatch)
    for config in (CONFIG, *asked):
        assert calibrate(index, config, folder, CPU, Silent()).search == "bisection"
    # 79 % is between the same points as 80 %: a threshold that was never asked for.
    near = replace(CONFIG, thresholds=(("species", 0.79), ("genus", 0.79)))
    result = calibrate(index, near, folder, CPU, recorder := Recorder())
    assert result.crossings[0].threshold == 0.79
    assert recorder.steps.keys() == {"Measuring"}


def test_what_moves_a_prediction_gets_a_folder_of_its_own(
    index: DatasetIndex, folder: Path
) -> None:
    first = read_result(folder / "result.json").predictions
    others = [
        calibrate(index, replace(CONFIG, **changes), folder, CPU, Silent()).predictions
        for changes in ({"input_size": 56}, {"fit": "squash"}, {"seed": 1}, {"images": "val"})
    ]
    assert len({first, *others}) == 5
    assert all((folder / place / "native.h5").exists() for place in (first, *others))


@pytest.mark.parametrize(
    ("task", "steps"), [("Features", 1), ("Fitting", 1), ("Measuring", 1), ("Measuring", 5)]
)
def test_an_interrupted_calibration_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    index: DatasetIndex,
    folder: Path,
    tmp_path: Path,
    task: str,
    steps: int,
) -> None:
    place = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        calibrate(index, CONFIG, place, CPU, Recorder(steps, task))
    assert not (place / "result.json").exists()
    before = stored(place)
    assert bool(before) == (task == "Measuring")

    evaluated: list[int] = []
    real = Measurement._evaluate

    def watch(self: Measurement, resolution: int, rows: NDArray[np.int64]) -> Predictions:
        evaluated.append(resolution)
        return real(self, resolution, rows)

    monkeypatch.setattr(Measurement, "_evaluate", watch)
    result = calibrate(index, CONFIG, place, CPU, Silent())
    whole = read_result(folder / "result.json")
    # What was stored is not evaluated again; the first call only finds that a network is needed.
    assert not {f"r{r:05d}.h5" for r in evaluated} & set(before)
    assert len(set(evaluated)) == len(stored(place)) - len(before)
    assert plain(result) == plain(whole)
    assert stored(place) == stored(folder)


def test_a_full_curve_measures_everything_to_the_same_answers(
    index: DatasetIndex, folder: Path
) -> None:
    short = read_result(folder / "result.json")
    full = calibrate(index, replace(CONFIG, full_curve=True), folder, CPU, Silent())
    assert [p.resolution for p in full.curves[0].points] == [74, *SWEEP]
    assert all(full.curves[0].at(p.resolution) == p for p in short.curves[0].points)
    for one, other in zip(short.crossings, full.crossings, strict=True):
        assert (one.resolution, one.interval) == (other.resolution, other.interval)
    assert full.search == "full sweep"
    assert full.images_evaluated == full.sweep_images == N * (1 + len(SWEEP))


def test_blocks_are_evaluated_once_each_and_kept_in_the_searchs_order(
    index: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With small blocks a search stops early, and what it left is not stored as done."""
    for place in ("search", "measurement"):
        module = "c2f_data.curve.answers" if place == "search" else "c2f_train.measurement"
        monkeypatch.setattr(f"{module}.batch_size", lambda _: 4)
    result = calibrate(index, CONFIG, tmp_path, CPU, recorder := Recorder())
    asked = {p.stem: len(read_predictions(p).image_ids) for p in tmp_path.glob("*/predictions/*")}
    assert sum(asked.values()) == result.images_evaluated < N * len(asked)
    assert set(asked.values()) & set(range(4, N, 4))
    assert asked["native"] == N
    native = read_predictions(next(tmp_path.glob("*/predictions/native.h5")))
    partial = next(p for p in tmp_path.glob("*/predictions/r*.h5") if asked[p.stem] < N)
    assert read_predictions(partial).image_ids == native.image_ids[: asked[partial.stem]]
    looks = [look for look in recorder.looks if look.step.below is not None]
    assert looks[-1].evaluated == result.images_evaluated
    assert {look.maximum for look in looks} == {result.sweep_images}
    # The curve has only what was measured on all images.
    assert len(result.curves[0].points) == sum(1 for n in asked.values() if n == N)


def test_stored_predictions_answer_other_thresholds(index: DatasetIndex, tmp_path: Path) -> None:
    full = calibrate(index, replace(CONFIG, full_curve=True), tmp_path, CPU, Silent())
    stored_rows = read_stored(full, tmp_path)
    assert [p.resolution for p in stored_rows] == [74, *SWEEP]
    again = ask_again(full, stored_rows, Thresholds({"species": 0.8, "genus": 0.8}))
    for one, other in zip(again.crossings, full.crossings, strict=True):
        assert replace(one, images_evaluated=0) == replace(other, images_evaluated=0)
    assert again.curves == full.curves
    assert (again.images_evaluated, again.search) == (0, "stored predictions")
    lower = ask_again(full, stored_rows, Thresholds({"species": 0.45, "genus": 0.8}))
    assert (lower.crossings[0].resolution or 99) < (full.crossings[0].resolution or 0)
    assert lower.levels[1].resolution == lower.crossings[0].resolution
    assert (again.floor, lower.floor) == (None, None)
    floored = calibrate(
        index, replace(CONFIG, full_curve=True, floor=True), tmp_path, CPU, Silent()
    )
    asked = Thresholds({"species": 0.8, "genus": 0.8}, floor=0.8)
    assert floored.floor is not None
    assert ask_again(full, stored_rows, asked).floor == replace(floored.floor, images_evaluated=0)
    with pytest.raises(ConfigError, match="thresholds for species"):
        ask_again(full, stored_rows, Thresholds({"species": 0.8}))


def test_retraining_at_each_resolution_is_another_protocol(
    index: DatasetIndex, folder: Path, tmp_path: Path
) -> None:
    fixed = read_result(folder / "result.json")
    config = replace(CONFIG, training="retrained")
    result = calibrate(index, config, tmp_path, CPU, Silent())
    assert result.protocol.training == "retrained"
    assert result.predictions != fixed.predictions
    # Never worse than the classifier of I_high, and its training images count.
    assert (result.crossings[0].resolution or 0) <= (fixed.crossings[0].resolution or 0)
    trained = list(tmp_path.glob("*/classifier-r*"))
    measured = list(tmp_path.glob("*/predictions/r*.h5"))
    assert {p.name[-5:] for p in trained} == {p.stem[-5:] for p in measured}
    images = N * (1 + len(measured)) + 64 * len(trained)
    assert (result.images_evaluated, result.training_images) == (images, 64 * len(trained))
    assert result.sweep_training_images == 64 * len(SWEEP)
    assert result.sweep_images == N * (1 + len(SWEEP)) + 64 * len(SWEEP)
    assert result.stopped_sweep_images <= result.sweep_images
    again = calibrate(index, config, tmp_path, CPU, Silent())
    assert plain(again) == plain(result)
    for path in tmp_path.glob("*/predictions/*.h5"):
        path.unlink()
    third = calibrate(index, config, tmp_path, CPU, recorder := Recorder())
    assert third.crossings == result.crossings
    assert sum("read from" in note for note in recorder.notes) == 1


def test_fine_tuning_again_during_a_search(index: DatasetIndex, tmp_path: Path) -> None:
    """Training in the middle of measuring, which itself keeps no gradients."""
    config = replace(CONFIG, classifier="finetune", epochs=1, sweep=(36, 3), relative=True)
    config = replace(config, training="retrained", full_curve=True)
    result = calibrate(index, config, tmp_path, CPU, recorder := Recorder())
    again = [what for what in recorder.steps if what.startswith("Training on images at")]
    assert again == ["Training on images at 36 px", "Training on images at 3 px"]
    assert len(list(tmp_path.glob("*/classifier-r*"))) == 2
    assert result.images_evaluated == result.sweep_images == 3 * N + 2 * 64
    assert result.training_images == result.sweep_training_images == 2 * 64
    assert {look.maximum for look in recorder.looks} == {3 * N}  # answers; training is no look


def test_two_processes_do_not_calibrate_into_one_folder(
    index: DatasetIndex, tmp_path: Path
) -> None:
    calibrate(index, CONFIG, tmp_path, CPU, Silent())
    (own,) = (path.parent for path in tmp_path.glob("*/split.json"))
    with only_writer(own), pytest.raises(ArtefactError, match="is writing here"):
        calibrate(index, CONFIG, tmp_path, CPU, Silent())


def test_the_genus_classifier_can_be_trained_at_r_med(
    index: DatasetIndex, folder: Path, tmp_path: Path
) -> None:
    fixed = read_result(folder / "result.json")
    result = calibrate(index, replace(CONFIG, genus_train="med"), tmp_path, CPU, Silent())
    species, genus = result.crossings
    assert species.resolution == fixed.crossings[0].resolution == 28
    assert (genus.resolution or 99) <= 8
    assert [p.name for p in tmp_path.glob("*/classifier-r*")] == ["classifier-r00028"]
    assert [p.name for p in tmp_path.glob("*/predictions-*")] == ["predictions-00028"]
    # A sweep has the species down the grid, and the genera's own classifier from 28 px down.
    below = 1 + sum(1 for r in SWEEP if r < 28)
    assert result.sweep_images == N * (1 + len(SWEEP) + below) + 64
    assert (result.training_images, result.sweep_training_images) == (64, 64)
    full = calibrate(
        index, replace(CONFIG, genus_train="med", full_curve=True), tmp_path, CPU, Silent()
    )
    assert full.images_evaluated == full.sweep_images
    # The genera's curve begins where their classifier was trained.
    assert result.curve("genus").points[0].resolution == 28
    assert result.curve("species").native.native
    with pytest.raises(ConfigError, match="depends on the threshold"):
        ask_stored(result, tmp_path)


def ask_stored(result: CalibrationResult, folder: Path) -> CalibrationResult:
    asked = Thresholds({"species": 0.8, "genus": 0.8})
    return ask_again(result, read_stored(result, folder), asked)


def test_genera_rolled_up_from_species_are_sums_of_their_shares(
    index: DatasetIndex, tmp_path: Path
) -> None:
    config = replace(CONFIG, genus_accuracy="rolled-up", full_curve=True)
    result = calibrate(index, config, tmp_path, CPU, Silent())
    rows = sweep_rows(tmp_path, 36)
    assert result.protocol.genus_accuracy == "rolled-up"
    assert (rows.confidence[:, 1] >= rows.confidence[:, 2] - 1e-6).all()
    assert (rows.confidence[:, 0] >= rows.confidence[:, 1] - 1e-6).all()
    ancestors = torch.from_numpy(index.taxonomy.codes)
    logits = torch.randn(5, 8)
    family, genus, species = (log.exp() for log in roll_up(logits, ancestors))
    torch.testing.assert_close(species, logits.softmax(dim=1))
    for k in range(4):
        own = index.taxonomy.codes[:, 1] == k
        torch.testing.assert_close(genus[:, k], species[:, own].sum(dim=1))
    torch.testing.assert_close(family.sum(dim=1), torch.ones(5))


def test_the_floor_is_where_even_families_are_lost(index: DatasetIndex, tmp_path: Path) -> None:
    result = calibrate(index, replace(CONFIG, floor=True), tmp_path, CPU, Silent())
    assert result.floor is not None
    assert (result.floor.level, result.floor.next_level) == ("family", "")
    assert result.floor.outcome is Outcome.NEVER_BELOW  # colours are told at any resolution
    assert [c.level for c in result.crossings] == ["species", "genus"]


def test_balanced_accuracy_is_said_and_used(index: DatasetIndex, tmp_path: Path) -> None:
    result = calibrate(index, replace(CONFIG, balanced=True), tmp_path, CPU, Silent())
    assert result.accuracy == "class-balanced"
    point = result.curve("species").native
    rows = read_predictions(next(tmp_path.glob("*/predictions/native.h5")))
    right, classes = rows.correct("species"), rows.classes("species")
    means = [right[classes == k].mean() for k in np.unique(classes)]
    assert point.accuracy == pytest.approx(np.mean(means))


def test_refining_goes_between_the_points_of_the_grid(index: DatasetIndex, tmp_path: Path) -> None:
    result = calibrate(index, replace(CONFIG, refine=3), tmp_path, CPU, Silent())
    species = result.crossings[0]
    assert species.upper is not None
    assert species.resolution is not None
    assert 28 <= species.resolution < species.upper <= 36
    assert species.upper - species.resolution <= 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": "retrained", "genus_train": "med"}, "trained on I_med anyway"),
        ({"confidence": 1.0}, "confidence 1"),
    ],
)
def test_protocols_that_contradict_themselves(
    index: DatasetIndex, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        calibrate(index, replace(CONFIG, **changes), tmp_path / "c", CPU, Silent())


def test_a_loaded_classifier_is_not_retrained(index: DatasetIndex, folder: Path) -> None:
    saved = str(next(folder.glob("*/classifier")))
    config = replace(CONFIG, classifier=saved, training="retrained")
    with pytest.raises(ConfigError, match="is measured as it is"):
        calibrate(index, config, folder, CPU, Silent())


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
            {"thresholds": (("species", 0.8), ("genus", 0.8), ("tribe", 0.8))},
            "tribe does not fit",
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
