"""Stanford Cars in every layout: what is recognised, and that all of them mean the same."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cars_copies import (
    CLASSES,
    columns_of,
    header_jpeg,
    make_class_folders,
    make_combined,
    make_original,
    make_parquet,
    read,
    some_cars,
    struct_array,
    write_annotations,
    write_images,
    write_mat,
    write_meta,
)

from c2f_data.errors import DataSetError, TaxonomyError
from c2f_data.hierarchy.cars import official_names
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources.cars_annotations import read_annotations

NAMES = [official_names()[class_id - 1] for class_id in CLASSES]
LABELS = [label for label in range(4) for _ in range(3)] + [0, 0, 1, 1, 2, 2, 3, 3]
Make = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))


def make_archive(folder: Path) -> Path:
    make_original(folder / "stanford_cars")
    with tarfile.open(folder / "cars.tgz", "w:gz") as archive:
        archive.add(folder / "stanford_cars", "stanford_cars")
    shutil.rmtree(folder / "stanford_cars")
    return folder


LAYOUTS: dict[str, tuple[Make, str]] = {
    "original": (make_original, "cars_train, cars_test and annotation files"),
    "one level too deep": (
        lambda root: make_original(root / "stanford_cars").parent,
        "stanford_cars/cars_train, stanford_cars/cars_test and annotation files",
    ),
    "nested": (
        lambda root: make_original(root, nested=True),
        "cars_train/cars_train, cars_test/cars_test and annotation files",
    ),
    "cut": (
        lambda root: make_original(root, cut=True),
        "cars_train, cars_test and annotation files, cut to the bounding boxes",
    ),
    "combined": (make_combined, "car_ims and cars_annos.mat"),
    "class folders": (make_class_folders, "class folders"),
    "class folders too deep": (
        lambda root: make_class_folders(root / "car_data" / "car_data").parents[1],
        "class folders",
    ),
    "parquet": (
        lambda root: make_parquet(root, names=[name.lower() for name in official_names()]),
        "parquet",
    ),
    "parquet of numbers": (lambda root: make_parquet(root, names=None), "parquet"),
    "archive in a folder": (
        make_archive,
        "stanford_cars/cars_train, stanford_cars/cars_test and annotation files",
    ),
    "archive itself": (
        lambda root: make_archive(root) / "cars.tgz",
        "stanford_cars/cars_train, stanford_cars/cars_test and annotation files",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_images(tmp_path: Path, name: str) -> None:
    make, layout = LAYOUTS[name]
    if "parquet" in name:
        pytest.importorskip("pyarrow")
    root = tmp_path / "root"
    root.mkdir()
    index = read(make(root))
    assert index.layout == layout
    assert index.dataset == "cars"
    assert index.taxonomy.names[-1] == tuple(NAMES)
    assert index.labels.tolist() == LABELS
    assert [record.split for record in index.records] == [TRAIN] * 12 + [TEST] * 8
    wanted = [] if name == "cut" else [car.size for car in (*some_cars(), *some_cars(test=True))]
    if wanted:
        assert [len(header_jpeg(*size)) for size in wanted] == [r.bytes for r in index.records]
        by_size = {header_jpeg(*size): size for size in wanted}
        assert [by_size[index.path(i).read_bytes()] for i in range(20)] == wanted
    assert all(record.box is None for record in index.records)
    assert any("4 of 196 classes, 12 of 8,144 training images" in w for w in index.warnings)


def test_ids_and_fingerprint_do_not_depend_on_nesting(tmp_path: Path) -> None:
    plain = read(make_original(tmp_path / "a"))
    nested = read(make_original(tmp_path / "c", nested=True))
    assert plain.records[0].image_id == nested.records[0].image_id == "cars_train/00001.jpg"
    assert nested.records[-1].path == "cars_test/cars_test/00107.jpg"
    assert plain.fingerprint == nested.fingerprint


def test_the_order_is_that_of_the_annotation_files(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    write_annotations(root / "devkit" / "cars_train_annos.mat", some_cars()[::-1])
    ids = [record.image_id for record in read(root).records if record.split == TRAIN]
    assert ids == [f"cars_train/{car.name}" for car in some_cars()[::-1]]


@pytest.mark.parametrize("place", ["devkit", "labelled cars_test_annos.mat"])
def test_test_labels_are_found_inside_the_devkit(tmp_path: Path, place: str) -> None:
    root = make_original(tmp_path)
    labels = root / "cars_test_annos_withlabels.mat"
    target = labels.name if place == "devkit" else "cars_test_annos.mat"
    labels.replace(root / "devkit" / target)
    assert read(root).labels.tolist() == LABELS


def test_the_official_files_with_images_of_fitting_sizes(tmp_path: Path, shared: Path) -> None:
    official = shared / "data" / "cars_devkit"
    shutil.copytree(official, tmp_path / "devkit")
    boxes = {}
    for folder, name in (
        ("cars_train", "cars_train_annos.mat"),
        ("cars_test", "cars_test_annos_withlabels.mat"),
    ):
        (tmp_path / folder).mkdir()
        for row in read_annotations(official / name).rows:
            x1, y1, x2, y2 = row.corners
            boxes[f"{folder}/{row.name}"] = (x1 - 1, y1 - 1, x2, y2)
            (tmp_path / folder / row.name).write_bytes(header_jpeg(x2 + 2, y2 + 1))
    index = read(tmp_path, partial=False, crop="bbox")
    assert index.warnings == ()
    assert index.taxonomy.count("species") == 196
    assert (index.positions(TRAIN).size, index.positions(TEST).size) == (8_144, 8_041)
    assert {record.image_id: record.box for record in index.records} == boxes
    # The first rows of the two files: class ids 14 and 181.
    assert index.labels[[0, 8_144]].tolist() == [13, 180]


# What is not complete


def test_a_part_is_refused_unless_it_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"12 of 8,144 training images and 8 of 8,041 test"):
        read(make_original(tmp_path / "a"), partial=False)
    with pytest.raises(DataSetError, match=r"20 of 16,185 images"):
        read(make_class_folders(tmp_path / "d", split=False), partial=False)


def test_missing_test_labels_are_named_with_their_usual_place(tmp_path: Path) -> None:
    root = make_original(tmp_path, test=False)
    with pytest.raises(DataSetError) as raised:
        read(root, partial=False)
    assert (
        "found, but not cars_test_annos_withlabels.mat (cars_test_annos.mat has"
        in raised.value.message
    )
    assert "beside it" in raised.value.hint
    assert "--allow-partial" in raised.value.hint


def test_training_images_alone_give_a_test_split_that_is_not_the_official_one(
    tmp_path: Path,
) -> None:
    root = make_original(tmp_path, test=False)
    index = read(root)
    assert index.layout == "cars_train and annotation files"
    assert {record.image_id.split("/")[0] for record in index.records} == {"cars_train"}
    # 30 % of three images a class is one.
    assert [record.label for record in index.records if record.split == TEST] == [0, 1, 2, 3]
    assert any("not there: cars_test_annos_withlabels.mat" in w for w in index.warnings)
    assert "no test images of the official split: 30%" in index.warnings[-1]
    shutil.rmtree(root / "cars_test")
    assert read(root).records == index.records


def test_without_a_devkit_the_files_to_get_are_named(tmp_path: Path) -> None:
    root = make_original(tmp_path, nested=True, test=False)
    shutil.rmtree(root / "car_devkit")
    with pytest.raises(DataSetError) as raised:
        read(root)
    assert (
        "found, but not cars_train_annos.mat, cars_test_annos_withlabels.mat"
        in raised.value.message
    )
    assert "car_devkit.tgz" in raised.value.hint
    # A common copy has the annotations of the other one: their numbers mean other images.
    write_annotations(root / "cars_annos.mat", some_cars(digits=6), combined=True)
    with pytest.raises(DataSetError, match=r"cars_annos.mat names the images of car_ims, not"):
        read(root)


def test_missing_images_are_refused_or_left_out(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    (root / "cars_train" / "00002.jpg").unlink()
    (root / "cars_train" / "extra.jpg").write_bytes(header_jpeg(9, 9))
    with pytest.raises(DataSetError) as raised:
        read(root, partial=False)
    assert "cars_train_annos.mat: 1 of 12 listed images are not in" in raised.value.message
    assert "00002.jpg (row 2)" in raised.value.message
    index = read(root)
    assert len(index.records) == 19
    assert any("00002.jpg (row 2)" in warning for warning in index.warnings)
    assert any("extra.jpg" in warning and "left out" in warning for warning in index.warnings)


def test_file_names_of_another_copy_are_refused(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    write_annotations(root / "devkit" / "cars_train_annos.mat", some_cars(digits=6))
    with pytest.raises(DataSetError, match=r"12 of 12 listed images are not in .*000001.jpg"):
        read(root)


def test_a_class_without_training_images_is_refused(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    for name in ("00001.jpg", "00002.jpg", "00003.jpg"):
        (root / "cars_train" / name).unlink()
    with pytest.raises(DataSetError, match=r"no training images: AM General Hummer SUV 2000"):
        read(root)


def test_more_images_than_the_official_data_set_are_refused(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path)
    folder = root / "test" / NAMES[0]
    for i in range(8_041):
        (folder / f"x{i}.jpg").touch()
    with pytest.raises(DataSetError, match=r"8,049 of 8,041 test images; these can't be"):
        read(root)


# Class names


def test_class_names_in_another_order_are_refused(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    names = list(official_names())
    names[4], names[5] = names[5], names[4]
    write_meta(root / "devkit" / "cars_meta.mat", names)
    with pytest.raises(DataSetError) as raised:
        read(root)
    assert "class 5 is 'Acura Integra Type R 2001', officially 'Acura TSX" in raised.value.message


def test_spelling_variants_of_class_names_are_the_same_names(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    names = [name.replace("/", "-").upper() for name in official_names()]
    write_meta(root / "devkit" / "cars_meta.mat", names)
    assert read(root).taxonomy.names[-1] == tuple(NAMES)


def test_without_class_names_the_official_order_is_a_warning(tmp_path: Path) -> None:
    index = read(make_original(tmp_path, meta=False))
    assert index.labels.tolist() == LABELS
    assert any("no cars_meta.mat" in warning for warning in index.warnings)


def test_a_class_folder_of_another_name_is_refused(tmp_path: Path) -> None:
    root = make_class_folders(tmp_path)
    (root / "train" / NAMES[1]).rename(root / "train" / "Acura TL")
    (root / "test" / NAMES[1]).rename(root / "test" / "Acura TL")
    with pytest.raises(DataSetError, match=r"'Acura TL' is none of the 196 class names"):
        read(root)


def test_a_class_that_the_hierarchy_lacks_is_refused(tmp_path: Path) -> None:
    from c2f_data.hierarchy.builtin import builtin_taxonomy
    from c2f_data.sources import read_source
    from c2f_data.sources.request import SourceRequest

    root = make_original(tmp_path)
    with pytest.raises(TaxonomyError, match="AM General"):
        read_source(SourceRequest("cars", root, builtin_taxonomy("cub"), True))


def test_parquet_labels_without_names_must_be_the_official_ones(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    root = make_parquet(tmp_path, names=None)
    with pytest.raises(DataSetError, match=r"4 different labels without class names, instead of"):
        read(root, partial=False)
    assert any("taken to be the official class ids" in w for w in read(root).warnings)


def test_parquet_labels_that_are_no_class_ids_are_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    images = [{"bytes": header_jpeg(9, 9), "path": "x.jpg"}] * 2
    table = pa.table({"image": images, "label": [1, 196]})
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    with pytest.raises(DataSetError, match=r"not from 0 to 195: 196"):
        read(tmp_path)


# What is recognised


def test_of_two_layouts_the_one_with_boxes_is_read_and_the_other_named(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "folders")
    index = read(make_original(tmp_path))
    assert index.layout == "cars_train, cars_test and annotation files"
    warning = "several layouts: read cars_train and cars_test, not class folders"
    assert warning in index.warnings


def test_an_incomplete_layout_gives_way_to_a_complete_one(tmp_path: Path) -> None:
    make_original(tmp_path, test=False)
    assert read(make_combined(tmp_path)).layout == "car_ims and cars_annos.mat"
    (tmp_path / "cars_annos.mat").unlink()
    assert read(tmp_path).layout == "cars_train and annotation files"


def test_two_annotation_files_that_differ_are_a_warning(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    shutil.copytree(root / "devkit", root / "older" / "devkit")
    write_annotations(root / "older" / "devkit" / "cars_train_annos.mat", some_cars()[:3])
    index = read(root)
    assert index.labels.tolist() == LABELS
    twice = [warning for warning in index.warnings if "another file of that name" in warning]
    assert len(twice) == 1
    assert twice[0].startswith(str(root / "devkit" / "cars_train_annos.mat"))


def test_the_fuller_of_two_image_folders_is_read(tmp_path: Path) -> None:
    root = make_original(tmp_path, nested=True)
    write_images(root / "cars_train", some_cars()[:2])
    index = read(root)
    assert index.records[0].path == "cars_train/cars_train/00001.jpg"
    assert any("2 folders named cars_train" in warning for warning in index.warnings)


def test_what_is_not_recognised_says_what_was_found_and_what_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "cars_train.tgz").touch()
    (tmp_path / "cars_test.tgz").touch()
    with pytest.raises(DataSetError) as raised:
        read(tmp_path)
    assert raised.value.message.endswith("found cars_test.tgz, cars_train.tgz")
    assert "car_ims and cars_annos.mat" in raised.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_folder_that_leads_back_to_itself_ends(tmp_path: Path) -> None:
    root = make_original(tmp_path / "root")
    (root / "again").symlink_to(root, target_is_directory=True)
    assert len(read(root).records) == 20


def test_hidden_files_and_folders_are_not_looked_at(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    make_combined(root / ".cache")
    (root / "cars_train" / "._00001.jpg").write_bytes(b"x")
    index = read(root)
    assert len(index.records) == 20
    assert not any("_00001" in w or "several" in w for w in index.warnings)


# Faults in the files of a whole copy


@pytest.mark.parametrize("field", ["class", "test"])
def test_a_combined_file_without_labels_or_flags_is_refused(tmp_path: Path, field: str) -> None:
    root = make_combined(tmp_path)
    columns = columns_of(some_cars(digits=6), combined=True)
    del columns[field]
    write_mat(root / "cars_annos.mat", {"annotations": struct_array(columns)})
    with pytest.raises(DataSetError, match=rf"cars_annos.mat: .* no field '{field}'"):
        read(root)


def test_unreadable_images_are_a_warning_and_named(tmp_path: Path) -> None:
    root = make_original(tmp_path)
    (root / "cars_test" / "00101.jpg").write_bytes(b"no image")
    index: DatasetIndex = read(root, crop="bbox")
    assert any("1 images can't be opened: cars_test/00101.jpg" in w for w in index.warnings)
    assert [r.image_id for r in index.records if r.box is None] == ["cars_test/00101.jpg"]
