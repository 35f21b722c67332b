"""How pixels become bytes without loss, and back: one entry an encoding.

A payload tells by its first bytes what it is, so one level may mix encodings (a panorama that is
too long for WebP is PNG). Raw pixels can't tell: a level is raw altogether or not at all.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image

from c2f_data.decode import Pixels
from c2f_data.errors import ImageError
from c2f_data.shards import jxl

EncodingName = Literal["webp-lossless", "raw", "jxl-lossless", "png"]
# Not an entry of the table: the bytes of the data set's own file, whatever format that is.
SOURCE_ENCODING: Final = "source"
RAW: Final = "raw"
WEBP: Final = "webp-lossless"

# WebP has no wider pictures.
WEBP_LONGEST_SIDE = 16383
CHANNELS = 3

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Encoding:
    """One encoding.

    Attributes:
        encode: (height, width, 3) uint8 to bytes that decode to just these pixels.
        decode: the bytes and their (height, width) to the pixels; it raises ValueError,
            RuntimeError or OSError where the bytes are something else.
        owns: whether a payload is of this encoding, by its first bytes.
    """

    name: EncodingName
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes, Size], Pixels]
    owns: Callable[[bytes], bool]


def encode(pixels: Pixels, encoding: EncodingName) -> bytes:
    """(height, width, 3) uint8 to bytes. Raises ConfigError where its package is absent."""
    return ENCODINGS[encoding].encode(np.ascontiguousarray(pixels))


def decode(data: bytes, size: Size, encoding: str, name: str) -> Pixels:
    """The pixels of a payload that :func:`encode` made.

    Args:
        data: the payload; it need not be trusted.
        size: (height, width) that it must have; nothing larger is allocated.
        encoding: of the level. Unless it is raw, the payload itself tells what it is.
        name: the image, for the error message.

    Returns:
        (height, width, 3) uint8, writable.

    Raises:
        ImageError: damaged, of another size, or of no known encoding.
        ConfigError: the package that decodes it is absent.
    """
    known = ENCODINGS[RAW] if encoding == RAW else _recognised(data)
    if known is None:
        raise ImageError(f"{name}: of no known encoding", "Write it again.")
    try:
        return known.decode(data, size)
    except (
        *(OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError),
        *(RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
    ) as error:
        raise ImageError(f"{name}: {error}", "Write it again.") from error


def check_available(encoding: EncodingName) -> None:
    """Raise ConfigError where the package of an encoding is absent."""
    if encoding == "jxl-lossless":
        jxl.require()


def _recognised(data: bytes) -> Encoding | None:
    return next((known for known in ENCODINGS.values() if known.owns(data)), None)


def _encode_webp(pixels: Pixels) -> bytes:
    """At its fastest setting: many times as fast as PNG at its default, and smaller."""
    if max(pixels.shape) > WEBP_LONGEST_SIDE:
        return _encode_png(pixels)
    return _saved(pixels, "WEBP", lossless=True, quality=0, method=0)


def _encode_png(pixels: Pixels) -> bytes:
    return _saved(pixels, "PNG", compress_level=1)


def _saved(pixels: Pixels, kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **settings)
    return buffer.getvalue()


def _opened(kind: str) -> Callable[[bytes, Size], Pixels]:
    """A decoder by Pillow that looks at the header before it decodes."""

    def read(data: bytes, size: Size) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            if (image.height, image.width) != size:
                raise ValueError("another size than noted")
            if image.mode != "RGB":
                raise ValueError(f"{image.mode} instead of RGB")
            return np.array(image)

    return read


def _from_raw(data: bytes, size: Size) -> Pixels:
    height, width = size
    if len(data) != height * width * CHANNELS:
        raise ValueError("another size than noted")
    # A copy, because bytes can't be written to, and torch asks for arrays that can.
    return np.frombuffer(data, np.uint8).reshape(height, width, CHANNELS).copy()


_ALL = (
    Encoding(
        WEBP, _encode_webp, _opened("WEBP"), lambda d: d[:4] == b"RIFF" and d[8:12] == b"WEBP"
    ),
    Encoding(RAW, lambda pixels: pixels.tobytes(), _from_raw, lambda _: False),
    Encoding("jxl-lossless", jxl.encode, jxl.decode, lambda data: data.startswith(jxl.MARK)),
    Encoding("png", _encode_png, _opened("PNG"), lambda data: data.startswith(b"\x89PNG\r\n")),
)
ENCODINGS: Final[dict[str, Encoding]] = {encoding.name: encoding for encoding in _ALL}
