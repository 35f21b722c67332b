"""What a camera adds to a picture beyond its resolution: sensor noise, then JPEG.

Both act on uint8 pixels that are already reduced, and both give the same bytes for the same
pixels whatever the order of work, so that the sweep, the shards and training see one picture.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.errors import ImageError
from c2f_data.resample_spec import Reduction

Pixels = NDArray[np.uint8]

# 4:2:0 is what cameras write.
JPEG_SUBSAMPLING = "4:2:0"
JPEG_LONGEST_SIDE = 65535


def degrade(pixels: Pixels, reduction: Reduction) -> Pixels:
    """Noise, then JPEG, as far as they are asked for; else the very array that was given.

    Args:
        pixels: (height, width, 3) uint8, already reduced.

    Raises:
        ImageError: the image is too long for JPEG.
    """
    if reduction.noise:
        pixels = add_noise(pixels, reduction.noise, reduction.noise_seed)
    if reduction.jpeg is not None:
        pixels = through_jpeg(pixels, reduction.jpeg)
    return pixels


def add_noise(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Add Gaussian noise, independent for each pixel and channel, rounded and clipped to 0..255.

    What is drawn depends on the seed and on the pixels alone: an image at a resolution always
    gets the same noise, and another one at each resolution. Rounding adds about 1/12 to the
    variance; clipping takes some away next to black and white.

    Args:
        pixels: (height, width, 3) uint8.
        deviation: standard deviation in grey levels.
    """
    key = f"{seed} {pixels.shape[0]} {pixels.shape[1]}".encode()
    content = hashlib.blake2b(np.ascontiguousarray(pixels).data, key=key, digest_size=16)
    bits = np.random.PCG64(int.from_bytes(content.digest(), "little"))
    # Bits, not Generator.normal: numpy keeps the stream of a bit generator from version to
    # version, and that of its distributions not. Each word serves four values.
    words = np.asarray(bits.random_raw(-(-pixels.size // 4)), dtype="<u8")
    drawn = _rounded_noise(deviation)[words.view("<u2")[: pixels.size].reshape(pixels.shape)]
    noisy: Pixels = np.clip(drawn + pixels, 0, 255).astype(np.uint8)
    return noisy


@lru_cache(maxsize=4)
def _rounded_noise(deviation: float) -> NDArray[np.int16]:
    """The (65536,) quantiles of the noise in whole grey levels; the ends are at 4.3 deviations."""
    from scipy.special import ndtri

    middles = (np.arange(65536) + 0.5) / 65536
    table = np.rint(deviation * ndtri(middles)).astype(np.int16)
    table.flags.writeable = False
    return table


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Encode as baseline JPEG with 4:2:0 chroma and decode again, both by Pillow.

    Args:
        pixels: (height, width, 3) uint8.
        quality: 1 to 100, on the scale of libjpeg.

    Raises:
        ImageError: a side is longer than JPEG allows.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > JPEG_LONGEST_SIDE:
        raise ImageError(
            f"a reduced image of {width} x {height} pixels is too long for JPEG",
            f"JPEG ends at {JPEG_LONGEST_SIDE} px: crop the image, or leave JPEG out.",
        )
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=JPEG_SUBSAMPLING)
    with Image.open(buffer) as image:
        return np.array(image)
