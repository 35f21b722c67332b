"""What a calibration stores comes back as it was, and what was changed is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2f_data.calibration import (
    CalibrationResult,
    LevelResolution,
    Protocol,
    read_result,
    write_result,
)
from c2f_data.camera import Camera
from c2f_data.curve import Outcome, accuracy_curve, locate_crossing
from c2f_data.errors import ArtefactError
from c2f_data.predictions import Predictions, as_frame, read_predictions, write_predictions
from c2f_data.provenance import collect
from c2f_data.resample import ResampleSpec

LEVELS = ("family", "genus", "species")


def predictions(ids: tuple[str, ...], resolution: int = 64, seed: int = 0) -> Predictions:
    random, shape = np.random.default_rng(seed), (len(ids), len(LEVELS))
    return Predictions(
        resolution=resolution,
        native=resolution == 200,
        levels=LEVELS,
        image_ids=ids,
        true=random.integers(0, 4, shape),
        predicted=random.integers(0, 4, shape),
        confidence=random.random(shape),
        reduced=random.random(len(ids)) < 0.5,
    )


def assert_same(got: Predictions, expected: Predictions) -> None:
    assert (got.resolution, got.native, got.levels, got.image_ids) == (
        expected.resolution,
        expected.native,
        expected.levels,
        expected.image_ids,
    )
    for name in ("true", "predicted", "confidence", "reduced"):
        one, other = getattr(got, name), getattr(expected, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


IDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.lists(IDS, min_size=1, max_size=8, unique=True))
def test_predictions_come_back_whatever_the_images_are_called(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    path, written = tmp_path_factory.getbasetemp() / "p.h5", predictions(tuple(ids))
    write_predictions(path, written)
    assert_same(read_predictions(path), written)


def test_ids_that_look_like_values_stay_names(tmp_path: Path) -> None:
    written = predictions(("NA", "nan", "007", "1e3", "True", "a,b", 'a"b', "#1", " a ", "a\nb"))
    write_predictions(tmp_path / "p.h5", written)
    assert_same(read_predictions(tmp_path / "p.h5"), written)


def test_predictions_as_a_data_frame() -> None:
    found = predictions(("a", "b"))
    frame = as_frame(found)
    assert list(frame["image_id"]) == ["a", "b"]
    assert set(frame["resolution"]) == {64}
    right = frame["true_genus"] == frame["predicted_genus"]
    assert right.tolist() == found.correct("genus").tolist()
    assert frame["confidence_species"].tolist() == found.confidence[:, 2].tolist()


def test_right_answers_are_counted_by_level() -> None:
    found = predictions(("a", "b"))
    found.true[:] = [[0, 1, 2], [3, 4, 5]]
    found.predicted[:] = [[0, 1, 9], [9, 4, 5]]
    assert found.correct("family").tolist() == [True, False]
    assert found.correct("genus").tolist() == [True, True]
    assert found.correct("species").tolist() == [False, True]


@pytest.mark.parametrize("name", ["true", "predicted", "confidence"])
def test_columns_of_another_shape_are_refused(name: str) -> None:
    found = predictions(("a", "b"))
    with pytest.raises(ValueError, match=name):
        replace(found, **{name: getattr(found, name)[:1]})


def change(path: Path, what: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        what(file)


def replaced(name: str, value: object) -> Callable[[h5py.File], None]:
    def change_it(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change_it


def linked(file: h5py.File) -> None:
    del file["true"]
    file["true"] = h5py.ExternalLink("other.h5", "true")


def packed(file: h5py.File) -> None:
    del file["true"]
    file.create_dataset("true", (2, 3), "<i4", chunks=True, compression="gzip")


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.attrs.__delitem__("schema"),
        lambda file: file.attrs.__delitem__("levels"),
        lambda file: file.attrs.__setitem__("resolution", 0),
        lambda file: file.__delitem__("confidence"),
        replaced("true", np.zeros((2, 2), "<i4")),
        replaced("true", np.zeros((2, 3), "<i8")),
        replaced("true", np.full((2, 3), -1, "<i4")),
        replaced("confidence", np.full((2, 3), 1.5)),
        replaced("confidence", np.full((2, 3), np.nan)),
        replaced("image_id", np.array([b"a", b"a"])),
        replaced("reduced", np.zeros(3, "u1")),
        linked,
        packed,
    ],
)
def test_damaged_predictions_are_refused_with_the_way_out(
    tmp_path: Path, damage: Callable[[h5py.File], None]
) -> None:
    path = tmp_path / "p.h5"
    write_predictions(path, predictions(("a", "b")))
    change(path, damage)
    refused(path)


@pytest.mark.parametrize("data", [b"", b"image_id,reduced\n", None])
def test_what_is_no_hdf5_file_is_refused(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "p.h5"
    write_predictions(path, predictions(("a", "b")))
    path.write_bytes(path.read_bytes()[:900] if data is None else data)
    refused(path)


def refused(path: Path) -> None:
    with pytest.raises(ArtefactError, match="damaged predictions") as caught:
        read_predictions(path)
    assert str(path) in caught.value.message
    assert "only this resolution is redone" in caught.value.hint


def test_predictions_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    write_predictions(path, predictions(("a", "b")))
    change(path, lambda file: file.attrs.__setitem__("schema_version", 99))
    with pytest.raises(ArtefactError, match="schema version 99, this c2f reads version 1"):
        read_predictions(path)


def test_rows_of_predictions_keep_what_belongs_together() -> None:
    found = predictions(("a", "b", "c"))
    some = found.rows(np.array([2, 0]))
    assert some.image_ids == ("c", "a")
    for name in ("true", "predicted", "confidence", "reduced"):
        np.testing.assert_array_equal(getattr(some, name), getattr(found, name)[[2, 0]])


def test_absent_predictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="absent"):
        read_predictions(tmp_path / "absent.h5")


@pytest.fixture
def result() -> CalibrationResult:
    measured = [predictions(tuple("abcdefgh"), r, r) for r in (200, 150, 100)]
    crossings = tuple(
        locate_crossing(measured, fine, coarse, 0.1, relative=True, start=None, cap=200)
        for fine, coarse in (("species", "genus"), ("genus", "family"))
    )
    return CalibrationResult(
        dataset="räven ✓",
        layout="class folders",
        levels=(
            LevelResolution("family", 3, 40),
            LevelResolution("genus", 5, None),
            LevelResolution("species", 9, 375, native=True),
        ),
        protocol=Protocol(
            classifier="probe",
            backbone="vgg16",
            taps=("relu5_1", "relu5_2", "relu5_3"),
            weights="vgg16.pth",
            weights_path=None,
            images="val",
            scheme="cross-validation",
            n=8,
            cap=200,
            cap_reason="the network's input",
            native_side=375,
            spec=ResampleSpec.for_input(224, "squash"),
            precision="float32",
            seed=3,
        ),
        curves=tuple(accuracy_curve(measured, level) for level in LEVELS),
        crossings=crossings,
        predictions="1a2b/predictions",
        index_fingerprint="f" * 64,
        taxonomy_fingerprint="0" * 64,
        images_evaluated=24,
        warnings=("one", "two"),
        provenance=collect(device="cpu", seed=3),
        grid=(200, 150, 100, 12),
        sweep_images=32,
        stopped_sweep_images=24,
        search="bisection",
        accuracy="top-1",
        floor=replace(crossings[0], level="family", next_level=""),
        camera=Camera(1000.0, 0.2),
    )


def test_a_result_comes_back_equal_to_the_last_digit(
    tmp_path: Path, result: CalibrationResult
) -> None:
    write_result(tmp_path / "result.json", result)
    again = read_result(tmp_path / "result.json")
    assert again == result
    assert hash(again.crossings) == hash(result.crossings)
    assert isinstance(again.crossings[0].outcome, Outcome)
    assert again.curve("genus") == result.curves[1]
    assert again.curve("genus").at(150) == result.curves[1].points[1]
    assert again.curve("genus").at(151) is None
    assert again.fraction == 0.75


def test_a_result_is_answered_when_every_crossing_has_a_resolution(
    result: CalibrationResult,
) -> None:
    first = result.crossings[0]
    with_answer, without = replace(first, resolution=40), replace(first, resolution=None)
    assert replace(result, crossings=(with_answer, with_answer)).answered
    assert not replace(result, crossings=(with_answer, without)).answered


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("schema_version",), 1, "schema version 1, this c2f reads version 2"),
        (("schema",), "c2f-run", "not a c2f-calibration file"),
        (("protocol", "spec", "filter"), "nearest", "filter"),
        (("protocol", "spec", "crop"), 9999, "9999"),
        (("protocol", "n"), "8", r"protocol\.n"),
        (("crossings", 0, "outcome"), "perhaps", "outcome"),
        (("curves", 0, "points", 0, "correct"), None, "correct"),
        (("levels", 0, "surprise"), 1, "surprise"),
    ],
)
def test_a_result_that_was_changed_is_refused(
    tmp_path: Path,
    result: CalibrationResult,
    place: tuple[str | int, ...],
    value: object,
    said: str,
) -> None:
    path = tmp_path / "result.json"
    write_result(path, result)
    data = json.loads(path.read_text(encoding="utf-8"))
    inner = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ArtefactError, match=said) as caught:
        read_result(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
