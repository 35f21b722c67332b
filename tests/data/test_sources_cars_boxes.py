"""Bounding boxes of Stanford Cars: converted, turned with the image, and held against it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cars_copies import (
    header_jpeg,
    make_class_folders,
    make_combined,
    make_original,
    make_parquet,
    read,
    some_cars,
    write_annotations,
    write_images,
)
from PIL import Image

from c2f_data.decode import EXIF_ORIENTATION, decode_bytes
from c2f_data.errors import DataSetError
from c2f_data.sources.cars_annotations import Annotation
from c2f_data.sources.cars_boxes import Header, upright_box

TRAIN_FILE = Path("devkit") / "cars_train_annos.mat"


@pytest.mark.parametrize("make", [make_original, make_combined])
def test_boxes_are_set_only_where_asked_for(tmp_path: Path, make: object) -> None:
    root = make(tmp_path)  # type: ignore[operator]
    cars = (*some_cars(), *some_cars(test=True))
    wanted = [(x1 - 1, y1 - 1, x2, y2) for x1, y1, x2, y2 in (car.corners for car in cars)]
    assert [record.box for record in read(root, crop="bbox").records] == wanted
    assert {record.box for record in read(root).records} == {None}
    assert read(root).fingerprint != read(root, crop="bbox").fingerprint


def test_a_box_is_what_is_cut_out(tmp_path: Path) -> None:
    """1-based and inclusive: x1 = 3, x2 = 5 are the three columns 2, 3 and 4."""
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[3:7, 2:5] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    box = upright_box(Annotation(1, "x.png", (3, 4, 5, 7), 1, False), Header(10, 8, 1))
    cut = decode_bytes(buffer.getvalue(), "x.png", box).pixels
    assert cut.shape == (4, 3, 3)
    assert (cut == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_with_its_image(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[3:7, 2:5] = 255
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    header = Header(10, 8, orientation)
    box = upright_box(Annotation(1, "x.png", (3, 4, 5, 7), 1, False), header)
    upright = decode_bytes(buffer.getvalue(), "x.png").pixels
    cut = decode_bytes(buffer.getvalue(), "x.png", box).pixels
    assert (cut == 255).all()
    assert cut.size == 4 * 3 * 3 == (upright == 255).sum()


def test_stored_and_not_upright_sizes_are_compared(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    car = some_cars()[0]
    Image.new("RGB", car.size).save(root / "cars_train" / car.name, exif=exif)
    x1, y1, x2, y2 = car.corners
    height = car.size[1]
    assert read(root, crop="bbox").records[0].box == (height - y2, x1 - 1, height - y1 + 1, x2)


def test_a_box_is_clipped_to_its_image(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    cars = some_cars()
    width, height = cars[0].size
    cars[0] = replace(cars[0], corners=(0, 0, width + 2, height + 1))
    write_annotations(root / TRAIN_FILE, cars)
    assert read(root, crop="bbox").records[0].box == (0, 0, width, height)


@pytest.mark.parametrize("layout", ["folders", "parquet"])
def test_boxes_where_there_are_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    if layout == "folders":
        make_class_folders(tmp_path)
    else:
        pytest.importorskip("pyarrow")
        make_parquet(tmp_path, names=None)
    with pytest.raises(DataSetError, match="have no bounding boxes"):
        read(tmp_path, crop="bbox")
    assert not (tmp_path / "cache").exists()


# Contradictions


def test_a_box_outside_its_image_names_file_row_and_sizes(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    (root / "cars_train" / "00004.jpg").write_bytes(header_jpeg(40, 44))
    with pytest.raises(DataSetError) as raised:
        read(root)
    assert "1 of 20 boxes reach outside their images" in raised.value.message
    where = "cars_train_annos.mat row 4 (cars_train/00004.jpg: 40 x 44 pixels, box 7,5 to 44,34)"
    assert where in raised.value.message


@pytest.mark.parametrize("corners", [(61, 1, 80, 20), (1, 1, 30, 44), (1, 42, 20, 43)])
def test_each_side_of_a_box_is_compared(tmp_path: Path, corners: tuple[int, int, int, int]) -> None:
    """The first image has 62 x 41 pixels; two pixels over are forgiven, three are not."""
    root = make_original(tmp_path)
    cars = some_cars()
    cars[0] = replace(cars[0], corners=corners)
    write_annotations(root / TRAIN_FILE, cars)
    with pytest.raises(DataSetError, match=r"1 of 20 boxes reach outside .*row 1 "):
        read(root)


def test_annotations_in_another_order_of_the_files_are_refused(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    cars = some_cars()
    wide = [replace(car, size=(400, 300), corners=(100, 90, 350, 280)) for car in cars[:6]]
    cars[:6] = wide
    write_images(root / "cars_train", cars)
    write_annotations(root / TRAIN_FILE, cars)
    assert len(read(root).records) == 20
    turned = [replace(a, name=b.name) for a, b in zip(cars, cars[::-1], strict=True)]
    write_annotations(root / TRAIN_FILE, turned)
    with pytest.raises(DataSetError) as raised:
        read(root, partial=True)
    assert "6 of 20 boxes reach outside their images" in raised.value.message
    assert "row 1 (cars_train/00012.jpg: " in raised.value.message
    assert raised.value.message.endswith(" and 3 more")


def test_resized_images_are_refused(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    for path in root.rglob("*.jpg"):
        path.write_bytes(header_jpeg(32, 32))
    with pytest.raises(DataSetError, match="20 of 20 boxes reach outside") as raised:
        read(root)
    assert "resized" in raised.value.hint


# Copies that are cut to the boxes


@pytest.mark.parametrize("less", [0, 1])
def test_images_cut_to_their_boxes_are_recognised(tmp_path: Path, less: int) -> None:
    """Some cut with the last row and column, some without."""
    root = make_original(tmp_path)
    for folder, test in (("cars_train", False), ("cars_test", True)):
        for car in some_cars(test=test):
            x1, y1, x2, y2 = car.corners
            size = (x2 - x1 + 1 - less, y2 - y1 + 1 - less)
            (root / folder / car.name).write_bytes(header_jpeg(*size))
    index = read(root)
    assert index.layout.endswith(", cut to the bounding boxes")
    assert "the images are already cut to their bounding boxes" in index.warnings
    cropped = read(root, crop="bbox")
    assert cropped.records == index.records
    assert any(w.endswith("; --crop bbox changes nothing") for w in cropped.warnings)


def test_a_cut_copy_with_other_images_in_it_is_refused(tmp_path: Path) -> None:
    root = make_original(tmp_path, cut=True)
    (root / "cars_train" / "00005.jpg").write_bytes(header_jpeg(70, 26))
    with pytest.raises(DataSetError) as raised:
        read(root)
    assert "1 of 20 have another size: cars_train_annos.mat row 5" in raised.value.message


def test_boxes_that_are_the_whole_image_are_no_cut_copy(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    for name, test in ((TRAIN_FILE, False), ("cars_test_annos_withlabels.mat", True)):
        cars = [replace(car, corners=(1, 1, *car.size)) for car in some_cars(test=test)]
        write_annotations(root / name, cars)
    index = read(root, crop="bbox")
    assert not re.search("cut", index.layout)
    assert index.records[0].box == (0, 0, *some_cars()[0].size)
