"""--crop parts: the box around CUB's visible parts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from c2f_data.decode import Box
from c2f_data.errors import DataSetError
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.cub_parts import VisibleParts, read_parts
from c2f_data.sources.request import SourceRequest

CLASS = "001.Black_footed_Albatross"
PARTS = (
    "1 1 10.0 20.0 1",  # x 10 .. 90, y 20 .. 40: longer side 80, margin 10
    "1 2 90.0 40.0 1",
    "1 3 0.0 0.0 0",  # not visible: its place says nothing
    "2 1 2.0 3.0 1",  # clipped to the image on all sides
    "2 2 98.0 58.5 1",
    "3 1 50.0 30.0 1",  # one part alone: the image stays whole
    "3 2 0.0 0.0 0",
    "99 1 900.0 900.0 1",  # of an image that is not in this subset
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of 100 x 60 pixels in the official layout."""
    folder = tmp_path / "images" / CLASS
    folder.mkdir(parents=True)
    ids = range(1, 4)
    for number in ids:
        Image.new("RGB", (100, 60), (number, 2, 3)).save(folder / f"{number}.png")
    lines = {
        "images.txt": [f"{i} {CLASS}/{i}.png" for i in ids],
        "image_class_labels.txt": [f"{i} 1" for i in ids],
        "train_test_split.txt": [f"{i} {int(i < 3)}" for i in ids],
        "classes.txt": [f"1 {CLASS}"],
    }
    for name, rows in lines.items():
        (tmp_path / name).write_text("\n".join(rows) + "\n")
    write_parts(tmp_path, *PARTS)
    return tmp_path


def write_parts(root: Path, *lines: str) -> None:
    (root / "parts").mkdir(exist_ok=True)
    (root / "parts" / "part_locs.txt").write_text("\n".join(lines) + "\n")


def read(root: Path, crop: str = "parts") -> DatasetIndex:
    return read_source(SourceRequest("cub", root, builtin_taxonomy("cub"), crop=crop))


def test_the_box_has_a_margin_and_stays_in_the_image(root: Path) -> None:
    index = read(root)
    wanted: list[Box | None] = [(0, 10, 100, 50), (0, 0, 100, 60), None]
    assert [record.box for record in index.records] == wanted
    assert index.pixels(0).shape == (40, 100, 3)
    assert index.pixels(2).shape == (60, 100, 3)
    whole = read(root, "none")
    assert index.fingerprint != whole.fingerprint
    assert (index.crop, whole.crop) == ("parts", "none")


def test_images_with_too_few_parts_are_counted(root: Path) -> None:
    counted = [w for w in read(root).warnings if "fewer than two visible parts" in w]
    assert counted == [
        f"1 images with fewer than two visible parts stay whole: images/{CLASS}/3.png"
    ]
    assert not [w for w in read(root, "none").warnings if "visible parts" in w]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 1 10 20", "line 1: '1 1 10 20' is not 'image part x y visible'"),
        ("1 beak 10 20 1", "is not 'image part x y visible'"),
        ("1 1 10 nan 1", "is not 'image part x y visible'"),
        ("1 1 10 20 2", "is not 'image part x y visible'"),
    ],
)
def test_a_bad_line_is_named(line: str, message: str, root: Path) -> None:
    write_parts(root, line, *PARTS)
    with pytest.raises(DataSetError, match=message):
        read(root)


def test_an_image_without_lines_and_a_lost_file_are_named(root: Path) -> None:
    write_parts(root, *PARTS[:3])
    with pytest.raises(DataSetError, match=r"part_locs\.txt: no line for image 2\n"):
        read(root)
    (root / "parts" / "part_locs.txt").unlink()
    with pytest.raises(DataSetError, match=r"part_locs\.txt: no such file\n.*--crop parts"):
        read(root)


def test_parts_of_another_copy_of_the_images_are_refused(root: Path) -> None:
    write_parts(root, *PARTS[:3], "2 1 20 20 1", "2 2 200 30 1", "3 1 5 5 0")
    with pytest.raises(DataSetError, match=r"1 images have parts outside.*line 4.*100 x 60"):
        read(root)


def test_parts_that_lie_in_one_place_are_no_box(root: Path) -> None:
    write_parts(root, "1 1 5 5 1", "1 2 5 5 1")
    assert read_parts(root, ["1"]) == {"1": None}


def test_the_margin_is_a_share_of_the_longer_side() -> None:
    box = VisibleParts("", (40.0, 44.0), (10.0, 50.0)).box((60, 100))
    assert box == (35, 5, 49, 55)


def test_other_data_sets_have_none(root: Path) -> None:
    for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"):
        (root / name).unlink()
    with pytest.raises(DataSetError, match="have no part locations, which --crop parts needs"):
        read(root)
