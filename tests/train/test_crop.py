"""An image with a box is its box alone: in the sweep, in the shards, in every size."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from c2f_data.decode import decode_bytes, decode_file, read_bytes
from c2f_data.errors import ArtefactError, ImageError
from c2f_data.index import TEST, TRAIN, Box, DatasetIndex, ImageRecord
from c2f_data.resample import ResampleSpec, reduce
from c2f_data.shards.manifest import read_manifest
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import plan_levels
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards
from c2f_data.taxonomy import Taxonomy
from c2f_train.data import FilePictures

TABLE = Taxonomy("t", ("genus", "species"), (("a", "b"),))
BOX: Box = (5, 3, 45, 33)


@pytest.fixture
def index(tmp_path: Path) -> DatasetIndex:
    """A plain image, one with a box, and one that an EXIF tag turns and that has a box."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    records = []
    for i, (box, turn) in enumerate([(None, None), (BOX, None), ((0, 0, 20, 50), exif)]):
        path = tmp_path / f"{i}.jpg"
        Image.fromarray(pixels).save(path, **({"exif": turn} if turn else {}))
        split = TEST if i == 0 else TRAIN
        records.append(ImageRecord(path.name, path.name, 0, split, path.stat().st_size, box))
    return DatasetIndex("t", tmp_path, "by hand", TABLE, tuple(records))


def cut(index: DatasetIndex, row: int) -> np.ndarray:
    whole = decode_file(index.path(row)).pixels
    box = index.records[row].box
    return whole if box is None else whole[box[1] : box[3], box[0] : box[2]]


def test_pictures_of_the_sweep_are_cut(index: DatasetIndex) -> None:
    pictures = FilePictures(index, (0, 1, 2))
    for row, shape in enumerate([(40, 60, 3), (30, 40, 3), (50, 20, 3)]):
        assert pictures.pixels(row).shape == shape
        np.testing.assert_array_equal(pictures.pixels(row), cut(index, row))
    assert [index.shorter_side(row) for row in range(3)] == [40, 30, 20]


def test_shards_hold_the_same_pixels_at_every_level(index: DatasetIndex, tmp_path: Path) -> None:
    spec = ResampleSpec()
    write_shards(index, plan_levels(TABLE, {"genus": 12}), spec, tmp_path / "shards")
    assert verify(tmp_path / "shards", decode=True) == []
    reader = ShardReader(tmp_path / "shards")
    for split, rows in ((TEST, [0]), (TRAIN, [1, 2])):
        for i, row in enumerate(rows):
            native = cut(index, row)
            np.testing.assert_array_equal(reader.pixels(split, i, "species"), native)
            np.testing.assert_array_equal(
                reader.pixels(split, i, "genus"), reduce(native, 12, spec)
            )


def test_the_manifest_says_what_images_were_cut_to(index: DatasetIndex, tmp_path: Path) -> None:
    folder, levels = tmp_path / "shards", plan_levels(TABLE, {"genus": 12})
    made = write_shards(replace(index, crop="bbox"), levels, ResampleSpec(), folder)
    assert made.crop == read_manifest(folder).crop == "bbox"
    assert (
        made.plan_fingerprint
        == write_shards(index, levels, ResampleSpec(), folder).plan.fingerprint
    )
    path = folder / "manifest.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**stored, "crop": "circle"}), encoding="utf-8")
    with pytest.raises(ArtefactError, match="it has no crop 'circle'"):
        read_manifest(folder)
    del stored["crop"]  # as it was written before
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert read_manifest(folder).crop is None


def test_a_box_is_part_of_what_a_data_set_is(index: DatasetIndex) -> None:
    whole = replace(index, records=tuple(replace(r, box=None) for r in index.records))
    moved = replace(index, records=tuple(replace(r, box=(5, 3, 45, 34)) for r in index.records))
    assert len({one.fingerprint for one in (index, whole, moved)}) == 3


@pytest.mark.parametrize("box", [(0, 0, 61, 40), (-1, 0, 5, 5), (5, 0, 5, 9), (9, 9, 3, 12)])
def test_a_box_that_is_not_inside_is_refused(index: DatasetIndex, box: Box) -> None:
    with pytest.raises(ImageError, match=r"box .* is not inside 60 x 40 pixels") as caught:
        decode_file(index.path(0), box)
    assert "--crop" in caught.value.hint


def test_a_box_that_is_a_strip_is_refused() -> None:
    data = _jpeg(8, 400)
    with pytest.raises(ImageError, match="400 x 1 pixels"):
        decode_bytes(data, "x.jpg", (0, 2, 400, 3))


def test_the_sources_bytes_are_only_kept_for_a_whole_image(index: DatasetIndex) -> None:
    data = read_bytes(index.path(0))
    assert decode_bytes(data, "x").plain
    assert not decode_bytes(data, "x", (0, 0, 60, 40)).plain


def _jpeg(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()
