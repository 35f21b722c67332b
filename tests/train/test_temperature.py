"""Temperatures: the fit itself, and what a calibration makes of it on disk."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from train_samples import CPU, PATHS, Recorder, make_striped, sweep_rows

from c2f_data.calibration import CalibrationResult, read_result
from c2f_data.confidence import TemperatureFit, expected_calibration_error
from c2f_data.errors import ArtefactError
from c2f_data.index import DatasetIndex
from c2f_data.predictions import Predictions, read_predictions
from c2f_train import temperature
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.checkpoint import read_tensors, write_tensors
from c2f_train.measurement import Measurement
from c2f_train.temperature import LOWEST, fit_temperature, scaled_confidence

CONFIG = CalibrateConfig(
    thresholds=(("species", 0.8), ("genus", 0.8)),
    images="val",
    backbone="stripes",
    input_size=64,
    sweep=(48, 28, 8, 3),
    full_curve=True,
    precision="float32",
)
N = 64  # cross-validated: every training image; two blocks of 32 a resolution
LEVELS = ("family", "genus", "species")


pytestmark = pytest.mark.usefixtures("stripes")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_striped(tmp_path_factory.mktemp("temperature") / "images", train=8, test=3)


@pytest.fixture(scope="module")
def finished(index: DatasetIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished calibration."""
    folder = tmp_path_factory.mktemp("finished")
    calibrate(index, CONFIG, folder, CPU, Recorder())
    return folder


def copy_of(finished: Path, place: Path, *, measured: bool) -> Path:
    shutil.copytree(finished, place)
    if not measured:
        (place / "result.json").unlink()
        for folder in place.glob("*/predictions"):
            shutil.rmtree(folder)
    return place


def stored(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.glob("*/predictions/**/*") if path.is_file()
    }


def of(folder: Path, name: str) -> Path:
    (place,) = folder.glob("*/predictions")
    return place / name


def ece(rows: Predictions, level: int) -> float:
    return expected_calibration_error(rows.confidence[:, level], rows.correct(LEVELS[level]))


def plain(result: CalibrationResult) -> CalibrationResult:
    return replace(result, provenance=replace(result.provenance, created=""))


def test_the_fit_finds_the_temperature_that_labels_were_drawn_with() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(0, 3, (4000, 6)).astype(np.float32)
    for truth in (0.5, 1.0, 2.5):
        shares = torch.from_numpy(logits / truth).double().softmax(dim=1).numpy()
        true = (shares.cumsum(axis=1) < random.random((4000, 1))).sum(axis=1).clip(max=5)
        found = fit_temperature(logits, true)
        assert found == pytest.approx(truth, rel=0.08)

        # No other temperature is likelier, by a plain formula.
        def loss(t: float, true: NDArray[np.int64] = true) -> float:
            scaled = torch.from_numpy(logits).double() / t
            return float(torch.nn.functional.cross_entropy(scaled, torch.from_numpy(true)))

        assert all(loss(found) <= loss(found * f) for f in (0.5, 0.98, 1.02, 2))
        right = logits.argmax(axis=1) == true
        assert expected_calibration_error(scaled_confidence(logits, found), right) < 0.03
        # Log-probabilities are as good as logits.
        shares = torch.from_numpy(logits).log_softmax(dim=1).numpy()
        assert fit_temperature(shares, true) == pytest.approx(found, abs=2e-4)


def test_the_fit_ends_somewhere_where_every_answer_is_right() -> None:
    logits = np.eye(3, dtype=np.float32)
    assert fit_temperature(logits, np.arange(3)) == LOWEST
    assert fit_temperature(logits, np.asarray([1, 2, 0])) == temperature.HIGHEST


