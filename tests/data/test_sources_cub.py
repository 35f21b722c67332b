"""The official CUB folder: read whole or refused with the file and the line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from c2f_data.decode import Box, native_size
from c2f_data.errors import C2FError, ConfigError, DataSetError, TaxonomyError
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.classes import safe_relative
from c2f_data.sources.request import SourceRequest
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

CROW, GULL = "003.Crow", "017.Gull"
TABLE = Taxonomy(
    "t", DEFAULT_LEVELS, (("Laridae", "Larus", "Gull"), ("Corvidae", "Corvus", "Crow"))
)
MakeCub = Callable[..., Path]


@pytest.fixture
def root(make_cub: MakeCub) -> Path:
    return make_cub({3: CROW, 17: GULL})


def read(root: Path, table: Taxonomy = TABLE, partial: bool = False) -> DatasetIndex:
    return read_source(SourceRequest("cub", root, table, partial))


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_sparse_class_ids_get_dense_labels_in_the_tables_order(root: Path) -> None:
    index = read(root)
    assert [(r.path, r.label, r.split) for r in index.records] == [
        (f"images/{name}/{i}.jpg", label, TEST if i == 2 else TRAIN)
        for name, label in ((CROW, 1), (GULL, 0))
        for i in range(3)
    ]
    assert index.taxonomy.names[-1] == ("Gull", "Crow")
    assert [r.bytes for r in index.records] == [p.stat().st_size for p in index.paths(range(6))]
    assert index.records[0].image_id == f"{CROW}/0.jpg"
    assert index.layout == "official CUB_200_2011 folder"
    assert index.warnings == (
        "a part of the official data set: 2 of 200 classes, 4 of 5,994 training images, "
        "2 of 5,794 test images",
    )


def test_the_parent_folder_will_do(root: Path) -> None:
    assert root.name == "CUB_200_2011"
    index = read(root.parent)
    assert index.root == root
    assert index.fingerprint == read(root).fingerprint


def test_a_byte_order_mark_blank_lines_and_dos_line_ends_are_read(root: Path) -> None:
    before = read(root)
    for path in root.glob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert read(root).fingerprint == before.fingerprint


def test_names_with_their_number_match_too(root: Path) -> None:
    numbered = Taxonomy("t", ("genus", "species"), (("Corvus", CROW), ("Larus", GULL)))
    assert read(root, numbered).taxonomy.names[-1] == (CROW, GULL)


@pytest.mark.skipif(sys.platform != "linux", reason="this system refuses such file names itself")
def test_what_is_left_out_is_warned_of_by_name(root: Path) -> None:
    for name in ("new.jpg", "._0.jpg", "notes.txt"):
        (root / "images" / CROW / name).write_bytes(b"x")
    (root / "images" / b"bad\xff.jpg".decode(errors="surrogateescape")).write_bytes(b"x")
    (root / "classes.txt").write_text(f"3 {CROW}\n17 {GULL}\n20 020.Emu\n")
    more = Taxonomy("t", DEFAULT_LEVELS, (*TABLE.paths, ("Dromaiidae", "Dromaius", "Emu")))
    surplus, classes, counts = read(root, more).warnings
    assert surplus == (
        f"2 image files are not in images.txt and are left out: {CROW}/new.jpg, bad\\udcff.jpg"
    )
    assert classes == "1 classes of classes.txt have no images: 020.Emu"
    assert "2 of 200 classes" in counts


def test_missing_images_are_named_with_their_lines(root: Path) -> None:
    for i in (0, 2):
        (root / "images" / CROW / f"{i}.jpg").unlink()
    with pytest.raises(DataSetError, match="2 listed images are missing") as caught:
        read(root)
    assert f"{CROW}/2.jpg ({root / 'images.txt'}, line 3)" in caught.value.message


@pytest.mark.parametrize(
    "name", ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"]
)
@pytest.mark.parametrize("state", ["absent", "empty", "not UTF-8", "a folder"])
def test_a_text_file_that_can_not_be_read_is_named(root: Path, name: str, state: str) -> None:
    path = root / name
    path.unlink()
    if state == "empty":
        path.write_text("\n")
    elif state == "not UTF-8":
        path.write_bytes(b"1 \xff\xfe\n")
    elif state == "a folder":
        path.mkdir()
    with pytest.raises(DataSetError, match=re.escape(str(path))) as caught:
        read(root)
    assert "--root FOLDER" in caught.value.hint


def test_the_demo_has_this_layout_and_no_official_numbers(root: Path) -> None:
    index = read_source(SourceRequest("demo", root, TABLE))
    assert index.layout == "rendered images in CUB's layout"
    assert index.warnings == ()


def write_boxes(root: Path, *lines: str) -> None:
    (root / "bounding_boxes.txt").write_text("\n".join(lines) + "\n")


BOXES = (
    "1 0.0 0.0 32.0 24.0",  # the whole image
    "2 3.7 4.0 9.5 8.9",  # 3.7 .. 13.2 and 4 .. 12.9: outwards to 3 .. 14 and 4 .. 13
    "3 2.0 3.0 31.0 22.0",  # 1 pixel over both edges, as 4 of the official ones in 1,130
    "4 0.4 0.4 0.2 0.2",
    "5 31 23 1 1",
    "6 -1 0 5 5",
    "99 900 900 1 1",  # of an image that is not in this subset
)


def read_boxes(root: Path) -> list[Box | None]:
    index = read_source(SourceRequest("cub", root, TABLE, crop="bbox"))
    return [record.box for record in index.records]


def test_boxes_are_rounded_outwards_and_clipped_to_the_image(root: Path) -> None:
    write_boxes(root, *BOXES)
    assert read_boxes(root) == [
        (0, 0, 32, 24),
        (3, 4, 14, 13),
        (2, 3, 32, 24),
        (0, 0, 1, 1),
        (31, 23, 32, 24),
        (0, 0, 4, 5),
    ]
    assert {record.box for record in read(root).records} == {None}


def test_boxes_of_other_images_are_refused_with_the_first_rows(root: Path) -> None:
    outside = ["0 0 37 24", "0 0 32 29", "-5 0 9 9", "32 0 3 3"]
    write_boxes(root, BOXES[0], *(f"{i} {box}" for i, box in enumerate(outside, 2)), BOXES[5])
    with pytest.raises(DataSetError, match="4 boxes are not in their images") as caught:
        read_boxes(root)
    for line, box in enumerate(outside[:3], 2):
        assert f"bounding_boxes.txt, line {line}: '{box}' is not in images/" in caught.value.message
    assert "(32 x 24 pixels)" in caught.value.message
    assert "line 5" not in caught.value.message


@pytest.mark.parametrize("box", ["1 2 3", "1 2 3 4 5", "a 2 3 4", "nan 2 3 4", "1 2 inf 4",
                                 "1 2 0 4", "1 2 3 -4"])  # fmt: skip
def test_a_box_that_is_none_is_refused_with_its_line(root: Path, box: str) -> None:
    write_boxes(root, BOXES[0], f"2 {box}", *BOXES[2:])
    with pytest.raises(DataSetError, match=r"boxes\.txt, line 2: .* is not 'x y width height'"):
        read_boxes(root)


def test_an_absent_box_and_absent_boxes_are_named(root: Path) -> None:
    with pytest.raises(DataSetError, match=r"bounding_boxes\.txt: no such file"):
        read_boxes(root)
    write_boxes(root, *BOXES[:4], *BOXES[5:])
    with pytest.raises(DataSetError, match=r"no box for image 5 \(.*images\.txt, line 5\)"):
        read_boxes(root)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("images.txt", f"2 {CROW}/1.jpg", "2", "images.txt, line 2: '2' is not 'number value'"),
        ("images.txt", f"2 {CROW}", f"x {CROW}", "line 2: .* is not 'number value'"),
        ("images.txt", f"2 {CROW}", f"1 {CROW}", "line 2: id 1 again, first on line 1"),
        ("images.txt", f"{CROW}/1.jpg", f"{CROW}/0.jpg", "'003.Crow/0.jpg' is listed twice"),
        ("images.txt", f"{CROW}/1.jpg", "../x.jpg", "images.txt, line 2: .* leads out"),
        ("images.txt", f"{CROW}/1.jpg", f"{CROW}/../../../x.jpg", "line 2: .* leads out"),
        ("images.txt", f"{CROW}/1.jpg", "/etc/passwd", "line 2: .* leads out"),
        ("images.txt", f"{CROW}/1.jpg", "..\\x.jpg", "line 2: .* leads out"),
        ("image_class_labels.txt", "2 3\n", "", "no line for image 2 .*images.txt, line 2"),
        ("image_class_labels.txt", "6 17", "6 17\n7 17", "labels.txt, line 7: image 7 is not in"),
        ("image_class_labels.txt", "2 3", "2 4", "labels.txt, line 2: class 4 is not in classes"),
        ("train_test_split.txt", "4 1\n", "", "split.txt: no line for image 4"),
        ("train_test_split.txt", "6 0", "6 0\n9 0", "split.txt, line 7: image 9 is not in"),
        ("train_test_split.txt", "2 1", "2 2", "split.txt, line 2: '2' is neither 0 .* nor 1"),
        ("classes.txt", f"17 {GULL}", f"17 {CROW}", "'003.Crow' and '003.Crow' are one row"),
        ("classes.txt", f"17 {GULL}", "17 017.Crow", "'003.Crow' and '017.Crow' are one row"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_file_and_line(
    root: Path, name: str, old: str, new: str, said: str
) -> None:
    edit(root, name, old, new)
    with pytest.raises(DataSetError, match=said) as caught:
        read(root)
    assert str(root) in caught.value.message
    assert caught.value.hint


def test_a_class_that_the_hierarchy_lacks_is_named(root: Path) -> None:
    edit(root, "classes.txt", GULL, "017.Emu")
    with pytest.raises(TaxonomyError, match=r"1 class \(.*Emu\) not in t"):
        read(root)


def test_a_table_with_more_classes_is_refused_for_other_data_sets(root: Path) -> None:
    table = builtin_taxonomy("cub")
    for path in root.glob("*.txt"):
        path.write_text(path.read_text().replace("Gull", "Gadwall").replace("Crow", "Fish_Crow"))
    for folder in (root / "images").iterdir():
        folder.rename(
            folder.with_name(folder.name.replace("Gull", "Gadwall").replace("Crow", "Fish_Crow"))
        )
    assert len(read(root, table).taxonomy.paths) == 2
    with pytest.raises(TaxonomyError, match="198 classes"):
        read_source(SourceRequest("demo", root, table))
    assert len(read_source(SourceRequest("demo", root, table, True)).taxonomy.paths) == 2


def test_a_data_set_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no adapter") as caught:
        read_source(SourceRequest("dogs", tmp_path, TABLE))
    assert "folder" in caught.value.hint


@pytest.mark.parametrize("path", ["a/b.jpg", "a b.jpg", "a..b/c.jpg", "räven ✓.jpg"])
def test_a_path_below_the_root_is_kept(path: str) -> None:
    assert str(safe_relative(path, "x")) == path


@pytest.mark.parametrize("path", ["", "..", "a/..", "/a", "a\0b", "\\\\host\\a"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(C2FError, match="leads out of the data set"):
        safe_relative(path, "x")


def test_the_real_subset_of_twenty_species_is_read_whole(shared: Path) -> None:
    root = shared / "data" / "cub20"
    if not root.is_dir():
        pytest.skip(f"no real images: {root} is not there")
    index = read(root, builtin_taxonomy("cub"))
    assert len(index.records) == 1130
    assert (index.positions(TRAIN).size, index.positions(TEST).size) == (600, 530)
    counts = [index.taxonomy.count(level) for level in ("species", "genus", "family")]
    assert counts == [20, 10, 6]
    assert set(index.labels) == set(range(20))
    assert all(p.is_file() for p in index.paths(range(1130)))
    for record in index.records:
        folder = record.image_id.split("/")[0].split(".")[1]
        assert index.taxonomy.names[-1][record.label] == folder


def test_the_real_boxes_lie_in_their_images(shared: Path) -> None:
    root = shared / "data" / "cub20"
    if not root.is_dir():
        pytest.skip(f"no real images: {root} is not there")
    index = read_source(SourceRequest("cub", root, builtin_taxonomy("cub"), crop="bbox"))
    for i, record in enumerate(index.records):
        assert record.box is not None
        left, top, right, bottom = record.box
        height, width = native_size(index.path(i))
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    assert index.records[0].box == (60, 27, 385, 331)
