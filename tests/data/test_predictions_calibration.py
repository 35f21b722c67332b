"""What a calibration stores comes back as it was, and what was changed is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
from c2f_data.curve import Outcome, accuracy_curve, locate_crossing
from c2f_data.errors import ArtefactError
from c2f_data.predictions import Predictions, read_predictions, write_predictions
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
    for name in ("true", "predicted", "reduced"):
        one, other = getattr(got, name), getattr(expected, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    np.testing.assert_allclose(got.confidence, expected.confidence, atol=5.1e-7)


IDS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)


@settings(max_examples=40)
@given(st.lists(IDS, min_size=1, max_size=8, unique=True))
def test_predictions_come_back_whatever_the_images_are_called(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    path, written = tmp_path_factory.getbasetemp() / "p.csv", predictions(tuple(ids))
    write_predictions(path, written)
    assert_same(read_predictions(path, 64, False, LEVELS), written)


def test_ids_that_look_like_values_stay_names(tmp_path: Path) -> None:
    written = predictions(("NA", "nan", "007", "1e3", "True", "a,b", 'a"b', "#1", " a ", "a\nb"))
    write_predictions(tmp_path / "p.csv", written)
    assert_same(read_predictions(tmp_path / "p.csv", 64, False, LEVELS), written)


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


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[: len(data) - 12],
        lambda data: data.replace(b"true_genus", b"true_tribe"),
        lambda data: data.replace(b"image_id", b"id"),
        lambda data: data + b"c,1,0,0,x,0,0,0.5,0,0,0.5\n",
        lambda data: data + b"c,1,0,0,0.5,0.5,0,0.5,0,0,0.5\n",
        lambda data: data + b"c,,0,0,0.5,0,0,0.5,0,0,0.5\n",
        lambda data: data + b'"c,1\n',
        lambda data: data + b"\xff,1,0,0,0.5,0,0,0.5,0,0,0.5\n",
    ],
)
def test_damaged_predictions_are_refused_with_the_way_out(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "p.csv"
    write_predictions(path, predictions(("a", "b")))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtefactError, match="damaged predictions") as caught:
        read_predictions(path, 64, False, LEVELS)
    assert str(path) in caught.value.message
    assert "only this resolution is redone" in caught.value.hint


def test_absent_predictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="absent"):
        read_predictions(tmp_path / "absent.csv", 64, False, LEVELS)


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
        (("schema_version",), 2, "schema version 2, this c2f reads version 1"),
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
