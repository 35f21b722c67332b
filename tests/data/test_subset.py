"""Some classes of a data set: by names of any level, with class ids of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shards_cases import SPEC, TAXONOMY, make_index

from c2f_data.errors import ConfigError, DataSetError, TaxonomyError
from c2f_data.index import DatasetIndex
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.writer import write_shards
from c2f_data.subset import read_names, subset, subset_like, subset_of_paths
from c2f_data.taxonomy import Taxonomy

PATHS = TAXONOMY.paths
SAME_NAMES = Taxonomy(
    "t",
    ("family", "genus", "species"),
    (
        ("finches", "prunella", "dunnock"),
        ("mints", "prunella", "self-heal"),
        ("mints", "mentha", "mint"),
        ("shrikes", "shrikes", "shrikes"),
        ("gulls", "corvus", "black gull"),
        ("crows", "raven", "gulls"),
    ),
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    return make_index(tmp_path_factory.mktemp("toy"))


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["gulls"], [0, 1, 2]),
        (["larus"], [0, 1]),
        (["kittiwake"], [2]),
        (["crows", "kittiwake"], [2, 3]),
        (["räven ✓"], [3]),
        (["ra\u0308ven ✓"], [3]),  # decomposed, as some systems write it
        (["Herring_Gull", "COMMON  gull"], [0, 1]),
        (["001.Herring_gull"], [0]),
        (["genus=rissa", "species = common gull"], [1, 2]),
        (["larus", "herring gull"], [0, 1]),
    ],
)
def test_the_images_of_the_named_classes(
    index: DatasetIndex, names: list[str], rows: list[int]
) -> None:
    part = subset(index, names)
    assert part.taxonomy.paths == tuple(PATHS[row] for row in rows)
    kept = [record for record in index.records if record.label in rows]
    assert [record.image_id for record in part.records] == [record.image_id for record in kept]
    for before, after in zip(kept, part.records, strict=True):
        assert part.taxonomy.paths[after.label] == PATHS[before.label]
        assert (after.split, after.bytes, after.path) == (before.split, before.bytes, before.path)
    again = subset_of_paths(index, part.taxonomy.paths)
    assert again.fingerprint == part.fingerprint
    assert part.fingerprint != index.fingerprint


def test_the_order_of_the_names_does_not_matter(index: DatasetIndex) -> None:
    assert subset(index, ["crows", "rissa"]).fingerprint == (
        subset(index, ["rissa", "crows", "rissa"]).fingerprint
    )


def test_unknown_names_are_listed_with_the_nearest(index: DatasetIndex) -> None:
    with pytest.raises(TaxonomyError, match="'larsu', 'kittiwaje'") as caught:
        subset(index, ["larsu", "gulls", "kittiwaje"])
    assert "larus" in caught.value.hint
    assert "kittiwake" in caught.value.hint
    with pytest.raises(TaxonomyError) as caught:
        subset(index, ["zzzzzzzz"])
    assert "2 x family" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("shrikes", [3]),  # three nodes, the same images
        ("prunella (mints)", [1]),
        ("family=gulls", [4]),
        ("species=gulls", [5]),
        ("dunnock", [0]),
    ],
)
def test_one_name_for_several_things(index: DatasetIndex, name: str, rows: list[int]) -> None:
    six = make_index(index.root, SAME_NAMES)
    assert subset(six, [name]).taxonomy.paths == tuple(SAME_NAMES.paths[row] for row in rows)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prunella", "genus=prunella (finches) or genus=prunella (mints)"),
        ("gulls", "family=gulls or species=gulls"),
        ("genus=prunella", "genus=prunella (finches) or genus=prunella (mints)"),
    ],
)
def test_a_name_that_means_two_things_is_refused(index: DatasetIndex, name: str, said: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        subset(make_index(index.root, SAME_NAMES), [name])
    assert said in caught.value.message


def test_what_is_offered_is_taken(index: DatasetIndex) -> None:
    six = make_index(index.root, SAME_NAMES)
    assert len(subset(six, ["genus=prunella (finches)"]).taxonomy.paths) == 1


def test_classes_without_images(index: DatasetIndex) -> None:
    unseen = Taxonomy("t", TAXONOMY.levels, (*PATHS, ("owls", "tyto", "barn owl")))
    part = DatasetIndex("toy", index.root, "test", unseen, index.records)
    with pytest.raises(DataSetError, match="no images"):
        subset(part, ["owls"])


def test_an_index_is_narrowed_to_what_shards_were_made_from(index: DatasetIndex) -> None:
    part = subset(index, ["larus"])
    assert subset_like(index, part.taxonomy.paths).fingerprint == part.fingerprint
    assert subset_like(index, PATHS) is index
    assert subset_like(part, PATHS) is part


def test_paths_of_another_hierarchy(index: DatasetIndex) -> None:
    with pytest.raises(DataSetError, match="owls > tyto > barn owl"):
        subset_of_paths(index, [PATHS[0], ("owls", "tyto", "barn owl")])


def test_shards_of_a_subset(index: DatasetIndex, tmp_path: Path) -> None:
    part = subset(index, ["rissa", "crows"])
    levels = plan_levels(part.taxonomy, {"family": 12, "genus": 24})
    manifest = write_shards(part, levels, SPEC, tmp_path / "shards")
    assert manifest.classes == (PATHS[2], PATHS[3])
    reader = ShardReader(tmp_path / "shards")
    for split in reader.splits:
        own = part.labels[part.positions(split)]
        np.testing.assert_array_equal(reader.labels(split), part.taxonomy.codes[own])
    assert {v.name: v.count for v in manifest.levels} == {"family": 2, "genus": 2, "species": 2}


def test_names_from_words_and_files(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeff# gulls\nlarus\n\n  a, b \r\nlarus\n".encode())
    assert read_names(["x, y", str(file), "y"]) == ("x", "y", "larus", "a, b")


@pytest.mark.parametrize("value", ["", " , ", "#"])
def test_no_names(value: str) -> None:
    with pytest.raises(ConfigError, match="no class names"):
        read_names([value])


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"names\.txt: not UTF-8"):
        read_names([str(file)])


@pytest.mark.parametrize("value", ["x" * 5000, "a\0b"])
def test_a_word_that_can_be_no_file(value: str) -> None:
    assert read_names([value]) == (value,)
