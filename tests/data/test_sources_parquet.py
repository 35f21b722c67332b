"""Parquet files as the Hugging Face hub has them: images as files, labels with their names."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from c2f_data.errors import ConfigError, DataSetError
from c2f_data.index import TEST, TRAIN
from c2f_data.sources import unpacked
from c2f_data.sources.parquet import has_parquet, unpack_parquet

pa = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
import pyarrow.parquet as pq  # noqa: E402

NAMES = ("003.Crow", "017.Gull")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("C2F_CACHE_DIR", str(folder))
    return folder / "unpacked"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "birds").mkdir()
    return tmp_path / "birds"


def picture(seed: int, format_: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format_)
    return file.getvalue()


def cells(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"bytes": picture(first + i), "path": f"{i}.jpg"} for i in range(count)]


def write(
    path: Path,
    columns: dict[str, Sequence[Any]],
    names: Any = None,
    kind: Any = None,
    group: int = 3,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns, schema=kind)
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=group)


def test_images_labels_names_and_splits_come_out(root: Path, cache: Path) -> None:
    write(
        root / "data/test-00000-of-00001.parquet", {"image": cells(2, 90), "label": [1, 0]}, NAMES
    )
    for i in range(2):
        write(
            root / f"data/train-0000{i}-of-00002.parquet",
            {"image": cells(7, 10 * i), "label": [0, 1, 0, 1, 0, 1, 1]},
            NAMES,
        )
    assert has_parquet(root)
    copy = unpack_parquet(root, "cub")
    assert copy.folder.parent == cache
    assert copy.classes == NAMES
    assert [image.split for image in copy.images] == [TRAIN] * 14 + [TEST] * 2
    assert [image.label for image in copy.images] == [0, 1, 0, 1, 0, 1, 1] * 2 + [1, 0]
    assert [image.class_name for image in copy.images[-2:]] == ["017.Gull", "003.Crow"]
    seeds = [*range(7), *range(10, 17), 90, 91]
    assert [image.path.read_bytes() for image in copy.images] == [picture(i) for i in seeds]
    assert {image.path.suffix for image in copy.images} == {".jpg"}
    assert all(image.path.is_relative_to(copy.folder) for image in copy.images)


def test_it_is_done_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "train.parquet", {"image": cells(3), "label": [0, 1, 0]}, NAMES)
    copy = unpack_parquet(root, "cub")
    monkeypatch.setattr(unpacked, "_fill", None)
    assert unpack_parquet(root, "cub") == copy
    assert unpack_parquet(root / "train.parquet", "cub") == copy


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("birds.parquet",), {TRAIN}),
        (("train.parquet", "validation.parquet"), {TRAIN, TEST}),
        (("train-0.parquet", "val-0.parquet"), {TRAIN, TEST}),
        (("default/train/0000.parquet", "default/test/0000.parquet"), {TRAIN, TEST}),
    ],
)
def test_the_split_is_in_the_name(root: Path, files: tuple[str, ...], splits: set[str]) -> None:
    for name in files:
        write(root / name, {"image": cells(1), "label": [0]}, NAMES)
    assert {image.split for image in unpack_parquet(root, "cub").images} == splits


def test_a_test_file_goes_before_a_validation_file(root: Path) -> None:
    for i, name in enumerate(("train", "validation", "test")):
        write(root / f"{name}.parquet", {"image": cells(1, i), "label": [0]}, NAMES)
    images = unpack_parquet(root, "cub").images
    assert [(i.split, i.path.read_bytes()) for i in images] == [
        (TRAIN, picture(0)),
        (TEST, picture(2)),
    ]


def test_plain_bytes_get_the_suffix_of_their_format(root: Path) -> None:
    data = [
        picture(i, name) for i, name in enumerate(("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"))
    ]
    write(root / "a.parquet", {"picture": data, "fine_label": [0] * 6})
    images = unpack_parquet(root, "cub").images
    suffixes = [".jpg", ".png", ".webp", ".gif", ".bmp", ".tif"]
    assert [image.path.suffix for image in images] == suffixes
    assert [image.path.read_bytes() for image in images] == data


@pytest.mark.parametrize("path", ["../../evil.jpg", "/tmp/evil.jpg", "a/b/c.jpg", "x.exe", None])
def test_of_a_path_only_the_suffix_is_used(root: Path, cache: Path, path: str | None) -> None:
    write(root / "a.parquet", {"image": [{"bytes": picture(0), "path": path}], "label": [0]})
    (image,) = unpack_parquet(root, "cub").images
    assert image.path.relative_to(cache).parts[1:] == (TRAIN, "00000-0000000.jpg")


def test_text_labels_are_the_names(root: Path) -> None:
    write(root / "a.parquet", {"image": cells(2), "label": ["Gull", "Crow"]})
    copy = unpack_parquet(root, "cub")
    assert [(i.label, i.class_name) for i in copy.images] == [(None, "Gull"), (None, "Crow")]
    assert copy.classes is None


def test_a_text_column_that_is_constant_for_each_label_names_the_classes(root: Path) -> None:
    write(
        root / "a.parquet",
        {
            "image": cells(4),
            "label": [1, 0, 1, 0],
            "caption": ["a", "b", "c", "d"],
            "same": ["x", "x", "x", "x"],
            "bird": ["Gull", "Crow", "Gull", "Crow"],
        },
    )
    copy = unpack_parquet(root, "cub")
    assert copy.classes == ("Crow", "Gull")
    assert [image.class_name for image in copy.images] == ["Gull", "Crow"] * 2


@pytest.mark.parametrize("names", [None, "Crow", [], ["Crow", 7], ["Crow", "Crow"]])
def test_without_names_only_the_labels_are_known(root: Path, names: Any) -> None:
    write(root / "a.parquet", {"image": cells(2), "label": [1, 7]}, names)
    copy = unpack_parquet(root, "cub")
    assert copy.classes is None
    assert [(i.label, i.class_name) for i in copy.images] == [(1, None), (7, None)]


@pytest.mark.parametrize(
    ("columns", "names", "said"),
    [
        ({"label": [0]}, NAMES, r"no image column; its columns are label \(int64\)"),
        ({"image": ["a.jpg"], "label": [0]}, NAMES, "no image column"),
        ({"image": cells(1)}, NAMES, "no label column"),
        ({"image": cells(1), "label": [[0]]}, NAMES, "no label column"),
        ({"image": cells(1), "label": [0.5]}, NAMES, "no label column"),
        ({"image": cells(2), "label": [0, 2]}, NAMES, "row 1: label 2, but the file names 2"),
        ({"image": cells(2), "label": [0, -1]}, NAMES, "row 1: label -1, but the file names 2"),
        ({"image": cells(2), "label": [0, -1]}, None, "row 1: label -1, but none is below 0"),
        ({"image": cells(2), "label": [0, None]}, NAMES, "row 1: no label"),
        ({"image": [*cells(4), None], "label": [0] * 5}, NAMES, "row 4: no image bytes"),
        ({"image": [*cells(1), {"bytes": None, "path": "b.jpg"}], "label": [0, 0]}, NAMES,
         "row 1: no image bytes"),
        ({"image": [b"", picture(0)], "label": [0, 0]}, NAMES, "row 0: no image bytes"),
        ({"image": [picture(0), b"text"], "label": [0, 0]}, NAMES, "row 1: no image of a known"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_file_and_row(
    root: Path, cache: Path, columns: dict[str, Any], names: Any, said: str
) -> None:
    write(root / "data/train.parquet", columns, names)
    with pytest.raises(DataSetError, match=said) as caught:
        unpack_parquet(root, "cub")
    assert str(root / "data/train.parquet") in caught.value.message
    assert caught.value.hint
    assert not [path for path in cache.glob("*") if not path.name.startswith(".lock")]


def test_files_that_contradict_each_other_are_refused(root: Path) -> None:
    write(root / "test.parquet", {"image": cells(1), "label": [0]}, NAMES[::-1])
    write(root / "train.parquet", {"image": cells(1), "label": [0]}, NAMES)
    with pytest.raises(DataSetError, match="other class names than in"):
        unpack_parquet(root, "cub")
    write(root / "test.parquet", {"image": cells(1), "label": ["Gull"]})
    with pytest.raises(DataSetError, match="numbers in one file and text in another"):
        unpack_parquet(root, "cub")


def test_an_empty_file_is_refused(root: Path) -> None:
    kind = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    write(root / "a.parquet", {"image": [], "label": []}, kind=kind)
    with pytest.raises(DataSetError, match="no rows"):
        unpack_parquet(root, "cub")
    with pytest.raises(DataSetError, match="no parquet files"):
        unpack_parquet(root.parent / "cache", "cub")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_damaged_file_is_refused(root: Path, cache: Path, share: float) -> None:
    path = root / "a.parquet"
    write(path, {"image": cells(9), "label": [0] * 9}, NAMES)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataSetError, match="damaged parquet file"):
        unpack_parquet(root, "cub")
    assert not cache.exists()


def test_one_image_a_million_times_is_refused(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 2_000
    write(root / "a.parquet", {"image": [picture(0)] * many, "label": [0] * many}, group=many)
    assert (root / "a.parquet").stat().st_size < many * len(picture(0)) / unpacked.MOST_GROWTH
    monkeypatch.setattr(unpacked, "SMALL", 1_000)
    with pytest.raises(DataSetError, match="would become over"):
        unpack_parquet(root, "cub")
    assert not [path for path in cache.glob("*") if not path.name.startswith(".lock")]
    monkeypatch.setattr("c2f_data.sources.parquet_schema.MOST_FILES", 1_000)
    with pytest.raises(DataSetError, match="over 1,000 rows"):
        unpack_parquet(root, "cub")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat(root: Path) -> None:
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    with pq.ParquetWriter(root / "a.parquet", schema, use_dictionary=False) as writer:
        for _ in range(100):
            images = [picture(0) + os.urandom(250_000) for _ in range(4)]
            writer.write_table(pa.table({"image": images, "label": [0] * 4}, schema=schema))
    code = (
        "import pathlib, sys, pyarrow.parquet\n"
        "from c2f_data.sources.parquet import unpack_parquet\n"
        "def most():\n"
        "    text = pathlib.Path('/proc/self/status').read_text()\n"
        "    return int(text.split('VmHWM:')[1].split()[0])\n"
        "before = most()\n"
        "copy = unpack_parquet(pathlib.Path(sys.argv[1]), 'x')\n"
        "print(len(copy.images), most() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, root], capture_output=True, text=True, check=True
    )
    count, kilobytes = map(int, done.stdout.split())
    assert count == 400
    assert kilobytes < 60_000, "of 100 MB"


def test_without_pyarrow_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "a.parquet", {"image": cells(1), "label": [0]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet")
    with pytest.raises(ConfigError, match="need pyarrow") as caught:
        unpack_parquet(root, "cub")
    assert "pip install '.[parquet]'" in caught.value.hint


def test_a_folder_without_parquet_has_none(root: Path) -> None:
    (root / "images").mkdir()
    (root / "images/a.parquet").write_bytes(b"")
    (root / "._a.parquet").write_bytes(b"")
    assert not has_parquet(root)
    assert not has_parquet(root / "images" / "absent")
