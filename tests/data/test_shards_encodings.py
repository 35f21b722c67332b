"""Encodings: the same pixels back, told apart by the bytes, and never larger than noted."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from shards_cases import CANONICAL, RESOLUTIONS, SPEC, levels, make_index, picture, tree

from c2f_data.decode import decode_file
from c2f_data.errors import ConfigError, ImageError
from c2f_data.resample import reduce
from c2f_data.shards import jxl
from c2f_data.shards.encodings import ENCODINGS, EncodingName, decode, encode
from c2f_data.shards.reader import ShardReader
from c2f_data.shards.schema import make_plan
from c2f_data.shards.verify import verify
from c2f_data.shards.writer import write_shards

needs_jxl = pytest.mark.skipif(
    importlib.util.find_spec("pillow_jxl") is None, reason="pillow-jxl-plugin is not installed"
)
NAMES = [
    pytest.param(name, marks=needs_jxl if name == "jxl-lossless" else ()) for name in ENCODINGS
]
FILES = [name for name in NAMES if name.values[0] != "raw"]
SIZES = [(1, 1), (2, 2), (40, 56), (56, 40), (7, 300), (256, 256)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_pixels_come_back(name: EncodingName, size: tuple[int, int]) -> None:
    pixels = picture(3, *size)
    back = decode(encode(pixels, name), size, name, "a")
    np.testing.assert_array_equal(back, pixels)
    assert back.dtype == np.uint8
    assert back.flags.writeable


@pytest.mark.parametrize("name", NAMES)
def test_a_view_is_encoded_as_what_it_shows(name: EncodingName) -> None:
    pixels = picture(3)[::2, ::-1]
    np.testing.assert_array_equal(decode(encode(pixels, name), pixels.shape[:2], name, "a"), pixels)


@pytest.mark.parametrize("name", NAMES)
def test_equal_pixels_give_equal_bytes(name: EncodingName) -> None:
    assert encode(picture(5, 300, 400), name) == encode(picture(5, 300, 400), name)


@pytest.mark.parametrize("other", FILES)
@pytest.mark.parametrize("name", FILES)
def test_a_payload_tells_what_it_is(name: EncodingName, other: EncodingName) -> None:
    pixels = picture(1)
    np.testing.assert_array_equal(decode(encode(pixels, name), (40, 56), other, "a"), pixels)


def test_what_is_too_long_for_webp_becomes_png() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 17_000, 3), dtype=np.uint8)
    data = encode(pixels, "webp-lossless")
    assert data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(decode(data, (2, 17_000), "webp-lossless", "a"), pixels)


@pytest.mark.parametrize("size", [(56, 40), (40, 57), (1, 1), (10_000, 10_000)])
@pytest.mark.parametrize("name", NAMES)
def test_another_size_is_refused_before_it_is_decoded(
    name: EncodingName, size: tuple[int, int]
) -> None:
    data = encode(picture(1), name) + (b"x" if name == "raw" else b"")
    with pytest.raises(ImageError, match="a: another size"):
        decode(data, size, name, "a")


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_are_an_error_or_other_pixels_of_the_size(name: EncodingName) -> None:
    data = encode(picture(1), name)
    random = np.random.default_rng(0)
    for trial in range(60):
        broken = bytearray(data)
        if trial % 2:
            del broken[int(random.integers(len(broken))) :]
        else:
            broken[int(random.integers(len(broken)))] ^= int(random.integers(1, 256))
        with contextlib.suppress(ImageError):
            assert decode(bytes(broken), (40, 56), name, "a").shape == (40, 56, 3)


@pytest.mark.parametrize("data", [b"", b"\xff", b"GIF89a", b"RIFF", bytes(50)])
def test_bytes_of_no_encoding(data: bytes) -> None:
    for name in ("webp-lossless", "png", "jxl-lossless"):
        with pytest.raises(ImageError):
            decode(data, (2, 2), name, "a")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_pixels_that_are_no_rgb_are_refused(mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture(1)).convert(mode).save(buffer, "PNG")
    with pytest.raises(ImageError, match=f"{mode} instead of RGB"):
        decode(buffer.getvalue(), (40, 56), "png", "a")


@needs_jxl
@pytest.mark.parametrize("size", [*SIZES, (16, 24), (48, 64), (3, 9000), (600, 300)])
def test_the_size_in_a_jpeg_xl_header(size: tuple[int, int]) -> None:
    assert jxl.header_size(jxl.encode(np.zeros((*size, 3), np.uint8))) == size


@pytest.mark.parametrize(
    ("bits", "size"),
    [
        # small, height / 8 - 1, ratio: 1 to 1
        ([(1, 1), (4, 5), (1, 3)], (40, 40)),
        # small, ratio 0, width / 8 - 1
        ([(1, 1), (4, 5), (0, 3), (1, 5)], (40, 16)),
        # selector 1: 13 bits; ratio 3: 4 to 3
        ([(0, 1), (1, 2), (2999, 13), (3, 3)], (3000, 4000)),
        # selector 3: 30 bits, both
        ([(0, 1), (3, 2), (2**30 - 1, 30), (0, 3), (3, 2), (0, 30)], (2**30, 1)),
    ],
)
def test_a_jpeg_xl_header_by_the_standard(
    bits: list[tuple[int, int]], size: tuple[int, int]
) -> None:
    value = place = 0
    for number, width in bits:
        value |= number << place
        place += width
    assert jxl.header_size(b"\xff\x0a" + value.to_bytes(12, "little")) == size


def test_without_the_package_jpeg_xl_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(ConfigError, match="pillow-jxl-plugin") as caught:
        make_plan(make_index(tmp_path), levels(), SPEC, encoding="jxl-lossless")
    assert ".[jxl]" in caught.value.hint


@pytest.mark.parametrize("name", NAMES)
def test_shards_in_every_encoding(tmp_path: Path, name: EncodingName) -> None:
    index = make_index(tmp_path)
    manifest = write_shards(index, levels(), SPEC, tmp_path / "shards", encoding=name)
    reader = ShardReader(tmp_path / "shards")
    assert manifest.plan.layout == "encoded"
    assert manifest.canonical == len(CANONICAL)
    for split in reader.splits:
        for i, position in enumerate(index.positions(split)):
            full = decode_file(index.path(int(position))).pixels
            np.testing.assert_array_equal(reader.pixels(split, i, "species"), full)
            for level, resolution in RESOLUTIONS.items():
                pixels = reader.pixels(split, i, level)
                np.testing.assert_array_equal(pixels, reduce(full, resolution, SPEC))
                if name == "raw":
                    assert reader.read(split, i, level) == pixels.tobytes()
    with h5py.File(tmp_path / "shards" / manifest.shards[0].file) as file:
        assert file.attrs["encoding"] == file["images/genus"].attrs["encoding"] == name
        assert file["images/species"].attrs["encoding"] == "source"
    assert verify(tmp_path / "shards", decode=True) == []


def test_among_image_files_a_canonical_one_is_a_file_even_where_others_are_raw(
    tmp_path: Path,
) -> None:
    index = make_index(tmp_path)
    write_shards(index, levels(), SPEC, tmp_path / "shards", encoding="raw")
    reader = ShardReader(tmp_path / "shards")
    row = int(reader.canonical("train").nonzero()[0][0])
    opened = np.asarray(Image.open(io.BytesIO(reader.read("train", row, "species"))))
    np.testing.assert_array_equal(opened, reader.pixels("train", row, "species"))


def test_each_encoding_is_a_plan_of_its_own(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    plans = {
        make_plan(index, levels(), SPEC, encoding=e).fingerprint
        for e in ("webp-lossless", "raw", "png")
    }
    assert len(plans) == 3


def test_two_processes_write_the_same_raw_shards(tmp_path: Path) -> None:
    index = make_index(tmp_path)
    for jobs in (1, 2):
        write_shards(index, levels(), SPEC, tmp_path / str(jobs), encoding="raw", jobs=jobs)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")
