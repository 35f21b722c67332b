"""A picture, and how to encode it, for the tests of the decoder."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 37, 53


def picture(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Smooth colours with some noise; no two corners alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([rows * 4, columns * 3, 255 - rows - columns], axis=2)
    noise = np.random.default_rng(0).integers(0, 30, smooth.shape)
    return np.asarray(np.clip(smooth + noise, 0, 255), dtype=np.uint8)


RGB = Image.fromarray(picture())


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