def test_confidences_are_scaled_at_every_resolution_and_answers_are_not(
    index: DatasetIndex, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = read_result(finished / "result.json")
    raw_folder = copy_of(finished, tmp_path / "raw", measured=False)
    monkeypatch.setattr(temperature, "MOST_SCORES", N * (2 + 4 + 8) - 1)
    unscaled = calibrate(index, CONFIG, raw_folder, CPU, Recorder())
    assert [c.fit for c in unscaled.confidences] == [TemperatureFit.NOT_KEPT] * 3
    assert unscaled.temperatures == (1, 1, 1)
    assert any("were not kept" in warning for warning in unscaled.warnings)
    assert not any("were not kept" in warning for warning in result.warnings)
    assert {n for n in stored(raw_folder) if not n.endswith(".h5")} == set()

    assert [c.level for c in result.confidences] == list(LEVELS)
    assert all(c.fit is TemperatureFit.FITTED for c in result.confidences)
    assert all(t != 1 for t in result.temperatures)
    for name in ("native.h5", "r00048.h5", "r00028.h5", "r00008.h5", "r00003.h5"):
        raw, scaled = (read_predictions(of(f, name)) for f in (raw_folder, finished))
        assert (raw.predicted == scaled.predicted).all()
        for level, fitted in enumerate(result.confidences):
            sharper = scaled.confidence[:, level] > raw.confidence[:, level]
            unsure = raw.confidence[:, level] < 0.999
            assert (sharper[unsure] == (fitted.temperature < 1)).all()
            (point,) = (p for p in fitted.points if p.resolution == scaled.resolution)
            assert point.ece == pytest.approx(ece(scaled, level), abs=1e-12)
            if scaled.native:
                assert fitted.resolution == scaled.resolution
                assert fitted.ece_after == point.ece
                assert fitted.ece_before == pytest.approx(ece(raw, level), abs=1e-6)
                assert fitted.ece_before == pytest.approx(
                    unscaled.confidences[level].ece_after, abs=1e-6
                )
    assert result.curves == unscaled.curves


def test_kept_scores_give_the_stored_answers_and_temperatures(finished: Path) -> None:
    rows = read_predictions(of(finished, "native.h5"))
    blocks = [read_tensors(of(finished, f"logits/{at:05d}.safetensors")) for at in (0, 32)]
    values = read_result(finished / "result.json").temperatures
    for level in range(3):
        logits = torch.cat([block[str(level)] for block in blocks])
        assert (logits.argmax(dim=1).numpy() == rows.predicted[:, level]).all()
        assert fit_temperature(logits.numpy(), rows.true[:, level]) == values[level]
        shares = (logits.double() / values[level]).softmax(dim=1).amax(dim=1)
        np.testing.assert_allclose(rows.confidence[:, level], shares.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kill", range(8))
@pytest.mark.parametrize("renamed", [False, True])
def test_a_run_killed_at_any_write_goes_on_to_the_same_bytes(
    index: DatasetIndex,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kill: int,
    renamed: bool,
) -> None:
    """Native has two blocks of scores and answers, then its confidences, then the record."""
    place = copy_of(finished, tmp_path / "killed", measured=False)
    real = Path.replace
    seen: list[str] = []

    def rename(self: Path, target: Path) -> Path:
        last = "/predictions/" in Path(target).as_posix() and len(seen) == kill
        if "/predictions/" in Path(target).as_posix():
            seen.append(Path(target).name)
        if last and not renamed:
            raise KeyboardInterrupt
        done = real(self, target)
        if last:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", rename)
        with pytest.raises(KeyboardInterrupt):
            calibrate(index, CONFIG, place, CPU, Recorder())
    order = ["00000.safetensors", "native.h5", "00032.safetensors", "native.h5", "native.h5",
             "temperatures.json", "r00048.h5", "r00048.h5"]  # fmt: skip
    assert seen == order[: kill + 1]
    evaluated: list[int] = []
    evaluate = Measurement._evaluate

    def count(self: Measurement, resolution: int, rows: NDArray[np.int64]) -> Predictions:
        evaluated.append(resolution)
        return evaluate(self, resolution, rows)

    blocks = sum(len(read_predictions(p).image_ids) // 32 for p in place.glob("*/predictions/*.h5"))
    monkeypatch.setattr(Measurement, "_evaluate", count)
    result = calibrate(index, CONFIG, place, CPU, Recorder())
    # One call more where the first only finds that a network is needed.
    assert len(evaluated) == 1 + 2 * (1 + len(CONFIG.sweep)) - blocks
    assert stored(place) == stored(finished)
    assert plain(result) == plain(read_result(finished / "result.json"))


def test_another_threshold_needs_neither_network_nor_scores(
    index: DatasetIndex, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = copy_of(finished, tmp_path / "again", measured=True)
    before = read_result(place / "result.json")
    shutil.rmtree(of(place, "logits"))

    def fail(*_: object, **__: object) -> None:
        pytest.fail("an image went through the network")

    monkeypatch.setattr(torch.nn.Conv2d, "forward", fail)
    other = replace(CONFIG, thresholds=(("species", 0.45), ("genus", 0.9)))
    result = calibrate(index, other, place, CPU, Recorder())
    assert result.crossings[0].threshold == 0.45
    assert result.confidences == before.confidences


def test_native_answers_that_were_deleted_are_measured_and_scaled_again(
    index: DatasetIndex, finished: Path, tmp_path: Path
) -> None:
    place = copy_of(finished, tmp_path / "deleted", measured=True)
    of(place, "native.h5").unlink()
    calibrate(index, CONFIG, place, CPU, Recorder())
    assert stored(place) == stored(finished)


def test_damaged_scores_and_temperatures_are_named(
    index: DatasetIndex, finished: Path, tmp_path: Path
) -> None:
    place = copy_of(finished, tmp_path / "damaged", measured=True)
    record, block = of(place, "temperatures.json"), of(place, "logits/00000.safetensors")
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"values": [', '"values": [-1.0,'), encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"temperatures\.json: not temperatures of these lev"):
        calibrate(index, CONFIG, place, CPU, Recorder())
    record.unlink()
    good = read_tensors(block)
    os.truncate(block, 100)
    with pytest.raises(ArtefactError, match=r"00000\.safetensors: damaged.*\nDelete the folder"):
        calibrate(index, CONFIG, place, CPU, Recorder())
    write_tensors(block, {**good, "2": good["2"] * float("nan")})
    with pytest.raises(ArtefactError, match="not scores of a block"):
        calibrate(index, CONFIG, place, CPU, Recorder())
    write_tensors(block, {**good, "2": good["2"][:, :3].contiguous()})
    with pytest.raises(ArtefactError, match="not scores of these images"):
        calibrate(index, CONFIG, place, CPU, Recorder())


def test_labels_of_test_images_fit_nothing(index: DatasetIndex, tmp_path: Path) -> None:
    result = calibrate(index, replace(CONFIG, images="test"), tmp_path, CPU, Recorder())
    assert result.temperatures == (1, 1, 1)
    for level, found in enumerate(result.confidences):
        assert found.fit is TemperatureFit.TEST
        rows = sweep_rows(tmp_path, 28)
        (point,) = (p for p in found.points if p.resolution == 28)
        assert point.ece == pytest.approx(ece(rows, level), abs=1e-12)
        assert found.ece_before == found.ece_after > 0
    assert {path.suffix for path in tmp_path.glob("*/predictions/*")} == {".h5"}


def test_classifiers_trained_at_r_med_have_temperatures_of_their_own(
    index: DatasetIndex, tmp_path: Path
) -> None:
    config = replace(CONFIG, genus_train="med", full_curve=False)
    result = calibrate(index, config, tmp_path, CPU, Recorder())
    family, genus, species = result.confidences
    assert species.resolution == result.protocol.cap
    assert genus.resolution == family.resolution == result.crossings[0].resolution
    (place,) = tmp_path.glob("*/predictions-*")
    assert (place / "temperatures.json").exists()
    again = calibrate(index, config, tmp_path, CPU, Recorder())
    assert plain(again) == plain(result)


def test_someones_own_classifier_is_scaled_with_its_other_answers(
    index: DatasetIndex, tmp_path: Path
) -> None:
    """Two of its ten outputs are no species here; they keep their share of the softmax."""
    code = "\n".join(
        [
            "import torch",
            "def shares(images):",
            "    means = images.float().mean((2, 3)) / 16",
            "    return (means @ torch.arange(30.0).view(3, 10).sin()).softmax(1)",
        ]
    )
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    names = [*(path[-1] for path in PATHS), "tench", "toaster"]
    (tmp_path / "labels.txt").write_text("\n".join(names), encoding="utf-8")
    config = replace(
        CONFIG,
        classifier=f"{tmp_path / 'mine.py'}:shares",
        labels=str(tmp_path / "labels.txt"),
    )
    result = calibrate(index, config, tmp_path / "c", CPU, Recorder())
    assert all(c.fit is TemperatureFit.FITTED for c in result.confidences)
    blocks = [read_tensors(path) for path in sorted(of(tmp_path / "c", "logits").iterdir())]
    kept = [torch.cat([block[str(level)] for block in blocks]) for level in range(3)]
    assert [scores.shape for scores in kept] == [(N, 4), (N, 6), (N, 10)]
    rows = read_predictions(of(tmp_path / "c", "native.h5"))
    best = (kept[2].double() / result.temperatures[2]).softmax(dim=1).max(dim=1)
    np.testing.assert_allclose(rows.confidence[:, 2], best.values.numpy(), rtol=1e-12)
    assert (rows.predicted[:, 2] == best.indices.clamp_max(8).numpy()).all()
    # It is much too sure of wrong answers.
    assert result.temperatures[2] > 1
    assert result.confidences[2].ece_after < result.confidences[2].ece_before
