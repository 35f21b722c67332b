"""JPEG XL without loss, by an optional package (extra ``jxl``).

Its decoder allocates what a header claims before anything can ask, so the size is read from the
header here first: ISO/IEC 18181-1, annex D.2 (SizeHeader).
"""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
from PIL import Image

from c2f_data.decode import Pixels
from c2f_data.errors import ConfigError, install_hint

# A bare codestream. The encoder writes no container, so none is read.
MARK = b"\xff\x0a"
# Effort 1 is five times as fast as effort 2 on photographs, and a few per cent larger.
EFFORT = 1
# Width to height, where the header names a ratio instead of a width.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_LENGTHS = (9, 13, 18, 30)


def require() -> Any:
    """The package. Raises ConfigError where it is absent."""
    try:
        return importlib.import_module("pillow_jxl")
    except ImportError as error:
        raise ConfigError(
            "JPEG XL needs the package pillow-jxl-plugin", install_hint("jxl")
        ) from error


def encode(pixels: Pixels) -> bytes:
    """(height, width, 3) uint8 to a codestream. Raises ConfigError where the package is absent."""
    require()
    buffer = io.BytesIO()
    # One thread: there is a process a core already.
    Image.fromarray(pixels).save(buffer, "JXL", lossless=True, effort=EFFORT, num_threads=0)
    return buffer.getvalue()


def decode(data: bytes, size: tuple[int, int]) -> Pixels:
    """A codestream of just this (height, width) to (height, width, 3) uint8.

    Raises:
        ValueError, RuntimeError: damaged, of another size, or not 8-bit RGB.
        ConfigError: the package is absent.
    """
    if header_size(data) != size:
        raise ValueError("another size than noted")
    _, info, values, _, _ = require().Decoder(num_threads=0)(data)
    if info.mode != "RGB" or (info.height, info.width) != size:
        raise ValueError("not 8-bit RGB of the size noted")
    return np.frombuffer(values, np.uint8).reshape(*size, 3).copy()


def header_size(data: bytes) -> tuple[int, int]:
    """(height, width) in pixels that a codestream claims. Raises ValueError where it has none."""
    if not data.startswith(MARK):
        raise ValueError("not a JPEG XL codestream")
    bits = _Bits(data[2:12])
    small = bits.take(1)
    height = bits.length(small)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio]
        return height, height * across // down
    return height, bits.length(small)


class _Bits:
    """Bits of a header, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value

    def length(self, small: int) -> int:
        """A side: a multiple of 8 in 5 bits, or in as many bits as a selector says."""
        if small:
            return 8 * (self.take(5) + 1)
        return self.take(_LENGTHS[self.take(2)]) + 1
