"""Class folders, with and without train and test, and the clutter that such folders hold."""

from __future__ import annotations

import contextlib
import re
import sys
import unicodedata
from pathlib import Path

import pytest

from c2f_data.errors import DataSetError, TaxonomyError
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources import locate, read_source
from c2f_data.sources.class_folders import (
    ClassFolders,
    FoundImage,
    class_folder_root,
    find_class_images,
)
from c2f_data.sources.request import SourceRequest
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

RAVEN = "R\u00e4ven"
TABLE = Taxonomy("t", DEFAULT_LEVELS, (("Laridae", "Larus", "Gull"), ("Canidae", "Vulpes", RAVEN)))


def fill(folder: Path, count: int = 10, suffix: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"{i}{suffix}").write_bytes(b"x" * (i + 1))


def read(root: Path, partial: bool = False) -> DatasetIndex:
    return read_source(SourceRequest("folder", root, TABLE, partial))


@pytest.mark.parametrize("test", ["test", "val", "valid", "validation", "Test"])
def test_train_and_test_folders_are_the_split(tmp_path: Path, test: str) -> None:
    for split, count in (("train", 3), (test, 2)):
        for name in ("Gull", RAVEN):
            fill(tmp_path / split / name, count)
    index = read(tmp_path)
    assert [r.path for r in index.records if r.split == TEST] == [
        f"{test}/{name}/{i}.jpg" for name in ("Gull", RAVEN) for i in range(2)
    ]
    assert index.positions(TRAIN).size == 6
    assert {(r.path.split("/")[1], r.label) for r in index.records} == {("Gull", 0), (RAVEN, 1)}
    assert index.warnings == ()
    assert [r.bytes for r in index.records[:2]] == [1, 2]


def test_the_test_folder_goes_before_val(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for name in ("Gull", RAVEN):
            fill(tmp_path / split / name, 1)
    assert {r.path.split("/")[0] for r in read(tmp_path).records} == {"train", "test"}


def test_without_them_three_tenths_of_each_class_become_test_images(tmp_path: Path) -> None:
    fill(tmp_path / "Gull", 20)
    fill(tmp_path / RAVEN, 10)
    index = read(tmp_path)
    tests = [r.label for r in index.records if r.split == TEST]
    assert (tests.count(0), tests.count(1)) == (6, 3)
    assert any("30%" in warning for warning in index.warnings)
    assert read(tmp_path).records == index.records


def test_an_image_more_moves_few_others(tmp_path: Path) -> None:
    for name in ("Gull", RAVEN):
        fill(tmp_path / name, 20)
    before = {r.image_id for r in read(tmp_path).records if r.split == TEST}
    (tmp_path / "Gull" / "another.jpg").write_bytes(b"x")
    after = {r.image_id for r in read(tmp_path).records if r.split == TEST}
    assert len((before ^ after) - {"Gull/another.jpg"}) <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="this system refuses such file names itself")
def test_clutter_is_left_out_and_named_unless_hidden(tmp_path: Path) -> None:
    for name in ("Gull", RAVEN):
        fill(tmp_path / name, 4)
    fill(tmp_path / "Gull" / "deeper", 1, ".PNG")
    before = {r.image_id for r in read(tmp_path).records}
    assert "Gull/deeper/0.PNG" in before
    fill(tmp_path / "Gull" / ".ipynb_checkpoints", 3)
    fill(tmp_path / ".cache" / "Gull", 3)
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", ".DS_Store", "._0.jpg"):
        (tmp_path / "Gull" / name).write_text("x")
    (tmp_path / "readme.jpg").write_text("not in a class folder")
    (tmp_path / "Gull" / b"bad\xff.txt".decode(errors="surrogateescape")).write_text("x")
    index = read(tmp_path)
    assert {r.image_id for r in index.records} == before
    assert index.warnings[-1] == (
        "2 files are not images and are left out: Gull/bad\\udcff.txt, Gull/notes.txt"
    )


def test_a_root_inside_a_hidden_folder_is_read(tmp_path: Path) -> None:
    for name in ("Gull", RAVEN):
        fill(tmp_path / ".cache" / "birds" / name, 3)
    assert len(read(tmp_path / ".cache" / "birds").records) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="this system refuses such file names itself")
def test_a_name_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("Gull", RAVEN):
        fill(tmp_path / name, 3)
    (tmp_path / "Gull" / b"\xffbird.jpg".decode(errors="surrogateescape")).write_bytes(b"x")
    with pytest.raises(DataSetError, match=r"Gull/\\udcffbird\.jpg.* not UTF-8") as caught:
        read(tmp_path)
    assert caught.value.hint == "Rename the file."


