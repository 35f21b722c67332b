"""Natural-looking settings: meadow, shore, water, foliage, drifts of snow.

A setting is drawn without knowing which bird will stand in it, so that no background tells a
species, a genus or a family.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FloatImage = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Setting:
    """Colours and textures of one kind of place; colours are RGB in 0 to 1.

    stretch: width over height of the ground's texture (above 1: ripples, below 1: blades).
    roughness: share of the amplitude each octave keeps of the one before it.
    far: colours of what lies behind the ground's edge (sky, or dark foliage).
    """

    dark: Colour
    light: Colour
    stretch: float
    roughness: float
    far: tuple[Colour, Colour]


_SKY: tuple[Colour, Colour] = ((0.50, 0.66, 0.86), (0.86, 0.90, 0.93))
_DUSK: tuple[Colour, Colour] = ((0.55, 0.52, 0.66), (0.94, 0.78, 0.64))
_WOOD: tuple[Colour, Colour] = ((0.16, 0.26, 0.14), (0.44, 0.55, 0.30))
_SETTINGS: tuple[Setting, ...] = (
    Setting((0.22, 0.34, 0.10), (0.66, 0.74, 0.32), 0.35, 0.72, _SKY),
    Setting((0.30, 0.34, 0.14), (0.82, 0.76, 0.44), 0.30, 0.70, _WOOD),
    Setting((0.56, 0.47, 0.34), (0.92, 0.84, 0.68), 1.60, 0.66, _SKY),
    Setting((0.16, 0.30, 0.40), (0.66, 0.80, 0.86), 5.00, 0.60, _SKY),
    Setting((0.22, 0.24, 0.34), (0.88, 0.74, 0.62), 4.50, 0.60, _DUSK),
    Setting((0.14, 0.22, 0.10), (0.52, 0.62, 0.28), 0.90, 0.66, _WOOD),
    Setting((0.66, 0.72, 0.80), (0.97, 0.98, 0.99), 2.20, 0.50, _SKY),
    Setting((0.30, 0.25, 0.20), (0.72, 0.64, 0.54), 1.30, 0.74, _DUSK),
)


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    coarsest: float,
    roughness: float,
    stretch: float = 1.0,
) -> FloatImage:
    """Noise with octaves from `coarsest` pixels down to 2, (H, W) float32, mean 0, deviation 1.

    stretch: width over height of a blob.
    """
    height, width = shape
    total = np.zeros(shape, dtype=np.float32)
    amplitude, cell = 1.0, coarsest
    ratio = float(np.sqrt(stretch))
    while cell >= 2.0:
        rows = max(2, round(height * ratio / cell) + 2)
        columns = max(2, round(width / (ratio * cell)) + 2)
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.float32(amplitude) * np.asarray(smooth)
        amplitude *= roughness
        cell /= 2.0
    total -= total.mean()
    return np.asarray(total / (total.std() + 1e-6), dtype=np.float32)


def _between(low: Colour, high: Colour, share: FloatImage) -> FloatImage:
    first, last = np.array(low, dtype=np.float32), np.array(high, dtype=np.float32)
    return np.asarray(first + share[..., None] * (last - first), dtype=np.float32)


def draw_background(
    rng: np.random.Generator, shape: tuple[int, int], ground_line: float
) -> FloatImage:
    """A setting without a bird, (H, W, 3) float32 in 0 to 1.

    ground_line: row at which the ground begins, as a fraction of the height.
    """
    height, width = shape
    side = min(shape)
    setting = _SETTINGS[int(rng.integers(len(_SETTINGS)))]
    clutter = rng.uniform(0.12, 0.26)
    ground = fractal_noise(rng, shape, side / 5, setting.roughness, setting.stretch)
    # Ground darkens towards the camera, as it does in a photograph.
    rows = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    shade = 0.62 - 0.22 * rows + clutter * ground
    picture = _between(setting.dark, setting.light, np.clip(shade, -0.2, 1.3))

    distant = fractal_noise(rng, shape, side / 2, 0.42, 1.8)
    depth = np.clip(rows / max(ground_line, 0.05), 0.0, 1.0)
    behind = _between(*setting.far, np.clip(0.75 * depth + 0.15 * distant, 0.0, 1.0))
    ragged = fractal_noise(rng, (1, width), side / 4, 0.6)
    edge = (rows - ground_line) * height - ragged * side * 0.012
    softness = rng.uniform(1.0, 6.0) * side / 256
    cover = np.clip(0.5 + edge / (2.0 * softness), 0.0, 1.0)[..., None]
    return np.asarray(behind + cover * (picture - behind), dtype=np.float32)
