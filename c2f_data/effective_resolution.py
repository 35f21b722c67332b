"""How many pixels an image really resolves: signs of enlargement and blur in its spectrum.

The power of natural images falls with frequency as a power law (Field 1987, J. Opt. Soc. Am. A
4:2379; van der Schaaf and van Hateren 1996, Vision Research 36:2759). An image that was enlarged
from fewer pixels has that law up to its old Nyquist frequency f_c, attenuated by the kernels that
reduced and enlarged it; beyond, it has what the kernel lets through of the spectrum's repetitions
(Oppenheim and Schafer, Discrete-Time Signal Processing, section 4.6), and noise. A blurred one has
the law times a Gaussian.

Such spectra are computed for a grid of f_c, exponents, kernels and noise floors, and held against
the image's. If the best of them explains it clearly better than the best power law without a limit,
the image resolves 2 f_c pixels a pixel.

The spectrum is taken where the image is sharpest, so a soft background is no sign of blur: rows and
columns of the third of its tiles that have the most contrast between neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Frequencies in cycles a pixel at which spectra are compared.
EDGES = np.geomspace(0.02, 0.5, 37)
MIDDLES = np.sqrt(EDGES[1:] * EDGES[:-1])
LIMITS = np.geomspace(0.03, 0.49, 44)
EXPONENTS = np.linspace(0.0, 3.2, 9)
# Noise as a share of what the highest frequencies have.
FLOORS = np.array((0.0, 0.5, 0.8, 0.95, 1.0))
KERNELS = ("bilinear", "bicubic", "lanczos", "gaussian")
# Attenuation at f_c of a Gaussian that counts as a limit: that of two bicubic kernels, 12 dB.
GAUSSIAN_DROP = 1.2
# Smaller images have too few frequencies: at 69 px two of three rendered birds raised an alarm.
SMALLEST = 128
LARGEST_TILE = 256
MOST_TILES = 64
SHARP_SHARE = 1 / 3
# Residuals in log10 of power beyond this count linearly.
OUTLIER = 0.25
# An image is taken for enlarged if it resolves at most this share of its pixels, and the fit
# without a limit is worse by this much, absolutely and as a ratio. From the benchmark.
LESS_THAN = 0.72
GAIN = 0.6
RATIO = 2.0
# Weights of R, G and B in the luma (ITU-R BT.601).
LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class EffectiveResolution:
    """An estimate of what an image resolves.

    Attributes:
        side: its shorter side in pixels.
        resolution: what it resolves, as a shorter side in pixels; ``side`` without a limit.
        gain, ratio: how much worse the best spectrum without a limit fits: difference and ratio
            of the sums of squared residuals of log10 of power.
        less: whether it is clearly less than the side.
    """

    side: int
    resolution: int
    gain: float
    ratio: float
    less: bool


def effective_resolution(pixels: NDArray[np.uint8]) -> EffectiveResolution:
    """Estimate what an image resolves. Args: pixels: (height, width, 3) uint8."""
    side = min(pixels.shape[:2])
    nothing = EffectiveResolution(side, side, 0.0, 1.0, less=False)
    if side < SMALLEST:
        return nothing
    spectrum = log_spectrum(pixels)
    if spectrum is None:
        return nothing
    limited, free = _residuals(spectrum)
    best = int(limited.argmin())
    gain = float(free - limited[best])
    ratio = float(free / max(limited[best], 1e-9))
    share = 2 * LIMITS[best]
    if gain <= 0:
        return nothing
    less = bool(share <= LESS_THAN and gain >= GAIN and ratio >= RATIO)
    resolution = max(1, min(side, round(float(share) * side)))
    return EffectiveResolution(side, resolution, gain, ratio, less)


def log_spectrum(pixels: NDArray[np.uint8]) -> Array | None:
    """(36,) log10 of the power at MIDDLES; None: an image without any contrast."""
    tiles = _sharpest(pixels.astype(np.float32) @ LUMA)
    size = tiles.shape[1]
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    power = np.zeros(size // 2 + 1)
    for lines in (tiles, np.swapaxes(tiles, 1, 2)):
        windowed = (lines - lines.mean(axis=2, keepdims=True)) * window
        power += (np.abs(np.fft.rfft(windowed, axis=2)) ** 2).mean(axis=(0, 1))
    power = power[1:] / (2 * float((window**2).sum()))
    if power.max() < 1e-6:
        return None
    bins = np.digitize(np.fft.rfftfreq(size)[1:], EDGES) - 1
    there = np.unique(bins[(bins >= 0) & (bins < MIDDLES.size)])
    levels = [np.log10(power[bins == i].mean() + 1e-4) for i in there]
    return np.asarray(np.interp(np.log(MIDDLES), np.log(MIDDLES[there]), levels), np.float64)


def _sharpest(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, t, t) the tiles with the most contrast between neighbouring pixels."""
    height, width = luma.shape
    size = max(min(min(height, width), 16), min(LARGEST_TILE, min(height, width) // 2))
    tops, lefts = _starts(height, size), _starts(width, size)
    tiles = np.stack([luma[y : y + size, x : x + size] for y in tops for x in lefts])
    contrast = (np.diff(tiles, axis=1) ** 2).mean(axis=(1, 2))
    contrast += (np.diff(tiles, axis=2) ** 2).mean(axis=(1, 2))
    count = max(1, round(len(tiles) * SHARP_SHARE))
    return np.asarray(tiles[np.argsort(-contrast, kind="stable")[:count]], np.float32)


def _starts(length: int, size: int) -> NDArray[np.int64]:
    """Where tiles begin: half a tile apart, and no more than MOST_TILES in an image."""
    count = min(int(np.sqrt(MOST_TILES)), round(2 * (length - size) / size) + 1)
    return np.linspace(0, length - size, max(1, count)).astype(np.int64)


def _residuals(spectrum: Array) -> tuple[Array, float]:
    """Least sum of residuals for each of LIMITS, and that without a limit."""
    noise = 10 ** np.sort(spectrum)[:4].mean() * FLOORS
    shapes, bands = _templates()
    best = np.empty(len(shapes))
    for i, (shape, low) in enumerate(zip(shapes, bands, strict=True)):
        # The amplitude is set where the limit hardly matters.
        level = np.median((spectrum - shape)[..., low], axis=-1, keepdims=True)
        clean = 10 ** (level + shape)
        fitted = np.log10(clean[..., None, :] + noise[:, None])
        best[i] = _huber(spectrum - fitted).sum(axis=-1).min()
    return best[:-1], float(best[-1])


def _huber(residuals: Array) -> Array:
    size = np.abs(residuals)
    return np.where(size < OUTLIER, size**2, OUTLIER * (2 * size - OUTLIER))


@cache
def _templates() -> tuple[tuple[Array, ...], tuple[NDArray[np.bool_], ...]]:
    """Log10 spectra (kernels, exponents, 36) for each of LIMITS, then one without a limit.

    With each, the frequencies that its amplitude is set at.
    """
    shapes = [
        np.stack([np.stack([_enlarged(f_c, a, k) for a in EXPONENTS]) for k in KERNELS])
        for f_c in LIMITS
    ]
    shapes.append(np.stack([-a * np.log10(MIDDLES) for a in EXPONENTS])[None])
    tops = [*(max(0.7 * f_c, 0.035) for f_c in LIMITS), 0.3]
    return tuple(shapes), tuple(top >= MIDDLES for top in tops)


def _enlarged(limit: float, exponent: float, kernel: str) -> Array:
    """Log10 of the spectrum of a power law that was reduced to ``limit`` and enlarged again."""
    relative = MIDDLES / limit  # 1: the old Nyquist frequency
    if kernel == "gaussian":
        return np.asarray(-exponent * np.log10(MIDDLES) - GAUSSIAN_DROP * relative**2, np.float64)
    # The small image's spectrum repeats itself every two units; reduced with antialiasing.
    folded = np.abs((relative + 1) % 2 - 1)
    folded = np.maximum(folded, 0.02)  # the mean over a bin, where the law has its pole
    mirrored = 2 - folded
    reducer = "bicubic"
    small = folded**-exponent * _response(reducer, folded / 2) ** 2
    small += mirrored**-exponent * _response(reducer, mirrored / 2) ** 2
    power = small * _response(kernel, relative / 2) ** 2 * limit**-exponent
    return np.asarray(np.log10(np.maximum(power, 1e-12)), np.float64)


def _response(kernel: str, frequency: Array) -> Array:
    """Frequency response of an interpolation kernel, at cycles a pixel of the small image."""
    known, values = _response_table(kernel)
    return np.asarray(np.interp(frequency, known, values), np.float64)


@cache
def _response_table(kernel: str) -> tuple[Array, Array]:
    x = np.linspace(-3, 3, 601)
    distance = np.abs(x)
    if kernel == "bilinear":
        values = np.maximum(1 - distance, 0)
    elif kernel == "bicubic":  # Keys 1981 with a = -0.5
        near = (1.5 * distance - 2.5) * distance**2 + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        values = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    else:
        values = np.sinc(x) * np.sinc(x / 3)
    frequencies = np.linspace(0, EDGES[-1] / LIMITS[0], 1024)
    waves = np.cos(2 * np.pi * frequencies[:, None] * x)
    return frequencies, np.asarray((waves * values).sum(axis=1) / values.sum(), np.float64)
