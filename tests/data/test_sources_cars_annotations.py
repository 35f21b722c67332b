"""The .mat files: every field checked, nothing believed, one kind of error whatever is in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cars_copies import (
    columns_of,
    name_cells,
    some_cars,
    struct_array,
    write_annotations,
    write_mat,
    write_meta,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from c2f_data.errors import DataSetError
from c2f_data.sources import cars_annotations, cars_matlab
from c2f_data.sources.cars_annotations import read_annotations, read_class_names
from c2f_data.sources.cars_matlab import StructArray, read_matlab

CARS = some_cars()


def test_the_rows_are_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    write_annotations(path, CARS)
    file = read_annotations(path)
    assert [(r.row, r.name, r.corners, r.class_id, r.test) for r in file.rows] == [
        (i, car.name, car.corners, car.class_id, False) for i, car in enumerate(CARS, start=1)
    ]
    assert file.class_names is None
    write_annotations(path, CARS[:1], labels=False)
    (row,) = read_annotations(path).rows
    assert (row.name, row.class_id) == ("00001.jpg", 0)


def test_the_official_files_are_read(shared: Path) -> None:
    folder = shared / "data" / "cars_devkit"
    train = read_annotations(folder / "cars_train_annos.mat")
    assert len(train.rows) == 8_144
    assert train.rows[1].corners == (36, 116, 868, 587)
    assert (train.rows[1].name, train.rows[1].class_id) == ("00002.jpg", 3)
    assert {row.class_id for row in train.rows} == set(range(1, 197))
    assert len(read_annotations(folder / "cars_test_annos_withlabels.mat").rows) == 8_041
    assert read_class_names(folder / "cars_meta.mat")[0] == "AM General Hummer SUV 2000"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("bbox_x1", -1, "bbox_x1 is -1, not a whole number from 0 to 100000"),
        ("bbox_y1", 2.5, "bbox_y1 is 2.5, not"),
        ("bbox_x2", float("nan"), "bbox_x2 is nan, not"),
        ("bbox_y2", float("inf"), "bbox_y2 is inf, not"),
        ("bbox_x2", 1e12, "bbox_x2 is 1000000000000.0, not"),
        ("bbox_x1", 3 + 1j, "bbox_x1 is a complex number (1 x 1), not"),
        ("bbox_x1", "12", "bbox_x1 is '12', not"),
        ("bbox_x1", [1, 2], "(1 x 2), not a whole number from 0 to 100000"),
        ("bbox_x1", [], "bbox_x1 is a value of MATLAB's class 6 (0 x 0), not"),
        ("bbox_x2", 2, "the box 6,5 to 2,33 is empty"),
        ("class", 0, "class is 0, not a whole number from 1 to 196"),
        ("class", 197, "class is 197, not"),
        ("fname", 5, "the file name is 5"),
        ("fname", "", "the file name is "),
        ("fname", ".", "the file name is '.'"),
        ("fname", "/", "the file name is '/'"),
        ("fname", "../../passwd.jpg", "'../../passwd.jpg' leads out of the data set"),
        ("fname", "/etc/passwd.jpg", "leads out of the data set"),
        ("fname", "a\\..\\b.jpg", "leads out of the data set"),
        ("fname", "00001.jpg", "'00001.jpg' again, first in row 1"),
        ("fname", {"a": 1}, "the file name is "),
    ],
)
def test_a_bad_field_names_file_row_and_value(
    tmp_path: Path, field: str, value: Any, says: str
) -> None:
    columns = {name: list(values) for name, values in columns_of(CARS).items()}
    columns[field][2] = value
    path = tmp_path / "cars_train_annos.mat"
    write_mat(path, {"annotations": struct_array(columns)})
    with pytest.raises(DataSetError) as raised:
        read_annotations(path)
    assert raised.value.message.startswith(f"{path}, row 3: ")
    assert says in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"other": 1}, "no struct array 'annotations'"),
        ({"annotations": 5}, "no struct array 'annotations'"),
        ({"annotations": "text"}, "no struct array 'annotations'"),
        ({"annotations": np.zeros((0, 0))}, "no struct array 'annotations'"),
        ({"annotations": struct_array({"fname": ["a.jpg"]})}, "has no field 'bbox_x1'"),
        (
            {
                "annotations": struct_array(
                    {k: v for k, v in columns_of(CARS).items() if k[0] == "b"}
                )
            },
            "has no field 'fname'",
        ),
        (
            {"annotations": struct_array(columns_of(CARS)), "class_names": name_cells(["a"] * 197)},
            "197 class names; the data set has 196",
        ),
        (
            {"annotations": struct_array(columns_of(CARS)), "class_names": np.array([1.0, 2.0])},
            "'class_names' is a value of MATLAB's class 6 (1 x 2), not a cell array",
        ),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: dict[str, Any], says: str) -> None:
    path = tmp_path / "a.mat"
    write_mat(path, content)
    with pytest.raises(DataSetError) as raised:
        read_annotations(path)
    assert says in raised.value.message


def test_class_names_must_be_there_and_text(tmp_path: Path) -> None:
    path = tmp_path / "cars_meta.mat"
    write_mat(path, {"annotations": 1})
    with pytest.raises(DataSetError, match="no variable 'class_names'"):
        read_class_names(path)
    write_meta(path, ["A", " "])
    with pytest.raises(DataSetError, match="class name 2 is ' '"):
        read_class_names(path)


def hdf5(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))


def matlab_73(path: Path) -> None:
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600))


def version_4(path: Path) -> None:
    savemat(path, {"annotations": np.ones(3)}, format="4")


def text(path: Path) -> None:
    path.write_text("not found", encoding="utf-8")


def empty(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    write_annotations(path, CARS)
    path.write_bytes(path.read_bytes()[:-40])


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(cars_matlab.MAX_BYTES + 1)


def bomb(path: Path) -> None:
    """A few kilobytes that unpack to more than is allowed."""
    packed = zlib.compress(bytes(cars_matlab.MAX_UNPACKED + 1), 9)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (hdf5, "a MATLAB 7.3 file (HDF5)"),
        (matlab_73, "a MATLAB 7.3 file (HDF5)"),
        (version_4, "not a MATLAB 5 file"),
        (text, "not a MATLAB 5 file"),
        (empty, "not a MATLAB 5 file"),
        (truncated, "damaged MATLAB file"),
        (huge, f"{cars_matlab.MAX_BYTES + 1:,} bytes"),
        (bomb, "unpacks to over 32 MiB"),
        (folder, "unreadable (Is a directory)"),
    ],
)
def test_files_that_are_none_are_refused(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "cars_train_annos.mat"
    make(path)
    with pytest.raises(DataSetError) as raised:
        read_annotations(path)
    assert str(path) in raised.value.message
    assert says in raised.value.message
    assert raised.value.hint


def test_numbers_and_text_of_every_storage_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    kinds = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?")
    for kind in kinds:
        write_mat(path, {"a": np.array([[1]], dtype=kind)})
        assert read_matlab(path, ["a", "b"]) == {"a": 1}
    for text in ("", "a", "00001.jpg", "Citroën DS ü", "𝄞"):
        write_mat(path, {"a": text, "b": name_cells([text, text])})
        assert read_matlab(path, ["a"]) == {"a": text}
        assert read_matlab(path, ["b"]) == {"b": (text, text)}


def test_the_reader_agrees_with_scipys_on_the_official_files(shared: Path) -> None:
    for name in ("cars_train_annos.mat", "cars_test_annos_withlabels.mat"):
        path = shared / "data" / "cars_devkit" / name
        ours = read_matlab(path, ["annotations"])["annotations"]
        assert isinstance(ours, StructArray)
        theirs = loadmat(path, squeeze_me=True)["annotations"]
        assert tuple(ours.fields) == theirs.dtype.names
        assert all(list(ours.fields[field]) == theirs[field].tolist() for field in ours.fields)


def test_a_wrong_type_code_is_refused_and_does_not_end_the_process(tmp_path: Path) -> None:
    """The code of a number's storage, replaced one after the other by every other code."""
    path = tmp_path / "a.mat"
    savemat(path, {"annotations": struct_array(columns_of(CARS[:1]))}, do_compression=False)
    data = path.read_bytes()
    at = data.index(struct.pack("<II", 12, 8))  # a 64-bit integer
    refused = 0
    for code in range(256):
        path.write_bytes(data[:at] + bytes([code]) + data[at + 1 :])
        try:
            read_annotations(path)
        except DataSetError:
            refused += 1
    assert refused > 240


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(128, 2_000), st.integers(0, 255)), min_size=1))
def test_changed_bytes_are_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    """Uncompressed, so that the changes reach the structure and not a checksum."""
    path = tmp_path / "a.mat"
    savemat(path, {"annotations": struct_array(columns_of(CARS[:2]))}, do_compression=False)
    data = bytearray(path.read_bytes())
    for position, value in changes:
        if position < len(data):
            data[position] = value
    path.write_bytes(data)
    try:
        rows = read_annotations(path).rows
    except DataSetError as error:
        assert str(path) in error.message  # noqa: PT017
    else:
        assert all(0 <= side <= cars_annotations.MAX_COORDINATE for r in rows for side in r.corners)
