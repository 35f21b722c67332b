"""How hard the demo's pictures are: strength of the patterns, and what competes with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from c2f_data.demo.background import FloatImage, fractal_noise

TextureName = Literal["plain", "hard"]
TEXTURE_NAMES: tuple[TextureName, ...] = get_args(TextureName)


@dataclass(frozen=True, slots=True)
class Texture:
    """One setting.

    fine, coarse: least and greatest amplitude of the species' and the genus' pattern, relative to
    the plumage. mottling: deviation of the noise that lies over the whole picture, brightness in 0
    to 1. twigs: least and greatest number of thin lines over the picture.
    """

    fine: tuple[float, float]
    coarse: tuple[float, float]
    mottling: float = 0.0
    twigs: tuple[int, int] = (0, 0)


# The ranges of amplitudes are narrow on purpose: a network that has seen much fainter bars would
# still read them well below the limit.
TEXTURES: Mapping[TextureName, Texture] = MappingProxyType(
    {
        "plain": Texture(fine=(0.24, 0.42), coarse=(0.22, 0.30)),
        "hard": Texture(fine=(0.18, 0.30), coarse=(0.20, 0.28), mottling=0.09, twigs=(12, 30)),
    }
)


def draw_clutter(rng: np.random.Generator, shape: tuple[int, int], texture: Texture) -> FloatImage:
    """What is added to the brightness of a picture under its patterns, (H, W) float32.

    Noise with a 1/f amplitude spectrum (the same energy in every octave, so as much of it near
    one period as near another) and thin light and dark lines in all directions. Nothing is drawn
    from `rng` for a texture that has neither.
    """
    clutter = np.zeros(shape, dtype=np.float32)
    if texture.mottling > 0.0:
        noise = fractal_noise(rng, shape, min(shape) / 8, 1.0)
        clutter += np.float32(texture.mottling) * noise
    if texture.twigs[1] > 0:
        for _ in range(int(rng.integers(texture.twigs[0], texture.twigs[1] + 1))):
            clutter += _twig(rng, shape)
    return clutter


def _twig(rng: np.random.Generator, shape: tuple[int, int]) -> FloatImage:
    """A straight line with a soft profile, a pixel or two wide at a side of 256 px."""
    height, width = shape
    side = min(shape)
    angle = rng.uniform(0.0, math.pi)
    right, down = rng.uniform(0.0, width), rng.uniform(0.0, height)
    x = np.arange(width, dtype=np.float32) - right
    y = np.arange(height, dtype=np.float32)[:, None] - down
    across = x * math.sin(angle) - y * math.cos(angle)
    along = x * math.cos(angle) + y * math.sin(angle)
    thickness, length = side * rng.uniform(0.8, 2.0) / 256, side * rng.uniform(0.15, 0.5)
    strength = rng.uniform(0.08, 0.16) * (1.0 if rng.random() < 0.5 else -1.0)
    profile = np.exp(-0.5 * (across / thickness) ** 2 - 0.5 * (along / (0.5 * length)) ** 2)
    return np.asarray(strength * profile, dtype=np.float32)
