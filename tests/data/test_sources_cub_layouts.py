"""CUB in every layout that people have: the same images with the same labels, whatever it is."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from c2f_data.errors import DataSetError, TaxonomyError
from c2f_data.hierarchy.builtin import builtin_taxonomy
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.sources import read_source
from c2f_data.sources.request import SourceRequest
from c2f_data.taxonomy import DEFAULT_LEVELS, Taxonomy

ALBATROSS, CROW, WREN = "003.Sooty_Albatross", "029.American_Crow", "200.Common_Yellowthroat"
MakeCub = Callable[..., Path]
NOT_OFFICIAL = "not the official split"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("C2F_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made(make_cub: MakeCub, tmp_path: Path) -> Path:
    """An official folder of three species, 3 training and 2 test images each."""
    classes = {3: ALBATROSS, 29: CROW, 200: WREN}
    return make_cub(classes, train=3, test=2, root=tmp_path / "made" / "CUB_200_2011")


@pytest.fixture
def real(shared: Path, tmp_path: Path) -> Path:
    """An official folder of real photographs: 2 training and 2 test images of 20 species."""
    source = shared / "data" / "cub20"
    if not source.is_dir():
        pytest.skip(f"no real images: {source} is not there")
    index = read(source).limited(2)
    folder = tmp_path / "real" / "CUB_200_2011"
    folder.mkdir(parents=True)
    kept = {record.image_id for record in index.records}
    lines = (index.root / "images.txt").read_text().splitlines()
    ids = {line.split()[0] for line in lines if line.split()[1] in kept}
    for path in index.root.glob("*.txt"):
        lines = path.read_text().splitlines(keepends=True)
        wanted = [line for line in lines if path.name == "classes.txt" or line.split()[0] in ids]
        (folder / path.name).write_text("".join(wanted))
    for i, record in enumerate(index.records):
        target = folder / record.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(index.path(i), target)
    return folder


@pytest.fixture(params=["made", "real"])
def official(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def read(root: Path, crop: str = "none", table: Taxonomy | None = None) -> DatasetIndex:
    return read_source(SourceRequest("cub", root, table or builtin_taxonomy("cub"), crop=crop))


def facts(index: DatasetIndex, split: bool = True) -> list[tuple[str, str, str]]:
    """What must not depend on the layout: class, split and content of every image."""
    names = index.taxonomy.names[-1]
    return sorted(
        (names[r.label], r.split if split else "", hashlib.sha256(path.read_bytes()).hexdigest())
        for r, path in zip(index.records, index.paths(range(len(index.records))), strict=True)
    )


def lay_out_folders(official: Path, root: Path, name: Callable[[str], str], split: bool) -> Path:
    index = read(official)
    for i, record in enumerate(index.records):
        folder, file = record.image_id.split("/")
        target = root / (record.split if split else "") / name(folder) / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(index.path(i), target)
    return root


def numbered(folder: str) -> str:
    return folder


def unnumbered(folder: str) -> str:
    return folder.partition(".")[2]


def spaced(folder: str) -> str:
    return unnumbered(folder).replace("_", " ").lower()


def pack(official: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:" if path.suffix == ".tar" else "w:gz") as archive:
        archive.add(official, "CUB_200_2011")
    return path


@pytest.mark.parametrize("deep", ["", "birds", "birds/CUB_200_2011"])
def test_the_official_folder_is_found_around_the_root(
    official: Path, tmp_path: Path, deep: str
) -> None:
    expected = read(official)
    moved = tmp_path / "elsewhere" / deep / "CUB_200_2011"
    shutil.copytree(official, moved)
    for root in (tmp_path / "elsewhere" / deep, moved, moved / "images"):
        index = read(root)
        assert index.root == moved
        assert index.fingerprint == expected.fingerprint
        assert index.layout == "official CUB_200_2011 folder"
    if deep.count("/") < 1:
        assert read(tmp_path / "elsewhere").fingerprint == expected.fingerprint


@pytest.mark.parametrize("name", ["CUB_200_2011.tgz", "birds.tar.gz", "cub.tar"])
def test_the_official_archive_is_read_as_it_is(
    official: Path, tmp_path: Path, cache: Path, name: str
) -> None:
    archive = pack(official, tmp_path / "download" / name)
    for root in (archive, archive.parent):
        index = read(root)
        assert index.fingerprint == read(official).fingerprint
        assert index.layout == f"official CUB_200_2011 folder, from {name}"
        assert index.warnings[0].startswith(f"read from {archive}, unpacked to {cache}")
        assert facts(index) == facts(read(official))
    assert len([path for path in (cache / "unpacked").iterdir() if path.is_dir()]) == 1


def test_masks_beside_the_archive_are_not_taken_for_it(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "download"
    pack(made, root / "CUB_200_2011.tgz")
    pack(made / "images", root / "another.tgz")
    lay_out_folders(made, root / "segmentations", numbered, split=False)
    assert read(root).layout.endswith("from CUB_200_2011.tgz")


@pytest.mark.parametrize("name", [numbered, unnumbered, spaced])
@pytest.mark.parametrize("inner", ["", "CUB_200_2011", "a/b"])
def test_class_folders_with_train_and_test(
    official: Path, tmp_path: Path, name: Callable[[str], str], inner: str
) -> None:
    lay_out_folders(official, tmp_path / "folders" / inner, name, split=True)
    index = read(tmp_path / "folders")
    assert index.root == tmp_path / "folders" / inner
    assert index.layout == "class folders with train and test"
    assert facts(index) == facts(read(official))
    assert index.warnings == read(official).warnings


@pytest.mark.parametrize("name", [numbered, unnumbered])
@pytest.mark.parametrize("inner", ["", "images", "CUB_200_2011/images"])
def test_class_folders_without_a_split_get_one_and_say_so(
    official: Path, tmp_path: Path, name: Callable[[str], str], inner: str
) -> None:
    lay_out_folders(official, tmp_path / "folders" / inner, name, split=False)
    index = read(tmp_path / "folders")
    assert index.layout == "class folders without a split"
    assert facts(index, split=False) == facts(read(official), split=False)
    classes = len(index.taxonomy.paths)
    assert index.positions(TEST).size == classes * round(0.3 * len(index.records) / classes)
    carved, counts = index.warnings
    assert NOT_OFFICIAL in carved
    assert counts.endswith(f"{classes} of 200 classes, {len(index.records)} of 11,788 images")


def test_the_images_folder_of_an_official_copy_without_its_text_files(made: Path) -> None:
    expected = {record.image_id for record in read(made).records}
    for path in made.glob("*.txt"):
        path.unlink()
    for root in (made, made / "images", made.parent):
        index = read(root)
        assert {record.image_id for record in index.records} == expected
        assert NOT_OFFICIAL in index.warnings[0]


def test_one_lost_text_file_is_named_and_not_worked_around(made: Path) -> None:
    (made / "images.txt").unlink()
    with pytest.raises(DataSetError, match=r"images\.txt: no such file"):
        read(made)


def write_parquet(
    official: Path, root: Path, *, names: str | None = "hub", split: bool = True, first: int = 0
) -> Path:
    pa = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    import json

    import pyarrow.parquet as pq

    index = read(official)
    classes = sorted({record.image_id.split("/")[0] for record in index.records})
    root.mkdir(parents=True)
    for part in (TRAIN, TEST) if split else ("birds",):
        rows = [i for i, r in enumerate(index.records) if r.split == part or not split]
        folders = [index.records[i].image_id.split("/")[0] for i in rows]
        columns = {
            "image": [{"bytes": index.path(i).read_bytes(), "path": None} for i in rows],
            "label": [classes.index(folder) + first for folder in folders],
        }
        if names == "text":
            columns["bird"] = [unnumbered(folder) for folder in folders]
        table = pa.table(columns)
        if names == "hub":
            features = {"label": {"names": classes, "_type": "ClassLabel"}}
            text = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": text})
        pq.write_table(table, root / f"{part}-00000-of-00001.parquet")
    return root


@pytest.mark.parametrize("names", ["hub", "text"])
def test_parquet_files(official: Path, tmp_path: Path, names: str) -> None:
    root = write_parquet(official, tmp_path / "hub" / "data", names=names)
    for place in (root, root.parent):
        index = read(place)
        assert index.layout == "parquet files"
        assert facts(index) == facts(read(official))
        assert index.warnings == read(official).warnings


def test_parquet_without_a_test_file_gets_a_split(official: Path, tmp_path: Path) -> None:
    root = write_parquet(official, tmp_path / "hub", split=False)
    index = read(root / "birds-00000-of-00001.parquet")
    assert facts(index, split=False) == facts(read(official), split=False)
    assert NOT_OFFICIAL in index.warnings[0]
    assert index.positions(TEST).size > 0


@pytest.mark.parametrize("first", [0, 1])
def test_two_hundred_labels_without_names_are_taken_on_trust(
    make_cub: MakeCub, tmp_path: Path, first: int
) -> None:
    names = builtin_taxonomy("cub").names[-1]
    made = make_cub({i: f"{i:03}.{name}" for i, name in enumerate(names, 1)}, train=1, test=1)
    root = write_parquet(made, tmp_path / "hub", names=None, first=first)
    # A table in another order must not matter: the labels' order is the official one.
    table = builtin_taxonomy("cub")
    turned = Taxonomy("turned", table.levels, table.paths[::-1])
    assert facts(read(root, table=turned)) == facts(read(made))
    assert "taken on trust as the official order" in read(root).warnings[0]


def test_other_labels_without_names_are_refused(made: Path, tmp_path: Path) -> None:
    root = write_parquet(made, tmp_path / "hub", names=None)
    with pytest.raises(DataSetError, match=r"no class names, and 3 labels \(0 to 2\)"):
        read(root)


@pytest.mark.parametrize("layout", ["folders", "parquet"])
def test_layouts_without_boxes_say_so(made: Path, tmp_path: Path, layout: str) -> None:
    root = tmp_path / "copy"
    if layout == "folders":
        lay_out_folders(made, root, numbered, split=True)
    else:
        write_parquet(made, root)
    with pytest.raises(DataSetError, match="have no bounding boxes, which --crop bbox needs"):
        read(root, crop="bbox")


def test_boxes_come_from_an_archive_too(made: Path, tmp_path: Path) -> None:
    lines = [f"{i} 1.0 2.0 3.0 4.0\n" for i in range(1, 16)]
    (made / "bounding_boxes.txt").write_text("".join(lines))
    index = read(pack(made, tmp_path / "CUB_200_2011.tgz"), crop="bbox")
    assert {record.box for record in index.records} == {(1, 2, 4, 6)}
    assert index.fingerprint == read(made, crop="bbox").fingerprint != read(made).fingerprint


def test_a_class_that_the_hierarchy_lacks_is_named(made: Path, tmp_path: Path) -> None:
    root = lay_out_folders(made, tmp_path / "folders", numbered, split=True)
    for split in (TRAIN, TEST):
        (root / split / CROW).rename(root / split / "029.Emu")
    with pytest.raises(TaxonomyError, match=r"1 class \(029\.Emu\) not in"):
        read(root)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ((), "it holds nothing"),
        (("notes.txt", "a/b.txt", ".hidden"), "it holds a, notes.txt"),
        (("cars_train/1.jpg", "cars_test/2.jpg"), "it holds cars_test, cars_train"),
        (("a.tgz", "b.tgz"), "it holds a.tgz, b.tgz"),
        (("1.jpg", "2.jpg"), "it holds 1.jpg, 2.jpg"),
    ],
)
def test_an_unknown_layout_names_what_is_there_and_what_is_accepted(
    tmp_path: Path, inside: tuple[str, ...], said: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in inside:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    with pytest.raises(DataSetError, match="no layout of CUB-200-2011") as caught:
        read(root)
    assert said in caught.value.message
    for word in ("images.txt", ".tgz", "train/CLASS", "parquet", "--root"):
        assert word in caught.value.hint


def test_a_root_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no such"):
        read(tmp_path / "absent")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataSetError, match="no folder and no archive"):
        read(tmp_path / "a.txt")
    pack(tmp_path / "a.txt", tmp_path / "inner" / "CUB_200_2011.tgz")
    with tarfile.open(tmp_path / "outer.tgz", "w:gz") as archive:
        archive.add(tmp_path / "inner" / "CUB_200_2011.tgz", "CUB_200_2011.tgz")
    with pytest.raises(DataSetError, match="an archive in an archive"):
        read(tmp_path / "outer.tgz")


@pytest.mark.parametrize(
    ("name", "said"), [("a.txt", "holds CUB_200_2011"), ("dogs/1.jpg", "holds dogs")]
)
def test_an_archive_of_something_else_is_named_with_what_it_holds(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "other" / name).parent.mkdir(parents=True)
    (tmp_path / "other" / name).write_bytes(b"x")
    archive = pack(tmp_path / "other", tmp_path / "other.tgz")
    with pytest.raises(DataSetError, match=f"other.tgz: no layout .*it {said}"):
        read(archive)


def test_more_than_the_official_numbers_is_said(make_cub: MakeCub) -> None:
    from c2f_data.sources.official import CARS, CUB, OfficialCounts

    assert CUB.warnings(200, 5_994, 5_794) == ()
    assert CARS.warnings_without_split(196, 16_185) == ()
    small = OfficialCounts(2, 5, 5)
    assert small.warnings(3, 5, 4) == (
        "a part of the official data set: 4 of 5 test images",
        "more than the official data set has: 3 classes instead of 2",
    )


def test_a_custom_table_serves_every_layout(made: Path, tmp_path: Path) -> None:
    paths = (("A", "a", "Sooty_Albatross"), ("B", "b", "American_Crow"),
             ("C", "c", "Common_Yellowthroat"))  # fmt: skip
    table = Taxonomy("mine", DEFAULT_LEVELS, paths)
    root = lay_out_folders(made, tmp_path / "folders", numbered, split=True)
    assert facts(read(root, table=table)) == facts(read(made, table=table))


def test_a_class_of_a_parquet_copy_that_is_never_trained_is_refused(
    make_cub: MakeCub, tmp_path: Path
) -> None:
    made = make_cub({3: ALBATROSS, 29: CROW}, train=1, test=1)
    split = made / "train_test_split.txt"
    split.write_text(split.read_text().replace("3 1", "3 0"))
    root = write_parquet(made, tmp_path / "hub")
    with pytest.raises(DataSetError, match=f"no training images: {CROW}"):
        read(root)
