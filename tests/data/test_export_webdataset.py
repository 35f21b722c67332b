"""Tar files, read by the WebDataset library itself."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import expected, make_reader, tree, write

from c2f_data.errors import ConfigError
from c2f_data.export.export import export
from c2f_data.export.plan import make_plan
from c2f_data.export.webdataset import field_names
from c2f_data.shards.reader import ShardReader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("webdataset"))


@pytest.fixture(scope="module")
def out(reader: ShardReader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tars") / "out"
    write(reader, "webdataset", folder)
    return folder


def test_the_library_finds_every_image_and_label(reader: ShardReader, out: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    for split in reader.splits:
        last = len(reader.manifest.entries(split)) - 1
        tars = f"{out}/{split}-{{000000..{last:06d}}}.tar"
        found = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pilrgb"))
        wanted = list(expected(reader, split))
        assert len(found) == len(wanted)
        assert len({sample["__key__"] for sample in found}) == len(wanted)
        for sample, image in zip(found, wanted, strict=True):
            told = sample["json"]
            assert told["image_id"] == image.image_id
            assert told["split"] == split
            assert tuple(told["labels"].values()) == image.labels
            assert tuple(told["names"].values()) == image.names
            assert told["resolutions"] == {"family": 12, "genus": 24, "species": None}
            for level in reader.levels:
                field = next(key for key in sample if key.startswith(f"{level}."))
                np.testing.assert_array_equal(np.asarray(sample[field]), image.pixels[level])


def test_the_printed_lines_load_it(reader: ShardReader, tmp_path: Path) -> None:
    pytest.importorskip("webdataset")
    done = write(reader, "webdataset", tmp_path / "out")
    names: dict[str, Any] = {}
    exec("\n".join(done.loading), names)
    ids = [told["image_id"] for _, told in names["images"]]
    assert ids == list(reader.image_ids("train"))


def test_hugging_face_reads_tars_of_one_kind_by_the_card(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    plan = make_plan(reader.manifest, "webdataset", levels=("family", "genus"))
    export(reader, plan, tmp_path / "out")
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=cache, split="test")
    for row, image in zip(loaded, expected(reader, "test"), strict=True):
        assert row["json"]["image_id"] == image.image_id
        np.testing.assert_array_equal(np.asarray(row["genus.webp"]), image.pixels["genus"])


def test_the_tars_are_the_same_bytes_each_time(
    reader: ShardReader, out: Path, tmp_path: Path
) -> None:
    write(reader, "webdataset", tmp_path / "again")
    assert tree(tmp_path / "again") == tree(out)
    with tarfile.open(out / "train-000000.tar") as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert all("." not in member.name.split(".", 1)[0] for member in members)


def test_levels_that_the_library_could_not_tell_apart_are_refused(reader: ShardReader) -> None:
    plan = make_plan(reader.manifest, "webdataset")
    with pytest.raises(ConfigError, match="differ only"):
        field_names(replace(plan, levels=("a.b", "A_b")))
