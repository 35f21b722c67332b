"""Folders of classes, read by torchvision's ImageFolder itself; labels.csv by the csv module."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_cases import expected, make_reader, write
from shards_cases import SPEC, make_index, open_rgb

from c2f_data.export.export import export
from c2f_data.export.plan import make_plan
from c2f_data.hierarchy.table import read_taxonomy
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="module")
def out(reader: ShardReader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree") / "out"
    write(reader, "folder", folder)
    return folder


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_image_folder_finds_every_image_in_its_class(reader: ShardReader, out: Path) -> None:
    folders = pytest.importorskip("torchvision.datasets")
    for split in reader.splits:
        by_path = {row["species_file"]: row for row in rows(out) if row["split"] == split}
        found = folders.ImageFolder(str(out / "species" / split))
        assert sorted(found.classes) == sorted(reader.manifest.taxonomy.names[-1])
        assert len(found) == reader.length(split)
        for path, label in found.samples:
            row = by_path[Path(path).relative_to(out).as_posix()]
            assert found.classes[label] == row["species"]


def test_the_table_has_all_labels_files_and_sums(reader: ShardReader, out: Path) -> None:
    wanted = [image for split in reader.splits for image in expected(reader, split)]
    for row, image in zip(rows(out), wanted, strict=True):
        assert (row["image_id"], row["split"]) == (image.image_id, image.split)
        for level, label, name in zip(reader.levels, image.labels, image.names, strict=True):
            assert (row[level], row[f"{level}_id"]) == (name, str(label))
            data = (out / row[f"{level}_file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == row[f"{level}_sha256"]
            np.testing.assert_array_equal(open_rgb(data), image.pixels[level])
    listed = {row[f"{level}_file"] for row in rows(out) for level in reader.levels}
    files = {p.relative_to(out).as_posix() for p in out.glob("*/*/*/*")}
    assert listed == files


def test_the_hierarchy_is_there(reader: ShardReader, out: Path) -> None:
    copied = read_taxonomy(out / "hierarchy.csv", "toy")
    assert copied.fingerprint == reader.manifest.taxonomy_fingerprint


HOSTILE = (
    ("..", "../../up", "CON"),
    ("..", "../../up", "con"),
    ("..", "..\\back", "a/b"),
    ("README.md", "tab\there", " .\", 'x' ".strip()),
)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Class names with slashes, reserved words, only a difference in case."""
    taxonomy = Taxonomy("bad", ("labels.csv", "genus", "species"), HOSTILE)
    index = make_index(tmp_path, taxonomy)
    ids = [f"../../{record.image_id}\n" if i % 2 else "..\\.." + record.image_id
           for i, record in enumerate(index.records)]  # fmt: skip
    index = replace(
        index,
        records=tuple(replace(r, image_id=v) for r, v in zip(index.records, ids, strict=True)),
    )
    levels = plan_levels(taxonomy, {"labels.csv": 12, "genus": 24})
    write_shards(index, levels, SPEC, tmp_path / "shards")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    reader = ShardReader(tmp_path / "shards")
    out = tmp_path / "deep" / "out"
    export(reader, make_plan(reader.manifest, "folder"), out)
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(out) for path in new)
    table = rows(out)
    assert [row["image_id"] for row in table] == [
        i for s in reader.splits for i in reader.image_ids(s)
    ]
    for row in table:
        for level in ("labels.csv", "genus", "species"):
            assert (out / row[f"{level}_file"]).resolve().is_relative_to(out)
    folders = {path.name.casefold() for path in (out / "species" / "train").iterdir()}
    assert len(folders) == 4  # CON and con are two, where case makes no difference, too


def test_a_class_without_images_keeps_its_folder_and_the_line_says_so(
    tmp_path: Path,
) -> None:
    folders = pytest.importorskip("torchvision.datasets")
    index = make_index(tmp_path)
    records = tuple(r for r in index.records if r.label != 1 or r.split == "test")
    index = replace(index, records=records)
    levels = plan_levels(index.taxonomy, {"family": 12, "genus": 24})
    write_shards(index, levels, SPEC, tmp_path / "shards")
    reader = ShardReader(tmp_path / "shards")
    out = tmp_path / "out"
    done = export(reader, make_plan(reader.manifest, "folder"), out)
    assert (out / "species" / "train" / "common gull").is_dir()
    names: dict[str, object] = {}
    exec("\n".join(done.loading), names)
    train = names["images"]
    test = folders.ImageFolder(str(out / "species" / "test"))
    assert train.class_to_idx == test.class_to_idx  # type: ignore[attr-defined]
