"""Plumage patterns: gratings in image coordinates, and the oracle that measures them.

The patterns are sinusoids fixed to the pixel grid, not to the bird: pose and size move the
silhouette over them but never change their period or orientation, so the resolution at which they
vanish is known exactly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from c2f_data.demo.catalogue import Grating

FloatImage = NDArray[np.float32]


def grating(
    shape: tuple[int, int], period: float, direction: Grating, phases: tuple[float, float]
) -> FloatImage:
    """A zero-mean sinusoid of variance 1/2 whatever its direction, (H, W) float32.

    period: pixels. phases: radians, along x and along y.
    """
    height, width = shape
    omega = 2.0 * math.pi / period
    along_x = np.cos(omega * np.arange(width, dtype=np.float32) + phases[0]).astype(np.float32)
    along_y = np.cos(omega * np.arange(height, dtype=np.float32) + phases[1]).astype(np.float32)
    if direction is Grating.HORIZONTAL:
        return np.broadcast_to(along_x, shape)
    if direction is Grating.VERTICAL:
        return np.broadcast_to(along_y[:, None], shape)
    # Two gratings of half the energy: the same variance, so contrast tells no siblings apart.
    scale = np.float32(math.sqrt(0.5))
    return np.asarray(scale * (along_x[None, :] + along_y[:, None]), dtype=np.float32)


def grating_energy(image: NDArray[np.uint8] | FloatImage, period: float) -> tuple[float, float]:
    """Spectral energy of an image at one period, along x and along y.

    image: (H, W) or (H, W, 3). period: pixels. Summed over frequencies within 15 % of 1 / period,
    under a Hann window. Phase does not matter, and a mirror image has the same two energies: the
    label of a bird can be read off without a network.
    """
    grey = np.asarray(image, dtype=np.float64)
    if grey.ndim == 3:
        grey = grey.mean(axis=2)
    height, width = grey.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2 / window.size
    frequency_x = np.abs(np.fft.fftfreq(width)) * period
    frequency_y = np.abs(np.fft.fftfreq(height)) * period
    bands_x, bands_y = np.abs(frequency_x - 1.0) < 0.15, np.abs(frequency_y - 1.0) < 0.15
    flat_x, flat_y = frequency_x < 0.15, frequency_y < 0.15
    along_x = float(power[np.ix_(flat_y, bands_x)].sum())
    along_y = float(power[np.ix_(bands_y, flat_x)].sum())
    return along_x, along_y
