"""croissant.json, read and validated by mlcroissant itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import expected, make_reader, write
from shards_cases import SPEC, make_index

from c2f_data.export.croissant import croissant
from c2f_data.export.export import export
from c2f_data.export.plan import Statement, Target, make_plan
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy

TARGETS: tuple[Target, ...] = ("webdataset", "parquet", "folder")
STATED = Statement("https://creativecommons.org/licenses/by/4.0/", ("A. Author",), "https://a.org/")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("croissant"))


@pytest.fixture(scope="module")
def outs(reader: ShardReader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outs")
    for target in TARGETS:
        if target == "parquet":
            pytest.importorskip("pyarrow")
        write(reader, target, folder / target, statement=STATED)
    return folder


def validated(folder: Path) -> Any:
    """The description as mlcroissant has it; it raises where that is not valid."""
    mlcroissant = pytest.importorskip("mlcroissant")
    return mlcroissant.Dataset(str(folder / "croissant.json"))


def described(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_valid_and_says_what_is_there(outs: Path, target: str) -> None:
    metadata = validated(outs / target).metadata
    assert not metadata.ctx.issues.errors
    # Nothing but what is not known: when it will be published, and how to cite it.
    left = {str(issue) for issue in metadata.ctx.issues.warnings}
    assert len(left) == 2
    assert any("citeAs" in issue for issue in left)
    assert any("datePublished" in issue for issue in left)
    assert metadata.license == [STATED.licence]
    assert metadata.url == STATED.url
    assert [creator.name for creator in metadata.creators] == ["A. Author"]


@pytest.mark.parametrize("target", TARGETS)
def test_sums_and_sizes_are_those_of_the_files(outs: Path, target: str) -> None:
    files = [
        part
        for part in described(outs / target)["distribution"]
        if part["@type"] == "cr:FileObject"
    ]
    assert len(files) > 1
    for file in files:
        data = (outs / target / file["contentUrl"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert file["contentSize"] == f"{len(data)} B"


@pytest.mark.parametrize("target", TARGETS)
def test_classes_and_resolutions_are_in_it(outs: Path, reader: ShardReader, target: str) -> None:
    dataset = validated(outs / target)
    for level, names in zip(reader.levels, reader.manifest.taxonomy.names, strict=True):
        rows = list(dataset.records(f"{level}_classes"))
        assert [row[f"{level}_classes/id"] for row in rows] == list(range(len(names)))
        assert [row[f"{level}_classes/name"] for row in rows] == list(names)
    found = {row["levels/name"]: row["levels/resolution"] for row in dataset.records("levels")}
    assert found == {"family": "12", "genus": "24", "species": "native"}


def test_mlcroissant_loads_the_parquet_files(outs: Path, reader: ShardReader) -> None:
    rows = list(validated(outs / "parquet").records("images"))
    found = {(row["images/split"].decode(), row["images/image_id"].decode()): row for row in rows}
    assert len(found) == len(rows) == sum(reader.manifest.images.values())
    for split in reader.splits:
        for image in expected(reader, split):
            row = found[split, image.image_id]
            assert tuple(row[f"images/{level}"] for level in reader.levels) == image.labels
            for level in reader.levels:
                pixels = np.asarray(row[f"images/image_{level}"].convert("RGB"))
                np.testing.assert_array_equal(pixels, image.pixels[level])


def test_mlcroissant_loads_the_table_and_native_images_of_folders(
    outs: Path, reader: ShardReader
) -> None:
    dataset = validated(outs / "folder")
    rows = {row["images/species_file"]: row for row in dataset.records("images")}
    assert len(rows) == sum(reader.manifest.images.values())
    pictures = list(dataset.records("species_images"))
    assert {row["species_images/key"] for row in pictures} == set(rows)
    assert all(row["species_images/image_species"].size for row in pictures)


def test_the_licence_is_left_to_the_user(reader: ShardReader, tmp_path: Path) -> None:
    write(reader, "webdataset", tmp_path / "out")
    assert not {"license", "creator", "url", "citeAs"} & set(described(tmp_path / "out"))


def test_a_known_data_set_has_its_citation(reader: ShardReader) -> None:
    plan = make_plan(replace(reader.manifest, dataset="cub"), "folder")
    found = croissant(plan, [], [("jpg",)] * 3, Statement())
    assert "CNS-TR-2011-001" in found["citeAs"]


def test_versions_tell_other_shards_apart(outs: Path, reader: ShardReader) -> None:
    version = described(outs / "parquet")["version"]
    assert version == f"1.0.0+{reader.manifest.plan_fingerprint[:12]}"


@pytest.mark.parametrize("target", TARGETS)
def test_odd_names_of_levels_and_classes_stay_valid(tmp_path: Path, target: Target) -> None:
    if target == "parquet":
        pytest.importorskip("pyarrow")
    levels = ("Ordnung ✓", "it's {a} \"<b>", "x/y".replace("/", "."))
    paths = tuple((f'"{i % 2}"', f"g\\{i // 2} | x", f"räven {i}") for i in range(4))
    taxonomy = Taxonomy("odd", levels, paths)
    index = make_index(tmp_path, taxonomy)
    write_shards(
        index, plan_levels(taxonomy, {levels[0]: 12, levels[1]: 24}), SPEC, tmp_path / "shards"
    )
    reader = ShardReader(tmp_path / "shards")
    export(reader, make_plan(reader.manifest, target), tmp_path / "out")
    metadata = validated(tmp_path / "out").metadata
    assert not metadata.ctx.issues.errors
    assert len(metadata.record_sets) >= 5
