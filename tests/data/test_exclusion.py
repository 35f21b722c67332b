"""Exclude lists: what is left out, what is refused, what is remembered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from c2f_data.errors import DataSetError
from c2f_data.exclusion import read_exclude_list, without
from c2f_data.index import DatasetIndex
from c2f_data.open_dataset import DatasetChoice, open_dataset
from c2f_data.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes with three training and two test images each."""
    root = tmp_path / "images"
    for name in ("gull", "tern"):
        for split, count in (("train", 3), ("test", 2)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.full((20, 24, 3), 10 * i, np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    table = "family,genus,species\nL,Larus,gull\nL,Sterna,tern\n"
    (root / "taxonomy.csv").write_text(table, encoding="utf-8")
    return root


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws")


def opened(workspace: Workspace, root: Path, exclude: Path | None = None) -> DatasetIndex:
    choice = DatasetChoice("folder", root, exclude=exclude)
    index, folder, source = open_dataset(workspace, choice)
    folder.write_source(source)
    return index


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "leave_out.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_listed_images_are_left_out_and_later_commands_remember(
    workspace: Workspace, root: Path, tmp_path: Path
) -> None:
    whole = opened(workspace, root)
    one, other = whole.records[0], whole.records[4]
    text = f"# seen before\n\n{one.image_id}\r\n  {other.path}  \n{one.image_id}\n"
    rest = opened(workspace, root, listed(tmp_path, text))
    assert [r.image_id for r in rest.records] == [
        r.image_id for r in whole.records if r not in (one, other)
    ]
    assert rest.warnings[-1] == "2 images were left out by an exclude list"
    assert rest.fingerprint != whole.fingerprint
    again, _, source = open_dataset(workspace, DatasetChoice("folder"))
    assert again.records == rest.records
    assert source.excluded == (one.image_id, other.path)
    everything = opened(workspace, root, listed(tmp_path, "# none\n"))
    assert everything.records == whole.records
    assert open_dataset(workspace, DatasetChoice("folder"))[0].records == whole.records


def test_what_is_no_image_and_what_would_empty_a_class_is_refused(
    workspace: Workspace, root: Path, tmp_path: Path
) -> None:
    whole = opened(workspace, root)
    with pytest.raises(DataSetError, match=r"'nowhere.png' and 1 more: no such image"):
        without(whole, ["nowhere.png", whole.records[0].image_id, "neither.png"])
    tests = [r.image_id for r in whole.records if r.label == 1 and r.split == "test"]
    with pytest.raises(DataSetError, match="no test image of class 'tern' is left"):
        without(whole, tests)
    assert without(whole, []) is whole


def test_files_that_are_no_lists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="no such file"):
        read_exclude_list(tmp_path / "absent.txt")
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataSetError, match="not UTF-8"):
        read_exclude_list(tmp_path / "b")
    assert read_exclude_list(listed(tmp_path, "\ufeffa b.png\n#c\n")) == ("a b.png",)
