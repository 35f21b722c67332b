"""What goes from the shards into an export: each image once, losslessly, the stored bytes kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export_cases import expected, make_reader
from shards_cases import CANONICAL, open_rgb

from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.export.plan import Statement, make_plan
from c2f_data.export.samples import Sample, parts, suffix_of
from c2f_data.resample import ResampleSpec
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.reader import ShardReader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    return make_reader(tmp_path_factory.mktemp("samples"))


def samples(reader: ShardReader, **what: object) -> list[Sample]:
    plan = make_plan(reader.manifest, "parquet", **what)  # type: ignore[arg-type]
    return [sample for part in parts(reader, plan) for sample in part.samples]


def test_every_image_comes_once_in_order_with_its_labels(reader: ShardReader) -> None:
    found = samples(reader)
    wanted = [image for split in reader.splits for image in expected(reader, split)]
    assert [(s.image_id, s.split, s.labels) for s in found] == [
        (w.image_id, w.split, w.labels) for w in wanted
    ]
    assert [s.position for s in found if s.split == "test"] == list(range(reader.length("test")))


def test_stored_files_are_passed_on_byte_for_byte(reader: ShardReader) -> None:
    for sample, image in zip(
        samples(reader, split="train"), expected(reader, "train"), strict=True
    ):
        for level, picture in zip(reader.levels, sample.pictures, strict=True):
            assert picture.data == image.stored[level]
            assert picture.suffix == suffix_of(picture.data)


@pytest.mark.parametrize(
    "how",
    [
        {"encoding": "raw"},
        {"encoding": "png"},
        {"encoding": "raw", "enlarged": InputSide.of(ResampleSpec.for_input(28))},
    ],
    ids=["raw", "png", "raw-layout"],
)
def test_whatever_the_shards_hold_the_pixels_are_theirs(
    tmp_path: Path, how: dict[str, object]
) -> None:
    reader = make_reader(tmp_path, **how)
    for split in reader.splits:
        pairs = zip(samples(reader, split=split), expected(reader, split), strict=True)
        for sample, image in pairs:
            for level, picture in zip(reader.levels, sample.pictures, strict=True):
                assert picture.suffix in ("jpg", "png", "webp")
                np.testing.assert_array_equal(open_rgb(picture.data), image.pixels[level])
                assert picture.size == image.pixels[level].shape[:2]


def test_canonical_images_are_files_too(reader: ShardReader) -> None:
    of_native = {s.image_id.split("/")[1]: s.pictures[-1].suffix for s in samples(reader)}
    assert {of_native[name] for name in CANONICAL} == {"webp"}
    assert of_native["plain.jpg"] == "jpg"
    assert of_native["plain.png"] == "png"


def test_levels_and_splits_are_chosen(reader: ShardReader) -> None:
    found = samples(reader, split="test", levels=("species", "family"))
    assert {sample.split for sample in found} == {"test"}
    assert all(len(sample.pictures) == 2 and len(sample.labels) == 3 for sample in found)
    assert found[0].pictures[0].size[0] == 12  # coarse to fine, in whatever order they were given


@pytest.mark.parametrize("what", [{"levels": ("order",)}, {"split": "val"}])
def test_what_the_shards_do_not_have_is_refused(
    reader: ShardReader, what: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=r"order|val"):
        make_plan(reader.manifest, "parquet", **what)  # type: ignore[arg-type]


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    reader = make_reader(tmp_path)
    entry = reader.manifest.entries("train")[1]
    path = tmp_path / "shards" / entry.file
    data = bytearray(path.read_bytes())
    data[entry.payloads[0].offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtefactError, match=entry.file):
        samples(reader)


@pytest.mark.parametrize("url", ["example.org", "javascript:alert(1)", 'https://a/"x', "https://"])
def test_a_page_has_an_address(url: str) -> None:
    with pytest.raises(ConfigError, match="--url"):
        Statement(url=url)
