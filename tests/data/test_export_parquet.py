"""Parquet files, read by Hugging Face datasets itself, without a network."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import expected, make_reader, write

from c2f_data.errors import ConfigError
from c2f_data.export import parquet
from c2f_data.export.parquet import check_parquet
from c2f_data.export.plan import make_plan
from c2f_data.shards.reader import ShardReader

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("parquet"))


@pytest.fixture(scope="module")
def out(reader: ShardReader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "out"
    write(reader, "parquet", folder)
    return folder


def check(reader: ShardReader, split: str, loaded: Any) -> None:
    datasets = pytest.importorskip("datasets")
    wanted = list(expected(reader, split))
    assert len(loaded) == len(wanted)
    for level, names in zip(reader.levels, reader.manifest.taxonomy.names, strict=True):
        assert isinstance(loaded.features[f"image_{level}"], datasets.Image)
        assert loaded.features[level].names == list(names)
    for row, image in zip(loaded, wanted, strict=True):
        assert row["image_id"] == image.image_id
        assert tuple(row[level] for level in reader.levels) == image.labels
        for level in reader.levels:
            pixels = np.asarray(row[f"image_{level}"].convert("RGB"))
            np.testing.assert_array_equal(pixels, image.pixels[level])


def test_load_dataset_gives_images_and_classes(
    reader: ShardReader, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    files = {split: f"{out}/data/{split}-*.parquet" for split in reader.splits}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    for split in reader.splits:
        check(reader, split, loaded[split])


def test_load_dataset_takes_the_folder_with_its_card(
    reader: ShardReader, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path))
    assert set(loaded) == set(reader.splits)
    check(reader, "test", loaded["test"])


def test_the_printed_lines_load_it(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    done = write(reader, "parquet", tmp_path / "out")
    names: dict[str, Any] = {}
    exec("\n".join(done.loading), names)
    assert isinstance(names["images"], datasets.Dataset)
    check(reader, "train", names["images"])


def test_row_groups_are_bounded(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    write(reader, "parquet", tmp_path / "few")
    groups = [
        file.metadata.row_group(i).num_rows
        for path in (tmp_path / "few" / "data").iterdir()
        for file in [pq.ParquetFile(path)]
        for i in range(file.metadata.num_row_groups)
    ]
    assert max(groups) == 2
    assert sum(groups) == sum(reader.manifest.images.values())

    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    write(reader, "parquet", tmp_path / "single")
    metadata = pq.ParquetFile(tmp_path / "single/data/test-00000-of-00003.parquet").metadata
    assert metadata.num_row_groups == metadata.num_rows


def test_a_level_can_not_be_named_like_another_column(reader: ShardReader) -> None:
    manifest = reader.manifest
    renamed = replace(manifest.levels[0], name="image_genus")
    plan = make_plan(replace(manifest, levels=(renamed, *manifest.levels[1:])), "parquet")
    with pytest.raises(ConfigError, match="image_genus"):
        check_parquet(plan)


def test_without_pyarrow_the_extra_is_named(
    reader: ShardReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError) as raised:
        write(reader, "parquet", tmp_path / "out")
    assert "[parquet]" in raised.value.hint
    assert not list(tmp_path.iterdir())
