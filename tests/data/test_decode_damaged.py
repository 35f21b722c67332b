"""Damaged files, files that are no images and images that claim too much are refused by name."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from decode_cases import RGB, encoded, png
from PIL import Image

from c2f_data import decode
from c2f_data.decode import decode_bytes, decode_file, native_size, read_bytes
from c2f_data.errors import ImageError


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, kind: str, share: float) -> None:
    data = encoded(RGB, kind)
    (tmp_path / "bird.jpg").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"bird\.jpg: (not an|damaged) image") as caught:
        decode_file(tmp_path / "bird.jpg")
    assert "Replace the file" in caught.value.hint


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_flipped_bytes_give_pixels_or_a_named_error(kind: str) -> None:
    random, data = np.random.default_rng(0), encoded(RGB, kind)
    refused = 0
    for _ in range(60):
        broken = bytearray(data)
        for position in random.integers(0, min(len(data), 300), 4):
            broken[position] = random.integers(0, 256)
        try:
            shape = decode_bytes(bytes(broken), "bird").pixels.shape
        except ImageError as error:
            shape = (0, 0, 3) if error.message.startswith("bird: ") else ()
            refused += 1
        assert shape[2:] == (3,)
    assert refused > 0


def test_a_file_that_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bird.jpg"
    path.write_text("not a picture")
    for read in (decode_file, native_size):
        with pytest.raises(ImageError, match=r"bird\.jpg: not an image"):
            read(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"bird\.jpg: zero bytes"):
        decode_file(path)
    with pytest.raises(ImageError, match=r"absent\.jpg: No such file"):
        decode_file(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="directory"):
        decode_file(tmp_path)


def test_a_file_beyond_the_size_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    path.touch()
    os.truncate(path, decode.MAX_BYTES + 1)
    with pytest.raises(ImageError, match=r"huge\.jpg: 536870913 bytes"):
        read_bytes(path)


@pytest.mark.parametrize("side", [10_001, 12_000, 60_000])
def test_a_header_that_claims_too_many_pixels_is_refused(side: int) -> None:
    with pytest.raises(ImageError, match=r"bomb: .*pixels") as caught:
        decode_bytes(png(side, side, 8, 2, b"\0" * 100), "bomb")
    assert "100 million" in caught.value.hint


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_large_photograph_below_the_limit_gives_no_warning() -> None:
    with pytest.raises(ImageError, match="damaged image"):
        decode_bytes(png(10_000, 10_000, 8, 2, b"\0" * 100), "large")


def test_a_strip_that_would_explode_when_enlarged_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("L", (3, 301)).save(buffer, "PNG")
    with pytest.raises(ImageError, match=r"strip\.png: 3 x 301 pixels"):
        decode_bytes(buffer.getvalue(), "strip.png")
