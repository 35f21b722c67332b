"""Bytes to upright 8-bit RGB, from every kind of file that data sets hold."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from decode_cases import HEIGHT, RGB, WIDTH, encoded, picture, png
from PIL import Image

from c2f_data import decode
from c2f_data.decode import decode_bytes, native_size


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[decode.EXIF_ORIENTATION] = orientation
    return exif


def test_rgb_of_a_lossless_format_is_exact_and_plain() -> None:
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {})):
        got = decode_bytes(encoded(RGB, kind, **options), "x")
        np.testing.assert_array_equal(got.pixels, picture())
        assert (got.plain, got.pixels.dtype) == (True, np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_exif_turn_is_applied(tmp_path: Path, orientation: int, kind: str) -> None:
    # The tag says where the stored row 0 and column 0 lie in the scene (EXIF 2.32, tag 0x0112).
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    data = encoded(RGB, kind, exif=turned(orientation), **options)
    stored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    got = decode_bytes(data, "x")
    np.testing.assert_array_equal(got.pixels, turns[orientation](stored))
    assert got.plain == (orientation == 1)
    (tmp_path / "a").write_bytes(data)
    assert native_size(tmp_path / "a") == got.pixels.shape[:2]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_grey_becomes_three_equal_channels(kind: str) -> None:
    data = encoded(RGB.convert("L"), kind)
    got = decode_bytes(data, "x")
    grey = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(got.pixels, np.repeat(grey[:, :, None], 3, axis=2))
    assert got.plain


def test_cmyk_is_converted() -> None:
    data = encoded(RGB.convert("CMYK"), "JPEG", quality=98)
    got = decode_bytes(data, "x")
    assert not got.plain
    assert np.abs(got.pixels.astype(int) - picture()).mean() < 6


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    deep = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        got = decode_bytes(encoded(Image.fromarray(deep), kind), "x")
        expected = np.rint(deep / 257).astype(np.uint8)
        np.testing.assert_array_equal(got.pixels, np.repeat(expected[:, :, None], 3, axis=2))
        assert not got.plain


def test_sixteen_bit_colour_is_not_plain() -> None:
    values = (np.arange(2 * 3 * 3).reshape(2, 9) * 3641).astype(">u2")
    data = png(3, 2, 16, 2, b"".join(b"\0" + row.tobytes() for row in values))
    got = decode_bytes(data, "x")
    assert not got.plain
    assert np.abs(got.pixels.reshape(2, 9) - values / 257).max() <= 1


def test_alpha_lies_over_white() -> None:
    alpha = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    weight = alpha[:, :, None] / 255
    for colour in (picture(), np.repeat(picture()[:, :, :1], 3, axis=2)):
        rgba = Image.fromarray(np.dstack([colour, alpha]))
        got = decode_bytes(encoded(rgba, "PNG"), "x")
        assert np.abs(got.pixels - (colour * weight + 255 * (1 - weight))).max() <= 1
        assert not got.plain
    grey_alpha = Image.merge("LA", [RGB.getchannel(0), Image.fromarray(alpha)])
    np.testing.assert_array_equal(decode_bytes(encoded(grey_alpha, "PNG"), "x").pixels, got.pixels)


def test_a_palette_is_looked_up_and_its_transparent_colour_is_white() -> None:
    paletted = RGB.quantize(16)
    got = decode_bytes(encoded(paletted, "PNG"), "x")
    np.testing.assert_array_equal(got.pixels, np.asarray(paletted.convert("RGB")))
    assert not got.plain
    clear = decode_bytes(encoded(paletted, "PNG", transparency=3), "x")
    holes = np.asarray(paletted) == 3
    assert holes.any()
    assert (clear.pixels[holes] == 255).all()
    np.testing.assert_array_equal(clear.pixels[~holes], got.pixels[~holes])


def test_a_transparent_colour_of_an_rgb_image_is_white() -> None:
    pixels = picture()
    pixels[5, 7] = (1, 2, 3)
    got = decode_bytes(encoded(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3)), "x")
    pixels[5, 7] = 255
    np.testing.assert_array_equal(got.pixels, pixels)
    assert not got.plain


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})]
)
def test_of_an_animation_the_first_frame_counts(kind: str, options: dict[str, object]) -> None:
    frame = RGB.quantize(32).convert("RGB")
    black = Image.new("RGB", frame.size)
    got = decode_bytes(encoded(frame, kind, save_all=True, append_images=[black], **options), "x")
    assert not got.plain
    assert np.abs(got.pixels.astype(int) - np.asarray(frame)).max() <= (8 if kind == "GIF" else 0)


JPEGS = [
    {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    for quality in (30, 95)
    for subsampling in (0, 1, 2)
    for progressive in (False, True)
]


@pytest.mark.parametrize("options", JPEGS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_fast_jpeg_path_gives_pillows_pixels(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], mode: str
) -> None:
    pytest.importorskip("simplejpeg")
    image = RGB.convert(mode)
    data = encoded(image, "JPEG", **options)
    fast = decode._simplejpeg(data, image.size)
    assert fast is not None
    np.testing.assert_array_equal(decode_bytes(data, "x").pixels, fast)
    monkeypatch.setattr(decode, "_simplejpeg", lambda *_: None)
    slow = decode_bytes(data, "x")
    np.testing.assert_array_equal(slow.pixels, fast)
    assert slow.plain


def test_what_the_fast_path_refuses_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    simplejpeg = pytest.importorskip("simplejpeg")

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("unsupported")

    data = encoded(RGB, "JPEG")
    before = decode_bytes(data, "x").pixels
    monkeypatch.setattr(simplejpeg, "decode_jpeg", refuse)
    np.testing.assert_array_equal(decode_bytes(data, "x").pixels, before)
