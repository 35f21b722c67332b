"""What one decoded picture shows: a thumbnail, a perceptual hash, whether it is grey, its foliage.

The hash is the sign pattern of the picture's lowest frequencies: the discrete cosine transform of
a 32 x 32 grey thumbnail, frequencies 1 to 8 in both directions, above or below their median
(Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from c2f_data.checkup.colour import foliage_vote
from c2f_data.decode import Pixels

COLOUR_SIDE = 64
THUMBNAIL_SIDE = 32
HASH_SIDE = 8

# Grey levels between the channels of a picture that still counts as greyscale. Of 1,130 CUB
# images two are stored grey (0 levels); the least coloured one stored as RGB has 13.
GREY_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Look:
    """Facts about one picture.

    Attributes:
        thumbnail: (32, 32) uint8, grey.
        hash: 64 bits as an integer.
        grey: no colour anywhere.
        foliage: 1 where its greens lean to yellow, -1 where they lean to cyan, 0 where there are
            too few greens to say.
    """

    thumbnail: NDArray[np.uint8]
    hash: int
    grey: bool
    foliage: int


def look_at(pixels: Pixels) -> Look:
    """Reduce a decoded (height, width, 3) picture to what the checks compare."""
    small = Image.fromarray(pixels).resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
    colours = np.asarray(small).astype(np.int64)
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    thumbnail = np.asarray(small.convert("L").resize(side, Image.Resampling.BOX))
    return Look(
        thumbnail=thumbnail,
        hash=perceptual_hash(thumbnail),
        grey=int(np.ptp(colours, axis=-1).max()) <= GREY_LEVELS,
        foliage=foliage_vote(colours),
    )


def perceptual_hash(thumbnail: NDArray[np.uint8]) -> int:
    """The 64-bit hash of a (32, 32) grey thumbnail."""
    waves = _waves()[1:]  # frequency 0 is brightness, which may differ
    frequencies = (waves @ thumbnail.astype(np.float32) @ waves.T).ravel()
    bits = np.packbits(frequencies > np.median(frequencies))
    return int.from_bytes(bits.tobytes(), "big")


def detail(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the hash does not see of (n, 1024) thumbnails: without brightness and its frequencies.

    Returns:
        (n, 1024), each row of length 1, or 0 where a thumbnail has no detail.
    """
    pictures = thumbnails.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE).astype(np.float32)
    waves = _waves()
    rows = (pictures - waves.T @ (waves @ pictures @ waves.T) @ waves).reshape(thumbnails.shape)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


@cache
def _waves() -> NDArray[np.float32]:
    """(9, 32): orthonormal cosines of frequencies 0 to 8."""
    k = np.arange(HASH_SIDE + 1)[:, None]
    n = np.arange(THUMBNAIL_SIDE)[None, :]
    waves = np.cos(np.pi * k * (2 * n + 1) / (2 * THUMBNAIL_SIDE))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.asarray(waves, np.float32)