def test_a_decomposed_folder_name_is_its_class(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", RAVEN)
    assert decomposed != RAVEN
    fill(tmp_path / decomposed, 1)
    fill(tmp_path / "Gull", 1)
    assert [r.label for r in read(tmp_path).records] == [0, 1]


def test_two_folders_of_one_class_are_refused(tmp_path: Path) -> None:
    for name in ("Gull", "001.Gull", RAVEN):
        fill(tmp_path / name, 1)
    with pytest.raises(DataSetError, match=r"'001\.Gull' and 'Gull' are one row"):
        read(tmp_path)


def test_a_train_folder_alone_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "Gull", 1)
    with pytest.raises(DataSetError, match="a train folder but no test folder") as caught:
        read(tmp_path)
    assert "ROOT/test/CLASS" in caught.value.hint


def test_a_class_that_is_never_trained_is_refused(tmp_path: Path) -> None:
    for path in ("train/Gull", "test/Gull", f"test/{RAVEN}"):
        fill(tmp_path / path, 1)
    with pytest.raises(DataSetError, match=f"no training images: {RAVEN}"):
        read(tmp_path)


@pytest.mark.parametrize("inside", [(), ("notes.txt",), ("Gull/notes.txt",), (".hidden/0.jpg",)])
def test_a_root_without_images_is_refused(tmp_path: Path, inside: tuple[str, ...]) -> None:
    for name in inside:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises(DataSetError, match="no images in class folders") as caught:
        read(tmp_path)
    assert "ROOT/CLASS/*.jpg" in caught.value.hint


def test_folders_and_table_must_name_the_same_classes(tmp_path: Path) -> None:
    fill(tmp_path / "Gull", 1)
    with pytest.raises(
        TaxonomyError, match=f"{RAVEN}.* without images in {re.escape(str(tmp_path))}"
    ):
        read(tmp_path)
    assert read(tmp_path, partial=True).taxonomy.names[-1] == ("Gull",)
    fill(tmp_path / "Emu", 1)
    with pytest.raises(TaxonomyError, match=r"1 class \(Emu\) not in t"):
        read(tmp_path, partial=True)


def test_a_data_set_is_looked_for_in_order_and_the_places_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("C2F_DATA", str(tmp_path / "env"))
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    order = [tmp_path / "recorded"] + [
        base / name
        for base in (tmp_path / "env", Path("data"), tmp_path / "cache")
        for name in ("cub", "CUB_200_2011", "CUB_200_2011.tgz")
    ]
    with pytest.raises(DataSetError, match="no data set 'cub'; looked in") as caught:
        locate.locate("cub", order[0])
    assert all(str(place) in caught.value.message for place in order)
    assert "c2f fetch cub" in caught.value.hint
    for place in reversed(order):
        place.mkdir(parents=True)
        (place / ".part").mkdir()
        with contextlib.suppress(DataSetError):
            assert locate.locate("cub", order[0]) != place, "nothing but hidden files"
        if place.suffix == ".tgz":
            (place / ".part").rmdir()
            place.rmdir()
            place.write_bytes(b"x")
        else:
            (place / "images.txt").write_text("x")
        assert locate.locate("cub", order[0]) == place
    assert locate.cache_folder({}).name == "c2f"


def test_for_cars_the_command_that_names_copies_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(DataSetError, match="stanford_cars") as caught:
        locate.locate("cars", None)
    assert "c2f fetch cars" in caught.value.hint


@pytest.mark.parametrize(
    ("inside", "depth", "found"),
    [
        (("a/x.jpg",), 2, "."),
        (("train/a/x.jpg", "test/a/x.jpg"), 2, "."),
        (("b/train/a/x.jpg", "b/test/a/x.jpg"), 2, "b"),
        (("b/c/a/x.jpg", "b/notes.txt"), 2, "b/c"),
        (("b/c/a/x.jpg",), 1, None),
        (("b/c/d/a/x.jpg",), 2, None),
        ((".b/a/x.jpg", "b/.a/x.jpg", "b/a/._x.jpg"), 2, None),
        (("x.jpg",), 2, None),
    ],
)
def test_the_folder_above_the_class_folders_is_found(
    tmp_path: Path, inside: tuple[str, ...], depth: int, found: str | None
) -> None:
    for name in inside:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    expected = None if found is None else tmp_path / found
    assert class_folder_root(tmp_path, depth) == expected


def test_what_class_folders_hold_is_told_to_other_readers(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "Gull", 1)
    fill(tmp_path / "validation" / "Gull", 1)
    (tmp_path / "train" / "Gull" / "notes.txt").write_text("x")
    found = find_class_images(tmp_path)
    assert found == ClassFolders(
        tmp_path,
        (
            FoundImage(TRAIN, "Gull", tmp_path / "train/Gull/0.jpg"),
            FoundImage(TEST, "Gull", tmp_path / "validation/Gull/0.jpg"),
        ),
        ("train/Gull/notes.txt",),
    )
    assert found.split_given
    assert found.class_names == ("Gull",)
    assert not find_class_images(tmp_path / "train").split_given


def test_boxes_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "Gull", 4)
    with pytest.raises(DataSetError, match="class folders have no bounding boxes"):
        read_source(SourceRequest("folder", tmp_path, TABLE, True, "bbox"))


def test_a_file_as_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataSetError, match="Not a directory"):
        read(tmp_path / "a.jpg")
