"""Bytes of an image file to upright 8-bit RGB, the same way everywhere.

JPEG goes through simplejpeg when it is installed (the same pixels as Pillow, 1.6 times as fast);
what it refuses, and every other format, goes through Pillow. Nothing is repaired silently: a
truncated file is refused by name.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from c2f_data.errors import ImageError
from c2f_data.storage import Place, Url

# A 10,000 x 10,000 photograph still passes; a few kilobytes that claim more are an attack or a
# damaged header.
MAX_PIXELS = 100_000_000
MAX_BYTES = 512 * 1024 * 1024
# Of an image at a URL, read for its size alone: with what cameras write before the pixels.
HEADER_BYTES = 256 * 1024
# Enlarged to the network's input, a strip 2 pixels wide would become a gigabyte.
MAX_ASPECT = 100
EXIF_ORIENTATION = 0x0112

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: (height, width, 3) uint8, RGB, upright.
        plain: the source's own bytes decode to just these pixels in any reader: 8-bit RGB or
            grey, no EXIF turn, no palette, no alpha, one frame, nothing cut off.
    """

    pixels: Pixels
    plain: bool


def read_bytes(path: Place) -> bytes:
    """The file's bytes. Raises ImageError when it is absent, empty or absurdly large."""
    data = None
    try:
        if isinstance(path, Url):
            data = path.read_bytes(MAX_BYTES + 1)  # one request instead of two
        size = path.stat().st_size if data is None else len(data)
        if size == 0:
            raise ImageError(
                f"{path}: zero bytes", "Replace the file or remove it from the data set."
            )
        if size > MAX_BYTES:
            raise ImageError(f"{path}: {size} bytes", "Files over 512 MiB are refused.")
        return path.read_bytes() if data is None else data
    except OSError as error:
        raise ImageError(
            f"{path}: {error.strerror}", "Restore the file or remove it from the data set."
        ) from error


def decode_file(path: Place, box: Box | None = None) -> Decoded:
    """Decode a file; see :func:`decode_bytes`."""
    return decode_bytes(read_bytes(path), str(path), box)


def decode_bytes(data: bytes, name: str, box: Box | None = None) -> Decoded:
    """Decode encoded bytes to upright 8-bit RGB.

    Grey becomes three equal channels, CMYK is converted, 16-bit grey is scaled by 1/257, of
    16-bit colour the high byte is taken (Pillow's doing), alpha is composited over white, an EXIF
    turn is applied, of several frames the first counts.

    Args:
        box: (left, top, right, bottom) in pixels of the upright image: only this part is wanted.

    Raises:
        ImageError: not an image, truncated, more than 100 million pixels, a strip, or the box is
            not inside the image.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own bomb warning starts lower than the cap, which is checked here anyway.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                decoded = _decode(image, data, name)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not an image", "Replace the file or remove it from the data set."
        ) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise _too_large(name, "its header claims too many pixels") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        raise ImageError(
            f"{name}: damaged image ({error})", "Replace the file or remove it from the data set."
        ) from error
    return decoded if box is None else _cut(decoded, box, name)


def decode_pillow(image: Image.Image, name: str) -> Pixels:
    """(height, width, 3) uint8 of an image that the caller opened, as :func:`decode_bytes` does it.

    Raises:
        ImageError: as there.
    """
    try:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _too_large(name, f"{width} x {height} pixels")
        if not width * height:
            raise ImageError(f"{name}: no pixels", "Give an image of at least one pixel.")
        _check_strip(width, height, name)
        image.load()
        return np.array(_to_rgb(ImageOps.exif_transpose(image)), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        raise ImageError(f"{name}: damaged image ({error})", "Give another image.") from error


def _cut(decoded: Decoded, box: Box, name: str) -> Decoded:
    left, top, right, bottom = box
    height, width = decoded.pixels.shape[:2]
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ImageError(
            f"{name}: the box {box} is not inside {width} x {height} pixels",
            "The box belongs to another copy of the image: leave out --crop.",
        )
    _check_strip(right - left, bottom - top, name)
    # A copy, so that the rest of the image does not stay in memory.
    return Decoded(decoded.pixels[top:bottom, left:right].copy(), plain=False)


def decode_plain_jpeg(data: bytes, size: tuple[int, int]) -> Pixels | None:
    """A JPEG that is known to be plain (see :class:`Decoded`), without Pillow's look at its header.

    Args:
        size: (height, width) in pixels that it must have, within the caps.

    Returns:
        (height, width, 3) uint8; None: not such a JPEG, or simplejpeg is absent or refuses it.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        import simplejpeg

        # Before decoding, so that no header can ask for more memory than was expected.
        if simplejpeg.decode_jpeg_header(data)[:2] != size:
            return None
    except (ImportError, ValueError):
        return None
    return _simplejpeg(data, (size[1], size[0]))


def native_size(path: Place) -> tuple[int, int]:
    """(height, width) of the upright image, from the header alone. Raises ImageError."""
    try:
        source = io.BytesIO(path.read_bytes(HEADER_BYTES)) if isinstance(path, Url) else path
        with Image.open(source) as image:
            width, height = image.size
            turned = image.getexif().get(EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:
        # Some headers are broken only beyond what decoding needs; decoding says what is wrong.
        height, width = decode_file(path).pixels.shape[:2]
        return height, width
    return (width, height) if turned else (height, width)


def _decode(image: Image.Image, data: bytes, name: str) -> Decoded:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} x {height} pixels")
    _check_strip(width, height, name)
    deep = _is_deep(image)  # before anything loads the image, which empties its tiles
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    plain = (
        image.mode in ("RGB", "L")
        and orientation in (0, 1)
        and "transparency" not in image.info
        and getattr(image, "n_frames", 1) == 1
        and not deep
    )
    if plain and image.format == "JPEG":
        fast = _simplejpeg(data, image.size)
        if fast is not None:
            return Decoded(fast, plain=True)
    image.load()
    upright = ImageOps.exif_transpose(image) if orientation not in (0, 1) else image
    return Decoded(np.array(_to_rgb(upright), dtype=np.uint8), plain)


def _check_strip(width: int, height: int, name: str) -> None:
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{name}: {width} x {height} pixels",
            f"Images over {MAX_ASPECT} times as long as wide are refused; crop it first.",
        )


def _is_deep(image: Image.Image) -> bool:
    """16-bit colour, which Pillow opens as RGB; only the raw mode of its tiles tells."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        # 16-bit full scale: 65535 / 257 = 255. Clipped, because mode I holds 32 bits.
        grey = np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _simplejpeg(data: bytes, size: tuple[int, int]) -> Pixels | None:
    """Decode by simplejpeg, or None where it is absent or refuses (Pillow then says why)."""
    try:
        import simplejpeg
    except ImportError:
        return None
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, colorspace="RGB", fastdct=False, fastupsample=False
        )
    except ValueError:
        return None
    return pixels if pixels.shape == (size[1], size[0], 3) else None


def _too_large(name: str, why: str) -> ImageError:
    return ImageError(
        f"{name}: {why}", "Images over 100 million pixels are refused; reduce it first."
    )
