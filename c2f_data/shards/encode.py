"""One image to the bytes of every level: decode once, reduce straight from the full image."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.decode import Box, decode_bytes
from c2f_data.resample import reduce_all
from c2f_data.shards.schema import ShardPlan

# WebP has no wider pictures; a panorama's pixels go into PNG, which every decoder tells apart.
WEBP_LONGEST_SIDE = 16383


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it is stored.

    Attributes:
        payloads: encoded bytes per level, coarse to fine.
        sizes: (height, width) in pixels of each decoded picture.
        canonical: the finest level holds lossless RGB, because the source's own bytes do not
            decode to just this upright 8-bit RGB or grey.
    """

    payloads: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]
    canonical: bool


def encode_image(source: bytes, name: str, plan: ShardPlan, box: Box | None = None) -> EncodedImage:
    """Make every level of an image.

    Args:
        source: the bytes of the image file.
        name: the file, for the error message.
        box: the part of the image that is wanted, as in :func:`decode_bytes`.

    Raises:
        ImageError: the bytes can't be decoded, or a reduced image is too long for the plan's JPEG.
    """
    decoded = decode_bytes(source, name, box)
    resolutions = [level.resolution for level in plan.levels if level.resolution is not None]
    reduced = list(reduce_all(decoded.pixels, resolutions, plan.reduction))
    pictures = [*reduced, decoded.pixels]
    native = source if decoded.plain else encode_lossless(decoded.pixels)
    return EncodedImage(
        payloads=(*(encode_lossless(pixels) for pixels in reduced), native),
        sizes=tuple((int(p.shape[0]), int(p.shape[1])) for p in pictures),
        canonical=not decoded.plain,
    )


def encode_lossless(pixels: NDArray[np.uint8]) -> bytes:
    """(height, width, 3) uint8 to bytes that decode to just these pixels.

    Lossless WebP at its fastest setting: many times as fast as PNG at its default and smaller.
    """
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if max(pixels.shape) > WEBP_LONGEST_SIDE:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()
